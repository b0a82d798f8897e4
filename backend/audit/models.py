"""Request and response bodies of the audit log."""

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import Field

from backend.schema import ApiModel


class EventView(ApiModel):
    """One event: the members that reviewers filter by, and its envelope as it was recorded."""

    id: UUID
    time: datetime
    action: str
    outcome: str
    reason: str | None = None
    principal_id: UUID | None = None
    principal_name: str | None = Field(default=None, description="The name today; the envelope holds the id.")
    request_id: str
    event: dict[str, Any] = Field(description="The recorded envelope.")
    payloads: dict[str, str] | None = Field(default=None, description="Decrypted texts, when revealed.")


class EventPage(ApiModel):
    """Events, newest first."""

    events: list[EventView]
    next_cursor: str | None = Field(description="Pass as `cursor` for the next page; null at the end.")


class Reader(ApiModel):
    """One time that somebody was shown a document."""

    principal_id: UUID | None
    principal_name: str | None
    time: datetime
    action: str
    event_id: UUID


class ReaderPage(ApiModel):
    """Who was shown a document, newest first."""

    doc_id: str
    readers: list[Reader]
    next_cursor: str | None
