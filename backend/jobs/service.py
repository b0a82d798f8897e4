"""The rules of jobs for those who ask for them: queue one, look at it, cancel it."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import asyncpg
from uuid_utils.compat import uuid7

from backend.database import Connection, Queries
from backend.errors import Conflict, NotFound
from backend.identity.caller import Caller
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


async def cancel_job(connection: Connection, caller: Caller, job_id: UUID) -> JobView:
    """Cancels a job: from now on it changes nothing; raises Conflict for one that has ended."""
    await get_job(connection, caller, job_id)
    if await connection.fetchval(queries.cancel_job, caller.tenant_id, job_id) is None:
        raise Conflict("The job has ended already.", reason="job:ended")
    return await get_job(connection, caller, job_id)


def _view(row: asyncpg.Record) -> JobView:
    same = ("id", "kind", "status", "requested_by", "attempts", "result", "created_at", "finished_at")
    return JobView(
        **{name: row[name] for name in same},
        progress=None if row["done"] is None else JobProgress(done=row["done"], total=row["total"]),
        error=None if row["error_code"] is None else JobError(code=row["error_code"], detail=row["error_detail"]),
    )
