"""Lets months of the audit log leave for archives, once every retention is over and no hold applies.

A month leaves whole: for each tenant a bundle is written, read back and verified as an outsider would; only then, in one
transaction, the partition is dropped, the archives are recorded, and every tenant's log gets an event that says so. Whoever
is interrupted before that transaction has changed nothing and goes on where it was; a partition that is dropped without that
event convicts. Leaves, nodes and checkpoints stay, so that every proof still holds. Texts of the month go with it.
"""

import asyncio
import hashlib
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import IO
from uuid import UUID

import asyncpg
from uuid_utils.compat import uuid7

from backend.audit.actions.review import AuditArchived
from backend.database import Connection, Queries, fetch_row, fetch_rows
from backend.errors import Conflict
from backend.identity.callers.permissions import Permission
from backend.ledger import verifier
from backend.operation.tenants import COMMAND_LINE
from backend.review.archives.service import archive_name, read_archive
from backend.review.exports import parts as export_parts
from backend.review.exports.export import Export, ExportFormat
from backend.review.exports.parts import LeafPart, signed_at
from backend.review.exports.service import Exporter
from backend.storage.objects import ObjectMissing, ObjectStore
from backend.tenancy import Claims, Tenancy

queries = Queries(Path(__file__).with_name("archiving.sql"))

# What the owner's policies let it see. A younger month would look empty to it, and be dropped with all that is in it.
SHORTEST_RETENTION = timedelta(days=366)
_LOCK_ATTEMPTS = 20
_PIECE = 1 << 20
_NAMED_FINDINGS = 20


class NotArchived(Conflict):
    """The month was not archived, and stays in the log."""


@dataclass(frozen=True, slots=True)
class Share:
    """A tenant's share of a month: how many events, how many of them are sealed, and the last leaf of those; -1 for none."""

    tenant_id: UUID
    events: int
    sealed: int
    last_leaf: int


@dataclass(frozen=True, slots=True)
class WrittenArchive:
    """The archive of a tenant's share that was written, and has not left yet."""

    first_leaf: int
    end_leaf: int
    events: int
    sha256: bytes
    size: int


@dataclass(frozen=True, slots=True)
class Month:
    """A month that may leave, and each tenant's share of it."""

    first: date
    shares: Sequence[Share]

    @property
    def begin(self) -> datetime:
        """Its first moment."""
        return datetime(self.first.year, self.first.month, 1, tzinfo=UTC)

    @property
    def end(self) -> datetime:
        """The first moment after it."""
        return (self.begin + timedelta(days=31)).replace(day=1)

    @property
    def partition(self) -> str:
        """The table that holds its events."""
        return f"audit.event_{self.first:%Y_%m}"

    @property
    def tenants(self) -> list[UUID]:
        """Whose events it holds."""
        return [share.tenant_id for share in self.shares]

    @property
    def events(self) -> int:
        """How many events it holds."""
        return sum(share.events for share in self.shares)


