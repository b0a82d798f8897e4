"""PostgreSQL's logical replication of one tenant from one database to another: a publication, a slot and a subscription."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

import asyncpg

from backend.database import Connection, Queries
from backend.operation.moving.tables import moved_tables
from backend.operation.service import OperatorError

queries = Queries.beside(__file__)

# Told of each step: its name, how far it is, and of how much.
Progress = Callable[[str, int, int], None]

_UNWRITTEN = """set log_statement = none; set log_min_error_statement = panic; set log_min_duration_statement = -1;
set log_min_duration_sample = -1; set log_transaction_sample_rate = 0; set pg_stat_statements.track_utility = off"""
_SMALL_BYTES = 1024 * 1024  # of the write-ahead log that the target may be behind when the fence is closed
_POLL_SECONDS = 0.02
_LOOK_SECONDS = 0.2
_IDLE_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Replication:
    """Both databases, as superusers. Every method finds what was done before."""

    source: Connection
    target: Connection
    tenant_id: UUID

    @property
    def name(self) -> str:
        """What publication, slot and subscription are called."""
        return f"move_{self.tenant_id.hex}"

    async def is_under_way(self) -> bool:
        """Tells whether the target has begun to receive."""
        return bool(await self.target.fetchval(queries.has_subscription, self.name))

    async def begin(self, source_url: str) -> None:
        """Begins to copy the tenant's rows, and all that changes from now on."""
        for row in await self.source.fetch(queries.months):
            await self.target.execute(queries.create_partition, row["month"])
        tables = await moved_tables(self.source, self.target)
        listed = ", ".join(table.published(self.tenant_id) for table in tables)
        await self.source.execute(
            f"create publication {self.name} for table {listed} with (publish_via_partition_root = true)"
        )
        await self.target.execute(_UNWRITTEN)  # what follows holds a password
        url = await self.target.fetchval("select quote_literal($1)", source_url)
        await self.target.execute(
            f"create subscription {self.name} connection {url} publication {self.name}"
            " with (run_as_owner = true, synchronous_commit = on)"
        )

    async def copied(self, progress: Progress, target: str) -> None:
        """Waits for PostgreSQL to copy what is there; raises OperatorError when it cannot."""
        errors_before, idle = None, 0.0
        while True:
            copied = await self.target.fetchrow(queries.copied, self.name)
            assert copied is not None
            progress("copying tables", copied["done"], copied["tables"])
            if copied["done"] == copied["tables"] > 0:
                return
            errors_before = copied["errors"] if errors_before is None else errors_before
            if copied["errors"] > errors_before + 2:
                raise OperatorError(f"rows cannot be copied: see the log of the database of {target}")
            idle = 0.0 if copied["workers"] else idle + _LOOK_SECONDS
            if idle > _IDLE_SECONDS:
                raise OperatorError(
                    f"nothing copies in {target}: its max_logical_replication_workers are all busy, "
                    "or it does not reach the other database"
                )
            await asyncio.sleep(_LOOK_SECONDS)

    async def caught_up(self, progress: Progress) -> None:
        """Returns when the target is only moments behind."""
        while (behind := await self.source.fetchval(queries.bytes_behind, self.name) or 0) > _SMALL_BYTES:
            progress("catching up", 0, behind)
            await asyncio.sleep(_LOOK_SECONDS)

    async def received(self) -> None:
        """Returns when the target has, on its disk, all that is written at the source now."""
        position = await self.source.fetchval(queries.wal_position)
        while True:
            if await self.source.fetchval(queries.has_received, self.name, position):
                return
            await asyncio.sleep(_POLL_SECONDS)

    async def stop_receiving(self) -> None:
        """Drops the subscription, and asks nothing of the source for that."""
        if await self.target.fetchval(queries.has_subscription, self.name):
            await self.target.execute(f"alter subscription {self.name} disable")
            await self.target.execute(f"alter subscription {self.name} set (slot_name = none)")
            await self.target.execute(f"drop subscription {self.name}")

    async def stop_sending(self) -> None:
        """Drops slot and publication."""
        while await self.source.fetchval(queries.has_slot, self.name):
            try:
                await self.source.execute(queries.drop_slot, self.name)
            except asyncpg.ObjectInUseError:  # until the target's connection has ended
                await asyncio.sleep(_POLL_SECONDS)
        if await self.source.fetchval(queries.has_publication, self.name):
            await self.source.execute(f"drop publication {self.name}")
