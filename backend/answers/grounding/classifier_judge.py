"""A judge that is a sequence classifier over pairs of texts."""

import json
from collections.abc import Sequence

import httpx
from pydantic import SecretStr

from backend.answers.grounding.judge import JudgeUnavailable, shortened
from backend.bounded_http import MISREAD
from backend.tls import shared

_ENTAILED = frozenset({"entailment", "entailed", "supported", "consistent", "label_1", "1", "true", "yes"})
_LEAST_SCORE = 0.5
_LONGEST_REPLY = 64 * 1024  # bytes


class ClassifierJudge:
    """A sequence classifier over pairs of texts: Text Embeddings Inference's `/predict`, HHEM, MiniCheck and the like."""

    def __init__(self, url: str, model: str, api_key: SecretStr | None, *, timeout: float = 20.0) -> None:
        """Posts pairs to `url`, the whole address of the endpoint; `timeout` is in seconds."""
        self.name = model
        self._url = url
        headers = {"Authorization": f"Bearer {api_key.get_secret_value()}"} if api_key else {}
        self._client = httpx.AsyncClient(headers=headers, timeout=timeout, verify=shared(httpx.create_ssl_context))

    async def entails(self, sentence: str, passages: Sequence[str]) -> bool:
        """Returns whether the label of entailment has the highest score, and at least one half."""
        body = {"inputs": [["\n\n".join(shortened(passages)), sentence]], "truncate": True}
        try:
            async with self._client.stream("POST", self._url, json=body) as response:
                response.raise_for_status()
                content = b""
                async for chunk in response.aiter_bytes():
                    content += chunk
                    if len(content) > _LONGEST_REPLY:
                        message = "The judge sent more than it was asked for."
                        raise JudgeUnavailable(message)
            return _entailed(json.loads(content))
        except (httpx.HTTPError, *MISREAD) as error:
            message = f"The judge failed: {type(error).__name__}."
            raise JudgeUnavailable(message) from error

    async def aclose(self) -> None:
        """Closes the connections."""
        await self._client.aclose()


def _entailed(answer: object) -> bool:
    """Reads [[{"label": …, "score": …}, …]], as TEI answers a batch of one."""
    rows = answer if isinstance(answer, list) else []
    while rows and isinstance(rows[0], list):
        rows = rows[0]
    scores = {str(row["label"]).casefold(): float(row["score"]) for row in rows}
    if not scores:
        message = "no labels"
        raise ValueError(message)
    best = max(scores, key=lambda label: scores[label])
    return best in _ENTAILED and scores[best] >= _LEAST_SCORE
