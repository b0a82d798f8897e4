"""Chunks by the million that behave like real ones: clustered vectors and Zipf-distributed words, copied in as binary.

A chunk is about two topics. Its dense vector lies near theirs, its words come from theirs and from a common background, so
that both rankings have neighbourhoods as real text has; independent random vectors would have none, and no index could
find what does not exist.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TypeAlias
from uuid import UUID

import asyncpg
import numpy as np
import numpy.typing as npt
from uuid_utils.compat import uuid7

from backend.retrieval import lexicon

DIMENSIONS = 384
TERMS = 60  # distinct terms of a chunk
CHUNKS_PER_DOCUMENT = 50
TOPICS = 400
WORDS_PER_TOPIC = 300
VOCABULARY = 50_000
STOP_WORDS = 100  # the most frequent ones, which are not indexed
TEXT_BYTES = 600
BLOCK = 20_000  # rows made at once
SHARED = UUID(int=0)

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
# Told of each step: its name, how much of it is done, and of how much.
Progress: TypeAlias = Callable[[str, int, int], None]

CHUNK_COLUMNS = (
    "tenant_id", "placement", "id", "collection_id", "document_id", "version_id", "effective_from", "effective_to",
    "ordinal", "embedding_model", "dense", "sparse", "source_type", "metadata", "sha256", "text",
)  # fmt: skip
TERM_COLUMNS = ("tenant_id", "collection_id", "dimension", "chunks")
# Of the binary COPY format.
_HEADER, _TRAILER = b"PGCOPY\n\xff\r\n\0" + bytes(8), b"\xff\xff"


@dataclass(frozen=True)
class Corpus:
    """One collection of one tenant to be filled with `chunks` chunks."""

    tenant_id: UUID
    collection_id: UUID
    chunks: int
    documents: list[UUID] = field(default_factory=list)


class Topics:
    """What chunks and questions are made from; the same for the same seed."""

    def __init__(self, model: str, seed: int = 7) -> None:
        self.model = model
        self.random = np.random.default_rng(seed)
        self._questions = np.random.default_rng(seed + 1)  # apart, so that none repeats how a chunk was drawn
        self._words = [f"w{number}" for number in range(VOCABULARY)]
        self._dimensions = np.array([lexicon.dimension(lexicon.terms(word)[0]) for word in self._words])
        self._centres = _unit(self.random.standard_normal((TOPICS, DIMENSIONS)).astype(np.float32))
        self._noise = self.random.standard_normal((64, DIMENSIONS)).astype(np.float32) / np.sqrt(DIMENSIONS)
        zipf = 1 / (np.arange(VOCABULARY) + 2.7)
        zipf[:STOP_WORDS] = 0
        self._background = np.cumsum(zipf / zipf.sum())
        self._of_topic = self.random.integers(0, VOCABULARY, (TOPICS, WORDS_PER_TOPIC))
        within = 1 / (np.arange(WORDS_PER_TOPIC) + 5)
        self._within = np.cumsum(within / within.sum())

    def dense(self, first: Ints, second: Ints) -> Floats:
        """Returns unit vectors (n, 384) near two topics each."""
        noise = self.random.standard_normal((len(first), 64)).astype(np.float32) / 8
        return _unit(self._centres[first] + 0.5 * self._centres[second] + noise @ self._noise * 1.2)

    def words(self, first: Ints, second: Ints, counts: tuple[int, int, int]) -> Ints:
        """Returns word numbers (n, sum of counts): from the first topic, the second, and the background."""
        n = len(first)
        one, two, common = counts
        parts = [
            self._of_topic[first[:, None], self._draw(self._within, (n, one))],
            self._of_topic[second[:, None], self._draw(self._within, (n, two))],
            self._draw(self._background, (n, common)),
        ]
        return np.concatenate(parts, axis=1)

    def question(self) -> tuple[str, Floats]:
        """Returns a question's text and its vector: words of what it is about, and two of any kind."""
        self.random, kept = self._questions, self.random
        first, second = self.topics(1)
        words = self.words(first, second, (6, 1, 2))[0]
        dense = self.dense(first, second)[0]
        self.random = kept
        return " ".join(self._words[number] for number in words), dense

    def topics(self, n: int) -> tuple[Ints, Ints]:
        """Returns two topics for each of n chunks."""
        return self.random.integers(0, TOPICS, n), self.random.integers(0, TOPICS, n)

    def term_dimensions(self, words: Ints) -> npt.NDArray[np.int32]:
        """Returns each row's dimensions in ascending order, all different."""
        dimensions = np.sort(self._dimensions[words].astype(np.int32), axis=1)
        while (repeated := dimensions[:, 1:] <= dimensions[:, :-1]).any():
            dimensions[:, 1:][repeated] += 1
            dimensions.sort(axis=1)
        return dimensions

    def _draw(self, cumulated: npt.NDArray[np.float64], shape: tuple[int, int]) -> Ints:
        return np.searchsorted(cumulated, self.random.random(shape)).clip(max=len(cumulated) - 1)


