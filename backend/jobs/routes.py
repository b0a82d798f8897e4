"""Jobs over HTTP: how far they are, once or as events, how to stop them, and how to try them again."""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import Field
from sse_starlette import EventSourceResponse, ServerSentEvent

from backend.audit.recorder import Recorder
from backend.errors import Forbidden, NotFound, Unauthenticated
from backend.identity.callers.caller import Caller
from backend.identity.callers.guard import GuardedRoute, Requires
from backend.identity.callers.standing import Standing
from backend.jobs import service
from backend.jobs.failures import FailureHandlers
from backend.jobs.models import JobPage, JobStatus, JobView
from backend.jobs.room import JobRoom
from backend.provided import Provided
from backend.schema import ApiModel
from backend.tenancy import Purpose, Tenancy

router = APIRouter(prefix="/jobs", tags=["jobs"], route_class=GuardedRoute)

Anyone = Annotated[Caller, Requires()]

_POLL_SECONDS = 0.5


class JobQuery(ApiModel):
    """Filter and page of the list of jobs."""

    status: JobStatus | None = None
    limit: int = Field(default=50, ge=1, le=500)
    cursor: UUID | None = Field(default=None, description="`next_cursor` of the page before.")


@router.get("", summary="List jobs")
async def list_jobs(tenancy: Provided[Tenancy], query: Annotated[JobQuery, Query()], caller: Anyone) -> JobPage:
    """Returns the caller's jobs, newest first; who manages users sees all of the tenant's."""
    async with tenancy.transaction(caller.claims()) as connection:
        return await service.list_jobs(connection, caller, status=query.status, limit=query.limit, cursor=query.cursor)


@router.get("/{job_id}", summary="A job")
async def get_job(tenancy: Provided[Tenancy], job_id: UUID, caller: Anyone) -> JobView:
    """Returns how far a job is and, once it has ended, what came of it or why it failed."""
    async with tenancy.transaction(caller.claims()) as connection:
        return await service.get_job(connection, caller, job_id)


@router.post("/{job_id}/cancel", summary="Cancel a job")
async def cancel_job(
    tenancy: Provided[Tenancy],
    recorder: Provided[Recorder],
    handlers: Provided[FailureHandlers],
    job_id: UUID,
    caller: Anyone,
) -> JobView:
    """Stops a job that has not ended; nothing of it will be seen, and what was uploaded for it is deleted."""
    async with tenancy.transaction(caller.claims()) as connection:
        return await service.cancel_job(connection, caller, recorder, handlers, job_id)


@router.post("/{job_id}/retry", summary="Try a failed job again")
async def retry_job(
    tenancy: Provided[Tenancy], recorder: Provided[Recorder], room: Provided[JobRoom], job_id: UUID, caller: Anyone
) -> JobView:
    """Queues a job again that used up its attempts, as who asked for it; 409 for one that would fail again."""
    claims = caller.claims(presented={Purpose.RETRYING: str(job_id)})
    async with tenancy.transaction(claims) as connection:
        job = await service.get_job(connection, caller, job_id)
        await room.require_in(connection, job.kind)
        return await service.retry_job(connection, caller, recorder, job_id)


@router.get(
    "/{job_id}/events",
    summary="A job's progress, as server-sent events",
    response_class=EventSourceResponse,
    responses={200: {"content": {"text/event-stream": {}}, "description": "Events `progress`, and one `end`."}},
)
async def job_events(tenancy: Provided[Tenancy], job_id: UUID, caller: Anyone) -> EventSourceResponse:
    """Sends the job whenever it has changed, as in `GET /jobs/{id}`; the event `end` is the last.

    Without it, the stream ends within a second of the right to see the job.
    """
    async with tenancy.transaction(caller.claims()) as connection:
        job = await service.get_job(connection, caller, job_id)
    return EventSourceResponse(_changes(tenancy, caller, job))


async def _changes(tenancy: Tenancy, caller: Caller, job: JobView) -> AsyncIterator[ServerSentEvent]:
    shown: JobView | None = None
    standing = Standing(tenancy, caller)
    while True:
        if job != shown:
            yield ServerSentEvent(job.model_dump_json(), event="end" if job.ended else "progress")
            shown = job
        if job.ended:
            return
        await asyncio.sleep(_POLL_SECONDS)
        try:
            await standing.check()
            async with tenancy.transaction(caller.claims()) as connection:
                job = await service.get_job(connection, caller, job.id)
        except (Unauthenticated, Forbidden, NotFound):  # whoever asks again is told
            return
