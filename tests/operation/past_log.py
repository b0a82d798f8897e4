"""A tenant whose log begins years ago, sealed as it would have been then."""

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from uuid import UUID

import asyncpg
import pytest
from uuid_utils.compat import uuid7

from backend.audit.actions.operation import TenantChanged
from backend.audit.canonical import canonical_json
from backend.audit.events import Event, envelope
from backend.identity.callers.caller import Caller
from backend.operation.archiving import Archiver
from backend.review.events.service import first_id_at
from backend.storage.objects import LocalStore
from tests.ledger.sealed_log import KEY, SealedLog

JANUARY, FEBRUARY = date(2018, 1, 1), date(2018, 2, 1)
RETENTION = timedelta(days=2557)


def moment(day: float, first: date = JANUARY) -> datetime:
    return datetime(first.year, first.month, 1, tzinfo=UTC) + timedelta(days=day)


def event_at(when: datetime, tenant: UUID) -> tuple[UUID, str]:
    """An event that the operator would have recorded then."""
    event_id = UUID(int=first_id_at(when).int | 7 << 76 | 8 << 60 | uuid7().int & (1 << 60) - 1)
    actor = Caller(tenant, "", None, "operator", "", str(uuid7()))
    return event_id, canonical_json(envelope(event_id, when, actor, Event(TenantChanged(slug="x")), {}))


@dataclass
class PastLog(SealedLog):
    """Two months of 2018, and then today."""

    steps: list[str] = field(default_factory=list)
    january: list[UUID] = field(default_factory=list)

    @property
    def store(self) -> LocalStore:
        return LocalStore(self.folder / "archives")

    def file(self, month: date = JANUARY) -> Path:
        return self.folder / "archives" / str(self.tenant.id) / f"archive-{month:%Y-%m}"

    async def record(self, *days: float) -> list[UUID]:
        """Records events on these days, counted from the first of January 2018."""
        events = [event_at(moment(day), self.tenant.id) for day in days]
        for event_id, text in events:
            await self.execute(f"insert into audit.event (id, envelope) values ('{event_id}', $${text}$$)")
        return [event_id for event_id, _ in events]

    @asynccontextmanager
    async def archiver(self, stop_at: str = "", retention: timedelta = RETENTION) -> AsyncIterator[Archiver]:
        """An archiver that is interrupted before the step that says `stop_at`."""
        owner = await asyncpg.connect(self.database.owner_url)

        def report(step: str, _done: int, _total: int) -> None:
            self.steps.append(step)
            if stop_at and stop_at in step:
                raise Interrupted(step)

        tenancy = self.service.services.tenancy
        try:
            yield Archiver(owner, tenancy, self.store, str(KEY.verifier_key), retention, report)
        finally:
            await owner.close()

    async def archive(self, stop_at: str = "", *, despite_findings: bool = False) -> list[str]:
        """Archives what is due and returns the months that left."""
        async with self.archiver(stop_at) as archiver:
            await archiver.clear()
            months = await archiver.due()
            for month in months:
                await archiver.archive(month, despite_findings=despite_findings)
        return [f"{month.first:%Y-%m}" for month in months]


class Interrupted(BaseException):
    """As if the process were killed."""


async def begin(log: PastLog, clock: pytest.MonkeyPatch) -> None:
    """Lets the tenant's log begin in 2018; the last event of January is sealed with the first of February."""
    await log.execute(
        f"delete from audit.event where tenant_id = '{log.tenant.id}'",  # of its creation, today
        *(f"select audit.create_partition('{month}')" for month in (JANUARY, FEBRUARY)),
    )
    for days in ([0.5, 3, 9], [20, 25], [30.9999, 31.0001, 31.0002], [40, 45]):
        log.january += (await log.record(*days))[: sum(day < 31 for day in days)]
        with clock.context() as then:
            sealed = moment(days[-1]).timestamp() + 1
            then.setattr("backend.ledger.sealer.time", _clock(sealed))
            await log.seal()
    await keep_text(log, log.january[0])
    log.end = datetime.now(UTC)


def _clock(now: float) -> SimpleNamespace:
    return SimpleNamespace(time=lambda: now, monotonic=time.monotonic)


async def keep_text(log: PastLog, event_id: UUID) -> None:
    """Gives an event of January a text, the key of that text, and a document that it is about."""
    tenant, key = log.tenant.id, uuid7()
    await log.execute(
        f"insert into audit.data_key (tenant_id, id, subject_id, month, wrapped)"
        f" values ('{tenant}', '{key}', '{tenant}', '{JANUARY}', '\\x00')",
        f"insert into audit.payload values ('{tenant}', '{event_id}', 'question', '{key}', '\\x00')",
        f"insert into audit.payload_term values ('{tenant}', 1, '{event_id}', 'question', 'audit:read', 'succeeded')",
        f"insert into audit.event_document values ('{tenant}', 'fees', '{event_id}', 'audit:read', 'succeeded')",
    )


async def rows_of(log: PastLog, tables: Sequence[str]) -> dict[str, int]:
    return {
        table: int(str(await log.fetchval(f"select count(*) from audit.{table} where tenant_id = $1", log.tenant.id)))
        for table in tables
    }
