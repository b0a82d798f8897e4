"""Request and response bodies of answers."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field

from backend.answers.grounding.verdict import Support
from backend.documents.tables import ChunkSpan
from backend.retrieval.models import Conversation, Scope
from backend.schema import ApiModel, AskedText, Text


class AnswerRequest(Scope):
    """A question to be answered from the tenant's documents alone."""

    question: Annotated[
        AskedText, Field(min_length=1, max_length=4_000, examples=["How long do customers have to file card disputes?"])
    ]
    stream: bool = Field(default=False, description="Answer with server-sent events `token`, `citation`, `done`.")
    passages: int = Field(default=8, ge=1, le=50, description="How many passages the generator is given, at most.")
    conversation: Conversation = None
    previous_turn: UUID | None = Field(
        default=None, description="The `turn` of an answer of your own that this question follows up on."
    )


class Citation(ChunkSpan):
    """What supports a sentence of the answer, and where it stands in which version of which document."""

    number: int = Field(
        description="As in the `[n]` behind the sentence: from 1, in order of appearance.", examples=[1]
    )
    start: int = Field(description="Where the sentence begins in `answer`, in code points.", examples=[0])
    end: int = Field(description="Exclusive; the `[n]` stand behind it.", examples=[61])
    support: Support = Field(
        description="`verbatim`: a quote. `close`: every word of it is accounted for. `judged`: by a judge model.",
        examples=["verbatim"],
    )
    document_id: UUID
    doc_id: str = Field(examples=["pol-001"])
    document_version: int = Field(examples=[1])
    chunk_id: UUID
    quote: str = Field(
        description="The document's words, without markup, hidden characters and what looks like a citation.",
        examples=["Card disputes must be filed within 60 days of statement date."],
    )
    quote_start: int = Field(description="Where they begin in the text of the chunk, in code points.", examples=[0])
    quote_end: int = Field(description="Exclusive.", examples=[61])
    link: str = Field(
        description="The address of the page that opens the version at the quoted words, for whoever is signed in.",
        examples=[
            "http://127.0.0.1:8000/console/documents/01968a1c-9c5e-7d60-8a3f-0f6d2a4c1b7e/versions/2"
            "?chunk=01968a1c-9c5e-7d60-8a3f-0f6d2a4c1b80&start=0&end=61#cited"
        ],
    )


class UsedTokens(ApiModel):
    """Tokens that the model counted, as far as it said."""

    prompt_tokens: int | None = Field(default=None, examples=[1312])
    completion_tokens: int | None = Field(default=None, examples=[48])
    reasoning_tokens: int | None = Field(default=None, description="Spent thinking; among the completion's.")


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
    reason: str | None = Field(
        default=None,
        description=(
            "Why there is no answer, when refused: `not_supported`, the documents hold none; `unsupported`, they do not bear out "
            "what the model said; `model_refused` and `model_silent`, the model declined, or ended without saying anything."
        ),
    )
    citations: list[Citation]
    dropped: int = Field(default=0, description="Sentences of the model that were left out as not supported.")
    cut: str | None = Field(
        default=None,
        description="Why the model was stopped before its end: `length` or `content_filter`.",
        examples=["length"],
    )
    superseded: list[SupersededVersion] = Field(
        default_factory=list,
        description="When refused: versions that used to answer the question, and are not in force.",
    )
    notice: str | None = Field(default=None, description="When refused: the sentence that says what used to apply.")
    model: str
    usage: UsedTokens | None = Field(default=None, description="Null for the built-in generator.")
    turn: UUID = Field(description="Names question and answer; `previous_turn` of a question that follows up on it.")
    conversation: UUID = Field(
        description="The conversation that the turn belongs to: the one asked for, or a new one."
    )
    read_as: str | None = Field(
        default=None,
        description="A follow-up as it was read together with earlier questions; null when it was taken as it stands.",
        examples=["What does an outgoing international wire cost?"],
    )
    audit_event_id: UUID


class OwnTurn(ApiModel):
    """A question of one's own and what was answered; texts are null when they were erased."""

    turn: UUID
    answered_at: datetime
    question: str | None
    read_as: str | None = Field(description="The question with what it meant of earlier ones, when it was read so.")
    answer: str | None = Field(description="Empty when refused.")
    refused: bool
    citations: list[Citation]
    audit_event_id: UUID


class ConversationSummary(ApiModel):
    """A conversation of one's own."""

    id: UUID
    began_at: datetime
    turns: int = Field(examples=[3])
    first_question: str | None = Field(examples=["What does a domestic wire cost?"])


class ConversationList(ApiModel):
    """Conversations, the last begun first."""

    conversations: list[ConversationSummary]
    next_cursor: UUID | None = Field(description="Pass as `cursor` for older ones; null at the end.")


class ConversationView(ApiModel):
    """A conversation of one's own with its turns, oldest first."""

    id: UUID
    began_at: datetime
    turns: list[OwnTurn]


class Feedback(ApiModel):
    """What somebody thinks of an answer that they got."""

    rating: Literal["good", "bad", "wrong"] = Field(
        description="`wrong` reports an answer that is not true, for reviewers to look into.", examples=["wrong"]
    )
    comment: Annotated[Text, Field(min_length=1, max_length=2_000)] | None = Field(
        default=None, examples=["The fee changed on 1 April."]
    )


class RecordedFeedback(ApiModel):
    """Feedback that is on record."""

    turn: UUID
    audit_event_id: UUID