def silently(_: str, __: int, ___: int) -> None:
    """Takes progress and shows none."""


async def load(
    connection: asyncpg.Connection, topics: Topics, corpora: Sequence[Corpus], progress: Progress = silently
) -> None:
    """Fills the collections, their rows interleaved at random as they are after years; needs a superuser."""
    await connection.execute("set session_replication_role = replica; set synchronous_commit = off")
    await _add_documents(connection, corpora)
    owners = np.repeat(np.arange(len(corpora)), [corpus.chunks for corpus in corpora])
    ordinals = np.concatenate([np.arange(corpus.chunks) for corpus in corpora])
    order = topics.random.permutation(len(owners))
    frequencies = _Frequencies()
    source = _chunks(topics, corpora, owners[order], ordinals[order], frequencies, progress)
    await connection.copy_to_table(
        "chunk", schema_name="documents", columns=CHUNK_COLUMNS, format="binary", source=source
    )
    sizes = [(corpus.tenant_id, corpus.collection_id, corpus.chunks) for corpus in corpora]
    await connection.copy_records_to_table("collection_size", schema_name="retrieval", records=sizes)
    await connection.copy_to_table(
        "term", schema_name="retrieval", columns=TERM_COLUMNS, format="binary",
        source=_terms(corpora, *frequencies.totals(), progress),
    )  # fmt: skip
    await connection.execute("set session_replication_role = origin")
    progress("collecting statistics", 0, 1)
    await connection.execute(
        "vacuum analyze documents.chunk, documents.version, documents.document, retrieval.term, retrieval.collection_size"
    )
    progress("collecting statistics", 1, 1)


