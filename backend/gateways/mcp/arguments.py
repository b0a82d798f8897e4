"""Arguments of the tools; their JSON schemas are what agents read."""

from typing import Annotated, Any
from uuid import UUID

from pydantic import Field

from backend.audit.actions import ActionName
from backend.schema import ApiModel, Moment, Text

Question = Annotated[Text, Field(min_length=1, max_length=4_000, description="A question in words.")]
DocumentId = Annotated[UUID, Field(description="The document's id, as `document_id` of what was found.")]
Version = Annotated[int, Field(ge=1, le=2**31 - 1, description="The version's number.")]
Slugs = Annotated[list[Text], Field(min_length=1, max_length=50)]


class NoArguments(ApiModel):
    """Nothing."""


class SearchArguments(ApiModel):
    """A search in everything that the caller may read."""

    query: Question


class FetchArguments(ApiModel):
    """A document that a search found."""

    id: Annotated[Text, Field(max_length=100, description="The `id` of a result of `search`.")]


class AskArguments(ApiModel):
    """A question to be answered."""

    question: Question
    collection: Annotated[Text, Field(max_length=63)] | None = Field(
        default=None, description="Slug of a collection; unset means all."
    )
    as_of: Moment | None = Field(
        default=None, description="The moment for which content must be in force; unset means now."
    )
    conversation: UUID | None = Field(default=None, description="Names a conversation, as the client chooses.")


class SearchDocumentsArguments(ApiModel):
    """A search with everything that narrows it."""

    query: Question
    collections: Slugs | None = Field(
        default=None, description="Slugs of collections; unset means all that the caller may read."
    )
    source_types: Slugs | None = Field(default=None, description="Source types, one of which a chunk must have.")
    filters: dict[str, Any] = Field(default_factory=dict, description="Metadata that a chunk must have.")
    as_of: Moment | None = Field(
        default=None, description="The moment for which content must be in force; unset means now."
    )
    k: Annotated[int, Field(ge=1, le=50, description="How many chunks.")] = 8


class GetDocumentArguments(ApiModel):
    """A document, and which version of it."""

    document_id: DocumentId
    version: Version | None = Field(default=None, description="Unset means without text: the versions that there are.")


class CompareArguments(ApiModel):
    """Two versions of a document."""

    document_id: DocumentId
    from_version: Version
    to_version: Version


class WhyNotFoundArguments(ApiModel):
    """A question, and a document that was expected among its results."""

    question: Question
    doc_id: Annotated[Text, Field(min_length=1, max_length=256, description="The document's name, as `doc_id`.")]
    collection: Annotated[Text, Field(max_length=63)] | None = Field(
        default=None, description="Slug of a collection; unset means all."
    )


class FindEventsArguments(ApiModel):
    """Which events of the audit log."""

    since: Moment | None = Field(default=None, description="Events at or after this moment.")
    until: Moment | None = Field(default=None, description="Events before this moment.")
    actor: Annotated[Text, Field(max_length=128)] | None = Field(default=None, description="Id or name of a principal.")
    action: ActionName | None = Field(default=None, description="Such as `answer:returned`.")
    document: Annotated[Text, Field(max_length=256)] | None = Field(default=None, description="A doc_id.")
    limit: Annotated[int, Field(ge=1, le=100, description="How many events.")] = 20
    cursor: Annotated[Text, Field(max_length=64)] | None = Field(
        default=None, description="`next_cursor` of the page before."
    )


class EventArguments(ApiModel):
    """One event."""

    event_id: Annotated[UUID, Field(description="The event's id.")]
