"""A job that a worker has leased, and the exceptions that end it early."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from backend.database import Connection
from backend.identity.callers.caller import Caller
from backend.jobs.service import queries
from backend.tenancy import Claims, Purpose, Renewal, Tenancy


class JobFailed(Exception):
    """The job cannot succeed, however often it is tried; `code` and `detail` are for who asked for it."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail


class JobLost(Exception):
    """The job was cancelled, or another worker has it."""


class JobTooLong(Exception):
    """The job took longer than any may."""


class WorkerStops(Exception):
    """The worker ends before it could end the job."""


@dataclass(slots=True)
class Job:
    """A job that this worker has."""

    tenancy: Tenancy
    tenant_id: UUID
    id: UUID
    lease_id: UUID
    caller: Caller
    attempt: int
    kind: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    done: int | None = None
    total: int | None = None

    @asynccontextmanager
    async def transaction(self, presented: Mapping[Purpose, str] | None = None) -> AsyncIterator[Connection]:
        """Opens a transaction of the caller that may also change this job."""
        async with self.tenancy.transaction(self._claims(presented or {})) as connection:
            yield connection

    def renewal(self, connection: Connection, presented: Mapping[Purpose, str]) -> Renewal:
        """Returns what keeps such a transaction bound for longer than one signature holds."""
        return self.tenancy.renewal(connection, self._claims(presented))

    def _claims(self, presented: Mapping[Purpose, str]) -> Claims:
        return self.caller.claims(presented={**presented, Purpose.LEASE: str(self.lease_id)})

    async def report(self, done: int, total: int | None) -> None:
        """Says how far the job is; it is shown with the next renewal of the lease."""
        self.done, self.total = done, total

    async def hold(self, connection: Connection) -> None:
        """Keeps everybody else from ending the job until the open transaction ends; raises JobLost."""
        await self.change(connection, queries.hold_job)

    async def finish(self, connection: Connection, result: Mapping[str, Any]) -> None:
        """Ends the job in the open transaction, which does its work; raises JobLost, and it must then not commit."""
        await self.change(connection, queries.finish_job, dict(result))

    async def change(self, connection: Connection, query: str, *arguments: object) -> None:
        """Changes the state of the job; raises JobLost."""
        if await connection.fetchval(query, self.tenant_id, self.id, self.lease_id, *arguments) is None:
            raise JobLost
