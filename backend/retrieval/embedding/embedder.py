"""Turns text into unit vectors, by the local model or by a server of OpenAI's embeddings protocol."""

import asyncio
import math
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol, Self

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from openai import AsyncOpenAI, OpenAIError
from pydantic import SecretStr
from tokenizers import Tokenizer

from backend.retrieval.embedding import minilm
from backend.settings import Settings

Vectors = NDArray[np.float32]

# Measured on three sets of questions about financial documents; each is on a broad optimum of all of them.
_LEAD_TOKENS, _LEAD_WEIGHT = 64, 0.5
_TITLE_WEIGHT = 0.25
_MAX_QUERY_WINDOWS = 4
_MAX_WINDOWS = 16  # 4,064 tokens: the mean of more says nothing, and one text must not hold a core for long


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
    def in_process(self) -> bool:
        """Whether it works in this process, so that something scarce may wait for it."""

    @property
    def max_tokens(self) -> int:
        """Longest text that the model reads at once: the size to cut chunks to."""

    def count_each(self, texts: Sequence[str]) -> list[int]:
        """Return the number of tokens of each text, without those that frame every passage."""

    async def embed_query(self, text: str) -> Vectors:
        """Return the vector (dimensions,) of a question."""

    async def embed_passages(self, texts: Sequence[str], titles: Sequence[str] = ()) -> Vectors:
        """Return the vectors (len(texts), dimensions) of passages, in their order.

        `titles`, if any, are as many as the texts: what each belongs to, or "".
        """


class LocalEmbedder:
    """Runs all-MiniLM-L6-v2 in this process, without a network.

    Each text is run alone. The int8 model scales its activations over whatever it is given at once, so in a
    batch a vector would depend on its neighbours, even another tenant's, and could not be reproduced. Nor is
    a batch faster: the speed comes from one single-threaded run per core.

    A passage's vector is a sum of directions: the mean over windows of its text, so that nothing long is cut
    off; its lead, which tends to say what it is about; and its title.
    """

    model = minilm.NAME
    dimensions = minilm.DIMENSIONS
    in_process = True
    max_tokens = minilm.MAX_TOKENS

    def __init__(self, session: onnxruntime.InferenceSession, tokenizer: Tokenizer, threads: int) -> None:
        self._session = session
        self._tokenizer = tokenizer
        self._begin, self._end = tokenizer.token_to_id("[CLS]"), tokenizer.token_to_id("[SEP]")
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
        return cls(session, minilm.tokenizer(), threads or os.cpu_count() or 1)

    def count_tokens(self, text: str) -> int:
        """Return the number of tokens to compare with `max_tokens` (the model's two markers included)."""
        return len(self._ids(text)) + 2

    def count_each(self, texts: Sequence[str]) -> list[int]:
        """Return the number of tokens of each text, without the model's two markers."""
        return _count_each(self._tokenizer, texts)

    def encode(self, texts: Sequence[str], titles: Sequence[str] = ()) -> Vectors:
        """Return the vectors (len(texts), dimensions) of passages, using every thread; blocks the caller."""
        vectors = self._passages.map(self._passage, texts, _titles(texts, titles))
        return _stacked(list(vectors), self.dimensions)

    def encode_query(self, text: str) -> Vectors:
        """Return the vector (dimensions,) of a question, about 2 ms; blocks the caller.

        Of a very long one, its first _MAX_QUERY_WINDOWS windows: 4,000 characters of prose fit, and no question costs more.
        """
        return self._mean(self._ids(text)[: _MAX_QUERY_WINDOWS * (self.max_tokens - 2)])

    def token_vectors(self, text: str) -> tuple[list[tuple[int, int]], Vectors]:
        """Return where each token stands in the text, and the unit vectors (tokens, dimensions) that they have there.

        Reads at most `max_tokens`; takes about 2 ms and blocks the caller.
        """
        encoded = self._tokenizer.encode(text, add_special_tokens=False)
        most = self.max_tokens - 2
        marked = np.array([[self._begin, *encoded.ids[:most], self._end]], dtype=np.int64)
        (vectors,) = self._session.run(["tokens"], {"ids": marked})
        return encoded.offsets[:most], _unit(vectors[0][1:-1])

    async def embed_query(self, text: str) -> Vectors:
        """Return the vector (dimensions,) of a question."""
        return await asyncio.get_running_loop().run_in_executor(self._queries, self.encode_query, text)

    async def embed_passages(self, texts: Sequence[str], titles: Sequence[str] = ()) -> Vectors:
        """Return the vectors (len(texts), dimensions) of passages, 5 to 50 ms each and core."""
        loop = asyncio.get_running_loop()
        pairs = zip(texts, _titles(texts, titles), strict=True)
        runs = [loop.run_in_executor(self._passages, self._passage, text, title) for text, title in pairs]
        return _stacked(await asyncio.gather(*runs), self.dimensions)

    def _passage(self, text: str, title: str) -> Vectors:
        ids = self._ids(text)
        vector = self._mean(ids)
        if len(ids) > _LEAD_TOKENS:
            vector = vector + _LEAD_WEIGHT * self._run(ids[:_LEAD_TOKENS])
        if title:
            vector = vector + _TITLE_WEIGHT * self._mean(self._ids(title))
        return _unit(vector)

    def _mean(self, ids: Sequence[int]) -> Vectors:
        return _unit(np.mean([self._run(window) for window in _windows(ids, self.max_tokens - 2)], axis=0))

    def _ids(self, text: str) -> list[int]:
        return self._tokenizer.encode(text, add_special_tokens=False).ids

    def _run(self, ids: Sequence[int]) -> Vectors:
        marked = np.array([[self._begin, *ids, self._end]], dtype=np.int64)
        (vectors,) = self._session.run(["embedding"], {"ids": marked})
        vector: Vectors = vectors[0]
        return vector


