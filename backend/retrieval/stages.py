"""The stages of a retrieval as data, each made of the one before: question, coverage, hits, ranking, asked."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from functools import cached_property
from typing import Any
from uuid import UUID

from pgvector import HalfVector

from backend.documents.tables import NOWHERE, ChunkSpan
from backend.errors import Unavailable
from backend.identity.callers.caller import Caller
from backend.personal_data.pseudonyms import Pseudonymous
from backend.retrieval.discretion import Discretion
from backend.retrieval.embedding.ahead import vector_of
from backend.retrieval.embedding.embedder import Embedder, EmbedderChanged, EmbedderUnavailable
from backend.retrieval.models import Explanation, Mode, RetrievalRequest
from backend.retrieval.ranking.phrases import quoted_phrases
from backend.retrieval.ranking.reranker import MICROS, Reranking
from backend.retrieval.weights import Weights
from backend.tenancy import Claims, Purpose

CANDIDATES = 100  # of each index before fusion, and of what is put into another order


class ValidityFilter(StrEnum):
    """Which chunks are candidates, by the validity of their versions. The values are sealed in records."""

    IN_FORCE = "in_force"
    KNOWN = "known"  # in force as far as was known at a past moment
    LAPSED = "lapsed"  # in force before the moment asked about, and no more


class Partition(StrEnum):
    """Where a tenant's chunks are. The values are sealed in records."""

    SHARED = "shared"
    PRIVATE = "private"


class SearchPlan(StrEnum):
    """How a search was carried out. The values are sealed in records."""

    EXACT = "exact"
    INDEXED = "hnsw"
    EXACT_AFTER_INDEX = "exact-after-hnsw"  # the indexes ran out of chunks that pass the filters


@dataclass(frozen=True)
class Question:
    """A request as the database is asked it: with its vector by a model, and what follows from its words and dates.

    `dense` is None when only words are compared. Models are never mixed: `model` names whose vectors it is compared with.
    """

    request: RetrievalRequest
    dense: HalfVector | None
    model: str
    dimensions: int
    validity: ValidityFilter
    weights: Weights
    discretion: Discretion

    @property
    def moment(self) -> datetime | None:
        """The moment for which content must be in force; None for now."""
        return moment_of(self.request)

    @cached_property
    def phrases(self) -> tuple[str, ...]:
        """What the question quotes."""
        return quoted_phrases(self.request.query) if self.request.mode is not Mode.SEMANTIC else ()

    def claims(self, caller: Caller) -> Claims:
        """Returns what the transaction that searches must be bound to."""
        return claims_of(caller, self.request, self.validity)


@dataclass(frozen=True, slots=True)
class Coverage:
    """What a search covers for its caller; `idf` is the weight there of each term of the question, by dimension.

    `frequencies` says how many chunks have it.
    """

    collections: Mapping[UUID, str]
    languages: set[str]
    chunks: int
    partition: Partition
    indexed_models: frozenset[str]  # whose vectors an index of the tenant's own finds
    partition_chunks: int
    idf: Mapping[int, float]
    frequencies: Mapping[int, int]
    masked: frozenset[str] = frozenset()  # the collections whose chunks are shown with pseudonyms


@dataclass(frozen=True, slots=True)
class Hit:
    """A retrieved chunk with its scores."""

    chunk_id: UUID
    document_id: UUID
    doc_id: str
    version_id: UUID
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
    status: str  # of its version
    effective_from: datetime
    effective_to: datetime
    span: ChunkSpan = NOWHERE
    phrases: tuple[str, ...] = ()  # those quoted in the question that the text has
    page_score: float | None = None  # of its page, which is part of its own
    furniture: str | None = None  # what it is if it only leads to words, for which it scores less
    rerank_micros: int | None = None  # a reranker's score, in millionths
    masked: Pseudonymous | None = None  # where personal data stood in what is now `text`

    @property
    def shown_score(self) -> float:
        """The score by which it ranks."""
        return self.score if self.rerank_micros is None else self.rerank_micros / MICROS


@dataclass(frozen=True, slots=True)
class Found:
    """The chunks that a search found, best first, and how."""

    hits: Sequence[Hit]
    plan: SearchPlan


@dataclass(frozen=True, slots=True)
class Ranking:
    """The chunks to show, best first; `candidates` are all that were put in order, of which the hits are the first."""

    hits: Sequence[Hit]
    candidates: Sequence[Hit]
    plan: SearchPlan
    coverage: Coverage
    reranking: Reranking | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """A retrieval that is on record: for whom, what was asked and found, and in how many milliseconds."""

    caller: Caller
    question: Question
    ranking: Ranking
    event_id: UUID
    milliseconds: int
    explanations: Mapping[UUID, Explanation] = field(default_factory=dict)

    @property
    def hits(self) -> Sequence[Hit]:
        """The chunks found, best first."""
        return self.ranking.hits


async def embed(request: RetrievalRequest, embedder: Embedder, weights: Weights, discretion: Discretion) -> Question:
    """Embeds the query; raises Unavailable when the embedder is away."""
    dense = None
    if request.mode is not Mode.LEXICAL:
        try:
            dense = HalfVector(await vector_of(embedder, request.query))
        except EmbedderUnavailable as error:
            raise Unavailable(reason=unavailability(error)) from error
    return Question(request, dense, embedder.model, embedder.dimensions, validity_of(request), weights, discretion)


def unavailability(error: EmbedderUnavailable) -> str:
    """Returns the reason for the log."""
    return "embedder:changed" if isinstance(error, EmbedderChanged) else "embedder"


def validity_of(request: RetrievalRequest) -> ValidityFilter:
    """Returns which versions a request asks for."""
    return ValidityFilter.KNOWN if request.known_at else ValidityFilter.IN_FORCE


def moment_of(request: RetrievalRequest) -> datetime | None:
    """Returns the moment for which a request asks; None for now."""
    return request.as_of or request.known_at


def claims_of(caller: Caller, request: RetrievalRequest, validity: ValidityFilter) -> Claims:
    """Returns the claims to which a transaction that searches for a request must be bound."""
    presented = {Purpose.READING: "lapsed"} if validity is ValidityFilter.LAPSED else {}
    return replace(caller.claims(moment=moment_of(request), presented=presented), known_at=request.known_at)
