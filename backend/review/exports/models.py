"""Bodies of exports of the log."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import Field

from backend.audit.actions import ActionName
from backend.audit.events import Outcome
from backend.review.exports.export import ExportFormat
from backend.schema import ApiModel, Moment, Text


class ExportFilters(ApiModel):
    """Which events are exported. A filtered bundle proves each event, and not that none is missing."""

    actor: UUID | None = Field(default=None, description="Id of a principal.")
    action: ActionName | None = None
    outcome: Outcome | None = None
    document: Annotated[Text, Field(max_length=256)] | None = None


class NewExport(ApiModel):
    """An export of the log to ask for."""

    since: Moment = Field(alias="from", description="Events at or after this moment.")
    until: Moment = Field(alias="to", description="Events before this moment; a later one than now means now.")
    filters: ExportFilters = Field(default_factory=ExportFilters, description="Unset means every event.")
    format: ExportFormat = ExportFormat.BUNDLE
    reveal: bool = Field(default=False, description="Adds decrypted texts; needs audit:reveal and a reason.")
    redact: bool = Field(
        default=False,
        description=(
            "Puts pseudonyms in the place of personal data in revealed texts. Not for a bundle: it proves its texts, "
            "so it holds them as they are."
        ),
    )
    reason: Annotated[Text, Field(min_length=3, max_length=500)] | None = None


class ExportPart(ApiModel):
    """One of the files of an export that was too long for one."""

    number: int
    first_leaf: int
    end_leaf: int = Field(description="Index after the last leaf.")
    events: int
    size: int = Field(description="Bytes of the file.")
    sha256: str


class ExportView(ApiModel):
    """An export; its file can be fetched when `sha256` is there."""

    id: UUID
    job_id: UUID = Field(description="Progress and errors: `GET /jobs/{id}`.")
    requested_by: UUID
    created_at: datetime
    format: ExportFormat
    since: datetime = Field(serialization_alias="from")
    until: datetime = Field(serialization_alias="to")
    events: int | None
    size: int | None = Field(description="Bytes of the file.")
    sha256: str | None
    parts: list[ExportPart] = Field(
        default_factory=list, description="What a long export was split into; its own file only lists these."
    )


class ExportPage(ApiModel):
    """Exports, newest first."""

    exports: list[ExportView]
    next_cursor: UUID | None = Field(description="Pass as `cursor` for the next page; null at the end.")
