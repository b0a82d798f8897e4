"""Sealing under concurrent writers, competing leaders and crashes: nothing lost, nothing twice, every proof holds."""

import asyncio
import base64
import random
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from uuid import UUID

import asyncpg
import pytest
from uuid_utils.compat import uuid7

from backend.audit.actions.operation import TenantChanged
from backend.audit.canonical import canonical_json
from backend.audit.events import Event, envelope
from backend.database import Pool, open_pool
from backend.identity.callers.caller import Caller
from backend.ledger.checkpoints import Checkpoint, SigningKey, open_checkpoint, sign_checkpoint
from backend.ledger.keyring import Keyring
from backend.ledger.merkle import leaf_hash
from backend.ledger.rounds import entry_of
from backend.ledger.sealer import META_LOG, LeadLost, Sealer
from tests.ledger.rfc9162 import root_hash, verify_consistency, verify_inclusion
from tests.service import Database, Service, Tenant

pytestmark = pytest.mark.anyio

KEY = SigningKey.generate("affidavit-test")


@pytest.fixture
async def pool(database: Database) -> AsyncIterator[Pool]:
    opened = await open_pool(database.sealer_url, size=4, timeout=5)
    yield opened
    await opened.close()


async def seal_everything(sealer: Sealer, database: Database) -> int:
    await expire_lease(database)
    epoch = await sealer.take_lead()
    assert epoch is not None
    sealed = 0
    while (sealing := await sealer.seal(epoch)).events:
        sealed += sealing.events
    return sealed


def new_event(tenant: UUID) -> tuple[UUID, str]:
    actor = Caller(tenant, "", None, "operator", "", str(uuid7()))
    event_id = uuid7()
    event = Event(TenantChanged(slug="x" * 40))
    return event_id, canonical_json(envelope(event_id, datetime.now(UTC), actor, event, {}))


async def leaves_of(database: Database, tenant: UUID) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(database.superuser_url)
    rows = await connection.fetch(
        "select l.index, l.event_id, l.hash, e.envelope from audit.leaf l left join audit.event e"
        " on e.tenant_id = l.tenant_id and e.id = l.event_id where l.tenant_id = $1 order by index",
        tenant,
    )
    await connection.close()
    return list(rows)


async def write_in_random_commit_order(
    database: Database, tenants: list[UUID], *, writers: int, each: int
) -> set[UUID]:
    """Writers whose transactions overlap, so that ids, transaction ids and commits come in different orders."""
    written: set[UUID] = set()

    async def writer(seed: int) -> None:
        chance = random.Random(seed)
        connection = await asyncpg.connect(database.owner_url)
        for _ in range(each):
            async with connection.transaction():
                event_id, text = new_event(chance.choice(tenants))
                await connection.execute("insert into audit.event (id, envelope) values ($1, $2)", event_id, text)
                await asyncio.sleep(chance.random() * 0.02)
            written.add(event_id)
        await connection.close()

    await asyncio.gather(*(writer(seed) for seed in range(writers)))
    return written


async def test_three_competing_sealers_lose_no_event_of_32_writers_and_seal_none_twice(
    database: Database, pool: Pool
) -> None:
    tenants = [uuid7() for _ in range(3)]
    sealers = [Sealer(pool, Keyring(KEY)) for _ in range(3)]
    tasks = [asyncio.create_task(sealer.run()) for sealer in sealers]
    seen: set[UUID] = set()
    naive = asyncio.create_task(naive_cursor(database, tenants, seen))
    late = await written_behind_the_cursor(database, tenants[0], seen)
    written = late | await write_in_random_commit_order(database, tenants, writers=32, each=15)
    for task in (*tasks, naive):
        task.cancel()
    await asyncio.gather(*tasks, naive, return_exceptions=True)
    await seal_everything(Sealer(pool, Keyring(KEY)), database)

    sealed = [row["event_id"] for tenant in tenants for row in await leaves_of(database, tenant)]
    assert len(sealed) == len(set(sealed))
    assert set(sealed) == written
    assert written - seen  # the negative control: this test can tell a bad cursor


