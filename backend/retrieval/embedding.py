"""Turns text into unit vectors, by the local model or by a server of OpenAI's embeddings protocol."""

import asyncio
import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol, Self

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from openai import AsyncOpenAI, OpenAIError
from pydantic import SecretStr
from tokenizers import Tokenizer

from backend.retrieval import minilm

Vectors = NDArray[np.float32]


class EmbedderUnavailable(Exception):
    """The embedding server did not answer, or not with usable vectors."""


class Embedder(Protocol):
    """What retrieval needs of an embedding model; its vectors have unit length."""

    @property
    def model(self) -> str:
        """Name recorded with every chunk: vectors of different models are never compared."""

    @property
    def dimensions(self) -> int:
        """Length of a vector."""

    @property
    def max_tokens(self) -> int:
        """Longest text that is embedded whole; the rest of a longer one is ignored."""

    async def embed_query(self, text: str) -> Vectors:
        """Return the vector (dimensions,) of a question."""

    async def embed_passages(self, texts: Sequence[str]) -> Vectors:
        """Return the vectors (len(texts), dimensions) of passages, in their order."""


class LocalEmbedder:
    """Runs all-MiniLM-L6-v2 in this process, without a network.

    Each text is run alone. The int8 model scales its activations over whatever it is given at once, so in a
    batch a vector would depend on its neighbours, even another tenant's, and could not be reproduced. Nor is
    a batch faster: the speed comes from one single-threaded run per core.
    """

    model = minilm.NAME
    dimensions = minilm.DIMENSIONS
    max_tokens = minilm.MAX_TOKENS

    def __init__(self, session: onnxruntime.InferenceSession, tokenizer: Tokenizer, threads: int) -> None:
        self._session = session
        self._tokenizer = tokenizer
        # Two pools, so that a question never queues behind an ingestion.
        self._queries = ThreadPoolExecutor(threads, thread_name_prefix="embed-query")
        self._passages = ThreadPoolExecutor(threads, thread_name_prefix="embed-passage")

    @classmethod
    def load(cls, cache: Path, threads: int | None = None) -> Self:
        """Load the model, building it in `cache` at first use, to run on `threads` cores (default: all).

        Raises minilm.ModelWeightsError if the installed weights are not the pinned ones.
        """
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        path = minilm.onnx_model(cache)
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        tokenizer = Tokenizer.from_file(str(minilm.wheel_file("tokenizer.json")))
        tokenizer.no_padding()
        tokenizer.no_truncation()
        return cls(session, tokenizer, threads or os.cpu_count() or 1)

    def count_tokens(self, text: str) -> int:
        """Return the number of tokens to compare with `max_tokens` (the model's two markers included)."""
        return len(self._tokenizer.encode(text).ids)

    def encode(self, texts: Iterable[str]) -> Vectors:
        """Return the vectors (n, dimensions) of texts, using every thread; blocks the caller."""
        return _stacked(list(self._passages.map(self._vector, texts)), self.dimensions)

    async def embed_query(self, text: str) -> Vectors:
        """Return the vector (dimensions,) of a question, about 2 ms."""
        return await asyncio.get_running_loop().run_in_executor(self._queries, self._vector, text)

    async def embed_passages(self, texts: Sequence[str]) -> Vectors:
        """Return the vectors (len(texts), dimensions) of passages, about 5 ms each and core."""
        loop = asyncio.get_running_loop()
        runs = [loop.run_in_executor(self._passages, self._vector, text) for text in texts]
        return _stacked(await asyncio.gather(*runs), self.dimensions)

    def _vector(self, text: str) -> Vectors:
        ids = self._tokenizer.encode(text).ids
        if len(ids) > self.max_tokens:
            ids = [*ids[: self.max_tokens - 1], ids[-1]]  # the last id is the end marker
        (vectors,) = self._session.run(None, {"ids": np.array([ids], dtype=np.int64)})
        vector: Vectors = vectors[0]
        return vector


class RemoteEmbedder:
    """Asks a server that speaks OpenAI's `/v1/embeddings`."""

    _BATCH = 64  # texts per request: within every known server's limit, and a failed request repeats little

    def __init__(
        self,
        url: str,
        model: str,
        api_key: SecretStr | None,
        dimensions: int,
        *,
        max_tokens: int = 512,
        timeout: float = 30.0,
    ) -> None:
        """Connect to `url`, which ends in /v1; `timeout` is in seconds, for each of at most three attempts."""
        self.model = model
        self.dimensions = dimensions
        self.max_tokens = max_tokens
        # A key is always given: without one the client would take it from the environment.
        key = api_key.get_secret_value() if api_key else "none"
        self._client = AsyncOpenAI(base_url=url, api_key=key, timeout=timeout, max_retries=2)

    async def embed_query(self, text: str) -> Vectors:
        """Return the vector (dimensions,) of a question; raises EmbedderUnavailable."""
        vector: Vectors = (await self._embed([text]))[0]
        return vector

    async def embed_passages(self, texts: Sequence[str]) -> Vectors:
        """Return the vectors (len(texts), dimensions) of passages; raises EmbedderUnavailable."""
        starts = range(0, len(texts), self._BATCH)
        batches = [await self._embed(texts[start : start + self._BATCH]) for start in starts]
        return np.concatenate(batches) if batches else _stacked([], self.dimensions)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def _embed(self, texts: Sequence[str]) -> Vectors:
        try:
            answer = await self._client.embeddings.create(
                model=self.model, input=list(texts), encoding_format="float"
            )
        except (OpenAIError, ValueError) as error:
            # Only the kind of error: its text may quote the passages.
            message = f"The embedding server failed: {type(error).__name__}."
            raise EmbedderUnavailable(message) from error
        answered = sorted(answer.data, key=lambda item: item.index)
        return self._checked([item.embedding for item in answered], expected=len(texts))

    def _checked(self, embeddings: list[list[float]], expected: int) -> Vectors:
        lengths = {len(embedding) for embedding in embeddings}
        if len(embeddings) != expected or lengths != {self.dimensions}:
            message = (
                f"The embedding server sent {len(embeddings)} vectors of {sorted(lengths)} dimensions "
                f"where {expected} of {self.dimensions} were asked for."
            )
            raise EmbedderUnavailable(message)
        vectors = np.array(embeddings, dtype=np.float32)
        norms = np.linalg.norm(vectors, axis=1, keepdims=True)
        if not (np.isfinite(norms).all() and norms.all()):
            message = "The embedding server sent a vector without a direction."
            raise EmbedderUnavailable(message)
        unit: Vectors = vectors / norms
        return unit


def _stacked(vectors: Sequence[Vectors], dimensions: int) -> Vectors:
    return np.stack(vectors) if vectors else np.empty((0, dimensions), dtype=np.float32)
