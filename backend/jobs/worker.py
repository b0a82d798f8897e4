"""Runs queued jobs, each as whoever asked for it, with the rights that they have now.

A worker holds a job by a lease that it renews. One that dies, at whatever moment, loses its lease, and the job is taken over.
A job ends in the transaction that does its work, and only for who still has the lease, so its work is done once. One that
used up its attempts is kept, to be tried again when somebody asks for it, until it is forgotten.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Protocol
from uuid import UUID, uuid4

import asyncpg
import structlog
from uuid_utils.compat import uuid7

from backend import tracing
from backend.audit.events import Outcome
from backend.database import fetch_row
from backend.errors import ServiceError, Unauthenticated, Unavailable
from backend.identity.callers.caller import Caller
from backend.identity.callers.principals import resolve_principal
from backend.jobs.failures import FailureHandler, JobFailure
from backend.jobs.job import Job, JobFailed, JobLost, JobTooLong, WorkerStops
from backend.jobs.service import queries
from backend.metrics import JOBS_DONE
from backend.tenancy import Claims, Purpose, Tenancy

log = structlog.get_logger()

_LONGEST_BACK_OFF = 300.0
_TIDIED_EVERY = 3600.0  # seconds
_FORGOTTEN_AT_ONCE = 1_000


class Handler(FailureHandler, Protocol):
    """Does the jobs of one kind."""

    async def run(self, job: Job) -> None:
        """Does the work and calls `job.finish` in its last transaction.

        Raises JobFailed, or a ServiceError other than Unavailable, when trying again is of no use.
        """


@dataclass(frozen=True, slots=True)
class LeasedJob:
    """A job that was taken from the queue, and who asked for it; of one that failed before, also how."""

    tenant_id: UUID
    id: UUID
    kind: str
    requested_by: UUID
    request_id: str
    on_behalf_of: dict[str, Any] | None
    attempts: int
    error_code: str = ""
    error_detail: str = ""

    def caller(self) -> Caller:
        """Returns who asked for the job before it is known what they may do: nothing."""
        return Caller(
            tenant_id=self.tenant_id, tenant_slug="", principal_id=self.requested_by, kind="user", name="",
            request_id=self.request_id,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Worker:
    """Takes jobs and does them, a few beside each other so that a long one delays no other, until it is told to stop.

    Its last place is for a tenant of which it does none: one tenant's files, however long they take, leave the others a place.
    Of kinds that wait for others, such as servers elsewhere, it does so many at once that half of its places stay free of them,
    and of these the last is for another tenant as well. A worker with one place has one more, for such kinds alone.
    """

    tenancy: Tenancy
    handlers: Mapping[str, Handler]
    lease_seconds: float = 30.0
    attempts: int = 5
    idle_seconds: float = 0.15
    retention_days: int = 30
    grace_seconds: float = 15.0
    at_once: int = 1
    job_seconds: float = 3600.0
    waiting_kinds: frozenset[str] = frozenset()
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    _taking: asyncio.Lock = field(default_factory=asyncio.Lock)
    _idling: asyncio.Lock = field(default_factory=asyncio.Lock)
    _in_hand: list[tuple[UUID, str]] = field(default_factory=list)  # the tenant and the kind of each job

    async def run(self) -> None:
        """Works until `stopping` is set; a database that is away is waited for.

        It then takes no other job, finishes those that it has within the time of grace, or hands them back.
        """
        await asyncio.gather(*(self._work(tidies=number == 0) for number in range(self.places)))

    @property
    def places(self) -> int:
        """How many jobs it does beside each other, at most."""
        return max(2, self.at_once) if self.waiting_kinds else self.at_once

    async def _work(self, *, tidies: bool) -> None:
        """Does one job after the other; one of several who do also forgets old ones."""
        tidied = -_TIDIED_EVERY
        while not self.stopping.is_set():
            try:
                if tidies and time.monotonic() - tidied > _TIDIED_EVERY:
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
                await self._idle()

    async def _idle(self) -> None:
        """Waits a moment, one place after the other: together they ask no more often than one would."""
        async with self._idling:
            with suppress(TimeoutError):
                async with asyncio.timeout(self.idle_seconds * random.uniform(0.8, 1.2)):  # noqa: S311 - not a secret
                    await self.stopping.wait()

    async def work_once(self) -> bool:
        """Does the next job; returns whether there was one."""
        async with self._taking:  # or two at once would each take the last place but one
            taken = await self._lease(
                queries.lease, self._must_wait(), self._has_enough_of(), self._have_enough(), sorted(self.waiting_kinds)
            )
            if taken is not None:
                self._in_hand.append((taken[0].tenant_id, taken[0].kind))
        if taken is None:
            return False
        try:
            await self._acted(self._do, *taken)
        finally:
            self._in_hand.remove((taken[0].tenant_id, taken[0].kind))
        return True

    def _must_wait(self) -> list[UUID]:
        """Returns the tenants that have a job here, when no more than one place is free."""
        return [tenant for tenant, _ in self._in_hand] if 1 < self.at_once <= len(self._in_hand) + 1 else []

    def _has_enough_of(self) -> list[str]:
        """Returns the kinds of which no more are taken: those that wait for others, once they have half of the places.

        All others, once they have the places that are theirs: one worker's second place is for those that wait.
        """
        waiting = len(self._waiting())
        enough = self.waiting_kinds if waiting >= self._most_waiting else frozenset()
        if len(self._in_hand) - waiting >= self.at_once:
            enough |= self.handlers.keys() - self.waiting_kinds
        return sorted(enough)

    def _have_enough(self) -> list[UUID]:
        """Returns the tenants of which nothing more is taken that waits for others, when one such place is free."""
        waiting = self._waiting()
        return waiting if 1 < self._most_waiting <= len(waiting) + 1 else []

    def _waiting(self) -> list[UUID]:
        """Returns the tenant of each job in hand that waits for others."""
        return [tenant for tenant, kind in self._in_hand if kind in self.waiting_kinds]

    @property
    def _most_waiting(self) -> int:
        return max(1, self.at_once // 2)

    async def tidy(self) -> None:
        """Ends for good what nobody tried again within the retention, and forgets what ended before it."""
        while (taken := await self._lease(queries.lease_expired, self.retention_days)) is not None:
            await self._acted(self._expire, *taken)
        forgotten = _FORGOTTEN_AT_ONCE
        while forgotten == _FORGOTTEN_AT_ONCE:
            async with self.tenancy.transaction(_queue(uuid4())) as connection:
                forgotten = await connection.fetchval(queries.forget_jobs, self.retention_days)

    async def _lease(self, query: str, *arguments: object) -> tuple[Job, LeasedJob] | None:
        """Returns a job, and what is known of it; None when there is none to be had."""
        lease_id = uuid4()
        async with self.tenancy.transaction(_queue(lease_id)) as connection:
            leased = await fetch_row(connection, LeasedJob, query, lease_id, self.lease_seconds, *arguments)
        if leased is None:
            return None
        return Job(
            self.tenancy, leased.tenant_id, leased.id, lease_id, leased.caller(), leased.attempts, leased.kind
        ), leased

    async def _acted(self, act: Callable[[Job, LeasedJob], Awaitable[None]], job: Job, leased: LeasedJob) -> None:
        named = structlog.contextvars.bound_contextvars(job=str(job.id), kind=job.kind, attempt=job.attempt)
        with named, suppress(JobLost):
            await act(job, leased)

    async def _expire(self, job: Job, leased: LeasedJob) -> None:
        detail = f"{leased.error_detail} Nobody tried it again within {self.retention_days} days."
        await self._fail(self.handlers.get(leased.kind), job, leased.error_code, detail)

    async def _do(self, job: Job, leased: LeasedJob) -> None:
        handler = self.handlers.get(leased.kind)
        if handler is None:
            await self._fail(None, job, "unknown_kind", "No worker here knows this kind of job.", retryable=True)
            return
        if job.attempt > self.attempts:
            lost = f"The worker was lost {self.attempts} times while it did this."
            await self._fail(handler, job, "worker_lost", lost, retryable=True)
            return
        try:
            job.caller = await resolve_principal(
                self.tenancy, job.tenant_id, leased.requested_by, leased.request_id, leased.on_behalf_of
            )
            with tracing.job(job.kind, job.attempt):
                await self._run(handler, job)
            JOBS_DONE.labels(job.kind, "succeeded").inc()
        except WorkerStops:
            await self._hand_back(job)
        except JobTooLong:
            await self._fail(
                handler, job, "took_too_long", f"It took longer than {self.job_seconds:.0f} seconds.", retryable=True
            )
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
        stop = asyncio.create_task(self._patience())
        try:
            done, _ = await asyncio.wait(
                {work, renewal, stop}, timeout=self.job_seconds, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            unfinished, stopped = not work.done(), stop.done()
            for task in (work, renewal, stop):
                task.cancel()
            outcomes = await asyncio.gather(work, renewal, stop, return_exceptions=True)
        if unfinished and not done:
            raise JobTooLong
        if unfinished:
            raise WorkerStops if stopped else JobLost
        if isinstance(outcomes[0], BaseException):
            raise outcomes[0]

    async def _patience(self) -> None:
        """Waits until the worker must stop and its time of grace is over."""
        await self.stopping.wait()
        await asyncio.sleep(self.grace_seconds)

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
        JOBS_DONE.labels(job.kind, "failed").inc()
        async with job.transaction() as connection:
            await job.change(connection, queries.fail_job, code, detail, retryable)
            if handler is not None:
                failure = JobFailure(job.id, Outcome.FAILED, code, retryable, job.parameters)
                await handler.on_failure(connection, job.caller, failure)

    async def _hand_back(self, job: Job) -> None:
        """Lets another worker have the job at once; that it was begun here counts for nothing."""
        log.info("job handed back")
        JOBS_DONE.labels(job.kind, "handed_back").inc()
        async with job.transaction() as connection:
            await job.change(connection, queries.hand_back_job)

    async def _retry(self, handler: Handler, job: Job, code: str, detail: str) -> None:
        if job.attempt >= self.attempts:
            await self._fail(handler, job, code, f"{detail} It was tried {job.attempt} times.", retryable=True)
            return
        seconds = min(_LONGEST_BACK_OFF, 2.0**job.attempt) * random.uniform(0.8, 1.2)  # noqa: S311 - not a secret
        JOBS_DONE.labels(job.kind, "put_back").inc()
        async with job.transaction() as connection:
            await job.change(connection, queries.retry_job, seconds, code, detail)


def _queue(lease_id: UUID) -> Claims:
    """Returns what opens the queue, and nothing else."""
    return Claims(request_id=str(uuid7()), kind="worker", presented={Purpose.WORKER: str(lease_id)})
