"""Retrievals: what was asked, what was found, and what was sent to a reranker. Scores are in millionths."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from backend.audit.details import Activity, Details, Instant, Member


class SentChunk(Member):
    """A chunk that was sent to a reranking model."""

    id: UUID
    doc_id: str
    version: int
    sha256: str


class RecordedChunk(SentChunk):
    """A chunk that a retrieval found, and whether it was shown."""

    page: int | None = None
    recognition_confidence: int | None = None
    rank: int
    score_micros: int
    search_score_micros: int | None = None
    used: bool


class RerankedBy(Member):
    """The model that put the candidates in order, if it did, and the event of what it was sent."""

    model: str
    outcome: str
    submitted: UUID
    milliseconds: int


class RankingWeights(Member):
    """How the parts of a score counted."""

    lexical_micros: int
    page_micros: int
    furniture_micros: int | None = None


class RecordedRetrieval(Member):
    """What a retrieval was asked for and what it found; of more chunks than are listed, a payload has them all.

    Of personal data in the question it says how many values of each kind there were.
    """

    mode: str
    k: int
    source_type: str | Sequence[str] | None = None
    collection: str | Sequence[str] | None = None
    language: str | Sequence[str] | None = None
    filtered: bool
    as_of: Instant | None = None
    known_at: Instant | None = None
    as_caller_then: bool | None = None
    reading: str | None = None
    explained: bool | None = None
    quoted_phrases: int | None = None
    distinct: bool | None = None
    diversity_micros: int | None = None
    reranking: RerankedBy | None = None
    weights: RankingWeights | None = None
    embedding_model: str
    index: str
    chunk_count: int
    chunks: Sequence[RecordedChunk]
    milliseconds: int
    personal_data: Mapping[str, int] | None = None


class RetrievalExecuted(Details, action="retrieval:executed", activity=Activity.READ):
    """Chunks were found and shown."""

    retrieval: RecordedRetrieval
    conversation: UUID | None = None


class QuestionRefused(Details, action="question:refused", activity=Activity.READ):
    """A question was not asked, since it holds personal data and a collection that it searches takes none."""

    collections: Sequence[str]
    personal_data: Mapping[str, int]
    conversation: UUID | None = None


class RetrievalReplayed(Details, action="retrieval:replayed", activity=Activity.READ, within="replay"):
    """A reviewer repeated a recorded retrieval."""

    event: UUID
    outcome: str
    reasons: Sequence[str]
    as_caller_then: bool
    knowledge: str | None = None


class WhyNot(Member):
    """Why a document was found in a collection, or was not."""

    collection: str
    reason: str
    rank: int | None = None


class RetrievalExplained(Details, action="retrieval:explained", activity=Activity.READ, within="why"):
    """Somebody asked why a document was found, or was not."""

    reranking: RerankedBy | None = None
    about: UUID | None = None
    mode: str
    k: int
    reasons: Sequence[WhyNot]


class SubmittedCandidates(Member):
    """The candidates that a reranking model is about to be sent."""

    model: str
    chunk_count: int
    chunks: Sequence[SentChunk]


class CandidatesSubmitted(Details, action="candidates:submitted", activity=Activity.CREATE):
    """Chunks are about to leave for a reranking model."""

    submission: SubmittedCandidates
    conversation: UUID | None = None


class TextsEmbedded(Details, action="texts:embedded", activity=Activity.READ, within="embeddings"):
    """A client had texts of its own embedded."""

    texts: int
    characters: int
    model: str
