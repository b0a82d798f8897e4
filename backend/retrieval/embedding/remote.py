"""A server of OpenAI's embeddings protocol in place of the built-in model."""

import asyncio
from collections.abc import Sequence
from typing import Any

import httpx2
import numpy as np
from openai import APIStatusError, APITimeoutError, AsyncOpenAI, Omit, OpenAIError, omit
from pydantic import SecretStr

from backend import tracing
from backend.bounded_http import MISREAD, bounded_client
from backend.retrieval.embedding.embedder import EmbedderUnavailable, Vectors, as_titles, count_each, stacked, unit
from backend.retrieval.embedding.minilm import MINILM

_BATCH = 64  # texts per request: within most servers' limits, and a failed request repeats little
_TOO_MUCH = frozenset({400, 413, 422})  # how servers refuse a batch that is too large


class RemoteEmbedder:
    """Asks a server for vectors, in batches as large as it takes."""

    in_process = False

    def __init__(
        self,
        url: str,
        model: str,
        api_key: SecretStr | None,
        dimensions: int,
        *,
        revision: str | None = None,
        max_tokens: int = 512,
        timeout: float = 30.0,
    ) -> None:
        """Connects to `url`, which ends in /v1; `timeout` is in seconds: for a question, and for each attempt at a batch.

        `revision` tells vectors of a model apart from those of another that the server called by the same name.
        """
        self.model = f"{model}@{revision}" if revision else model
        self.dimensions = dimensions
        self.max_tokens = max_tokens
        self._asked_for = model
        self._url = url
        self._timeout = timeout
        self._batch = _BATCH
        self._length: int | Omit = omit  # sent once the server's own length turned out to be another
        # A key is always given: without one the client would take it from the environment.
        key = api_key.get_secret_value() if api_key else "none"
        self._client = AsyncOpenAI(
            base_url=url, api_key=key, timeout=timeout, max_retries=2, http_client=bounded_client(timeout)
        )

    def count_each(self, texts: Sequence[str]) -> list[int]:
        """Returns the number of tokens of each text by the built-in tokenizer: the protocol has no way to ask."""
        return count_each(MINILM.tokenizer(), texts)

    async def embed_query(self, text: str) -> Vectors:
        """Returns the vector (dimensions,) of a question; raises EmbedderUnavailable."""
        try:
            async with asyncio.timeout(self._timeout):
                vector: Vectors = (await self._embed([text]))[0]
        except TimeoutError as error:
            message = "The embedding server did not answer in time."
            raise EmbedderUnavailable(message) from error
        return vector

    async def embed_passages(self, texts: Sequence[str], titles: Sequence[str] = ()) -> Vectors:
        """Returns the vectors (len(texts), dimensions) of passages; raises EmbedderUnavailable."""
        pairs = zip(texts, as_titles(texts, titles), strict=True)
        texts = [f"{title}\n\n{text}" if title else text for text, title in pairs]
        done: list[Vectors] = []
        start = 0
        while start < len(texts):
            batch = texts[start : start + self._batch]
            try:
                done.append(await self._embed(batch))
            except _BatchTooLarge:
                self._batch = len(batch) // 2
                continue
            start += len(batch)
        return np.concatenate(done) if done else stacked([], self.dimensions)

    async def aclose(self) -> None:
        """Closes the connections."""
        await self._client.close()

    async def _embed(self, texts: Sequence[str]) -> Vectors:
        vectors = await self._ask(texts)
        if self._length is omit and {len(vector) for vector in vectors} != {self.dimensions}:
            self._length = self.dimensions  # some models make vectors of several lengths
            vectors = await self._ask(texts)
        return self._checked(vectors, expected=len(texts))

    async def _ask(self, texts: Sequence[str]) -> list[Any]:
        try:
            with tracing.model_call("embeddings", self._asked_for, self._url, {}) as span, tracing.asking(span):
                answer = await self._client.embeddings.create(
                    model=self._asked_for, input=list(texts), encoding_format="float", dimensions=self._length
                )
            items = sorted(answer.data, key=lambda item: item.index)
            if [item.index for item in items] != list(range(len(items))):
                message = "The embedding server did not say of each vector whose it is."
                raise EmbedderUnavailable(message)
            return [item.embedding for item in items]
        except (APIStatusError, APITimeoutError) as error:
            too_much = not isinstance(error, APIStatusError) or error.status_code in _TOO_MUCH
            if too_much and len(texts) > 1:
                raise _BatchTooLarge from error
            self._batch = _BATCH  # it was this text, and not how many there were
            raise _failed(error) from error
        except (OpenAIError, httpx2.HTTPError, *MISREAD) as error:
            raise _failed(error) from error

    def _checked(self, embeddings: list[Any], expected: int) -> Vectors:
        try:
            lengths = {len(embedding) for embedding in embeddings}
            with np.errstate(over="ignore"):  # what is too large becomes infinite, and has no direction then
                vectors = np.array(embeddings, dtype=np.float32) if lengths == {self.dimensions} else None
        except MISREAD as error:
            raise _failed(error) from error
        if vectors is None or vectors.shape != (expected, self.dimensions):
            message = (
                f"The embedding server sent {len(embeddings)} vectors of {sorted(lengths)} dimensions "
                f"where {expected} of {self.dimensions} were asked for."
            )
            raise EmbedderUnavailable(message)
        norms = np.linalg.norm(vectors, axis=1)
        if not (np.isfinite(norms).all() and norms.all()):
            message = "The embedding server sent a vector without a direction."
            raise EmbedderUnavailable(message)
        return unit(vectors)


class _BatchTooLarge(Exception):
    """The server may take fewer texts at once."""


def _failed(error: Exception) -> EmbedderUnavailable:
    """Names only the kind of error: its text may quote the passages."""
    return EmbedderUnavailable(f"The embedding server failed: {type(error).__name__}.")
