"""PostgreSQL's logical replication of one tenant from one database to another: a publication, a slot and a subscription."""

import asyncio
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlencode
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
        url = await self.target.fetchval("select quote_literal($1)", await self._sender(source_url))
        await self.target.execute(
            f"create subscription {self.name} connection {url} publication {self.name}"
            " with (run_as_owner = true, synchronous_commit = on)"
        )

    async def _sender(self, source_url: str) -> str:
        """Makes the role as which the target reads, of this move alone, anew; returns the source's address with its password.

        It may read what there is, as tables cannot be given to it one by one while the service checks whose they are, and changes
        nothing. Without the connections of the move its password opens nothing after two days.
        """
        password = secrets.token_hex(32)
        await self.source.execute(_UNWRITTEN)
        await self._drop_sender()
        await self.source.execute(
            f"create role {self.name} login replication bypassrls in role pg_read_all_data password '{password}'"
        )
        await self.keep_sender()
        database = await self.source.fetchval("select quote_ident(current_database())")
        await self.source.execute(f"grant connect on database {database} to {self.name}")
        return with_user(source_url, self.name, password)

    async def keep_sender(self) -> None:
        """Lets the role's password hold for two more days; a move of an older version has no role."""
        if await self.source.fetchval(queries.has_role, self.name):
            until = await self.source.fetchval("select (now() + interval '2 days')::text")
            await self.source.execute(f"alter role {self.name} valid until '{until}'")

    async def _drop_sender(self) -> None:
        if await self.source.fetchval(queries.has_role, self.name):
            await self.source.execute(f"drop owned by {self.name}")
            await self.source.execute(f"drop role {self.name}")

    async def copied(self, progress: Progress, target: str) -> None:
        """Waits for PostgreSQL to copy what is there; raises OperatorError when it cannot."""
        errors_before, idle = None, 0.0
        while True:
            copied = await self.target.fetchrow(queries.copied, self.name)
            assert copied is not None
            progress("copying tables", copied["done"], copied["tables"])
            if copied["done"] == copied["tables"] > 0:
                await self._read_no_more()
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

    async def _read_no_more(self) -> None:
        """Takes from the role what only the first copy needed: what changes is sent to it without."""
        if await self.source.fetchval(queries.has_role, self.name):
            await self.source.execute(f"alter role {self.name} nobypassrls; revoke pg_read_all_data from {self.name}")

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
        """Drops slot, publication and role."""
        while await self.source.fetchval(queries.has_slot, self.name):
            try:
                await self.source.execute(queries.drop_slot, self.name)
            except asyncpg.ObjectInUseError:  # until the target's connection has ended
                await asyncio.sleep(_POLL_SECONDS)
        if await self.source.fetchval(queries.has_publication, self.name):
            await self.source.execute(f"drop publication {self.name}")
        await self._drop_sender()


def with_user(url: str, user: str, password: str) -> str:
    """Returns a database's address with another user; hosts and options stay, but what tells who connects."""
    scheme, _, rest = url.partition("://")
    address, _, query = rest.partition("?")
    hosts = address.rpartition("@")[2]
    kept = urlencode(
        [(name, value) for name, value in parse_qsl(query) if name not in {"user", "password", "passfile"}]
    )
    return f"{scheme}://{user}:{password}@{hosts}" + (f"?{kept}" if kept else "")
