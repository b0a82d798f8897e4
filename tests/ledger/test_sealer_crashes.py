"""A sealer that is killed again and again loses nothing, seals nothing twice and signs no wrong root."""

import asyncio
import os
import random
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID

import asyncpg
import pytest
from uuid_utils.compat import uuid7

from backend.database import open_pool
from backend.ledger.checkpoints import Checkpoint, open_checkpoint, open_kept
from backend.ledger.keyring import Keyring
from backend.ledger.merkle import Frontier, leaf_hash
from backend.ledger.rounds import entry_of, head_of
from backend.ledger.sealer import META_LOG, Sealer
from backend.ledger.sinks import CheckpointFolder
from backend.ledger.verifier import notes_in
from tests.ledger.test_sealer import KEY, expire_lease, new_event, seal_everything
from tests.service import Database

pytestmark = pytest.mark.anyio

KILLS = 5
TENANTS = [uuid7() for _ in range(3)]


@asynccontextmanager
async def sealers(database: Database, folder: Path) -> AsyncIterator[list[asyncio.subprocess.Process]]:
    """Sealers in processes of their own; what is left of them at the end is killed as well."""
    # Not measured for coverage: who is killed writes nothing down.
    unmeasured = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
    environment = unmeasured | {
        "AFFIDAVIT_SEALER_DATABASE_URL": database.sealer_url, "AFFIDAVIT_CHECKPOINT_KEY": KEY.pem().decode(),
        "AFFIDAVIT_CHECKPOINT_KEY_NAME": KEY.name, "AFFIDAVIT_CHECKPOINT_FOLDER": str(folder),
        "AFFIDAVIT_LOG_LEVEL": "ERROR",
    }  # fmt: skip
    started = [
        await asyncio.create_subprocess_exec(sys.executable, "-m", "backend", "sealer", env=environment)
        for _ in range(KILLS + 1)
    ]
    try:
        yield started
    finally:
        for process in started:
            if process.returncode is None:
                process.kill()
            await process.wait()


async def write(database: Database, written: set[UUID]) -> None:
    """Writes transactions of many events until cancelled."""
    connection = await asyncpg.connect(database.owner_url)
    try:
        while True:
            events = [new_event(tenant) for tenant in TENANTS for _ in range(8)]
            await connection.execute(
                "insert into audit.event (id, envelope) select * from unnest($1::uuid[], $2::text[])",
                *map(list, zip(*events, strict=True)),
            )
            written.update(event_id for event_id, _ in events)
            await asyncio.sleep(0.03)
    finally:
        connection.terminate()


async def kill_the_leader(
    superuser: asyncpg.Connection, database: Database, running: dict[int, asyncio.subprocess.Process]
) -> None:
    """Waits until one of the sealers leads, and kills it somewhere in its next rounds."""
    while True:
        await expire_lease(database)
        for _ in range(40):
            holder = await superuser.fetchval("select holder from audit.sealer where lease_until > now()")
            if holder and (process := running.pop(int(holder.split(":")[1]), None)):
                await asyncio.sleep(random.uniform(0.0, 0.7))
                process.kill()
                await process.wait()
                return
            await asyncio.sleep(0.05)


