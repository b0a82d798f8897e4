"""Bodies of verifications."""

from typing import Annotated
from uuid import UUID

from pydantic import Field

from backend.jobs.models import JobError, JobProgress, JobStatus
from backend.schema import ApiModel, Text

MAX_SHOWN = 200


class NewVerification(ApiModel):
    """A verification of the whole log to ask for."""

    texts: bool = Field(
        default=False,
        description="Also opens every text, and compares it with what was committed to; needs audit:reveal. Nobody is shown any.",
    )
    checkpoints: list[Annotated[Text, Field(max_length=4096)]] = Field(
        default_factory=list,
        max_length=20,
        description="Signed checkpoints of this log that you kept: alone they convict a history that was rewritten as a whole.",
    )


class LogFinding(ApiModel):
    """One thing that was found. `INVALID`, `MISSING` and `GAP` convict."""

    kind: str = Field(examples=["MISSING"])
    subject: str = Field(examples=["leaf 7"])
    detail: str = Field(examples=["was sealed, but its event is gone"])


class VerificationView(ApiModel):
    """A verification; `ok` is there once it is done."""

    id: UUID = Field(description="Also that of its job, which can be cancelled: `DELETE /jobs/{id}`.")
    status: JobStatus
    requested_by: UUID
    progress: JobProgress | None = Field(description="In leaves, each of which is read twice.")
    error: JobError | None
    ok: bool | None = Field(default=None, description="Whether nothing was found that convicts.")
    texts: bool | None = Field(default=None, description="Whether texts were opened.")
    leaves: int | None = Field(default=None, description="How many leaves the log had.")
    counts: dict[str, int] = Field(default_factory=dict, description="Findings by kind.")
    findings: list[LogFinding] = Field(
        default_factory=list, description=f"The first {MAX_SHOWN}, those that convict before the others."
    )
