"""What a sealer does in each round, and how often: by a clock of the test's own, so that nothing waits for a minute."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

import asyncpg
import pytest
from uuid_utils.compat import uuid7

from backend.audit.actions.operation import TenantChanged
from backend.audit.canonical import canonical_json
from backend.audit.events import Event, envelope
from backend.database import Pool, open_pool
from backend.identity.callers.caller import Caller
from backend.ledger import sealer as sealing
from backend.ledger.checkpoints import SigningKey, open_checkpoint, open_kept
from backend.ledger.keyring import Keyring
from backend.ledger.sealer import LeadLost, Sealer
from backend.ledger.sinks import CheckpointsNotKept
from tests.service import Database

pytestmark = pytest.mark.anyio

KEY = SigningKey.generate("affidavit-test")
TENANT = uuid7()


class SteppedTime:
    """Stands in for the module `time`: only `monotonic` is set by hand."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def monotonic(self) -> float:
        return self.now

    @staticmethod
    def time() -> float:
        return time.time()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SteppedTime:
    clock = SteppedTime()
    monkeypatch.setattr(sealing, "time", clock)
    return clock


@pytest.fixture
async def pool(database: Database) -> AsyncIterator[Pool]:
    opened = await open_pool(database.sealer_url, size=4, timeout=5)
    yield opened
    await opened.close()


@pytest.fixture
async def superuser(database: Database) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(database.superuser_url)
    yield connection
    await connection.close()


async def lead(sealer: Sealer, superuser: asyncpg.Connection) -> int:
    """Has a sealer lead, and seal all that waits."""
    await superuser.execute("update audit.sealer set lease_until = '-infinity'")
    epoch = await sealer.take_lead()
    assert epoch is not None
    while (await sealer.seal(epoch)).events:
        pass
    return epoch


def event_of(event_id: UUID, tenant_id: UUID = TENANT) -> tuple[UUID, str]:
    actor = Caller(tenant_id, "", None, "operator", "", str(event_id))
    written = envelope(event_id, datetime.now(UTC), actor, Event(TenantChanged(slug="x")), {})
    return event_id, canonical_json(written)


async def write(superuser: asyncpg.Connection, *event_ids: UUID, tenant_id: UUID = TENANT) -> None:
    await superuser.executemany(
        "insert into audit.event (id, envelope) values ($1, $2)", [event_of(each, tenant_id) for each in event_ids]
    )


async def test_a_quiet_log_is_signed_anew_once_a_minute(
    pool: Pool, superuser: asyncpg.Connection, clock: SteppedTime
) -> None:
    sealer = Sealer(pool, Keyring(KEY))
    epoch = await lead(sealer, superuser)
    assert not (await sealer.seal(epoch)).notes
    clock.now += 59
    assert not (await sealer.seal(epoch)).notes
    clock.now += 1
    before = time.time()
    sealed = await sealer.seal(epoch)
    assert (sealed.events, len(sealed.notes)) == (0, 1)
    signed = open_checkpoint(sealed.notes[0], [KEY.verifier_key]).time / 1000
    assert before - 0.001 <= signed <= time.time()
    assert not (await sealer.seal(epoch)).notes
    await write(superuser, uuid7())
    assert len((await sealer.seal(epoch)).notes) == 2  # the round, and the signed checkpoint of all


async def test_partitions_are_looked_after_once_an_hour(
    pool: Pool, superuser: asyncpg.Connection, clock: SteppedTime
) -> None:
    month = await superuser.fetchval("select to_char(now() + interval '2 months', 'event_YYYY_MM')")
    sealer = Sealer(pool, Keyring(KEY))

    async def is_created_after(seconds: float) -> bool:
        await superuser.execute(f"drop table if exists audit.{month}")
        clock.now += seconds
        await sealer._create_partitions()
        return await superuser.fetchval("select to_regclass('audit.' || $1)", month) is not None

    assert await is_created_after(0)
    assert not await is_created_after(3599)
    assert await is_created_after(1)
    assert not await is_created_after(1)
    clock.now += 3600
    await sealer._create_partitions()


