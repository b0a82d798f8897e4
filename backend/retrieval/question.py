"""What is asked, what a search covers for its caller, and what it found."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from pgvector import HalfVector

from backend.audit.recorder import Draft
from backend.documents.chunks.vectors import NOWHERE, Span
from backend.errors import Unavailable
from backend.identity.callers.caller import Caller
from backend.retrieval.embedding.embedder import Embedder, EmbedderUnavailable
from backend.retrieval.models import Mode, RetrievalRequest
from backend.retrieval.ranking.phrases import quoted_phrases
from backend.retrieval.ranking.reranker import MICROS, Reranking
from backend.tenancy import Claims

CANDIDATES = 100  # of each index before fusion, and of what is put into another order


class Reading(StrEnum):
    """Which chunks are candidates, by the validity of their versions."""

    IN_FORCE = "in_force"
    KNOWN = "known"  # in force as far as was known at a past moment
    LAPSED = "lapsed"  # in force before the moment asked about, and no more


class Tier(StrEnum):
    """Where a tenant's chunks are."""

    SHARED = "shared"
    PRIVATE = "private"


class Plan(StrEnum):
    """How a search was carried out; recorded with it."""

    EXACT = "exact"
    INDEXED = "hnsw"
    EXACT_AFTER_INDEX = "exact-after-hnsw"  # the indexes ran out of chunks that pass the filters


@dataclass(frozen=True, slots=True)
class Space:
    """What a search covers for its caller; `idf` is the weight there of each term of the question, by dimension.

    `frequencies` says how many chunks have it.
    """

    collections: Mapping[UUID, str]
    languages: set[str]
    chunks: int
    tier: Tier
    indexed_models: frozenset[str]  # whose vectors an index of the tenant's own finds
    partition_chunks: int
    idf: Mapping[int, float]
    frequencies: Mapping[int, int]


@dataclass(frozen=True, slots=True)
class Question:
    """A retrieval request with its embedding, ready for the database.

    `idf`, when given, is used in place of today's. `space` spares another look at what is covered, and `draft` sealing again
    what its record holds. When what is found will be put into another order, as by the `phrases` that the question quotes or
    a `reranking`, at least `depth` chunks are found.
    """

    request: RetrievalRequest
    moment: datetime | None
    dense: HalfVector | None
    embedding_model: str
    dimensions: int
    reading: Reading = Reading.IN_FORCE
    idf: Mapping[int, float] | None = None
    space: Space | None = None
    draft: Draft | None = None
    phrases: tuple[str, ...] = ()
    depth: int = 0
    reranking: Reranking | None = None

    @property
    def limit(self) -> int:
        """How many chunks the search yields."""
        return max(self.request.k, self.depth)

    def claims(self, caller: Caller) -> Claims:
        """Returns what the transaction that searches must be bound to."""
        presented = {"reading": "lapsed"} if self.reading is Reading.LAPSED else {}
        return replace(caller.claims(moment=self.moment, presented=presented), known_at=self.request.known_at)


@dataclass(frozen=True, slots=True)
class Hit:
    """A retrieved chunk with its scores."""

    chunk_id: UUID
    document_id: UUID
    doc_id: str
    version: int
    title: str | None
    text: str
    sha256: str
    metadata: Mapping[str, Any]
    source_type: str
    collection: str
    cosine: float
    bm25: float
    score: float  # of the search
    span: Span = NOWHERE
    phrases: tuple[str, ...] = ()  # those quoted in the question that the text has
    rerank_micros: int | None = None  # a reranker's score, in millionths

    @property
    def shown_score(self) -> float:
        """The score by which it ranks."""
        return self.score if self.rerank_micros is None else self.rerank_micros / MICROS


@dataclass(frozen=True, slots=True)
class Ranking:
    """The chunks found, best first, and how; `candidates` are all that were put in order, of which the hits are the first."""

    hits: list[Hit]
    space: Space
    plan: Plan
    candidates: Sequence[Hit] = ()


def unembedded(request: RetrievalRequest, embedder: Embedder) -> Question:
    """Returns the question without its vector: enough to say what it may be answered from."""
    reading = Reading.KNOWN if request.known_at else Reading.IN_FORCE
    moment = request.as_of or request.known_at
    phrases = quoted_phrases(request.query) if request.mode is not Mode.SEMANTIC else ()
    depth = CANDIDATES if phrases or request.diversity else 0
    return Question(request, moment, None, embedder.model, embedder.dimensions, reading, phrases=phrases, depth=depth)


async def embed(request: RetrievalRequest, embedder: Embedder) -> Question:
    """Embeds the query; raises Unavailable when the embedder is away."""
    dense = None
    if request.mode is not Mode.LEXICAL:
        try:
            dense = HalfVector(await embedder.embed_query(request.query))
        except EmbedderUnavailable as error:
            raise Unavailable(reason="embedder") from error
    return replace(unembedded(request, embedder), dense=dense)