async def _add_documents(connection: asyncpg.Connection, corpora: Sequence[Corpus]) -> None:
    """Adds the documents of every collection, each with one version in force."""
    made, since = datetime.now(UTC), datetime(2020, 1, 1, tzinfo=UTC)
    documents, versions = [], []
    for corpus in corpora:
        corpus.documents.extend(uuid7() for _ in range(-(-corpus.chunks // CHUNKS_PER_DOCUMENT)))
        for number, document in enumerate(corpus.documents):
            where = (corpus.tenant_id, document, corpus.collection_id)
            documents.append((*where, f"doc-{number}", "policy", SHARED, made))
            versions.append((*where, document, 1, "approved", since, bytes(32), SHARED, SHARED, made))
    columns = ("tenant_id", "id", "collection_id", "doc_id", "source_type", "created_by", "created_at")
    await connection.copy_records_to_table("document", schema_name="documents", columns=columns, records=documents)
    version_columns = (
        "tenant_id", "id", "collection_id", "document_id", "number", "status", "effective_from", "content_sha256",
        "author_id", "created_by", "created_at",
    )  # fmt: skip
    await connection.copy_records_to_table(
        "version", schema_name="documents", columns=version_columns, records=versions
    )


class _Frequencies:
    """Counts in how many chunks of each corpus each dimension is."""

    def __init__(self) -> None:
        self._blocks: list[tuple[Ints, Ints]] = []

    def add(self, owners: Ints, dimensions: npt.NDArray[np.int32]) -> None:
        """Counts the dimensions (n, terms) of chunks of these owners (n)."""
        self._blocks.append(np.unique(owners[:, None] << 32 | dimensions, return_counts=True))

    def totals(self) -> tuple[Ints, Ints, Ints]:
        """Returns owners, dimensions and counts, ordered by owner and dimension."""
        pairs, position = np.unique(np.concatenate([keys for keys, _ in self._blocks]), return_inverse=True)
        counts = np.bincount(position, np.concatenate([counts for _, counts in self._blocks])).astype(np.int64)
        return pairs >> 32, pairs & 0xFFFFFFFF, counts


async def _chunks(
    topics: Topics, corpora: Sequence[Corpus], owners: Ints, ordinals: Ints, frequencies: _Frequencies, progress: Progress
) -> AsyncIterator[bytes]:  # fmt: skip
    yield _HEADER
    for start in range(0, len(owners), BLOCK):
        progress("making chunks", start, len(owners))
        block = slice(start, start + BLOCK)
        yield await asyncio.to_thread(_block, topics, corpora, owners[block], ordinals[block], frequencies)
    progress("making chunks", len(owners), len(owners))
    yield _TRAILER


def _block(topics: Topics, corpora: Sequence[Corpus], owners: Ints, ordinals: Ints, frequencies: _Frequencies) -> bytes:
    n = len(owners)
    first, second = topics.topics(n)
    dense = topics.dense(first, second)
    dimensions = topics.term_dimensions(topics.words(first, second, (25, 10, TERMS - 35)))
    frequencies.add(owners, dimensions)
    repeats = topics.random.choice([1, 2, 3], (n, TERMS), p=[0.7, 0.2, 0.1])
    length = topics.random.uniform(0.6, 1.4, (n, 1))
    weights = repeats * 2.2 / (repeats + 1.2 * length)
    metadata = [
        json.dumps({"number": int(r), "product": "abcd"[r % 4]}).ljust(40).encode()
        for r in topics.random.integers(0, 100, n)
    ]
    documents = [
        corpora[o].documents[ordinal // CHUNKS_PER_DOCUMENT].bytes for o, ordinal in zip(owners, ordinals, strict=True)
    ]
    ids = [uuid7() for _ in range(n)]
    texts = [(f"Chunk {i.hex}. " + "Synthetic text of a chunk. " * 40)[:TEXT_BYTES].encode() for i in ids]
    sparse = np.zeros(n, dtype=[("head", ">i4", 3), ("dimensions", ">i4", TERMS), ("weights", ">f4", TERMS)])
    sparse["head"] = (lexicon.DIMENSIONS, TERMS, 0)
    sparse["dimensions"], sparse["weights"] = dimensions, weights
    halves = np.zeros(n, dtype=[("head", ">i2", 2), ("values", ">f2", DIMENSIONS)])
    halves["head"], halves["values"] = (DIMENSIONS, 0), dense
    values: list[tuple[str, int, object]] = [
        ("S", 16, [corpora[o].tenant_id.bytes for o in owners]),
        ("S", 16, [SHARED.bytes] * n),
        ("S", 16, [i.bytes for i in ids]),
        ("S", 16, [corpora[o].collection_id.bytes for o in owners]),
        ("S", 16, documents),
        ("S", 16, documents),
        (">i8", 8, np.full(n, 631_152_000_000_000)),  # 2020-01-01, in microseconds since 2000
        (">i8", 8, np.full(n, 2**63 - 1)),  # infinity
        (">i4", 4, ordinals % CHUNKS_PER_DOCUMENT),
        ("S", len(topics.model.encode()), [topics.model.encode()] * n),
        ("V", halves.dtype.itemsize, halves),
        ("V", sparse.dtype.itemsize, sparse),
        ("S", 6, [b"policy"] * n),
        ("S", 41, [b"\1" + m for m in metadata]),
        ("S", 32, [bytes(32)] * n),
        ("S", TEXT_BYTES, texts),
    ]
    return _rows(n, values)


async def _terms(
    corpora: Sequence[Corpus], owners: Ints, dimensions: Ints, counts: Ints, progress: Progress
) -> AsyncIterator[bytes]:
    tenants = np.array([corpus.tenant_id.bytes for corpus in corpora], dtype="V16")
    collections = np.array([corpus.collection_id.bytes for corpus in corpora], dtype="V16")
    yield _HEADER
    for start in range(0, len(owners), 10 * BLOCK):
        progress("counting terms", start, len(owners))
        block = slice(start, start + 10 * BLOCK)
        values: list[tuple[str, int, object]] = [
            ("V", 16, tenants[owners[block]]), ("V", 16, collections[owners[block]]),
            (">i4", 4, dimensions[block]), (">i8", 8, counts[block]),
        ]  # fmt: skip
        yield _rows(len(owners[block]), values)
    progress("counting terms", len(owners), len(owners))
    yield _TRAILER


def _rows(n: int, values: list[tuple[str, int, object]]) -> bytes:
    """Lays fields of fixed length out as rows of the binary COPY format."""
    layout: list[tuple[str, str]] = [("fields", ">i2")]
    for index, (_, size, _) in enumerate(values):
        layout += [(f"length{index}", ">i4"), (f"value{index}", f"V{size}")]
    rows = np.zeros(n, dtype=layout)
    rows["fields"] = len(values)
    for index, (kind, size, content) in enumerate(values):
        rows[f"length{index}"] = size
        typed = content if isinstance(content, np.ndarray) else np.array(content, dtype=f"V{size}")
        rows[f"value{index}"] = (typed.astype(kind) if kind.startswith(">") else typed).view(f"V{size}").reshape(n)
    return rows.tobytes()


def _unit(vectors: Floats) -> Floats:
    unit: Floats = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit


def spread(total: int, parts: int, random: np.random.Generator) -> Iterator[int]:
    """Yields `parts` sizes that sum to about `total`, a few large and many small, as tenants are."""
    shares = random.pareto(1.2, parts) + 0.2
    for share in shares / shares.sum():
        yield max(1, round(float(share) * total))
