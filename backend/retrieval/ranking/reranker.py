"""Asks a cross-encoder how relevant each candidate is: any server that speaks the `/rerank` protocol."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import httpx
import orjson
from pydantic import AliasChoices, BaseModel, Field, SecretStr, TypeAdapter

from backend.audit.actions.retrieval import RerankedBy
from backend.settings import Settings
from backend.settings.retrieval import RerankProtocol
from backend.tls import shared

MICROS = 1_000_000
_LARGEST_SCORE = 1e6  # logits are far below, and what is recorded stays an exact integer
_LONGEST_ANSWER = 16 * 1024 * 1024  # bytes; some servers repeat the texts


class RerankerUnavailable(Exception):
    """The reranker did not answer, or not with one usable score for each text."""


class _Result(BaseModel):
    index: int
    score: float = Field(
        validation_alias=AliasChoices("relevance_score", "score"), ge=-_LARGEST_SCORE, le=_LARGEST_SCORE
    )


_RESULTS = TypeAdapter(list[_Result])


@dataclass(frozen=True, slots=True)
class Reranking:
    """What a reranker made of the candidates of a question: scores in millionths, by chunk; none when it failed.

    `submitted` is the event that recorded what it was sent.
    """

    model: str
    scores: Mapping[UUID, int]
    submitted: UUID
    milliseconds: int = 0

    def described(self) -> RerankedBy:
        """Returns what the record of a retrieval says of it."""
        return RerankedBy(
            model=self.model,
            outcome="succeeded" if self.scores else "failed",
            submitted=self.submitted,
            milliseconds=self.milliseconds,
        )


class Reranker:
    """A client of one model of one server."""

    def __init__(
        self,
        url: str,
        model: str,
        api_key: SecretStr | None,
        *,
        protocol: RerankProtocol = "jina",
        candidates: int = 32,
        timeout: float = 5.0,
        required: bool = False,
    ) -> None:
        """Asks `url`, the endpoint itself; `timeout`, in seconds, covers the whole answer."""
        self.model = model
        self.candidates = candidates
        self.required = required
        self._url = httpx.URL(url)
        self._protocol = protocol
        self._timeout = timeout
        headers = {"Content-Type": "application/json"}
        if api_key is not None:
            headers["Authorization"] = f"Bearer {api_key.get_secret_value()}"
        self._client = httpx.AsyncClient(headers=headers, timeout=timeout, verify=shared(httpx.create_ssl_context))

    async def aclose(self) -> None:
        """Closes the connections."""
        await self._client.aclose()

    async def scores(self, query: str, texts: Sequence[str]) -> list[int]:
        """Returns the relevance of each text to the query in millionths, in their order; raises RerankerUnavailable."""
        try:
            async with asyncio.timeout(self._timeout):
                answer = orjson.loads(await self._answer(self._body(query, texts)))
            results = _RESULTS.validate_python(answer["results"] if isinstance(answer, dict) else answer)
        except (httpx.HTTPError, TimeoutError, ValueError, LookupError) as error:
            # Only the kind of error: its text may quote the candidates.
            raise RerankerUnavailable(f"The reranker failed: {type(error).__name__}.") from error
        scores = {result.index: round(result.score * MICROS) for result in results}
        if len(results) != len(texts) or scores.keys() != set(range(len(texts))):
            raise RerankerUnavailable(f"The reranker did not score each of {len(texts)} texts once.")
        return [scores[index] for index in range(len(texts))]

    def _body(self, query: str, texts: Sequence[str]) -> dict[str, Any]:
        if self._protocol == "tei":
            return {"query": query, "texts": list(texts), "truncate": True}
        return {
            "model": self.model, "query": query, "documents": list(texts), "top_n": len(texts), "return_documents": False
        }  # fmt: skip

    async def _answer(self, body: Mapping[str, Any]) -> bytes:
        answer = bytearray()
        async with self._client.stream("POST", self._url, content=orjson.dumps(body)) as response:
            response.raise_for_status()
            async for part in response.aiter_bytes():
                answer += part
                if len(answer) > _LONGEST_ANSWER:
                    raise RerankerUnavailable("The reranker's answer is too long.")
        return bytes(answer)


def from_settings(settings: Settings) -> Reranker | None:
    """Returns a client of the reranking server; None, the default, means that nothing is reranked."""
    if settings.reranker_url is None:
        return None
    assert settings.reranker_model is not None
    return Reranker(
        settings.reranker_url, settings.reranker_model, settings.reranker_api_key, protocol=settings.reranker_protocol,
        candidates=settings.reranker_candidates, timeout=settings.reranker_timeout, required=settings.reranker_required,
    )  # fmt: skip
