"""The rules of jobs for those who ask for them: queue one, look at it, cancel it, try it again."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from uuid_utils.compat import uuid7

from backend.audit.actions.documents import JobCancelled, JobRetried
from backend.audit.events import Event, Outcome
from backend.audit.recorder import Recorder
from backend.database import Connection, Queries, fetch_row, fetch_rows
from backend.errors import Conflict, NotFound
from backend.identity.callers.caller import Caller
from backend.jobs.failures import FailureHandler, JobFailure
from backend.jobs.models import JobError, JobPage, JobProgress, JobStatus, JobView

queries = Queries.beside(__file__)

_AFTER_ALL = UUID(int=2**128 - 1)


@dataclass(frozen=True, slots=True)
class JobRow:
    """A job as the queue keeps it."""

    id: UUID
    kind: str
    requested_by: UUID
    status: JobStatus
    attempts: int
    done: int | None
    total: int | None
    result: dict[str, Any] | None
    error_code: str | None
    error_detail: str | None
    retryable: bool
    created_at: datetime
    finished_at: datetime | None

    def view(self) -> JobView:
        """Returns what is shown of it."""
        return JobView(
            id=self.id, kind=self.kind, status=self.status, requested_by=self.requested_by, attempts=self.attempts,
            progress=None if self.done is None else JobProgress(done=self.done, total=self.total), result=self.result,
            error=None if self.error_code is None else JobError(code=self.error_code, detail=self.error_detail or ""),
            retryable=self.retryable, created_at=self.created_at, finished_at=self.finished_at,
        )  # fmt: skip


async def enqueue(
    connection: Connection, caller: Caller, kind: str, parameters: Mapping[str, Any], *, job_id: UUID | None = None
) -> UUID:
    """Queues a job in the open transaction and returns its id; it runs as the caller, once that has committed.

    `parameters` are for the handler of the kind: ids, and never what somebody wrote.
    """
    job_id = job_id or uuid7()
    end_user = caller.on_behalf_of
    on_behalf_of = {"subject": end_user.subject, "assurance": end_user.assurance} if end_user else None
    await connection.execute(
        queries.add_job, caller.tenant_id, job_id, kind, caller.principal_id, caller.request_id, on_behalf_of, dict(parameters)
    )  # fmt: skip
    return job_id


async def get_job(connection: Connection, caller: Caller, job_id: UUID) -> JobView:
    """Returns a job; raises NotFound for one that the caller may not see."""
    job = await fetch_row(connection, JobRow, queries.job, caller.tenant_id, job_id)
    if job is None:
        raise NotFound(reason="job:unknown")
    return job.view()


async def list_jobs(
    connection: Connection, caller: Caller, *, status: str | None, limit: int, cursor: UUID | None
) -> JobPage:
    """Returns a page of the caller's jobs; of all the tenant's for who manages users."""
    jobs = await fetch_rows(
        connection, JobRow, queries.list_jobs, caller.tenant_id, cursor or _AFTER_ALL, status, limit + 1
    )
    shown = [job.view() for job in jobs[:limit]]
    return JobPage(jobs=shown, next_cursor=jobs[limit - 1].id if len(jobs) > limit else None)


async def cancel_job(
    connection: Connection, caller: Caller, recorder: Recorder, handlers: Mapping[str, FailureHandler], job_id: UUID
) -> JobView:
    """Cancels a job: from now on it changes nothing, and what it left is taken back; raises Conflict for one that has ended."""
    await get_job(connection, caller, job_id)
    row = await connection.fetchrow(queries.cancel_job, caller.tenant_id, job_id)
    if row is None:
        raise Conflict("The job has ended already.", reason="job:ended")
    await recorder.record(connection, caller, Event(JobCancelled(id=job_id, kind=row["kind"])))
    if row["kind"] in handlers:
        failure = JobFailure(job_id, Outcome.ABORTED, "job:cancelled", parameters=row["parameters"])
        await handlers[row["kind"]].on_failure(connection, caller, failure)
    return await get_job(connection, caller, job_id)


async def retry_job(connection: Connection, caller: Caller, recorder: Recorder, job_id: UUID) -> JobView:
    """Queues a failed job again, with all its attempts; raises Conflict for one that would fail again.

    The transaction must be bound with `presented={Purpose.RETRYING: job_id}`.
    """
    job = await get_job(connection, caller, job_id)
    kind = await connection.fetchval(queries.retry_failed_job, caller.tenant_id, job_id)
    if kind is None:
        hint = "It would fail again." if job.status == "failed" else "It has not failed."
        raise Conflict(f"The job cannot be tried again. {hint}", reason="job:not_retryable")
    await recorder.record(connection, caller, Event(JobRetried(id=job_id, kind=kind)))
    return await get_job(connection, caller, job_id)
