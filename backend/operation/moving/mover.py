"""Moves a tenant from its cell to another while it works, by PostgreSQL's own logical replication.

1. The target is told that the tenant is coming, and refuses it. A publication and a subscription copy its rows; files follow.
2. The source refuses the tenant from now on. What was begun ends, the last events are sealed, and the target has all of it.
3. The directory says that the tenant is at home at the target. Until here everything can be taken back, from here on not.
4. The target answers for the tenant. The source keeps its old copy for a time of grace.

At no moment do both answer. Each step finds what was done before, so a command that was killed is carried on by giving it again,
or taken back by `abort` as long as the directory has not changed.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID

import asyncpg

from backend.audit.actions.operation import Moved, TenantChanged
from backend.cells import control
from backend.cells.directory import Directory
from backend.cells.entries import Home, NotTheDirectory
from backend.database import Connection, Queries
from backend.ledger.checkpoints import InvalidNote, SigningKey
from backend.ledger.merkle import Frontier
from backend.ledger.rounds import head_of
from backend.operation.moving import copies, files
from backend.operation.moving.cells import OpenCell
from backend.operation.moving.replication import Progress, Replication
from backend.operation.moving.tables import moved_tables
from backend.operation.service import OperatorError
from backend.operation.tenants import COMMAND_LINE

queries = Queries.beside(__file__)

_POLL_SECONDS = 0.02


class NotInTime(OperatorError):
    """The source's last work did not end in time; the tenant works there again."""


class BeingMoved(OperatorError):
    """Another command moves the tenant."""


