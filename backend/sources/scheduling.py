"""Finds sources that are due, of all tenants, and queues their runs. Any number of workers may look: each run is queued once."""

import asyncio
import random
import time
from contextlib import suppress
from dataclasses import dataclass, field
from uuid import UUID, uuid4

import asyncpg
import structlog
from uuid_utils.compat import uuid7

from backend.database import Connection, Queries
from backend.errors import Misdirected, NotAtHome, ServiceError
from backend.identity.callers.caller import Caller
from backend.jobs import service as jobs
from backend.sources.plan import KnownItem
from backend.sources.running import RUN
from backend.sources.stored import StoredSource
from backend.tenancy import Claims, Purpose, Tenancy

queries = Queries.beside(__file__, source=StoredSource, item=KnownItem)
log = structlog.get_logger()

_PASSED_OVER_SECONDS = 30.0
_WHOLE_RUN = (False, False)  # not dry, and not when too much is gone


@dataclass(frozen=True, slots=True, kw_only=True)
class Scheduler:
    """Queues runs that are due until it is told to stop."""

    tenancy: Tenancy
    idle_seconds: float = 5.0
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    _elsewhere: dict[UUID, float] = field(default_factory=dict)  # until when each tenant is passed over

    async def run(self) -> None:
        """Looks until `stopping` is set; a database that is away is waited for."""
        while not self.stopping.is_set():
            try:
                while await self.queue_next() and not self.stopping.is_set():
                    pass
            except (ServiceError, asyncpg.PostgresError) as error:
                log.warning("sources unavailable", reason=getattr(error, "reason", type(error).__name__))
            except Exception:  # the jobs of this process go on all the same
                log.exception("sources unavailable")
            with suppress(TimeoutError):
                async with asyncio.timeout(self.idle_seconds * random.uniform(0.8, 1.2)):  # noqa: S311 - not a secret
                    await self.stopping.wait()

    async def queue_next(self) -> bool:
        """Queues the run of the source that is due next; returns whether there was one.

        In one transaction: a worker that is lost leaves the source due. So does one that knows of its tenant that it has moved
        to another cell, which its own database may learn later: that tenant is passed over for a while, and the others are not.
        """
        now = time.monotonic()
        for tenant in [tenant for tenant, until in self._elsewhere.items() if until <= now]:
            del self._elsewhere[tenant]
        taken: UUID | None = None
        looking = Claims(request_id=str(uuid7()), kind="worker", presented={Purpose.WORKER: str(uuid4())})
        try:
            async with self.tenancy.transaction(looking) as connection:
                due = await connection.fetchrow(queries.take_due, list(self._elsewhere))
                if due is None:
                    return False
                taken = due["tenant_id"]
                source = acting_source(due["tenant_id"], due["id"], str(uuid7()))
                await self.tenancy.bind(connection, source.claims())
                if await queue_run(connection, source) is None:
                    log.info("source still runs", source=str(due["id"]))
        except (Misdirected, NotAtHome):
            if taken is None:
                raise
            self._elsewhere[taken] = now + _PASSED_OVER_SECONDS
        return True


def acting_source(tenant_id: UUID, source_id: UUID, request_id: str) -> Caller:
    """Returns a source as who asks for its own run; what it may do then, the run asks for itself."""
    return Caller(
        tenant_id=tenant_id, tenant_slug="", principal_id=source_id, kind="source", name="", request_id=request_id
    )  # fmt: skip


async def queue_run(connection: Connection, source: Caller) -> UUID | None:
    """Queues a run that is due, in a transaction of the source; None while another is not over."""
    run_id = uuid7()
    own = (source.tenant_id, source.principal_id)
    await connection.execute(queries.end_lost_run, *own)
    added = await connection.fetchval(queries.add_run, own[0], run_id, own[1], *_WHOLE_RUN)
    return None if added is None else await jobs.enqueue(connection, source, RUN, {}, job_id=run_id)