async def test_a_month_without_a_partition_gets_one_as_soon_as_the_log_is_free(
    pool: Pool, superuser: asyncpg.Connection, clock: SteppedTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after months at rest: until then every request is refused, since its event has no place."""
    month = await superuser.fetchval("select date_trunc('month', now() at time zone 'UTC') + interval '2 months'")
    name = f"audit.event_{month:%Y_%m}"
    monkeypatch.setattr(sealing, "datetime", type("Later", (), {"now": lambda _: month}))
    sealer = Sealer(pool, Keyring(KEY))
    await superuser.execute(f"drop table if exists {name}")
    async with superuser.transaction():
        await superuser.execute("lock table audit.event in access share mode")
        await sealer._create_partitions()
    clock.now += 60
    await sealer._create_partitions()
    assert await superuser.fetchval("select to_regclass($1)", name) is not None


class Away:
    """A sink that does not answer."""

    async def publish(self, _notes: Sequence[str]) -> None:
        raise CheckpointsNotKept

    async def since(self, _moment: datetime) -> AsyncIterator[str]:
        raise CheckpointsNotKept
        yield ""


async def test_a_sealer_that_may_not_seal_yet_makes_room_for_the_coming_months(
    pool: Pool, superuser: asyncpg.Connection
) -> None:
    name = await superuser.fetchval("select to_char(now() + interval '2 months', '\"audit.event_\"YYYY_MM')")
    await superuser.execute(f"drop table if exists {name}; update audit.sealer set lease_until = '-infinity'")
    with pytest.raises(CheckpointsNotKept):
        await Sealer(pool, Keyring(KEY), [Away()])._lead()
    assert await superuser.fetchval("select to_regclass($1)", name) is not None


async def test_events_that_came_in_without_the_queue_are_entered_from_the_first_to_the_last_of_each_month(
    pool: Pool, superuser: asyncpg.Connection
) -> None:
    sealer = Sealer(pool, Keyring(KEY))
    await lead(sealer, superuser)
    ids = []
    for row in await superuser.fetch(
        "select right(relname, 7) from pg_inherits join pg_class c on c.oid = inhrelid where inhparent = 'audit.event'::regclass"
    ):
        begin = datetime.strptime(row[0], "%Y_%m").replace(tzinfo=UTC)
        end = (begin + timedelta(days=32)).replace(day=1)
        for moment in (begin, begin + timedelta(days=20), end - timedelta(milliseconds=1)):
            ids.append(UUID(int=(int(moment.timestamp() * 1000) << 80) | (7 << 76) | (2 << 62) | len(ids)))
    await write(superuser, *ids)
    assert len(ids) >= 9
    assert await sealer.enter_unsealed() == 0  # a trigger entered them
    await superuser.execute("delete from audit.unsealed")
    assert await sealer.enter_unsealed() == len(ids)
    assert await sealer.enter_unsealed() == 0
    sealed = await sealer.seal(await lead_again(sealer, superuser))
    assert sealed.events == len(ids)
    assert await sealer.enter_unsealed() == 0


async def test_events_are_entered_though_the_database_ends_the_connection_that_was_to_enter_them(
    pool: Pool, superuser: asyncpg.Connection, database: Database
) -> None:
    sealer, event_id = Sealer(pool, Keyring(KEY)), uuid7()
    await lead(sealer, superuser)
    await write(superuser, event_id)
    await superuser.execute("delete from audit.unsealed")
    await superuser.execute("update audit.sealer set lease_until = '-infinity'")
    locking = await asyncpg.connect(database.superuser_url)
    async with asyncio.timeout(60):
        async with locking.transaction():
            await locking.execute("lock table audit.unsealed in access exclusive mode")
            running = asyncio.create_task(sealer.run())
            while not await superuser.fetchval(
                "select count(pg_terminate_backend(pid)) from pg_stat_activity "
                "where query like '%insert into audit.unsealed%' and wait_event_type = 'Lock'"
            ):
                await asyncio.sleep(0.05)
        while not await superuser.fetchval("select count(*) from audit.leaf where event_id = $1", event_id):
            await asyncio.sleep(0.05)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await locking.close()


async def lead_again(sealer: Sealer, superuser: asyncpg.Connection) -> int:
    await superuser.execute("update audit.sealer set lease_until = '-infinity'")
    epoch = await sealer.take_lead()
    assert epoch is not None
    return epoch


async def test_a_full_batch_says_that_more_may_wait(
    pool: Pool, superuser: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    sealer = Sealer(pool, Keyring(KEY))
    epoch = await lead(sealer, superuser)
    monkeypatch.setattr(sealing, "BATCH_EVENTS", 300)
    await write(superuser, *(uuid7() for _ in range(450)))
    first, second, third = [await sealer.seal(epoch) for _ in range(3)]
    assert [(sealed.events, sealed.more) for sealed in (first, second, third)] == [
        (300, True),
        (150, False),
        (0, False),
    ]


async def test_whoever_finds_the_log_otherwise_than_it_left_it_seals_nothing(
    pool: Pool, superuser: asyncpg.Connection
) -> None:
    for _ in range(6):
        sealer = Sealer(pool, Keyring(KEY))
        epoch = await lead(sealer, superuser)
        await write(superuser, uuid7())
        assert (await Sealer(pool, Keyring(KEY)).seal(epoch)).events == 1
        await write(superuser, uuid7())
        with pytest.raises(LeadLost):
            await sealer.seal(epoch)
        assert await superuser.fetchval("select count(*) from audit.unsealed") == 1


class Sink:
    """Keeps what is published; its first reading fails."""

    def __init__(self) -> None:
        self.published: list[Sequence[str]] = []
        self.readings = 0

    async def publish(self, notes: Sequence[str]) -> None:
        self.published.append(notes)

    async def since(self, moment: datetime) -> AsyncIterator[str]:  # noqa: ARG002 - all that was kept
        self.readings += 1
        if self.readings == 1:
            raise CheckpointsNotKept("away")
        for notes in self.published:
            for note in notes:
                yield note


async def test_a_sealer_waits_for_a_sink_that_it_cannot_read_and_then_publishes_each_round_that_sealed(
    pool: Pool, superuser: asyncpg.Connection
) -> None:
    await lead(Sealer(pool, Keyring(KEY)), superuser)
    await superuser.execute("update audit.sealer set lease_until = '-infinity'")
    sink = Sink()
    running = asyncio.create_task(Sealer(pool, Keyring(KEY), [sink]).run())
    try:
        for expected in (1, 2):
            await write(superuser, uuid7())
            async with asyncio.timeout(120):
                while len(sink.published) < expected and not running.done():
                    await asyncio.sleep(0.02)
        assert sink.readings == 2
        assert all(sink.published)
        kept = [one for notes in sink.published for note in notes for one in open_kept(note, [KEY.verifier_key])]
        sizes = [checkpoint.size for checkpoint in kept if checkpoint.origin == f"affidavit-test/{TENANT}"]
        assert sizes[-1] == await superuser.fetchval("select size from audit.log where tenant_id = $1", TENANT)
        assert len(set(sizes)) == 2
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_what_a_tenant_does_within_half_a_second_shares_a_checkpoint_and_nobody_else_waits_for_it(
    pool: Pool, superuser: asyncpg.Connection, clock: SteppedTime
) -> None:
    await lead(Sealer(pool, Keyring(KEY)), superuser)
    await superuser.execute("update audit.sealer set lease_until = '-infinity'")
    busy = uuid7()
    size = "select coalesce((select size from audit.log where tenant_id = $1), 0)"

    async def sealed(tenant_id: UUID, leaves: int) -> None:
        async with asyncio.timeout(60):
            while await superuser.fetchval(size, tenant_id) != leaves:
                await asyncio.sleep(0.02)

    async def rests_while_somebody_else_is_sealed(leaves: int) -> None:
        other = uuid7()
        await write(superuser, uuid7(), tenant_id=busy)
        await write(superuser, uuid7(), tenant_id=other)
        await sealed(other, 1)
        assert await superuser.fetchval(size, busy) == leaves

    running = asyncio.create_task(Sealer(pool, Keyring(KEY)).run())
    try:
        await write(superuser, uuid7(), tenant_id=busy)
        await sealed(busy, 1)
        await rests_while_somebody_else_is_sealed(1)
        clock.now += 0.4
        await rests_while_somebody_else_is_sealed(1)
        clock.now += 0.2
        await sealed(busy, 3)
        await rests_while_somebody_else_is_sealed(3)
        clock.now += 0.5
        await sealed(busy, 4)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    checkpoints = "select array_agg(size order by id) from audit.checkpoint where tenant_id = $1"
    assert await superuser.fetchval(checkpoints, busy) == [1, 3, 4]


def test_the_times_are_those_that_the_handbook_promises() -> None:
    assert (sealing.INTERVAL_SECONDS, sealing.REST_SECONDS, sealing.LEASE_SECONDS, sealing.HALT_SECONDS) == (
        0.3,
        0.5,
        5.0,
        5.0,
    )
    assert (sealing.HEARTBEAT_SECONDS, sealing.PARTITIONS_SECONDS, sealing.BATCH_EVENTS) == (60.0, 3600.0, 10_000)