@dataclass(frozen=True, slots=True)
class Archiver:
    """Archives with the owner's connection; reads each tenant's log as the runtime role, under a context for that tenant.

    `keys` verify checkpoints and `kept` are some that were kept outside; `report` is told
    each step before it is taken, with how much of it is done and how much there is.
    """

    owner: Connection
    tenancy: Tenancy
    store: ObjectStore
    keys: str
    retention: timedelta
    report: Callable[[str, int, int], None]
    kept: Sequence[str] = ()

    def __post_init__(self) -> None:
        if self.retention < SHORTEST_RETENTION:
            raise ValueError("every event is kept for 366 days at least")

    async def due(self) -> list[Month]:
        """Returns the months that may leave, oldest first; one that must stay keeps those after it.

        Raises NotArchived when the oldest must stay although its time is over, and says why.
        """
        months: list[Month] = []
        for row in await self.owner.fetch(queries.months):
            month = Month(row["month"], ())
            if month.end + self.retention > datetime.now(UTC):
                break
            month = await self._with_shares(month.first)
            if (reason := await self._reason_to_stay(month)) is not None:
                if not months:
                    raise NotArchived(f"{month.first:%Y-%m} stays: {reason}", reason="archive:kept")
                break
            months.append(month)
        return months

    async def archive(self, month: Month, *, despite_findings: bool = False) -> None:
        """Lets one month leave; raises NotArchived, and it is then still in the log."""
        findings = {share.tenant_id: await self._secure(month, share) for share in month.shares}
        convicting = [(tenant, found) for tenant, in_its_log in findings.items() for found in in_its_log]
        if convicting and not despite_findings:
            tenant, found = convicting[0]
            raise NotArchived(
                f"{month.first:%Y-%m} stays: its archive does not verify. {len(convicting)} findings, the first of "
                f"tenant {tenant}: {found}",
                reason="archive:invalid",
            )
        await self._let_go(month, findings)
        await self.clear()

    async def clear(self) -> int:
        """Destroys the texts of months that left, also those at which another run was interrupted; returns their number."""
        texts = 0
        for row in await self.owner.fetch(queries.uncleared):
            tenant, month = row["tenant_id"], Month(row["month"], ())
            self._tell(month, f"destroying texts of {tenant}")
            for query in (queries.clear_texts, queries.clear_documents):
                while done := int((await self.owner.execute(query, tenant, month.begin, month.end)).rpartition(" ")[2]):
                    texts += done if query == queries.clear_texts else 0
            async with self.owner.transaction():
                await self.owner.execute(queries.clear_keys, tenant, month.first)
                await self.owner.execute(queries.cleared, tenant, month.first)
        return texts

    async def _with_shares(self, first: date) -> Month:
        empty = Month(first, ())
        return Month(first, await fetch_rows(self.owner, Share, queries.shares, empty.begin, empty.end))

    async def _reason_to_stay(self, month: Month) -> str | None:
        if held := await self.owner.fetchval(queries.held, month.tenants):
            return f"legal holds of {held} tenants apply"
        days = await self.owner.fetchval(queries.longest_retention, month.tenants)
        if month.end + timedelta(days=days) > datetime.now(UTC):
            return f"a tenant keeps its log for {days} days"
        if unsealed := sum(share.events - share.sealed for share in month.shares):
            return f"{unsealed} events are not sealed"
        return None

    async def _secure(self, month: Month, share: Share) -> list[str]:
        """Has the bundle of a tenant written, unless it is already; reads it back and returns what convicts it."""
        tenant = share.tenant_id
        written = await fetch_row(self.owner, WrittenArchive, queries.written, tenant, month.first)
        if written is None or written.events != share.events or written.end_leaf <= share.last_leaf:
            await self._write(month, share)
            written = await fetch_row(self.owner, WrittenArchive, queries.written, tenant, month.first)
        assert written is not None
        self._tell(month, f"verifying the archive of {tenant}")
        try:
            return await self._verify(archive_name(tenant, month.first), written.sha256.hex())
        except ObjectMissing:
            await self._write(month, share)
            return await self._secure(month, share)

    async def _write(self, month: Month, share: Share) -> None:
        tenant, name = share.tenant_id, archive_name(share.tenant_id, month.first)
        first = await self.owner.fetchval(queries.end_before, tenant, month.first)
        claims = Claims(str(uuid7()), tenant, kind="operator", permissions=[Permission.AUDIT_READ])
        opened = lambda: self.tenancy.transaction(claims)  # noqa: E731 - one each: a context lives for a minute
        part = await _extent(opened, tenant, first, max(first, share.last_leaf + 1), month)
        export = Export(tenant, part.begin, part.end, ExportFormat.BUNDLE)
        with tempfile.TemporaryFile(prefix="affidavit-archive-") as stream:
            told = self._told(month, f"writing the archive of {tenant}")
            await Exporter(opened, None, export, told).write(stream, part)
            size = stream.tell()
            digest = await asyncio.to_thread(_digest, stream)
            self._tell(month, f"storing the archive of {tenant}")
            await self.store.write(name, _pieces(stream))
        self._tell(month, f"recording the archive of {tenant}")
        span = (part.leaves.start, part.leaves.stop)
        await self.owner.execute(queries.write_archive, tenant, month.first, *span, share.events, digest, size)

    async def _verify(self, name: str, sha256: str) -> list[str]:
        """Verifies what the store gives back and returns what convicts it; raises DamagedObject and ObjectMissing."""
        with tempfile.NamedTemporaryFile(prefix="affidavit-archive-") as copy:
            async for piece in read_archive(self.store, name, sha256):
                copy.write(piece)
            copy.flush()
            report = await asyncio.to_thread(verifier.verify, copy.name, self.keys, known=self.kept)
        if report.ok:
            return []
        convicting = [str(found) for found in report.findings if found.kind in verifier.CONVICTING]
        return convicting or ["INVALID bundle: nothing was proved"]

    async def _let_go(self, month: Month, findings: dict[UUID, list[str]]) -> None:
        for _ in range(_LOCK_ATTEMPTS):
            try:
                await self._drop(month, findings)
            except asyncpg.LockNotAvailableError:
                await asyncio.sleep(0.5)
            else:
                return
        raise NotArchived("The log is too busy to let a month leave; try again.", reason="archive:busy")

    async def _drop(self, month: Month, findings: dict[UUID, list[str]]) -> None:
        """Drops the partition and records it, in one transaction that nobody waits for longer than a second."""
        self._tell(month, f"dropping {month.events} events")
        async with self.owner.transaction():
            await self.owner.execute("set local lock_timeout = '1s'")
            # What was written, chosen or placed since it was looked at would be lost.
            await self.owner.execute("lock table audit.hold, audit.retention in share mode")
            # The name is made of a date.
            await self.owner.execute(f"lock table {month.partition} in share row exclusive mode")
            now = await self._with_shares(month.first)
            if now.shares != month.shares or await self._reason_to_stay(now):
                raise NotArchived("The month was changed meanwhile; try again.", reason="archive:changed")
            for tenant in month.tenants:
                written = await fetch_row(self.owner, WrittenArchive, queries.written, tenant, month.first)
                assert written is not None
                await COMMAND_LINE.record(self.owner, tenant, _described(month, written, findings[tenant]))
            await self.owner.fetch(queries.let_go, month.first)
            await self.owner.execute(f"drop table {month.partition}")
            self._tell(month, "committing")

    def _tell(self, month: Month, step: str, done: int = 0, total: int = 1) -> None:
        self.report(f"{month.first:%Y-%m}: {step}", done, total)

    def _told(self, month: Month, step: str) -> Callable[[int, int], Awaitable[None]]:
        async def told(done: int, total: int) -> None:
            self._tell(month, step, done, total)

        return told


