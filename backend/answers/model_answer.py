"""One answer of a model as it arrives. The client does not validate what a server sends, so nothing is trusted."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import httpx2
from openai import APITimeoutError, OpenAIError

from backend.answers.completion import Completion, Said
from backend.answers.generator import (
    MODEL_REFUSED,
    MODEL_SILENT,
    NOT_SUPPORTED,
    UNSUPPORTED,
    Claim,
    Generation,
    GeneratorTimeout,
    GeneratorUnavailable,
    Prompt,
    Usage,
)
from backend.answers.grounding.support import Grounding
from backend.answers.grounding.verdict import Reason
from backend.answers.prompt import REFUSAL
from backend.bounded_http import MISREAD
from backend.metrics import stage

LONGEST_COMPLETION = 16_384
"""Characters said, not thought; a server that sends more ignores its bound and is not listened to any longer."""

CUTS = frozenset({"length", "content_filter"})
_FINISHED = frozenset({"stop", "tool_calls", "function_call", "eos", "end_turn", *CUTS})
_REFUSAL = re.compile(rf"[\s*_`\"'#]*{REFUSAL}[\s*_`\"'.]*")
_LONGEST_NAME = 200
_MOST_TOKENS = 2**31


class ModelAnswer:
    """Reads a chat completion, whole or chunk by chunk, and lets through what the passages support."""

    def __init__(self, model: str, prompt: Prompt, grounding: Grounding) -> None:
        """`model` is the one asked for."""
        self._grounding = grounding.showing(prompt.levels)
        self._evidence = grounding.evidence(prompt.passages)
        self._completion = Completion()
        self._requested = self._served = model
        self._raw = ""
        self._refusal = ""
        self._finish_reason: str | None = None if prompt.passages else "stop"  # nothing to ask about
        self._usage = Usage()
        self._claims: list[Claim] = []
        self._dropped: list[tuple[str, Reason]] = []

    async def read(self, received: object, part: str) -> list[Claim]:
        """Returns the claims that a completion, or one chunk of it, completes; `part` is `message` or `delta`."""
        choices = getattr(received, "choices", None)
        if not isinstance(choices, list) or (part == "message" and not choices):
            message = "The model server does not speak the chat completions protocol."
            raise GeneratorUnavailable(message)
        self._served = _name(getattr(received, "model", None)) or self._served
        if (usage := getattr(received, "usage", None)) is not None:
            self._usage = _usage(usage)
        if not choices:  # the last chunk has only the usage, and Azure's first what its filter says
            return []
        choice = choices[0]
        self._finish_reason = _finish_reason(choice.finish_reason) or self._finish_reason
        said = getattr(choice, part)
        self._refusal += _text(getattr(said, "refusal", None))
        return await self._take(_text(said.content))

    async def finish(self) -> list[Claim]:
        """Returns the last claims; raises GeneratorUnavailable when the server gave no reason to stop."""
        if self._finish_reason is None:
            message = "The model server ended its answer early."
            raise GeneratorUnavailable(message)
        return await self._checked(self._completion.close())

    def generation(self, parameters: Mapping[str, str | int]) -> Generation:
        """Returns what was let through, and what was not."""
        return Generation(
            claims=tuple(self._claims),
            refusal=None if self._claims else self._reason(),
            completion=self._raw or self._refusal,
            dropped=tuple(sentence for sentence, _ in self._dropped),
            reasons=tuple(reason for _, reason in self._dropped),
            model_requested=self._requested,
            model_served=self._served,
            finish_reason=str(self._finish_reason),
            cut=self._finish_reason if self._finish_reason in CUTS else None,
            usage=self._usage,
            parameters=parameters,
        )

    async def _take(self, content: str) -> list[Claim]:
        self._raw += content
        sentences = self._completion.feed(content)
        if len(self._completion.said) > LONGEST_COMPLETION:
            message = "The model server sent more than it was asked for."
            raise GeneratorUnavailable(message)
        return await self._checked(sentences)

    async def _checked(self, sentences: list[Said]) -> list[Claim]:
        supported = []
        for said in sentences:
            with stage("ground"):
                found = await self._grounding.claim(said.marked, self._evidence)
            if isinstance(found, Claim):
                supported.append(found)
            elif not _REFUSAL.fullmatch(said.text):
                self._dropped.append((said.marked, found))
        self._claims += supported
        return supported

    def _reason(self) -> str:
        """Returns why there is no answer: the documents are to blame only when the model said so."""
        said = self._completion.said.strip()
        if _REFUSAL.fullmatch(said):
            return NOT_SUPPORTED
        if self._refusal or self._finish_reason == "content_filter":
            return MODEL_REFUSED
        if said:
            return UNSUPPORTED
        asked = bool(self._raw) or self._finish_reason != "stop" or self._usage != Usage()
        return MODEL_SILENT if asked else NOT_SUPPORTED


def _text(content: object) -> str:
    """Returns the text of a message: itself, or that of its parts of type text; what it thinks and calls is none."""
    if content is None:
        return ""
    if isinstance(content, str):
        return content.encode("utf-8", "replace").decode()  # lone surrogates
    if isinstance(content, list):
        return "".join(_part(part) for part in content)
    message = "The model server does not speak the chat completions protocol."
    raise GeneratorUnavailable(message)


def _part(part: object) -> str:
    text = part.get("text") if isinstance(part, dict) else None
    if not isinstance(part, dict) or not isinstance(part.get("type"), str):
        message = "The model server does not speak the chat completions protocol."
        raise GeneratorUnavailable(message)
    return _text(text) if part["type"] in {"text", "output_text"} else ""


def _name(model: object) -> str | None:
    """Returns the name of a model as it can be recorded."""
    if not isinstance(model, str):
        return None
    return "".join(filter(str.isprintable, model))[:_LONGEST_NAME] or None


def _finish_reason(reason: object) -> str | None:
    if not isinstance(reason, str) or not reason:
        return None
    return reason if reason in _FINISHED else "other"


def _usage(usage: object) -> Usage:
    details = getattr(usage, "completion_tokens_details", None)
    return Usage(
        _count(getattr(usage, "prompt_tokens", None)),
        _count(getattr(usage, "completion_tokens", None)),
        _count(getattr(details, "reasoning_tokens", None)),
    )


def _count(tokens: object) -> int | None:
    known = isinstance(tokens, int) and not isinstance(tokens, bool) and 0 <= tokens < _MOST_TOKENS
    return tokens if known and isinstance(tokens, int) else None


@contextmanager
def failures_translated() -> Iterator[None]:
    """Raises whatever the client or a malformed answer raises as a GeneratorError, without the server's words.

    They may quote the prompt, and the error is logged.
    """
    try:
        yield
    except (TimeoutError, APITimeoutError) as error:
        message = "The model server did not answer in time."
        raise GeneratorTimeout(message) from error
    except OpenAIError as error:
        message = f"The model server failed: {type(error).__name__}."
        raise GeneratorUnavailable(message) from error
    except (httpx2.HTTPError, *MISREAD) as error:
        message = "The model server does not speak the chat completions protocol."
        raise GeneratorUnavailable(message) from error
