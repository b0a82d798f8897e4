"""Response bodies of jobs."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import Field

from backend.schema import ApiModel

JobStatus = Literal["queued", "running", "succeeded", "failed", "cancelled"]
ENDED: frozenset[JobStatus] = frozenset({"succeeded", "failed", "cancelled"})


class JobProgress(ApiModel):
    """How far a job is; the unit is the job's own, such as pages."""

    done: int
    total: int | None = Field(description="Null while it is not known.")


class JobError(ApiModel):
    """Why a job failed, or is tried again."""

    code: str = Field(examples=["encrypted_pdf"])
    detail: str


class JobView(ApiModel):
    """A job and how it ended."""

    id: UUID
    kind: str = Field(examples=["document:ingest"])
    status: JobStatus
    requested_by: UUID
    attempts: int
    progress: JobProgress | None
    result: dict[str, Any] | None = Field(description="What came of it, once it has succeeded.")
    error: JobError | None
    retryable: bool = Field(description="Whether it has failed and `POST /jobs/{id}/retry` would try it again.")
    created_at: datetime
    finished_at: datetime | None

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.status in ENDED


class JobPage(ApiModel):
    """Jobs, newest first."""

    jobs: list[JobView]
    next_cursor: UUID | None = Field(description="Pass as `cursor` for the next page; null at the end.")
