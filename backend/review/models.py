"""Request and response bodies of the audit log."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import Field

from backend.audit.events import Action, Outcome
from backend.review.exports.formats import Format
from backend.schema import WHOLE, ApiModel, Moment, Text


class EventFilters(ApiModel):
    """Which events; unset takes all."""

    since: Moment | None = Field(default=None, alias="from", description="Events at or after this moment.")
    until: Moment | None = Field(default=None, alias="to", description="Events before this moment.")
    actor: Annotated[Text, Field(max_length=128)] | None = Field(
        default=None, description="Id of a principal, user name, or name of a key."
    )
    action: Action | None = None
    outcome: Outcome | None = None
    document: Annotated[Text, Field(max_length=256)] | None = Field(default=None, description="A doc_id.")
    request_id: Annotated[Text, Field(max_length=64)] | None = None


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


class SignedCheckpoint(ApiModel):
    """What the tenant's log commits to."""

    checkpoint: str = Field(description="C2SP signed note: origin, size, root, time, and an Ed25519 signature.")
    size: int = Field(description="Number of sealed events.")
    public_key: str | None = Field(description="The verifier key: name, key id and public key.")


class InclusionProof(ApiModel):
    """Proves that an event is in the log that a checkpoint commits to (RFC 6962, section 2.1.1)."""

    event_id: UUID
    leaf_index: int
    leaf_hash: str = Field(description="Hex SHA-256 of a zero byte and the envelope's UTF-8 text.")
    tree_size: int
    proof: list[str] = Field(description="Hex hashes from the leaf's sibling up to the root.")
    envelope: str = Field(description="The sealed text, byte for byte.")
    checkpoint: str
    public_key: str | None


class ConsistencyProof(ApiModel):
    """Proves that the log of one size is a prefix of the log of another (RFC 6962, section 2.1.2)."""

    first: int
    second: int
    proof: list[str]
    first_checkpoint: str | None = Field(description="A signed checkpoint of the first size, if one was signed.")
    second_checkpoint: str | None


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


Subject = Annotated[
    Text,
    Field(
        min_length=1, max_length=256, examples=["analyst"],
        description="A data subject: a principal's id, a user name, or `end-user:` and the name that a partner gives.",
    ),
]  # fmt: skip


class NewHold(ApiModel):
    """A legal hold to place."""

    subject: Subject | None = Field(default=None, description="Whose texts are held; unset means everyone's.")
    reason: Annotated[Text, Field(min_length=3, max_length=500, examples=["Subpoena 2026-17"])]


class Hold(ApiModel):
    """A legal hold."""

    id: UUID
    subject_id: UUID | None
    reason: str
    placed_by: UUID
    placed_at: datetime
    released_by: UUID | None
    released_at: datetime | None


class HoldList(ApiModel):
    """Legal holds, newest first."""

    holds: list[Hold]


class Retention(ApiModel):
    """How long the texts of a class of events are kept before they can be erased."""

    event_class: str = Field(
        pattern="^[a-z]{1,20}$", examples=["answer"], description="What stands before the colon of an action."
    )
    days: Annotated[int, Field(ge=0, le=36_500, strict=True), WHOLE]


class RetentionList(ApiModel):
    """The periods that apply."""

    retention: list[Retention]


class NewErasure(ApiModel):
    """An erasure to request."""

    subject: Subject
    legal_basis: Annotated[
        Text, Field(min_length=3, max_length=500, examples=["GDPR article 17(1)(b), request 2026-113"])
    ]


class Erasure(ApiModel):
    """An erasure of a data subject's texts."""

    id: UUID
    subject_id: UUID
    legal_basis: str
    requested_by: UUID
    requested_at: datetime
    approved_by: UUID | None
    executed_at: datetime | None
    texts: int | None = Field(default=None, description="How many texts were destroyed, in the answer to the approval.")


class ErasureList(ApiModel):
    """Erasures, newest first."""

    erasures: list[Erasure]


class OpenTurn(ApiModel):
    """A prompt without an answer."""

    event_id: UUID
    time: datetime
    principal_id: UUID | None
    request_id: str


class OpenTurns(ApiModel):
    """Prompts without an answer, newest first."""

    turns: list[OpenTurn]


class ExportFilters(ApiModel):
    """Which events are exported. A filtered bundle proves each event, and not that none is missing."""

    actor: UUID | None = Field(default=None, description="Id of a principal.")
    action: Action | None = None
    outcome: Outcome | None = None
    document: Annotated[Text, Field(max_length=256)] | None = None


class NewExport(ApiModel):
    """An export of the log to ask for."""

    since: Moment = Field(alias="from", description="Events at or after this moment.")
    until: Moment = Field(alias="to", description="Events before this moment; a later one than now means now.")
    filters: ExportFilters = Field(default_factory=ExportFilters, description="Unset means every event.")
    format: Format = Format.BUNDLE
    reveal: bool = Field(default=False, description="Adds decrypted texts; needs audit:reveal and a reason.")
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
    format: Format
    events: int | None
    size: int | None = Field(description="Bytes of the file.")
    sha256: str | None
    parts: list[ExportPart] = Field(
        default_factory=list, description="What a long export was split into; its own file only lists these."
    )


class Archive(ApiModel):
    """A month that left the log: its leaves are in a bundle, and their hashes stay in the log."""

    month: str = Field(examples=["2019-01"])
    first_leaf: int
    end_leaf: int = Field(description="Index after the last leaf.")
    events: int = Field(description="Events of the month; the bundle can hold some of the next one besides.")
    sha256: str
    size: int = Field(description="Bytes of the file.")
    left_at: datetime

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Self:
        """Returns the archive of a row of audit.archive."""
        return cls(**{**row, "month": f"{row['month']:%Y-%m}", "sha256": row["sha256"].hex()})


class ArchiveList(ApiModel):
    """Archived months, oldest first."""

    archives: list[Archive]


class Bucket(ApiModel):
    """Counts of one interval; intervals without events are left out."""

    start: datetime
    counts: dict[str, int]


class Statistics(ApiModel):
    """Counts over time."""

    by: str
    interval: str
    since: datetime = Field(serialization_alias="from")
    until: datetime = Field(serialization_alias="to")
    buckets: list[Bucket] = Field(description="Oldest first; intervals begin at midnight, or on Mondays, in UTC.")


class NewSavedSearch(ApiModel):
    """A search to keep under a name."""

    name: Annotated[Text, Field(min_length=1, max_length=100, examples=["Denials of last week"])]
    filters: EventFilters = EventFilters()


class SavedSearch(ApiModel):
    """A search that its owner comes back to; `filters` are parameters of `GET /audit/events`."""

    id: UUID
    name: str
    filters: dict[str, str]
    saved_at: datetime


class SavedSearchList(ApiModel):
    """The caller's searches by name."""

    searches: list[SavedSearch]