@dataclass
class Mover:
    """Moves one tenant, for one command. `patience` bounds for how many seconds the tenant may be refused."""

    control: Connection
    directory: Directory
    key: SigningKey
    source: OpenCell
    target: OpenCell
    home: Home
    grace: timedelta
    progress: Progress
    patience: float = 10.0
    copy_seconds: float = 24 * 3600.0
    _files: set[UUID] = field(default_factory=set)

    @property
    def _replication(self) -> Replication:
        return Replication(self.source.database, self.target.database, self.home.tenant_id)

    async def move(self) -> None:
        """Does what is left to do; raises OperatorError when that is impossible, and the tenant then works where it did."""
        if self.home.cell == self.target.name:
            await self._finish()
            return
        await self._check()
        await self._begin()
        await self._copy()
        await self._hand_over()
        await self._finish()

    async def abort(self) -> None:
        """Takes back what was done; raises OperatorError when the directory says already that the tenant has moved."""
        if self.home.cell == self.target.name:
            raise OperatorError(f"{self.home.slug} has moved already: it can only move back")
        await self._reopen()
        await self._replication.stop_receiving()
        await self._replication.stop_sending()
        if await self.target.database.fetchrow(queries.residence, self.home.tenant_id) is not None:
            await copies.clear(self.target, self.source, self.home.tenant_id, self.home.epoch + 1)
            if self.home.epoch == 1:
                await self.target.database.execute(queries.forget_residence, self.home.tenant_id)
            else:  # it may have left the target before, whose processes might still believe in that time
                await self._reside(self.target, self.home.epoch - 1, "departed", self.source.name, copies.LONG_AGO)

    async def _check(self) -> None:
        source, target, tenant_id = self.source.database, self.target.database, self.home.tenant_id
        tenant = await source.fetchrow(queries.tenant, tenant_id)
        if tenant is None:
            raise OperatorError(
                f"the cell {self.source.name} has no tenant {self.home.slug}, where the directory says it is"
            )
        if tenant["status"] == "deleting":
            raise OperatorError(f"{self.home.slug} is being deleted; resume it first")
        if await source.fetchval(queries.revision) != await target.fetchval(queries.revision):
            raise OperatorError("the cells have different revisions of the schema: run `affidavit migrate` for both")
        for cell in (self.source, self.target):  # nobody else sees whose transactions are open
            if await cell.database.fetchval("show is_superuser") != "on":
                raise OperatorError(f"the replication_url of {cell.name} is no superuser's")
        if await source.fetchval("show wal_level") != "logical":
            raise OperatorError(f"the database of {self.source.name} needs wal_level = logical")
        if await source.fetchval(queries.has_own_partition, tenant_id):
            raise OperatorError(f"{self.home.slug} has a partition of its own: run `affidavit tenant demote` first")
        if await source.fetchval(queries.has_archives, tenant_id):
            raise OperatorError(f"months of {self.home.slug}'s log are in archives, which do not move yet")
        await files.check_keys(self.source, self.target, tenant_id)

    async def _begin(self) -> None:
        """Tells the target that the tenant is coming, and begins to copy its rows, unless both is done."""
        source, target, tenant_id = self.source.database, self.target.database, self.home.tenant_id
        there = await source.fetchrow(queries.residence, tenant_id)
        if there is not None and there["epoch"] != self.home.epoch:
            raise OperatorError(
                f"the cell {self.source.name} knows another epoch of {self.home.slug} than the directory"
            )
        if there is not None and there["state"] == "leaving" and there["other_cell"] != self.target.name:
            raise OperatorError(f"{self.home.slug} is being moved to {there['other_cell']}")
        coming = await target.fetchrow(queries.residence, tenant_id)
        if coming is None and await target.fetchrow(queries.tenant, tenant_id) is not None:
            raise OperatorError(f"the cell {self.target.name} has a tenant {self.home.slug} of its own")
        if coming is not None and coming["state"] in {"home", "leaving"}:
            raise OperatorError(
                f"the cell {self.target.name} takes {self.home.slug} for its own, against the directory"
            )
        if await self._replication.is_under_way():
            await self._replication.keep_sender()
            return
        await copies.clear(self.target, self.source, tenant_id, self.home.epoch + 1)
        await self._replication.stop_sending()
        await self._replication.begin(self.source.url)

    async def _copy(self) -> None:
        """Returns when the target has a copy that is only moments behind."""
        async with asyncio.timeout(self.copy_seconds):
            await self._replication.copied(self.progress, self.target.name)
            await self._copy_files()
            await self._replication.caught_up(self.progress)

    async def _copy_files(self) -> None:
        if not await files.share_files(self.source, self.target, self.home.tenant_id):
            await files.copy_files(self.source, self.target, self.home.tenant_id, self._files, self.progress)

    async def _hand_over(self) -> None:
        """Closes the fence, and opens it again unless the target has everything and the directory says so."""
        await self._close()
        try:
            async with asyncio.timeout(self.patience):
                await self._drain()
                await self._copy_files()
                await self._replication.received()
                await self._compare()
        except BaseException as error:
            await asyncio.shield(self._reopen())
            if isinstance(error, TimeoutError):
                raise NotInTime(
                    f"what {self.home.slug} had begun did not end within {self.patience:g} s; it works on in {self.source.name}. "
                    "Give the command again, or --abort"
                ) from None
            raise
        moved = Home(self.home.tenant_id, self.home.slug, self.target.name, self.home.epoch + 1)
        try:
            await control.add(self.control, self.directory, self.key, [moved.entry()])
        except (NotTheDirectory, asyncpg.PostgresError) as error:
            if isinstance(error, asyncpg.PostgresConnectionError):
                raise  # whether the tenant has moved is not known: it is refused until the command is given again
            await self._reopen()
            raise
        self.home = moved

    async def _close(self) -> None:
        self.progress("handing over", 0, 1)
        who = (self.home.tenant_id, self.home.epoch)
        async with self.source.database.transaction():
            if await self.source.database.fetchval(queries.close_fence, *who, self.target.name):
                await self._record(self.source, "leaving", self.home.epoch + 1)
            elif not await self.source.database.fetchval(queries.is_leaving, *who):
                raise OperatorError(f"{self.home.slug} is not at home in {self.source.name} any more")

    async def _drain(self) -> None:
        """Waits for all that began before the fence was closed, and for the sealer."""
        fence = await self.source.database.fetchval(queries.fence_id)
        await self._until(queries.begun_since, fence)
        await self._until(queries.sealed, self.home.tenant_id)

    async def _until(self, statement: str, *values: object) -> None:
        """Returns when the source says so."""
        while True:
            if await self.source.database.fetchval(statement, *values):
                return
            await asyncio.sleep(_POLL_SECONDS)

    async def _compare(self) -> None:
        """Raises OperatorError unless the target has as many rows of everything, and the log that was signed."""
        if await self.source.database.fetchval(queries.has_own_partition, self.home.tenant_id):
            raise OperatorError(f"{self.home.slug} was given a partition of its own meanwhile, which did not move")
        for table in await moved_tables(self.source.database, self.target.database):
            counted = f"select count(*) from {table.name} where {table.column} = $1"  # noqa: S608 - names of the catalogue
            here = await self.source.database.fetchval(counted, self.home.tenant_id)
            there = await self.target.database.fetchval(counted, self.home.tenant_id)
            if here != there:
                raise OperatorError(
                    f"{table.name} has {here} rows in {self.source.name} and {there} in {self.target.name}"
                )
        signed = await self.source.database.fetchrow(queries.newest_checkpoint, self.home.tenant_id)
        edge = await self.target.database.fetchrow(queries.log, self.home.tenant_id)
        if signed is None or edge is None:
            raise OperatorError(
                f"nothing of {self.home.slug} was ever sealed; is a sealer running in {self.source.name}?"
            )
        try:
            checkpoint = head_of(signed["note"])
        except InvalidNote as error:
            raise OperatorError(f"the newest checkpoint of {self.home.slug} is none: {error}") from None
        frontier = Frontier(edge["size"], list(edge["frontier"]))
        if (checkpoint.size, checkpoint.root) != (frontier.size, frontier.root()):
            raise OperatorError(
                f"the log that arrived in {self.target.name} is not the one that {self.source.name} signed"
            )

    async def _reopen(self) -> None:
        """Lets the tenant work at the source again, if it was refused there."""
        async with self.source.database.transaction():
            if await self.source.database.fetchval(queries.open_fence, self.home.tenant_id, self.home.epoch):
                await self._record(self.source, "stayed", self.home.epoch)

    async def _finish(self) -> None:
        """Has the source know that the tenant is gone for good, which nothing takes back, and then lets the target answer."""
        coming = await self.target.database.fetchrow(queries.residence, self.home.tenant_id)
        if coming is None or coming["epoch"] != self.home.epoch or coming["state"] not in {"arriving", "home"}:
            raise OperatorError(f"{self.home.slug} is at home in {self.target.name}, and nothing is left to do")
        left = await self.source.database.fetchval(
            queries.leave, self.home.tenant_id, self.home.epoch - 1, datetime.now(UTC) + self.grace
        )
        if left is None and coming["state"] == "arriving":
            raise OperatorError(f"{self.source.name} answers for {self.home.slug} again, against the directory")
        await self._replication.stop_receiving()
        if coming["state"] == "arriving":
            async with self.target.database.transaction():
                await self._reside(self.target, self.home.epoch, "home", self.source.name)
                await self._record(self.target, "arrived", self.home.epoch)
        await self._replication.stop_sending()
        self.progress("handing over", 1, 1)

    async def _reside(
        self, cell: OpenCell, epoch: int, state: str, other: str, purge_after: datetime | None = None
    ) -> None:  # fmt: skip
        await cell.database.execute(queries.reside, self.home.tenant_id, epoch, state, other, purge_after)

    async def _record(self, cell: OpenCell, step: str, epoch: int) -> None:
        done = Moved(step=step, source=self.source.name, target=self.target.name, epoch=epoch)
        await COMMAND_LINE.record(cell.database, self.home.tenant_id, TenantChanged(moved=done))


@asynccontextmanager
async def alone(connection: Connection, tenant_id: UUID) -> AsyncIterator[None]:
    """Keeps other commands from moving the tenant, for as long as this one lives; raises OperatorError."""
    name = f"move {tenant_id}"
    if not await connection.fetchval("select pg_try_advisory_lock(hashtextextended($1, 0))", name):
        raise BeingMoved("this tenant is being moved already")
    try:
        yield
    finally:
        if not connection.is_closed():
            await connection.fetchval("select pg_advisory_unlock(hashtextextended($1, 0))", name)
