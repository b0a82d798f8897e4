"""Request and response bodies of answers."""

from typing import Annotated
from uuid import UUID

from pydantic import Field

from backend.retrieval.models import Scope
from backend.schema import ApiModel, Text


class AnswerRequest(Scope):
    """A question to be answered from the tenant's documents alone."""

    question: Annotated[
        Text, Field(min_length=1, max_length=4_000, examples=["How long do customers have to file card disputes?"])
    ]
    stream: bool = Field(default=False, description="Answer with server-sent events `token`, `citation`, `done`.")


class Citation(ApiModel):
    """Where a sentence of the answer stands: `quote` is verbatim in the chunk."""

    doc_id: str
    chunk_id: UUID
    document_version: int
    quote: str


class AnswerResponse(ApiModel):
    """An answer with its citations, or a refusal with its reason."""

    question: str
    answer: str
    refused: bool
    reason: str | None = Field(default=None, description="Why there is no answer, when refused.")
    citations: list[Citation]
    model: str
    audit_event_id: UUID
