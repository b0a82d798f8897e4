"""Request and response bodies of retrieval."""

from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID

from pydantic import Field

from backend.schema import ApiModel, JsonObject, Moment, Text

MAX_RESULTS = 100


class Mode(StrEnum):
    """Which rankings are asked."""

    HYBRID = "hybrid"
    SEMANTIC = "semantic"
    LEXICAL = "lexical"


class Scope(ApiModel):
    """What is searched: every chunk that the caller may read and that is in force, narrowed by these."""

    source_type: Annotated[Text, Field(min_length=1, max_length=64)] | None = None
    collection: Annotated[Text, Field(min_length=1, max_length=63)] | None = Field(
        default=None, description="Slug of one collection; unset means all that the caller may read."
    )
    filters: JsonObject = Field(
        default_factory=dict,
        max_length=32,
        description="Metadata that a chunk must have: a value, or a list of which one must match.",
        examples=[{"jurisdiction": ["US", "CA"]}],
    )
    as_of: Moment | None = Field(
        default=None, description="The moment for which content must be in force; unset means now."
    )


class RetrievalRequest(Scope):
    """A question to the tenant's documents."""

    query: Annotated[
        Text, Field(min_length=1, max_length=4_000, examples=["How long do customers have to file card disputes?"])
    ]
    k: int = Field(default=5, ge=1, le=MAX_RESULTS, strict=True, description="How many chunks to return.")
    mode: Mode = Mode.HYBRID


class Context(ApiModel):
    """One retrieved chunk."""

    doc_id: str
    chunk_id: UUID
    chunk_text: str
    metadata: dict[str, Any]
    source_type: str
    collection: str
    document_version: int
    score: float = Field(description="Comparable within one response only.")
    rank: int = Field(description="Counted from 1.")


class RetrievalResponse(ApiModel):
    """The best chunks, and the audit event that records that they were shown."""

    query: str
    contexts: list[Context]
    audit_event_id: UUID
