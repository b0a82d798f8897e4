"""What retrieval needs of an embedding model, and the one that runs in this process."""

import asyncio
import math
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import Protocol, Self

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from tokenizers import Tokenizer

from backend.precedence import step
from backend.retrieval.embedding.local_model import LocalModel
from backend.retrieval.embedding.minilm import MINILM
from backend.retrieval.embedding.native_run import NativeRun
from backend.retrieval.embedding.shared_threads import SharedThreads

Vectors = NDArray[np.float32]

# Measured on three sets of questions about financial documents; each is on a broad optimum of all of them.
_LEAD_TOKENS, _LEAD_WEIGHT = 64, 0.5
_TITLE_WEIGHT = 0.25
_MAX_QUERY_WINDOWS = 4
_COMMONEST = 1_000  # words of the vocabulary; before them stand single characters
_SHORT_CHARACTERS = 1_000  # of a question: about one window
_MAX_WINDOWS = 16  # 4,064 tokens: the mean of more says nothing, and one text must not hold a core for long


@lru_cache(maxsize=2)  # the model that finds passages, and the one that reads them
def _session(path: Path) -> onnxruntime.InferenceSession:
    """Returns the model, which a process holds once: running it changes nothing in it."""
    return _opened(path, threads=1)


@lru_cache(maxsize=2)
def _native_run(path: Path) -> NativeRun:
    """Returns the same with a thread of its own, which computes while the caller's does something else."""
    return NativeRun(_opened(path, threads=2))


def _opened(path: Path, threads: int) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


class EmbedderUnavailable(Exception):
    """The embedding server did not answer, or not with usable vectors."""


class EmbedderChanged(EmbedderUnavailable):
    """The embedding server answers with another model than the one that made the stored vectors."""


class Embedder(Protocol):
    """What retrieval needs of an embedding model; its vectors have unit length."""

    @property
    def model(self) -> str:
        """Names recorded with every chunk: vectors of different models are never compared."""

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
        """Returns the number of tokens of each text, without those that frame every passage."""

    async def embed_query(self, text: str) -> Vectors:
        """Returns the vector (dimensions,) of a question."""

    async def embed_passages(self, texts: Sequence[str], titles: Sequence[str] = ()) -> Vectors:
        """Returns the vectors (len(texts), dimensions) of passages, in their order.

        `titles`, if any, are as many as the texts: what each belongs to, in one line or several, or "".
        """


