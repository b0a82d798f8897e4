"""The rules of jobs for those who ask for them: queue one, look at it, cancel it, try it again."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import asyncpg
from uuid_utils.compat import uuid7

from backend.audit.events import Action, Event, Outcome
from backend.audit.recorder import Recorder
from backend.database import Connection, Queries
from backend.errors import Conflict, NotFound
from backend.identity.callers.caller import Caller
from backend.jobs.endings import Ending, EndsJobs
from backend.jobs.models import JobError, JobPage, JobProgress, JobView

queries = Queries.beside(__file__)

_AFTER_ALL = UUID(int=2**128 - 1)


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
    row = await connection.fetchrow(queries.job, caller.tenant_id, job_id)
    if row is None:
        raise NotFound(reason="job:unknown")
    return _view(row)


async def list_jobs(
    connection: Connection, caller: Caller, *, status: str | None, limit: int, cursor: UUID | None
) -> JobPage:
    """Returns a page of the caller's jobs; of all the tenant's for who manages users."""
    rows = await connection.fetch(queries.list_jobs, caller.tenant_id, cursor or _AFTER_ALL, status, limit + 1)
    return JobPage(
        jobs=[_view(row) for row in rows[:limit]], next_cursor=rows[limit - 1]["id"] if len(rows) > limit else None
    )


async def cancel_job(
    connection: Connection, caller: Caller, recorder: Recorder, endings: Mapping[str, EndsJobs], job_id: UUID
) -> JobView:
    """Cancels a job: from now on it changes nothing, and what it left is taken back; raises Conflict for one that has ended."""
    await get_job(connection, caller, job_id)
    row = await connection.fetchrow(queries.cancel_job, caller.tenant_id, job_id)
    if row is None:
        raise Conflict("The job has ended already.", reason="job:ended")
    await recorder.record(connection, caller, _event(Action.JOB_CANCELLED, row["kind"], job_id))
    if row["kind"] in endings:
        ending = Ending(job_id, Outcome.ABORTED, "job:cancelled", parameters=row["parameters"])
        await endings[row["kind"]].ended(connection, caller, ending)
    return await get_job(connection, caller, job_id)


async def retry_job(connection: Connection, caller: Caller, recorder: Recorder, job_id: UUID) -> JobView:
    """Queues a failed job again, with all its attempts; raises Conflict for one that would fail again.

    The transaction must be bound with `presented={"retrying": job_id}`.
    """
    job = await get_job(connection, caller, job_id)
    kind = await connection.fetchval(queries.retry_failed_job, caller.tenant_id, job_id)
    if kind is None:
        hint = "It would fail again." if job.status == "failed" else "It has not failed."
        raise Conflict(f"The job cannot be tried again. {hint}", reason="job:not_retryable")
    await recorder.record(connection, caller, _event(Action.JOB_RETRIED, kind, job_id))
    return await get_job(connection, caller, job_id)


def _event(action: Action, kind: str, job_id: UUID) -> Event:
    return Event(action, details={"job": {"id": str(job_id), "kind": kind}})


def _view(row: asyncpg.Record) -> JobView:
    same = ("id", "kind", "status", "requested_by", "attempts", "result", "retryable", "created_at", "finished_at")
    return JobView(
        **{name: row[name] for name in same},
        progress=None if row["done"] is None else JobProgress(done=row["done"], total=row["total"]),
        error=None if row["error_code"] is None else JobError(code=row["error_code"], detail=row["error_detail"]),
    )
