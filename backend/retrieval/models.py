"""Request and response bodies of retrieval."""

from enum import StrEnum
from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from backend.documents.models import Source
from backend.retrieval.filters import Filters, Period
from backend.schema import WHOLE, ApiModel, AskedText, Moment, MomentOrDate, Text

MAX_RESULTS = 100


class Mode(StrEnum):
    """Which rankings are asked."""

    HYBRID = "hybrid"
    SEMANTIC = "semantic"
    LEXICAL = "lexical"


SourceType = Annotated[Text, Field(min_length=1, max_length=64)]
Slug = Annotated[Text, Field(min_length=1, max_length=63)]
Language = Annotated[Text, Field(min_length=1, max_length=32)]
_MAX_CHOICES = 50


class Scope(ApiModel):
    """What is searched: every chunk that the caller may read and that is in force, narrowed by these."""

    # As a condition and not as alternatives, of which generators would make classes of their own.
    model_config = ConfigDict(
        json_schema_extra={
            "if": {"properties": {"as_caller_then": {"const": True}}, "required": ["as_caller_then"]},
            "then": {"properties": {"known_at": {"type": "string"}}, "required": ["known_at"]},
        }
    )

    source_type: SourceType | Annotated[list[SourceType], Field(min_length=1, max_length=_MAX_CHOICES)] | None = Field(
        default=None, description="One source type, or several of which a chunk must have one."
    )
    collection: Slug | Annotated[list[Slug], Field(min_length=1, max_length=_MAX_CHOICES)] | None = Field(
        default=None, description="Slugs of one or more collections; unset means all that the caller may read."
    )
    language: Language | Annotated[list[Language], Field(min_length=1, max_length=_MAX_CHOICES)] | None = Field(
        default=None, description="Only collections in this language, or one of these.", examples=["english"]
    )
    filters: Filters = Field(
        default_factory=dict,
        description=(
            "Metadata that a chunk must have: a value, a list of which one must match, or bounds and existence. "
            "They narrow the search without making it less thorough."
        ),
        examples=[
            {"jurisdiction": ["US", "CA"], "approved": {"gte": "2024-01-01"}, "superseded_by": {"exists": False}}
        ],
    )
    effective_from: Period | None = Field(
        default=None,
        description="Only versions that came into force within this range.",
        examples=[{"gte": "2024-01-01"}],
    )
    as_of: MomentOrDate | None = Field(
        default=None,
        description="The moment for which content must be in force; a date means its begin in UTC, unset now or `known_at`.",
    )
    known_at: Moment | None = Field(
        default=None,
        description="Answer from what was known at this moment: versions and their validity as they were then.",
    )
    as_caller_then: bool = Field(
        default=False,
        strict=True,
        description="With `known_at`: only collections that the caller could read then and can read now. Needs documents:review.",
    )

    @model_validator(mode="after")
    def _then_has_a_moment(self) -> Self:
        if self.as_caller_then and self.known_at is None:
            message = "as_caller_then: needs known_at"
            raise ValueError(message)
        return self

    @property
    def source_types(self) -> list[str] | None:
        """The source types asked for."""
        return _listed(self.source_type)

    @property
    def collections(self) -> list[str] | None:
        """The slugs of the collections asked for."""
        return _listed(self.collection)

    @property
    def languages(self) -> list[str] | None:
        """The languages asked for."""
        return _listed(self.language)


def _listed(chosen: str | list[str] | None) -> list[str] | None:
    return [chosen] if isinstance(chosen, str) else chosen


Conversation = Annotated[
    UUID | None,
    Field(description="Names a conversation, as the client chooses; its requests are found together in the log."),
]


def _as_recorded(fraction: float) -> float:
    return round(fraction, 6)