class LocalEmbedder:
    """Runs a model in this process, without a network.

    Each text is run alone. The int8 model scales its activations over whatever it is given at once, so in a
    batch a vector would depend on its neighbours, even another tenant's, and could not be reproduced. Nor is
    a batch faster: the speed comes from one single-threaded run per core.

    A passage's vector is a sum of directions: the mean over windows of its text, so that nothing long is cut
    off; its lead, which tends to say what it is about; and each line of its title.
    """

    in_process = True

    def __init__(
        self, session: onnxruntime.InferenceSession, native: NativeRun, local: LocalModel, threads: int
    ) -> None:
        """Uses so many threads for questions, as many for passages, and half as many for all else that is asked."""
        self.model, self.dimensions, self.max_tokens = local.name, local.dimensions, local.max_tokens
        self._session = session
        self._native = native
        self._tokenizer = local.tokenizer()
        self._begin, self._end = map(self._tokenizer.token_to_id, local.markers)
        # Threads of their own, so that a question never queues behind an ingestion.
        self._questions = ThreadPoolExecutor(threads, "embed-question")
        self._asked = SharedThreads(max(1, threads // 2), name="embed-asked")
        self._passages = SharedThreads(max(1, threads // 2), threads - max(1, threads // 2), name="embed-passage")

    @classmethod
    def load(cls, cache: Path, threads: int | None = None, local: LocalModel = MINILM) -> Self:
        """Loads the model, building it in `cache` at first use, to run on `threads` cores (default: all).

        Raises ModelWeightsError if the installed weights are missing or are not the pinned ones.
        """
        model = local.onnx_model(cache)
        return cls(_session(model), _native_run(model), local, threads or os.cpu_count() or 1)

    def count_tokens(self, text: str) -> int:
        """Returns the number of tokens to compare with `max_tokens` (the model's two markers included)."""
        return len(self._ids(text)) + 2

    def count_each(self, texts: Sequence[str]) -> list[int]:
        """Returns the number of tokens of each text, without the model's two markers."""
        return count_each(self._tokenizer, texts)

    def encode(self, texts: Sequence[str], titles: Sequence[str] = ()) -> Vectors:
        """Returns the vectors (len(texts), dimensions) of passages, using every thread; blocks the caller."""
        titles = as_titles(texts, titles)
        lines = _lines(titles)
        known = dict(zip(lines, self._questions.map(self._line, lines), strict=True))
        over = ([known[line] for line in _lines([title])] for title in titles)
        vectors = list(self._questions.map(self._passage, texts, over))
        return stacked(vectors, self.dimensions)

    def encode_query(self, text: str) -> Vectors:
        """Returns the vector (dimensions,) of a question, about 2 ms; blocks the caller.

        Of a very long one, its first _MAX_QUERY_WINDOWS windows: 4,000 characters of prose fit, and no question costs more.
        """
        return unit(np.mean([self._run(window) for window in self._asked_windows(self._ids(text))], axis=0))

    def token_vectors(self, text: str) -> tuple[list[tuple[int, int]], Vectors]:
        """Returns where each token stands in the text, and the unit vectors (tokens, dimensions) that they have there.

        Reads at most `max_tokens`; takes about 2 ms and blocks the caller.
        """
        encoded = self._tokenizer.encode(text, add_special_tokens=False)
        most = self.max_tokens - 2
        (vectors,) = self._session.run(["tokens"], {"ids": self._marked(encoded.ids[:most])})
        return encoded.offsets[:most], unit(vectors[0][1:-1])

    def rarity(self, word: str) -> float:
        """Returns how rare a word is, from .3 for the commonest to about 4: the vocabulary is ordered by frequency."""
        ids = self._tokenizer.encode(word, add_special_tokens=False).ids
        rarest = max([*ids, _COMMONEST])
        return 0.2 + math.log(rarest / _COMMONEST) + 0.1 * max(len(ids), 1)

    async def embed_query(self, text: str) -> Vectors:
        """Returns the vector (dimensions,) of a question."""
        self._passages.rest()
        if len(text) > _SHORT_CHARACTERS:
            (ids,) = await self._asked.each(self._ids, [text])
            return unit(np.mean(await self._asked.each(self._run, self._asked_windows(ids)), axis=0))
        async with step():
            if not self._native.is_free:
                return await asyncio.get_running_loop().run_in_executor(self._questions, self.encode_query, text)
            windows = map(self._marked, self._asked_windows(self._ids(text)))
            return unit(np.mean([await self._native.embedding(window) for window in windows], axis=0))

    async def embed_passages(self, texts: Sequence[str], titles: Sequence[str] = ()) -> Vectors:
        """Returns the vectors (len(texts), dimensions) of passages, 5 to 50 ms each and core."""
        titles = as_titles(texts, titles)
        lines = _lines(titles)  # the texts of a document share most of them
        known = dict(zip(lines, await self._passages.each(self._line, lines), strict=True))
        over = [[known[line] for line in _lines([title])] for title in titles]
        return stacked(await self._passages.each(self._passage, texts, over), self.dimensions)

    async def embed_tokens(self, texts: Sequence[str]) -> list[tuple[list[tuple[int, int]], Vectors]]:
        """Returns the `token_vectors` of each text, 2 to 15 ms each and core."""
        self._passages.rest()
        return await self._asked.each(self.token_vectors, texts)

    def _passage(self, text: str, titles: Sequence[Vectors]) -> Vectors:
        ids = self._ids(text)
        vector = self._mean(ids)
        if len(ids) > _LEAD_TOKENS:
            vector = vector + _LEAD_WEIGHT * self._run(ids[:_LEAD_TOKENS])
        for title in titles:
            vector = vector + _TITLE_WEIGHT * title
        return unit(vector)

    def _line(self, title: str) -> Vectors:
        return self._mean(self._ids(title))

    def _mean(self, ids: Sequence[int]) -> Vectors:
        return unit(np.mean([self._run(window) for window in _windows(ids, self.max_tokens - 2)], axis=0))

    def _asked_windows(self, ids: Sequence[int]) -> list[Sequence[int]]:
        size = self.max_tokens - 2
        return _windows(ids[: _MAX_QUERY_WINDOWS * size], size)

    def _ids(self, text: str) -> list[int]:
        return self._tokenizer.encode(text, add_special_tokens=False).ids

    def _run(self, ids: Sequence[int]) -> Vectors:
        (vectors,) = self._session.run(["embedding"], {"ids": self._marked(ids)})
        vector: Vectors = vectors[0]
        return vector

    def _marked(self, ids: Sequence[int]) -> NDArray[np.int64]:
        return np.array([[self._begin, *ids, self._end]], dtype=np.int64)


def as_titles(texts: Sequence[str], titles: Sequence[str]) -> Sequence[str]:
    """Returns one title for each text; raises ValueError when some are missing."""
    if titles and len(titles) != len(texts):
        message = f"{len(titles)} titles for {len(texts)} texts."
        raise ValueError(message)
    return titles or [""] * len(texts)


def _lines(titles: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(line for title in titles for line in title.split("\n") if line))


def _windows(ids: Sequence[int], size: int) -> list[Sequence[int]]:
    """Cuts ids into the fewest windows of at most `size`, about equally long: a short last one would count as much."""
    ids = ids[: _MAX_WINDOWS * size]
    step = math.ceil(len(ids) / max(1, math.ceil(len(ids) / size)))
    return [ids[start : start + step] for start in range(0, len(ids), step)] if ids else [ids]


def unit(vectors: Vectors) -> Vectors:
    """Returns the vectors (…, dimensions) at length one."""
    scaled: Vectors = vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
    return scaled


def stacked(vectors: Sequence[Vectors], dimensions: int) -> Vectors:
    """Returns vectors as one array (len(vectors), dimensions)."""
    return np.stack(vectors) if vectors else np.empty((0, dimensions), dtype=np.float32)


def count_each(tokenizer: Tokenizer, texts: Sequence[str]) -> list[int]:
    """Returns the number of tokens of each text, without those that frame it."""
    return [len(encoded.ids) for encoded in tokenizer.encode_batch(list(texts), add_special_tokens=False)]
