"""Sends messages to endpoints, each at least once: signed, within bounds, tried again with back-off, and at last given up.

A worker holds an endpoint by a lease. It notes an attempt before it makes it, so one that is lost between sending and marking
leaves a message that another sends again under the same id. Many endpoints are served at once, and few of one tenant, so that
whoever answers slowly delays nobody else.
"""

import asyncio
import random
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID, uuid4

import asyncpg
import structlog
from uuid_utils.compat import uuid7

from backend.audit.actions.webhooks import WebhookDisabled
from backend.audit.events import Event
from backend.audit.recorder import Recorder
from backend.database import Connection, Queries
from backend.egress import Egress, RefusedAddress, ServerAway
from backend.errors import ServiceError
from backend.identity.callers.caller import Caller
from backend.metrics import WEBHOOK_DUE, WEBHOOKS
from backend.provenance import VERSION
from backend.storage.service import FileVault
from backend.tenancy import Claims, Purpose, Tenancy
from backend.webhooks import secrets, signatures
from backend.webhooks.collecting import LeaseLost, collect
from backend.webhooks.destinations import Destinations

queries = Queries.beside(__file__)
log = structlog.get_logger()

BACK_OFF = (5.0, 300.0, 1_800.0, 7_200.0, 18_000.0, 36_000.0, 50_400.0, 72_000.0, 86_400.0)
"""Seconds after each attempt that failed; then it is given up, after three days."""
_GONE = 410
_MEASURED_EVERY = 10.0  # seconds


@dataclass(frozen=True, slots=True)
class LeasedEndpoint:
    """An endpoint that this worker has for a while."""

    tenant_id: UUID
    endpoint_id: UUID
    lease_id: UUID


@dataclass(frozen=True, slots=True)
class Due:
    """A message to send now."""

    id: UUID
    url: str
    body: bytes
    attempts: int
    secrets: Sequence[bytes] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Attempt:
    """What came of sending a message: the status that was answered, or why there was none."""

    status: int | None = None
    failure: str | None = None
    away: bool = False  # nobody answers there, so the next message would wait as long


