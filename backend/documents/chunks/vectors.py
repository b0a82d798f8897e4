"""Stores chunks and keeps the term statistics that lexical retrieval weighs words by."""

import hashlib
from array import array
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Protocol
from uuid import UUID

from pgvector import HalfVector, SparseVector

from backend.database import Connection, Queries
from backend.documents.tables import NOWHERE, ChunkSpan
from backend.tenancy import Purpose, Renewal

queries = Queries.beside(__file__, place=ChunkSpan)

WRITING = {Purpose.WRITING: "chunks"}
"""What a transaction presents that writes chunks which nobody may read yet."""

TERM_DIMENSIONS = 1_000_000_000
# In one statement, of which each must end within seconds, however long the document.
_STORED_AT_ONCE = 500
_COUNTED_AT_ONCE = 10_000


@dataclass(frozen=True, slots=True)
class ChunkVectors:
    """Both vectors of a chunk: `dense` of unit length, `sparse` the BM25 weight of each term's dimension."""

    dense: HalfVector
    sparse: Mapping[int, float]


class Vectorizer(Protocol):
    """Computes the vectors of chunks; implemented by retrieval, which documents do not know."""

    @property
    def model(self) -> str:
        """The embedding model's name, recorded with each chunk."""

    @property
    def max_tokens(self) -> int:
        """The longest text that is embedded whole, without the tokens that frame it."""

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Returns the number of the embedder's tokens of each text."""

    def periods(self, names: Sequence[str], metadata: Mapping[str, Any], beginning: str) -> Sequence[str]:
        """Returns what a document is about, by its names (file or doc_id first), its metadata and how it begins."""

    async def vectors(
        self,
        texts: Sequence[str],
        languages: Sequence[str],
        titles: Sequence[str],
        periods: Sequence[Sequence[str]] | None = None,
    ) -> list[ChunkVectors]:
        """Returns the vectors of texts, each in its language and under its title, as `headed`, and its periods, if any."""


def headed(title: str | None, path: Sequence[str] | None) -> str:
    """Returns what a text is embedded under: its document's title and, in a line of its own, the innermost heading.

    The rows of a long table, and the paragraphs of a section, seldom say what they are rows or paragraphs of.
    """
    heading = " ".join(path[-1].split()) if path else ""
    return "\n".join(line for line in (title, heading) if line)


@dataclass(frozen=True, slots=True)
class NewChunkRow:
    """A chunk about to be stored."""

    id: UUID
    version_id: UUID
    ordinal: int
    source_type: str
    text: str
    metadata: Mapping[str, Any]
    vectors: ChunkVectors
    span: ChunkSpan = NOWHERE

    @property
    def sha256(self) -> bytes:
        """The hash by which a text is the same text."""
        return fingerprint(self.text)


def fingerprint(text: str) -> bytes:
    """Returns the SHA-256 of a text in UTF-8."""
    return hashlib.sha256(text.encode()).digest()


def content_hash(fingerprints: Iterable[bytes]) -> bytes:
    """Returns the hash of a version: SHA-256 of its chunks' SHA-256s in their order."""
    return hashlib.sha256(b"".join(fingerprints)).digest()


async def add(
    connection: Connection, tenant_id: UUID, rows: Iterable[NewChunkRow], model: str, renew: Renewal | None = None
) -> None:
    """Stores chunks with the validity of their versions; with `renew`, any number of them."""
    remaining = iter(rows)
    while batch := list(islice(remaining, _STORED_AT_ONCE)):
        await connection.execute(
            queries.add_chunks, tenant_id, [r.id for r in batch], [r.version_id for r in batch], [r.ordinal for r in batch],
            [r.source_type for r in batch], [r.text for r in batch], [r.sha256 for r in batch],
            [dict(r.metadata) for r in batch], model, [r.vectors.dense for r in batch],
            [SparseVector(dict(r.vectors.sparse), TERM_DIMENSIONS) for r in batch],
            [r.span.model_dump() for r in batch],
        )  # fmt: skip
        if renew is not None:
            await renew()


async def count(
    connection: Connection, tenant_id: UUID, added: Iterable[tuple[UUID, Iterable[int]]], renew: Renewal | None = None
) -> None:
    """Adds chunks, each as (collection, dimensions of its terms), to the statistics.

    Only chunks that are or will be in force count: a draft must not show in anybody's ranking.
    """
    terms: Counter[tuple[UUID, int]] = Counter()
    sizes: Counter[UUID] = Counter()
    for collection_id, dimensions in added:
        sizes[collection_id] += 1
        terms.update((collection_id, dimension) for dimension in dimensions)
    # In the order in which all writers lock them.
    counted = iter(sorted(terms.items()))
    while batch := list(islice(counted, _COUNTED_AT_ONCE)):
        keys = [key for key, _ in batch]
        await connection.execute(
            queries.count_terms, tenant_id, [c for c, _ in keys], [d for _, d in keys], [chunks for _, chunks in batch]
        )
        if renew is not None:
            await renew()
    await connection.execute(queries.count_chunks, tenant_id, list(sizes), list(sizes.values()))


async def count_version(connection: Connection, tenant_id: UUID, version_id: UUID, renew: Renewal) -> None:
    """Adds all chunks of a version that comes into force to the statistics."""
    terms = []
    async for first, last in _slices(connection, tenant_id, version_id, renew):
        rows = await connection.fetch(queries.sparse_vectors, tenant_id, version_id, first, last)
        terms += [(row["collection_id"], array("i", row["sparse"].indices())) for row in rows]
    await count(connection, tenant_id, terms, renew)


async def follow_version(connection: Connection, tenant_id: UUID, version_id: UUID, renew: Renewal) -> None:
    """Repeats the validity of a version on its chunks."""
    async for first, last in _slices(connection, tenant_id, version_id, renew):
        await connection.execute(queries.set_chunk_validity, tenant_id, version_id, first, last)


async def _slices(
    connection: Connection, tenant_id: UUID, version_id: UUID, renew: Renewal
) -> AsyncIterator[tuple[int, int]]:
    """Yields ranges of a version's ordinals, the end exclusive, such that no statement on one takes long."""
    end = await connection.fetchval(queries.end_of_version, tenant_id, version_id)
    for first in range(0, end, _STORED_AT_ONCE):
        yield first, first + _STORED_AT_ONCE
        await renew()
