"""Computes both vectors of a chunk: dense by the embedder, sparse by the lexicon."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from anyio import to_thread
from pgvector import HalfVector

from backend.documents.chunks.vectors import ChunkVectors
from backend.errors import Unavailable
from backend.retrieval import lexicon
from backend.retrieval.embedding.embedder import Embedder, EmbedderUnavailable
from backend.retrieval.periods import document_periods


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

    def periods(self, names: Sequence[str], metadata: Mapping[str, Any], beginning: str) -> Sequence[str]:
        """Returns what a document is about, by its names (file or doc_id first), its metadata and how it begins."""
        return document_periods(names, metadata, beginning)

    async def vectors(
        self,
        texts: Sequence[str],
        languages: Sequence[str],
        titles: Sequence[str],
        periods: Sequence[Sequence[str]] | None = None,
    ) -> list[ChunkVectors]:
        """Returns the vectors of texts, each in its language and under its title and periods, if any.

        Raises Unavailable when the embedder is away, or is another model than it was.
        """
        try:
            dense = await self.embedder.embed_passages(texts, titles)
        except EmbedderUnavailable as error:
            raise Unavailable(reason="embedder") from error
        titled = [f"{title}\n{text}" if title else text for title, text in zip(titles, texts, strict=True)]
        sparse = await to_thread.run_sync(
            lambda: list(map(lexicon.passage_vector, titled, languages, periods or [()] * len(titled)))
        )
        return [ChunkVectors(HalfVector(vector), weights) for vector, weights in zip(dense, sparse, strict=True)]
