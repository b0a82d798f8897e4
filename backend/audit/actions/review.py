"""The log itself: who reads, exports, keeps and erases it."""

from collections.abc import Mapping, Sequence
from typing import Annotated
from uuid import UUID

from pydantic import Field

from backend.audit.details import Activity, Details, Instant, Member

_From = Annotated[Instant | None, Field(alias="from")]
_To = Annotated[Instant | None, Field(alias="to")]


class ReadFilters(Member):
    """Which events were asked for; the words that were searched for are a payload."""

    since: _From = None
    until: _To = None
    actor: str | None = None
    action: str | None = None
    outcome: str | None = None
    document: str | None = None
    request_id: str | None = None
    turn: UUID | None = None
    conversation: UUID | None = None
    end_user: str | None = None
    door: str | None = None
    reason: str | None = None


class ReadThread(Member):
    """Whose events, or those of what, were followed."""

    actor: str | None = None
    end_user: str | None = None
    conversation: UUID | None = None
    request_id: str | None = None
    turn: UUID | None = None


class ReadSample(Member):
    """A sample of answers that was drawn; the same seed draws the same ones."""

    days: int
    seed: str
    answers: int


class ReadVerdicts(Member):
    """Of how many days verdicts were added up."""

    days: int


class AuditRead(Details, action="audit:read", activity=Activity.READ, within="read"):
    """A reviewer read the log; the members say what of it."""

    # Searches and timelines
    filters: ReadFilters | None = None
    timeline: ReadThread | None = None
    searched_texts: bool | None = None
    returned: int | None = None
    # One thing
    event: UUID | None = None
    turn: UUID | None = None
    open_turns: int | None = None
    readers_of: str | None = None
    # The reach of a version
    impact_of: str | None = None
    version: int | None = None
    days: int | None = None
    # The quality of answers
    reported_answers: int | None = None
    sample: ReadSample | None = None
    verdicts: ReadVerdicts | None = None
    # Files
    export: UUID | None = None
    part: int | None = None
    archives: int | None = None
    archive: str | None = None
    # A verification that was asked for
    verification: UUID | None = None
    texts: bool | None = None
    kept: int | None = None
    # Counts over time
    counts_by: str | None = None
    interval: str | None = None
    since: _From = None
    until: _To = None
    # The stream
    streamed_after: int | None = None
    sealed: int | None = None
    follow: bool | None = None
    format: str | None = None


class AuditRevealed(Details, action="audit:revealed", activity=Activity.READ, within="read"):
    """A reviewer read the decrypted texts of an event, or of a turn."""

    event: UUID | None = None
    turn: UUID | None = None


class AuditExported(Details, action="audit:exported", activity=Activity.READ, within="export"):
    """A reviewer asked for an export; of one that failed, only which."""

    id: str
    since: _From = None
    until: _To = None
    format: str | None = None
    actor: str | None = None
    filtered_action: Annotated[str | None, Field(alias="action")] = None
    outcome: str | None = None
    document: str | None = None
    reveal: bool | None = None
    redact: bool | None = None


class FoundInLog(Member):
    """What a verification found: its kind convicts or not."""

    kind: str
    subject: str
    detail: str


class AuditVerified(Details, action="audit:verified", activity=Activity.READ, within="proved"):
    """A checkpoint or a proof was handed out, or the whole log was verified; of a verification that failed, only which."""

    checkpoint: int | None = None
    event: UUID | None = None
    consistency: Sequence[int] | None = None
    verification: UUID | None = None
    sound: bool | None = None
    texts: bool | None = None
    leaves: int | None = None
    counts: Mapping[str, int] | None = None
    findings: Sequence[FoundInLog] | None = None


class AuditArchived(Details, action="audit:archived", activity=Activity.DELETE, within="archive"):
    """A month left the log for an archive with this SHA-256."""

    month: str
    first_leaf: int
    end_leaf: int
    events: int
    sha256: str
    bytes: int
    findings: int | None = None
    first_findings: Sequence[str] | None = None


class AuditRestored(Details, action="audit:restored", activity=Activity.UPDATE, within="restored"):
    """Two people declared that a restored database has lost these leaves."""

    id: UUID
    first_leaf: int
    end_leaf: int
    declaration: str
    proposed: str
    confirmed: str


class ErasureRequested(Details, action="erasure:requested", activity=Activity.CREATE, within="erasure"):
    """Somebody asked for the erasure of a data subject's texts."""

    id: UUID
    subject: UUID


class CountedErasure(Member):
    """An erasure, and how many texts went."""

    id: UUID
    subject: UUID
    texts: int


class ErasedTexts(Member):
    """Texts of one event that were destroyed, by name."""

    event: UUID
    payloads: Sequence[str]


class ErasureExecuted(Details, action="erasure:executed", activity=Activity.DELETE):
    """Texts and their keys were destroyed; the verifier accounts for missing ones by these events."""

    erasure: CountedErasure
    erased: Sequence[ErasedTexts]


class HoldPlaced(Details, action="hold:placed", activity=Activity.CREATE, within="hold"):
    """Nothing of a subject, or of `everyone`, is erased any more."""

    id: UUID
    subject: str


class HoldReleased(Details, action="hold:released", activity=Activity.DELETE, within="hold"):
    """A hold keeps nothing any more."""

    id: UUID


class RetentionRaised(Details, action="retention:raised", activity=Activity.UPDATE, within="retention"):
    """Texts of a class of events are kept for longer."""

    event_class: Annotated[str, Field(alias="class")]
    days: int


class SearchSaved(Details, action="search:saved", activity=Activity.CREATE, within="search"):
    """A reviewer keeps a search."""

    id: UUID


class SearchDeleted(Details, action="search:deleted", activity=Activity.DELETE, within="search"):
    """A reviewer forgets a search."""

    id: UUID
