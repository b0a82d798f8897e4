"""Runs queued jobs, each as whoever asked for it, with the rights that they have now.

A worker holds a job by a lease that it renews. One that dies, at whatever moment, loses its lease, and the job is taken over.
A job ends in the transaction that does its work, and only for who still has the lease, so its work is done once. One that
used up its attempts is kept, to be tried again when somebody asks for it, until it is forgotten.
"""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Protocol
from uuid import UUID, uuid4

import asyncpg
import structlog
from uuid_utils.compat import uuid7

from backend.audit.events import Outcome
from backend.database import Connection
from backend.errors import ServiceError, Unauthenticated, Unavailable
from backend.identity.callers.caller import Caller
from backend.identity.callers.principals import resolve_principal
from backend.jobs.endings import Ending, EndsJobs
from backend.jobs.service import queries
from backend.tenancy import Claims, Renewal, Tenancy

log = structlog.get_logger()

_LONGEST_BACK_OFF = 300.0
_TIDIED_EVERY = 3600.0  # seconds
_FORGOTTEN_AT_ONCE = 1_000


class JobFailed(Exception):
    """The job cannot succeed, however often it is tried; `code` and `detail` are for who asked for it."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail


class JobLost(Exception):
    """The job was cancelled, or another worker has it."""


@dataclass(slots=True)
class Job:
    """A job that this worker has."""

    tenancy: Tenancy
    tenant_id: UUID
    id: UUID
    lease_id: UUID
    caller: Caller
    attempt: int
    parameters: Mapping[str, Any] = field(default_factory=dict)
    done: int | None = None
    total: int | None = None

    @asynccontextmanager
    async def transaction(self, **presented: str) -> AsyncIterator[Connection]:
        """Opens a transaction of the caller that may also change this job."""
        async with self.tenancy.transaction(self._claims(presented)) as connection:
            yield connection

    def renewal(self, connection: Connection, **presented: str) -> Renewal:
        """Returns what keeps such a transaction bound for longer than one signature holds."""
        return self.tenancy.renewal(connection, self._claims(presented))

    def _claims(self, presented: Mapping[str, str]) -> Claims:
        return self.caller.claims(presented={**presented, "lease": str(self.lease_id)})

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


class Handler(EndsJobs, Protocol):
    """Does the jobs of one kind."""

    async def run(self, job: Job) -> None:
        """Does the work and calls `job.finish` in its last transaction.

        Raises JobFailed, or a ServiceError other than Unavailable, when trying again is of no use.
        """


@dataclass(frozen=True, slots=True)
class Worker:
    """Takes jobs and does them, one at a time."""

    tenancy: Tenancy
    handlers: Mapping[str, Handler]
    lease_seconds: float = 30.0
    attempts: int = 5
    idle_seconds: float = 0.5
    retention_days: int = 30

    async def run(self) -> None:
        """Works until it is cancelled; a database that is away is waited for."""
        tidied = -_TIDIED_EVERY
        while True:
            try:
                if time.monotonic() - tidied > _TIDIED_EVERY:
                    tidied = time.monotonic()
                    await self.tidy()
                worked = await self.work_once()
            except (ServiceError, asyncpg.PostgresError) as error:
                log.warning("queue unavailable", reason=getattr(error, "reason", type(error).__name__))
                worked = False
            except Exception:  # one job must not end the worker for all the others
                log.exception("job could not be ended")
                worked = False
            if not worked:
                await asyncio.sleep(self.idle_seconds * random.uniform(0.8, 1.2))  # noqa: S311 - not a secret

    async def work_once(self) -> bool:
        """Does the next job; returns whether there was one."""
        return await self._leased(self._do, queries.lease)

    async def tidy(self) -> None:
        """Ends for good what nobody tried again within the retention, and forgets what ended before it."""
        while await self._leased(self._expire, queries.lease_expired, self.retention_days):
            pass
        forgotten = _FORGOTTEN_AT_ONCE
        while forgotten == _FORGOTTEN_AT_ONCE:
            async with self.tenancy.transaction(_queue(uuid4())) as connection:
                forgotten = await connection.fetchval(queries.forget_jobs, self.retention_days)

    async def _leased(
        self, act: Callable[[Job, asyncpg.Record], Awaitable[None]], query: str, *arguments: object
    ) -> bool:
        lease_id = uuid4()
        async with self.tenancy.transaction(_queue(lease_id)) as connection:
            row = await connection.fetchrow(query, lease_id, self.lease_seconds, *arguments)
        if row is None:
            return False
        job = Job(self.tenancy, row["tenant_id"], row["id"], lease_id, _unresolved(row), row["attempts"])
        named = structlog.contextvars.bound_contextvars(job=str(job.id), kind=row["kind"], attempt=job.attempt)
        with named, suppress(JobLost):
            await act(job, row)
        return True

    async def _expire(self, job: Job, row: asyncpg.Record) -> None:
        detail = f"{row['error_detail']} Nobody tried it again within {self.retention_days} days."
        await self._fail(self.handlers.get(row["kind"]), job, row["error_code"], detail)

    async def _do(self, job: Job, row: asyncpg.Record) -> None:
        handler = self.handlers.get(row["kind"])
        if handler is None:
            await self._fail(None, job, "unknown_kind", "No worker here knows this kind of job.", retryable=True)
            return
        if job.attempt > self.attempts:
            lost = f"The worker was lost {self.attempts} times while it did this."
            await self._fail(handler, job, "worker_lost", lost, retryable=True)
            return
        try:
            job.caller = await resolve_principal(
                self.tenancy, job.tenant_id, row["requested_by"], row["request_id"], row["on_behalf_of"]
            )
            await self._run(handler, job)
        except JobFailed as error:
            await self._fail(handler, job, error.code, error.detail)
        except Unauthenticated as error:
            await self._fail(handler, job, "caller_ended", f"Who asked for this may no longer act ({error.reason}).")
        except Unavailable as error:
            await self._retry(handler, job, error.code, error.detail)
        except ServiceError as error:
            await self._fail(handler, job, error.code, error.detail)
        except Exception as error:
            log.exception("job broke")
            await self._retry(handler, job, "internal", f"Something went wrong on our side ({type(error).__name__}).")

    async def _run(self, handler: Handler, job: Job) -> None:
        async with job.transaction() as connection:
            parameters = await connection.fetchval(queries.leased_parameters, job.tenant_id, job.id, job.lease_id)
        if parameters is None:
            raise JobLost
        job.parameters = parameters
        work = asyncio.create_task(handler.run(job))
        renewal = asyncio.create_task(self._keep(job))
        try:
            await asyncio.wait({work, renewal}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            unfinished = not work.done()
            for task in (work, renewal):
                task.cancel()
            outcomes = await asyncio.gather(work, renewal, return_exceptions=True)
        if unfinished:
            raise JobLost
        if isinstance(outcomes[0], BaseException):
            raise outcomes[0]

    async def _keep(self, job: Job) -> None:
        """Renews the lease until the job is lost; a database that is away for a while costs nothing but time."""
        while True:
            await asyncio.sleep(min(1.0, self.lease_seconds / 4))
            try:
                async with job.transaction() as connection:
                    await job.change(connection, queries.renew_lease, self.lease_seconds, job.done, job.total)
            except JobLost:
                return
            except (ServiceError, asyncpg.PostgresError):
                log.warning("lease not renewed")

    async def _fail(
        self, handler: Handler | None, job: Job, code: str, detail: str, *, retryable: bool = False
    ) -> None:
        log.info("job failed", code=code)
        async with job.transaction() as connection:
            await job.change(connection, queries.fail_job, code, detail, retryable)
            if handler is not None:
                ending = Ending(job.id, Outcome.FAILED, code, retryable, job.parameters)
                await handler.ended(connection, job.caller, ending)

    async def _retry(self, handler: Handler, job: Job, code: str, detail: str) -> None:
        if job.attempt >= self.attempts:
            await self._fail(handler, job, code, f"{detail} It was tried {job.attempt} times.", retryable=True)
            return
        seconds = min(_LONGEST_BACK_OFF, 2.0**job.attempt) * random.uniform(0.8, 1.2)  # noqa: S311 - not a secret
        async with job.transaction() as connection:
            await job.change(connection, queries.retry_job, seconds, code, detail)


def _queue(lease_id: UUID) -> Claims:
    """Returns what opens the queue, and nothing else."""
    return Claims(request_id=str(uuid7()), kind="worker", presented={"worker": str(lease_id)})


def _unresolved(row: asyncpg.Record) -> Caller:
    """Returns who asked for the job before it is known what they may do: nothing."""
    return Caller(
        tenant_id=row["tenant_id"], tenant_slug="", principal_id=row["requested_by"], kind="user", name="",
        request_id=row["request_id"],
    )  # fmt: skip