@dataclass(frozen=True, slots=True, kw_only=True)
class Deliverer:
    """Serves endpoints of all tenants until it is told to stop."""

    tenancy: Tenancy
    vault: FileVault
    recorder: Recorder
    egress: Egress
    destinations: Destinations
    seconds: float = 10.0  # for one attempt
    failing_days: int = 5
    open_after: timedelta = timedelta(minutes=5)  # since a question was asked that nobody answered
    back_off: Sequence[float] = BACK_OFF
    slots: int = 16
    tenant_slots: int = 2
    turn_seconds: float = 5.0
    pause_seconds: float = 1.0  # between two turns of one endpoint
    idle_seconds: float = 0.5
    stopping: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> None:
        """Serves until `stopping` is set, and then ends what it has begun; a database that is away is waited for."""
        running: dict[asyncio.Task[None], UUID] = {}
        measuring = asyncio.create_task(self._keep_measuring())
        try:
            while not self.stopping.is_set():
                turn = await self._next(running) if len(running) < self.slots else None
                if turn is not None:
                    running[asyncio.create_task(self.serve(turn))] = turn.tenant_id
                    continue
                done = await self._wait(running)
                for task in done:
                    del running[task]
            await asyncio.gather(*running, return_exceptions=True)
        finally:
            for task in (measuring, *running):
                task.cancel()
            await asyncio.gather(measuring, *running, return_exceptions=True)

    async def serve(self, turn: LeasedEndpoint) -> None:
        """Reads the log for an endpoint, sends what is due, and lets go of it after a while."""
        ends = time.monotonic() + self.turn_seconds
        with structlog.contextvars.bound_contextvars(webhook=str(turn.endpoint_id)):
            try:
                while await self._collect(turn) and time.monotonic() < ends:
                    pass
                while not self.stopping.is_set() and time.monotonic() < ends and await self._deliver(turn):
                    pass
                async with self._transaction(turn) as connection:
                    await connection.execute(queries.release, turn.tenant_id, turn.endpoint_id, turn.lease_id)
            except LeaseLost:
                log.info("endpoint left")
            except (ServiceError, asyncpg.PostgresError) as error:
                log.warning("endpoint not served", reason=getattr(error, "reason", type(error).__name__))
            except Exception:  # one endpoint must not end the deliveries to all the others
                log.exception("endpoint not served")

    async def _next(self, running: dict[asyncio.Task[None], UUID]) -> LeasedEndpoint | None:
        tenants = list(running.values())
        busy = [tenant for tenant in set(tenants) if tenants.count(tenant) >= self.tenant_slots]
        try:
            return await self._lease(busy)
        except (ServiceError, asyncpg.PostgresError) as error:
            log.warning("endpoints unavailable", reason=getattr(error, "reason", type(error).__name__))
        except Exception:  # the jobs of this process go on all the same
            log.exception("endpoints unavailable")
        return None

    async def _wait(self, running: dict[asyncio.Task[None], UUID]) -> Sequence[asyncio.Task[None]]:
        """Waits until a turn ends, it is time to look again, or the worker stops; returns the turns that ended."""
        stopped = asyncio.create_task(self.stopping.wait())
        idle = self.idle_seconds * random.uniform(0.8, 1.2)  # noqa: S311 - not a secret
        await asyncio.wait({stopped, *running}, timeout=idle, return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        return [task for task in running if task.done()]

    async def _lease(self, busy: Sequence[UUID]) -> LeasedEndpoint | None:
        lease_id = uuid4()
        async with self.tenancy.transaction(_worker(lease_id)) as connection:
            row = await connection.fetchrow(
                queries.lease, lease_id, self._lease_seconds, self.pause_seconds, list(busy)
            )
        return None if row is None else LeasedEndpoint(row["tenant_id"], row["id"], lease_id)

    @property
    def _lease_seconds(self) -> float:
        """How long a lease holds: longer than a turn, and the attempt that ends it, can take."""
        return self.turn_seconds + self.seconds + 30.0

    async def _collect(self, turn: LeasedEndpoint) -> bool:
        async with self._transaction(turn) as connection:
            return await collect(connection, turn.tenant_id, turn.endpoint_id, turn.lease_id, self.open_after)

    async def _deliver(self, turn: LeasedEndpoint) -> bool:
        """Sends what is due next; returns whether to go on with this endpoint."""
        due = await self._take(turn)
        if due is None:
            return False
        if due.attempts > len(self.back_off) + 1:  # each worker was lost while it sent this
            attempt = Attempt(failure="worker_lost")
        else:
            attempt = await self._send(due)
        return await self._mark(turn, due, attempt)

    async def _take(self, turn: LeasedEndpoint) -> Due | None:
        async with self._transaction(turn) as connection:
            endpoint = await connection.fetchrow(
                queries.leased_endpoint, turn.tenant_id, turn.endpoint_id, turn.lease_id
            )
            if endpoint is None:
                raise LeaseLost
            row = await connection.fetchrow(queries.take, turn.tenant_id, turn.endpoint_id, self._lease_seconds)
            if row is None:
                return None
            key = await self.vault.key(connection, turn.tenant_id)
            stored = await connection.fetch(queries.leased_secrets)
        opened = [secrets.unseal(key, turn.endpoint_id, one["id"], one["sealed"]) for one in stored]
        return Due(row["id"], endpoint["url"], row["body"].encode(), row["attempts"], opened)

    async def _send(self, due: Due) -> Attempt:
        """Makes one attempt; what it raises is a failure as well."""
        signed = signatures.signed_headers(due.secrets, str(due.id), int(time.time()), due.body)
        headers = {
            **signed, "Content-Type": "application/json", "User-Agent": f"Affidavit/{VERSION}", "Accept-Encoding": "identity",
        }  # fmt: skip
        try:
            self.destinations.host_of(due.url)
            status = await self.egress.post(due.url, due.body, headers, seconds=self.seconds)
        except ServerAway:
            return Attempt(failure="no_answer", away=True)
        except RefusedAddress:
            return Attempt(failure="address_refused", away=True)
        except Exception:
            log.exception("not sent")
            return Attempt(failure="internal", away=True)
        if 200 <= status < 300:
            return Attempt(status)
        return Attempt(status, "redirect" if 300 <= status < 400 else "status")

    async def _mark(self, turn: LeasedEndpoint, due: Due, attempt: Attempt) -> bool:
        """Notes what came of an attempt; returns whether to go on with this endpoint."""
        place = (turn.tenant_id, turn.endpoint_id)
        async with self._transaction(turn) as connection:
            if await connection.fetchrow(queries.leased_endpoint, *place, turn.lease_id) is None:
                raise LeaseLost
            if attempt.failure is None:
                await connection.execute(queries.mark_delivered, *place, due.id, attempt.status)
                await connection.execute(queries.endpoint_took, *place)
                WEBHOOKS.labels("delivered").inc()
                return True
            seconds = self._wait_for(due.attempts)
            await connection.execute(queries.mark_failed, *place, due.id, seconds, attempt.status, attempt.failure)
            disabled = await self._note_failure(connection, turn, attempt)
        WEBHOOKS.labels("dead" if seconds is None else "failed").inc()
        log.info("webhook not delivered", failure=attempt.failure, status=attempt.status, attempt=due.attempts)
        return not (disabled or attempt.away)

    def _wait_for(self, attempts: int) -> float | None:
        """Returns for how many seconds to wait after so many attempts; None to give up."""
        if attempts > len(self.back_off):
            return None
        return self.back_off[attempts - 1] * random.uniform(0.9, 1.1)  # noqa: S311 - not a secret

    async def _note_failure(self, connection: Connection, turn: LeasedEndpoint, attempt: Attempt) -> bool:
        """Notes that the endpoint fails, and disables one that did for days, or that is gone; returns whether it did."""
        place = (turn.tenant_id, turn.endpoint_id)
        row = await connection.fetchrow(queries.endpoint_failed, *place, self.failing_days)
        assert row is not None
        because = "gone" if attempt.status == _GONE else "failing" if row["for_long"] else None
        if because is None:
            return False
        await connection.execute(queries.disable, *place, because)
        told = WebhookDisabled(id=turn.endpoint_id, because=because, failing_since=row["failing_since"])
        await self.recorder.record(connection, _actor(turn), Event(told))
        log.warning("endpoint disabled", because=because)
        return True

    def _transaction(self, turn: LeasedEndpoint):  # type: ignore[no-untyped-def]  # noqa: ANN202 - as Tenancy.transaction
        return self.tenancy.transaction(_delivering(turn))

    async def measure(self) -> None:
        """Shows for how long messages wait that are due."""
        async with self.tenancy.transaction(_worker(uuid4())) as connection:
            WEBHOOK_DUE.set(await connection.fetchval(queries.longest_due) or 0)

    async def _keep_measuring(self) -> None:
        while True:
            with suppress(ServiceError, asyncpg.PostgresError):
                await self.measure()
            await asyncio.sleep(_MEASURED_EVERY)


def _worker(lease_id: UUID) -> Claims:
    """Returns what opens the endpoints of all tenants to be leased, and nothing else."""
    return Claims(request_id=str(uuid7()), kind="worker", presented={Purpose.WORKER: str(lease_id)})


def _actor(turn: LeasedEndpoint) -> Caller:
    """Returns who is on record for what a worker does of itself."""
    return Caller(
        tenant_id=turn.tenant_id, tenant_slug="", principal_id=None, kind="worker", name="", request_id=str(turn.lease_id)
    )  # fmt: skip


def _delivering(turn: LeasedEndpoint) -> Claims:
    """Returns what opens one endpoint, while the lease on it holds."""
    return _actor(turn).claims(presented={Purpose.DELIVERING: str(turn.lease_id)})