@pytest.mark.servers
async def test_sealers_killed_at_random_moments_lose_nothing_and_leave_every_root_right(
    database: Database, tmp_path: Path
) -> None:
    folder = tmp_path / "kept"
    superuser = await asyncpg.connect(database.superuser_url)
    written: set[UUID] = set()
    async with sealers(database, folder) as started:
        running = {process.pid: process for process in started}
        writer = asyncio.create_task(write(database, written))
        for _ in range(KILLS):
            await kill_the_leader(superuser, database, running)
        writer.cancel()
        await asyncio.gather(writer, return_exceptions=True)
        stored = {
            row["id"] for row in await superuser.fetch("select id from audit.event where tenant_id = any ($1)", TENANTS)
        }
        await expire_lease(database)
        await until_sealed(superuser, len(stored))
        await until_published(superuser, folder)
        (last,) = running.values()
        last.terminate()
        await last.wait()

    assert written <= stored
    kept = kept_in(folder)
    rows = await superuser.fetch("select note from audit.checkpoint")
    published = {open_checkpoint(row["note"], [KEY.verifier_key]) for row in rows}
    assert kept <= published
    # A kill between sealing and publishing costs one round of notes at most.
    assert len(published - kept) <= KILLS * (len(TENANTS) + 1)
    for log in (*TENANTS, META_LOG):
        assert open_checkpoint(await every_root_is_right(superuser, log), [KEY.verifier_key]) in kept
    sealed = [
        row["event_id"]
        for row in await superuser.fetch("select event_id from audit.leaf where tenant_id = any ($1)", TENANTS)
    ]
    assert len(sealed) == len(set(sealed))
    assert set(sealed) == stored
    await superuser.close()


async def until_sealed(superuser: asyncpg.Connection, events: int) -> None:
    count = "select count(*) from audit.leaf where tenant_id = any ($1)"
    while await superuser.fetchval(count, TENANTS) < events:
        await asyncio.sleep(0.05)


async def until_published(superuser: asyncpg.Connection, folder: Path) -> None:
    newest = "select distinct on (tenant_id) note from audit.checkpoint order by tenant_id, id desc"
    async with asyncio.timeout(120):
        while not {head_of(row["note"]) for row in await superuser.fetch(newest)} <= kept_in(folder):
            await asyncio.sleep(0.1)


def kept_in(folder: Path) -> set[Checkpoint]:
    return {checkpoint for note in notes_in(folder) for checkpoint in open_kept(note, [KEY.verifier_key])}


async def test_a_new_leader_publishes_what_the_last_one_did_not(database: Database, tmp_path: Path) -> None:
    pool = await open_pool(database.sealer_url, size=2, timeout=5)
    superuser = await asyncpg.connect(database.superuser_url)
    await superuser.execute("insert into audit.event (id, envelope) values ($1, $2)", *new_event(TENANTS[0]))
    await seal_everything(Sealer(pool, Keyring(KEY)), database)
    unpublished = await superuser.fetchval(
        "select note from audit.checkpoint where tenant_id = $1 order by id desc limit 1", TENANTS[0]
    )
    await expire_lease(database)
    leading = asyncio.create_task(Sealer(pool, Keyring(KEY), [CheckpointFolder(tmp_path)]).run())
    async with asyncio.timeout(120):
        while unpublished not in set(notes_in(tmp_path)):
            await asyncio.sleep(0.05)
    leading.cancel()
    await asyncio.gather(leading, return_exceptions=True)
    await superuser.close()
    await pool.close()


async def every_root_is_right(superuser: asyncpg.Connection, log: UUID) -> str:
    """Grows the log anew, holds each of its checkpoints against it, and returns the last one."""
    leaves = await superuser.fetch(
        "select l.index, l.hash, coalesce(e.envelope, c.note) as entry from audit.leaf l"
        " left join audit.event e on e.tenant_id = l.tenant_id and e.id = l.event_id"
        " left join audit.checkpoint c on l.tenant_id = $2 and c.id = l.event_id and c.tenant_id = any ($3)"
        " where l.tenant_id = $1 order by l.index",
        log, META_LOG, TENANTS,
    )  # fmt: skip
    assert [row["index"] for row in leaves] == list(range(len(leaves)))
    notes = await superuser.fetch("select size, note from audit.checkpoint where tenant_id = $1 order by id", log)
    grown, unchecked = Frontier(), list(notes)
    for leaf in [*leaves, None]:
        while unchecked and unchecked[0]["size"] == grown.size:
            assert open_checkpoint(unchecked.pop(0)["note"], [KEY.verifier_key]).root == grown.root()
        if leaf is not None:
            assert bytes(leaf["hash"]) == leaf_hash(entry_of(leaf["entry"]))
            grown.append(bytes(leaf["hash"]))
    assert not unchecked
    last: str = notes[-1]["note"]
    return last
