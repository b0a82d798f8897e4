"""Computes both vectors of a chunk: dense by the embedder, sparse by the lexicon."""

from collections.abc import Sequence
from dataclasses import dataclass

from anyio import to_thread
from pgvector import HalfVector

from backend.documents.chunks.vectors import ChunkVectors
from backend.retrieval import lexicon
from backend.retrieval.embedding.embedder import Embedder


@dataclass(frozen=True, slots=True)
class ChunkVectorizer:
    """Implements what documents need of retrieval."""

    embedder: Embedder

    @property
    def model(self) -> str:
        """The embedding model's name, recorded with each chunk."""
        return self.embedder.model

    @property
    def max_tokens(self) -> int:
        """The longest text that is embedded whole, without the tokens that frame it."""
        return self.embedder.max_tokens - 2

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Returns the number of the embedder's tokens of each text."""
        return self.embedder.count_each(texts)

    async def vectors(
        self, texts: Sequence[str], languages: Sequence[str], titles: Sequence[str]
    ) -> list[ChunkVectors]:
        """Returns the vectors of texts, each in its language and under its document's title, which may be empty."""
        dense = await self.embedder.embed_passages(texts, titles)
        titled = [f"{title}\n{text}" if title else text for title, text in zip(titles, texts, strict=True)]
        sparse = await to_thread.run_sync(lambda: list(map(lexicon.passage_vector, titled, languages)))
        return [ChunkVectors(HalfVector(vector), weights) for vector, weights in zip(dense, sparse, strict=True)]
