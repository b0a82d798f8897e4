"""The parameters that a model server is sent with the prompt. Once a server has refused one, it is sent that one no more."""

import re
from collections.abc import Mapping
from typing import Any

from openai import APIStatusError

# Newer servers of OpenAI's refuse the one, most others do not know the other.
_OTHER_NAME = {"max_tokens": "max_completion_tokens", "max_completion_tokens": "max_tokens"}
_REFUSING = frozenset({400, 422})
_TOO_LONG = re.compile(r"too large|too long|context (?:length|window|size)|maximum context", re.IGNORECASE)


class Parameters:
    """The parameters of one server's requests, known better with each refusal."""

    def __init__(self, max_tokens: int) -> None:
        """Asks for at most `max_tokens`, the likeliest words, and the count of tokens of a stream."""
        self._sent: dict[str, Any] = {
            "max_tokens": max_tokens, "temperature": 0, "stream_options": {"include_usage": True}
        }  # fmt: skip
        self._refused: set[str] = set()

    @property
    def recorded(self) -> Mapping[str, str | int]:
        """Those that decide an answer."""
        return {name: value for name, value in self._sent.items() if isinstance(value, int)}

    def of_request(self, *, stream: bool) -> dict[str, Any]:
        """Returns what to send."""
        return {name: value for name, value in self._sent.items() if stream or name != "stream_options"}

    def learn(self, error: APIStatusError, sent: Mapping[str, Any]) -> bool:
        """Takes note of the parameter that a server refuses; returns whether to ask again, without it or by its other name."""
        refused = _refused(error, sent)
        if refused is None:
            return False
        value = self._sent.pop(refused, None)  # gone already, when another question was refused meanwhile
        self._refused.add(refused)
        other = _OTHER_NAME.get(refused)
        if value is not None and other is not None and other not in self._refused:
            self._sent[other] = value
        return True


def _refused(error: APIStatusError, sent: Mapping[str, Any]) -> str | None:
    if error.status_code not in _REFUSING:
        return None
    body = error.body if isinstance(error.body, dict) else {}
    if body.get("param") in sent:
        return str(body["param"])
    said = f"{error.message} {error.response.text}"
    if _TOO_LONG.search(said):
        return None
    return next((name for name in sent if re.search(rf"\b{name}\b", said)), None)
