"""Jobs that note what was done of them, and who asks for them."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg

from backend.audit.actions.documents import DocumentIngested
from backend.audit.events import Event, Outcome
from backend.database import Connection
from backend.identity.callers.caller import Caller
from backend.identity.callers.permissions import Permission, Role
from backend.identity.callers.principals import resolve_principal
from backend.jobs import service as jobs
from backend.jobs.failures import JobFailure
from backend.jobs.job import Job
from backend.jobs.worker import Worker
from tests.service import PASSWORD, Service, Tenant


@dataclass
class Noting:
    """Does a job by writing an event of it, which can be counted, with whatever else a test wants."""

    service: Service
    before: Callable[[Job], Awaitable[None]] | None = None
    finished: list[UUID] = field(default_factory=list)

    async def run(self, job: Job) -> None:
        if self.before:
            await self.before(job)
        async with job.transaction() as connection:
            await self.note(job.caller, job.id, connection, Outcome.SUCCEEDED, None)
            await job.finish(connection, {"noted": True})
        self.finished.append(job.id)

    async def on_failure(self, connection: Connection, caller: Caller, failure: JobFailure) -> None:
        await self.note(caller, failure.job_id, connection, failure.outcome, failure.reason)

    async def note(
        self, caller: Caller, job_id: UUID, connection: Connection, outcome: Outcome, reason: str | None
    ) -> None:
        event = Event(DocumentIngested(job=job_id), outcome, reason)
        await self.service.services.recorder.record(connection, caller, event)


def worker(service: Service, handler: Noting, **changed: Any) -> Worker:
    return Worker(service.services.tenancy, {"test:note": handler}, **{"lease_seconds": 60.0, **changed})


async def caller_of(service: Service, tenant: Tenant, username: str = "editor") -> Caller:
    return await resolve_principal(service.services.tenancy, tenant.id, tenant.users[username], "a-request")


async def new_caller(service: Service, slug: str) -> Caller:
    """A key of a new tenant, and its owner."""
    async with service.operator() as acting:
        tenant_id = await acting.create_tenant(slug, slug)
        await acting.create_user(tenant_id, "owner", PASSWORD, [Role.EDITOR])
        await acting.create_key(tenant_id, "uploader", [Permission.DOCUMENTS_WRITE], ["default"])
        key_id = await acting.connection.fetchval("select id from identity.api_key where tenant_id = $1", tenant_id)
    return await resolve_principal(service.services.tenancy, tenant_id, key_id, "a-request")


async def enqueue(service: Service, caller: Caller, count: int = 1) -> list[UUID]:
    async with service.services.tenancy.transaction(caller.claims()) as connection:
        return [await jobs.enqueue(connection, caller, "test:note", {}) for _ in range(count)]


async def shown(service: Service, tenant: Tenant, job_id: UUID, username: str = "editor") -> dict[str, Any]:
    answer = await service.get(f"/jobs/{job_id}", tenant, username)
    assert answer.status_code == 200, answer.text
    job: dict[str, Any] = answer.json()
    return job


async def notes(service: Service, tenant: Tenant, job_id: UUID) -> list[dict[str, Any]]:
    events = await service.events(tenant, action="document:ingested", limit=200)
    return [event for event in events if event["event"].get("job") == str(job_id)]


async def change(service: Service, statement: str, *arguments: Any) -> None:
    """Changes what no role of the service may."""
    connection = await asyncpg.connect(service.database.superuser_url)
    await connection.execute(statement, *arguments)
    await connection.close()


async def moment_of(service: Service, job_id: UUID, column: str) -> datetime:
    connection = await asyncpg.connect(service.database.superuser_url)
    moment = await connection.fetchval(f"select {column} from jobs.job where id = $1", job_id)
    await connection.close()
    assert isinstance(moment, datetime)
    return moment
