"""Request and response bodies of answers."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field

from backend.documents.models import Source
from backend.retrieval.models import Conversation, Scope
from backend.schema import ApiModel, Text


class AnswerRequest(Scope):
    """A question to be answered from the tenant's documents alone."""

    question: Annotated[
        Text, Field(min_length=1, max_length=4_000, examples=["How long do customers have to file card disputes?"])
    ]
    stream: bool = Field(default=False, description="Answer with server-sent events `token`, `citation`, `done`.")
    conversation: Conversation = None


class Citation(Source):
    """Where a sentence of the answer stands: `quote` is verbatim in the chunk."""

    chunk_id: UUID
    quote: str


class SupersededVersion(ApiModel):
    """A version that used to answer the question, and when it applied: from `effective_from` until before `effective_to`."""

    doc_id: str
    document_version: int
    title: str | None
    collection: str
    status: Literal["superseded", "retired", "expired"]
    effective_from: datetime
    effective_to: datetime


class AnswerResponse(ApiModel):
    """An answer with its citations, or a refusal with its reason."""

    question: str
    answer: str
    refused: bool
    reason: str | None = Field(default=None, description="Why there is no answer, when refused.")
    citations: list[Citation]
    superseded: list[SupersededVersion] = Field(
        default_factory=list,
        description="When refused: versions that used to answer the question, and are not in force.",
    )
    notice: str | None = Field(default=None, description="When refused: the sentence that says what used to apply.")
    model: str
    audit_event_id: UUID