async def written_behind_the_cursor(database: Database, tenant: UUID, seen: set[UUID]) -> set[UUID]:
    """Two events, of which the first commits after the naive cursor has seen the second."""
    first, second = new_event(tenant), new_event(tenant)
    statement = "insert into audit.event (id, envelope) values ($1, $2)"
    slow, quick = await asyncpg.connect(database.owner_url), await asyncpg.connect(database.owner_url)
    async with asyncio.timeout(60), slow.transaction():
        await slow.execute(statement, *first)
        await quick.execute(statement, *second)
        while second[0] not in seen:
            await asyncio.sleep(0.005)
    await slow.close()
    await quick.close()
    return {first[0], second[0]}


async def naive_cursor(database: Database, tenants: list[UUID], seen: set[UUID]) -> None:
    """Adds what a sealer with `id > last` would see."""
    connection = await asyncpg.connect(database.superuser_url)
    last = UUID(int=0)
    try:
        while True:
            rows = await connection.fetch(
                "select id from audit.event where id > $1 and tenant_id = any ($2::uuid[]) order by id", last, tenants
            )
            seen.update(row["id"] for row in rows)
            last = max([last, *(row["id"] for row in rows)])
            await asyncio.sleep(0.005)
    finally:
        connection.terminate()


async def test_leaves_hash_the_stored_envelopes_and_checkpoints_commit_to_them(
    service: Service, tenant: Tenant, database: Database, pool: Pool
) -> None:
    await service.get("/audit/events", tenant, "compliance")
    await seal_everything(Sealer(pool, Keyring(KEY)), database)
    leaves = await leaves_of(database, tenant.id)
    assert [row["index"] for row in leaves] == list(range(len(leaves)))
    assert all(bytes(row["hash"]) == leaf_hash(row["envelope"].encode()) for row in leaves)
    superuser = await asyncpg.connect(database.superuser_url)
    notes = await superuser.fetch("select size, note from audit.checkpoint where tenant_id = $1", tenant.id)
    metas = await superuser.fetch("select note from audit.checkpoint where tenant_id = $1 order by id", META_LOG)
    entries = await superuser.fetch("select hash from audit.leaf where tenant_id = $1 order by index", META_LOG)
    await superuser.close()
    for row in notes:
        checkpoint = open_checkpoint(row["note"], [KEY.verifier_key])
        assert checkpoint.origin == f"affidavit-test/{tenant.id}"
        assert checkpoint.root == root_hash(bytes(leaf["hash"]) for leaf in leaves[: row["size"]])
    assert leaf_hash(entry_of(notes[-1]["note"])) in {bytes(entry["hash"]) for entry in entries}
    newest = open_checkpoint(metas[-1]["note"], [KEY.verifier_key])
    assert (newest.size, newest.root) == (len(entries), root_hash(bytes(entry["hash"]) for entry in entries))


async def test_a_leader_that_was_replaced_can_seal_nothing_more(database: Database, pool: Pool) -> None:
    await expire_lease(database)
    old, new = Sealer(pool, Keyring(KEY)), Sealer(pool, KEY)
    epoch = await old.take_lead()
    assert epoch is not None
    assert await new.take_lead() is None
    await expire_lease(database)
    assert await new.take_lead() == epoch + 1
    with pytest.raises(LeadLost):
        await old.seal(epoch)


async def expire_lease(database: Database) -> None:
    connection = await asyncpg.connect(database.superuser_url)
    await connection.execute("update audit.sealer set lease_until = now() - interval '1 second'")
    await connection.close()