async def _extent(
    opened: Callable[[], AbstractAsyncContextManager[Connection]], tenant: UUID, first: int, end: int, month: Month
) -> LeafPart:
    """Returns the leaves from one checkpoint to the first that covers `end` of them."""
    async with opened() as connection:
        begin = await connection.fetchrow(export_parts.queries.checkpoint_at_least, tenant, first) if first else None
        last = await connection.fetchrow(export_parts.queries.checkpoint_at_least, tenant, end)
    if last is None:
        raise NotArchived("No checkpoint covers the whole month yet.", reason="archive:unsealed")
    signed = signed_at(last["note"])
    return LeafPart(range(first, last["size"]), signed_at(begin["note"]) if begin else min(month.begin, signed), signed)


def _described(month: Month, written: WrittenArchive, findings: Sequence[str]) -> AuditArchived:
    return AuditArchived(
        month=f"{month.first:%Y-%m}", first_leaf=written.first_leaf, end_leaf=written.end_leaf,
        events=written.events, sha256=written.sha256.hex(), bytes=written.size, findings=len(findings) or None,
        first_findings=findings[:_NAMED_FINDINGS] or None,
    )  # fmt: skip


def _digest(stream: IO[bytes]) -> bytes:
    stream.seek(0)
    digest = hashlib.file_digest(stream, "sha256").digest()  # type: ignore[arg-type]
    stream.seek(0)
    return digest


async def _pieces(stream: IO[bytes]) -> AsyncIterator[bytes]:
    while piece := await asyncio.to_thread(stream.read, _PIECE):
        yield piece