class RemoteEmbedder:
    """Asks a server that speaks OpenAI's `/v1/embeddings`."""

    in_process = False
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

    def count_each(self, texts: Sequence[str]) -> list[int]:
        """Return the number of tokens of each text by the built-in tokenizer: the protocol has no way to ask."""
        return _count_each(minilm.tokenizer(), texts)

    async def embed_query(self, text: str) -> Vectors:
        """Return the vector (dimensions,) of a question; raises EmbedderUnavailable."""
        vector: Vectors = (await self._embed([text]))[0]
        return vector

    async def embed_passages(self, texts: Sequence[str], titles: Sequence[str] = ()) -> Vectors:
        """Return the vectors (len(texts), dimensions) of passages; raises EmbedderUnavailable."""
        pairs = zip(texts, _titles(texts, titles), strict=True)
        texts = [f"{title}\n\n{text}" if title else text for text, title in pairs]
        starts = range(0, len(texts), self._BATCH)
        batches = [await self._embed(texts[start : start + self._BATCH]) for start in starts]
        return np.concatenate(batches) if batches else _stacked([], self.dimensions)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def _embed(self, texts: Sequence[str]) -> Vectors:
        try:
            answer = await self._client.embeddings.create(model=self.model, input=list(texts), encoding_format="float")
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
        norms = np.linalg.norm(vectors, axis=1)
        if not (np.isfinite(norms).all() and norms.all()):
            message = "The embedding server sent a vector without a direction."
            raise EmbedderUnavailable(message)
        return _unit(vectors)


def from_settings(settings: Settings) -> Embedder:
    """Return a client of the embeddings server, or without one the built-in MiniLM, built at first use."""
    if settings.embeddings_url is None:
        return LocalEmbedder.load(settings.home_folder / "models", settings.embedding_threads)
    assert settings.embeddings_model is not None
    assert settings.embeddings_dimensions is not None
    return RemoteEmbedder(
        settings.embeddings_url, settings.embeddings_model, settings.embeddings_api_key, settings.embeddings_dimensions
    )


def _titles(texts: Sequence[str], titles: Sequence[str]) -> Sequence[str]:
    if titles and len(titles) != len(texts):
        message = f"{len(titles)} titles for {len(texts)} texts."
        raise ValueError(message)
    return titles or [""] * len(texts)


def _windows(ids: Sequence[int], size: int) -> list[Sequence[int]]:
    """Cut ids into the fewest windows of at most `size`, about equally long: a short last one would count as much."""
    ids = ids[: _MAX_WINDOWS * size]
    step = math.ceil(len(ids) / max(1, math.ceil(len(ids) / size)))
    return [ids[start : start + step] for start in range(0, len(ids), step)] if ids else [ids]


def _unit(vectors: Vectors) -> Vectors:
    unit: Vectors = vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
    return unit


def _stacked(vectors: Sequence[Vectors], dimensions: int) -> Vectors:
    return np.stack(vectors) if vectors else np.empty((0, dimensions), dtype=np.float32)


def _count_each(tokenizer: Tokenizer, texts: Sequence[str]) -> list[int]:
    return [len(encoded.ids) for encoded in tokenizer.encode_batch(list(texts), add_special_tokens=False)]