async def test_proofs_from_the_api_verify_against_the_signed_checkpoint(
    service: Service, tenant: Tenant, database: Database, pool: Pool
) -> None:
    sealer = Sealer(pool, Keyring(KEY))
    await seal_everything(sealer, database)
    first = (await service.get("/audit/checkpoint", tenant, "compliance")).json()
    for _ in range(5):
        events = await service.events(tenant)
    await seal_everything(sealer, database)

    answer = await service.get(f"/audit/events/{events[-1]['id']}/proof", tenant, "compliance")
    assert answer.status_code == 200, answer.text
    proof = answer.json()
    checkpoint = open_checkpoint(proof["checkpoint"], [KEY.verifier_key])
    path = [bytes.fromhex(element) for element in proof["proof"]]
    hashed = leaf_hash(proof["envelope"].encode())
    assert proof["leaf_hash"] == hashed.hex()
    assert verify_inclusion(hashed, proof["leaf_index"], proof["tree_size"], path, checkpoint.root)
    assert not verify_inclusion(leaf_hash(b"{}"), proof["leaf_index"], proof["tree_size"], path, checkpoint.root)

    older = open_checkpoint(first["checkpoint"], [KEY.verifier_key])
    grown = await service.get("/audit/consistency", tenant, "compliance", **{"from": older.size})
    body = grown.json()
    newer = open_checkpoint(body["second_checkpoint"], [KEY.verifier_key])
    assert newer.size > older.size
    path = [bytes.fromhex(element) for element in body["proof"]]
    assert verify_consistency(older.size, newer.size, older.root, newer.root, path)


async def test_another_tenants_event_has_no_proof_for_this_one(
    service: Service, tenant: Tenant, other_tenant: Tenant
) -> None:
    foreign = (await service.events(other_tenant))[0]["id"]
    for event_id in (foreign, str(uuid7())):
        answer = await service.get(f"/audit/events/{event_id}/proof", tenant, "compliance")
        assert answer.status_code == 404
    too_far = await service.get("/audit/consistency", tenant, "compliance", **{"from": 10_000_000})
    assert too_far.status_code == 422


async def test_a_sealer_makes_room_for_the_coming_months_walled_like_the_others(database: Database, pool: Pool) -> None:
    superuser = await asyncpg.connect(database.superuser_url)
    month = await superuser.fetchval("select to_char(now() + interval '2 months', 'event_YYYY_MM')")
    await superuser.execute(f"drop table audit.{month}")
    await expire_lease(database)
    sealer = asyncio.create_task(Sealer(pool, Keyring(KEY)).run())
    async with asyncio.timeout(120):
        while await superuser.fetchval("select to_regclass('audit.' || $1)", month) is None:
            await asyncio.sleep(0.05)
    sealer.cancel()
    await asyncio.gather(sealer, return_exceptions=True)
    walls = await superuser.fetchrow(
        "select relrowsecurity and relforcerowsecurity as forced,"
        " (select array_agg(tgname::text order by tgname) from pg_trigger where tgrelid = c.oid and tgenabled = 'A') as triggers"
        " from pg_class c where oid = ('audit.' || $1)::regclass",
        month,
    )
    assert walls is not None
    assert walls["forced"]
    assert walls["triggers"] == ["no_change", "no_truncate"]
    await superuser.close()
    sealing = await asyncpg.connect(database.sealer_url)
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await sealing.execute("select audit.create_partition('2090-01-01')")
    await sealing.close()


async def test_nobody_can_change_a_sealed_leaf_or_checkpoint(database: Database) -> None:
    for url in (database.sealer_url, database.owner_url, database.superuser_url):
        connection = await asyncpg.connect(url)
        for table in ("leaf", "node", "checkpoint"):
            for statement in (f"delete from audit.{table}", f"truncate audit.{table}"):
                with pytest.raises(asyncpg.InsufficientPrivilegeError):
                    await connection.execute(statement)
        await connection.close()


def test_a_note_is_what_the_c2sp_specification_says() -> None:
    note = sign_checkpoint(Checkpoint("affidavit-test/x", 0, root_hash([]), 1), KEY)
    origin, size, root, *_ = note.split("\n")
    assert (origin, size, len(base64.b64decode(root))) == ("affidavit-test/x", "0", 32)