class RetrievalRequest(Scope):
    """A question to the tenant's documents."""

    query: Annotated[
        AskedText,
        Field(
            min_length=1,
            max_length=4_000,
            description="In words; chunks that have a phrase of it in double quotes, word by word, rank higher.",
            examples=["How long do customers have to file card disputes?", 'When is a "late payment fee" charged?'],
        ),
    ]
    k: Annotated[int, Field(ge=1, le=MAX_RESULTS, strict=True, description="How many chunks to return."), WHOLE] = 5
    mode: Mode = Mode.HYBRID
    distinct: bool = Field(
        default=False,
        strict=True,
        description=(
            "Of chunks whose texts are identical, return only the best, and fill up with others. Not the default: measured, it "
            "leaves out as often what answers a question as it makes room for it."
        ),
    )
    diversity: Annotated[float, AfterValidator(_as_recorded)] = Field(
        default=0.0,
        ge=0,
        le=1,
        strict=True,
        allow_inf_nan=False,
        description=(
            "How much it counts against a chunk of the best 100, or of those that were reranked, that it is like those ranked "
            "before it (maximal marginal relevance), from 0, not at all, to 1, alone. Measured, the greater it is, the less is "
            "found of what answers a question."
        ),
        examples=[0.3],
    )
    explain: bool = Field(
        default=False, strict=True, description="Say for each chunk why it ranks where it does; needs documents:review."
    )
    conversation: Conversation = None


class MatchedTerm(ApiModel):
    """A term of the question that a chunk has, as it is indexed, and its IDF among the chunks searched."""

    term: str
    idf: float


class Explanation(ApiModel):
    """Why a chunk ranks where it does; ranks are among all chunks that the caller's search covers."""

    cosine: float
    bm25: float
    semantic_rank: int | None
    lexical_rank: int | None
    matched_terms: list[MatchedTerm]
    search_rank: int = Field(description="By the search's score, before a reranker and `diversity`.")
    rerank_score: float | None = Field(description="The reranker's, by its model's measure, where one was asked.")
    page_score: float | None = Field(description="What its page scores as a whole, which is part of its score.")
    phrases: list[str] = Field(description="Phrases quoted in the question that it has; each adds to its score.")
    furniture: str | None = Field(
        default=None,
        description="`contents`, `index` or `mail_head` for what only leads to words: it scores less than body text does.",
    )
    tier: str = Field(description="`shared` or `private`: the partition that holds the tenant's chunks.")
    plan: str = Field(
        description="`exact`, `hnsw`, or `exact-after-hnsw` where filters left the indexes with too little."
    )


class Context(Source):
    """One retrieved chunk, and where it stands."""

    chunk_id: UUID
    chunk_text: str
    metadata: dict[str, Any]
    source_type: str
    collection: str
    score: float = Field(
        description=(
            "The search's, or a reranker's; comparable within one response. Ranks follow more: of a file, the best chunk of each "
            "page stands before any second one, and there is `diversity`."
        )
    )
    rank: int = Field(description="Counted from 1.")
    explanation: Explanation | None = Field(default=None, description="When asked for with `explain`.")


class RetrievalResponse(ApiModel):
    """The best chunks, and the audit event that records that they were shown."""

    query: str
    contexts: list[Context]
    audit_event_id: UUID


class WhyRequest(RetrievalRequest):
    """A question, and a document of which is asked why it was or was not among the results."""

    doc_id: Annotated[Text, Field(min_length=1, max_length=256, examples=["pol-001"])]
    principal: Annotated[Text, Field(min_length=1, max_length=128)] | None = Field(
        default=None,
        description="A user or key by name, to ask on its behalf; needs users:manage. Unset means yourself.",
    )


class WhyReason(StrEnum):
    """Why a document is or is not among the results."""

    RETURNED = "returned"
    OUTRANKED = "outranked"
    DUPLICATE = "duplicate"
    MISSED = "missed"
    NO_MATCH = "no_match"
    FILTERED = "filtered"
    NOT_IN_FORCE = "not_in_force"
    NOT_APPROVED = "not_approved"
    NOT_GRANTED = "not_granted"


class DocumentReason(ApiModel):
    """Why one document of that doc_id, in one collection, is or is not among the results."""

    collection: str
    reason: WhyReason
    rank: int | None = Field(
        description="Of its best chunk, counted from 1: in the final order, or beyond the candidates among all, twins included."
    )
    sentence: str


class WhyResponse(ApiModel):
    """The reasons, and the audit event that records that they were asked for."""

    doc_id: str
    k: int
    documents: list[DocumentReason]
    audit_event_id: UUID
