"""A log that moves to another server, by a dump or by replication, goes on there: nothing lost, nothing twice, one history."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import asyncpg
import pytest

from backend.database import open_pool
from backend.embedded_postgres import EmbeddedPostgres
from backend.ledger.checkpoints import open_checkpoint
from backend.ledger.keyring import Keyring
from backend.ledger.sealer import Sealer
from backend.ledger.verifier import Report
from tests.ledger.sealed_log import KEY, SealedLog
from tests.ledger.servers import migrated, run, server
from tests.ledger.test_sealer import leaves_of, new_event, seal_everything
from tests.service import Database, Secrets, Service, Tenant, running, sealing_to, settings_for

pytestmark = pytest.mark.anyio

LOG_TABLES = ("event", "leaf", "node", "checkpoint", "log", "unsealed", "payload", "data_key")


async def executed(url: str, *statements: str) -> None:
    connection = await asyncpg.connect(url)
    for statement in statements:
        await connection.execute(statement)
    await connection.close()


async def fetched(url: str, statement: str, *arguments: object) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(url)
    rows = await connection.fetch(statement, *arguments)
    await connection.close()
    return list(rows)


async def seal_all(database: Database) -> None:
    pool = await open_pool(database.sealer_url, size=2, timeout=5)
    sealer = Sealer(pool, Keyring(KEY))
    await sealer.enter_unsealed()
    await seal_everything(sealer, database)
    await pool.close()


async def written(database: Database, tenant: UUID, count: int) -> set[UUID]:
    events = [new_event(tenant) for _ in range(count)]
    connection = await asyncpg.connect(database.owner_url)
    for event in events:
        await connection.execute("insert into audit.event (id, envelope) values ($1, $2)", *event)
    await connection.close()
    return {event_id for event_id, _ in events}


async def verified(
    database: Database, run_secrets: Secrets, home: Path, folder: Path, tenant: Tenant, *kept: str
) -> Report:
    sealed = open_checkpoint(await newest_note(database, tenant.id), [KEY.verifier_key]).time
    async with running(settings_for(database, run_secrets, home), database) as service:
        log = SealedLog(service, tenant, database, folder, end=datetime.fromtimestamp(sealed / 1000, UTC))
        return await log.verify(*kept)


async def newest_note(database: Database, tenant: UUID) -> str:
    rows = await fetched(
        database.superuser_url,
        "select note from audit.checkpoint where tenant_id = $1 order by id desc limit 1",
        tenant,
    )
    return str(rows[0]["note"])


async def found_by_watermark(database: Database, tenant: UUID, carried_over: str) -> set[UUID]:
    """What a sealer would find that goes by the transaction ids of the server that the database came from."""
    rows = await fetched(
        database.superuser_url,
        "select id from audit.event where tenant_id = $1 and xid > $2::text::xid8 and xid < pg_snapshot_xmin(pg_current_snapshot())",
        tenant, carried_over,
    )  # fmt: skip
    return {row["id"] for row in rows}


@pytest.mark.servers
async def test_a_restored_dump_seals_what_was_waiting_and_what_comes(
    service: Service, tenant: Tenant, database: Database, run_secrets: Secrets, model_home: Path, tmp_path: Path
) -> None:
    await executed(
        database.superuser_url,
        "create procedure burn() language plpgsql as 'begin for i in 1..5000 loop perform pg_current_xact_id(); commit; end loop; end'",
        "call burn()",
        "drop procedure burn",
    )  # the new server has counted less far
    await service.events(tenant)
    await seal_all(database)
    kept = await newest_note(database, tenant.id)
    ((carried_over,),) = await fetched(database.superuser_url, "select max(xid)::text from audit.event")
    waiting = await written(database, tenant.id, 3)
    run("pg_dump", "--format=custom", f"--file={tmp_path / 'dump'}", database.superuser_url)
    with server() as other:
        await executed(other.url("postgres", other.passwords.superuser, "postgres"), "create database restored")
        restored = Database(**other.urls("restored"))
        run("pg_restore", "--exit-on-error", f"--dbname={restored.superuser_url}", str(tmp_path / "dump"))
        new = await written(restored, tenant.id, 5)
        await seal_all(restored)
        leaves = [row["event_id"] for row in await leaves_of(restored, tenant.id)]
        assert len(leaves) == len(set(leaves))
        assert waiting | new <= set(leaves)
        # The negative control: transaction ids tell nothing here.
        assert not await found_by_watermark(restored, tenant.id, carried_over) & new
        report = await verified(restored, run_secrets, model_home, tmp_path, tenant, kept)
        assert report.ok, list(report.lines())
        assert "OK      history: agrees with 1 kept checkpoints" in report.lines()


async def test_events_that_came_without_a_place_in_the_queue_are_sealed_all_the_same(
    service: Service, tenant: Tenant, database: Database
) -> None:
    """As after the migration that makes the queue, or after a copy of the events alone."""
    await seal_all(database)
    events = await written(database, tenant.id, 3)
    await executed(database.superuser_url, "delete from audit.unsealed")
    await seal_all(database)
    leaves = [row["event_id"] for row in await leaves_of(database, tenant.id)]
    assert events <= set(leaves)
    assert len(leaves) == len(set(leaves))


async def test_an_event_that_is_queued_and_has_its_leaf_is_taken_for_sealed(tenant: Tenant, database: Database) -> None:
    events = await written(database, tenant.id, 2)
    await seal_all(database)
    before = await leaves_of(database, tenant.id)
    await executed(
        database.superuser_url,
        *(f"insert into audit.unsealed (tenant_id, event_id) values ('{tenant.id}', '{event}')" for event in events),
    )
    await seal_all(database)
    assert await leaves_of(database, tenant.id) == before
    assert await fetched(database.superuser_url, "select from audit.unsealed") == []


async def until(url: str, condition: str, *arguments: object) -> None:
    async with asyncio.timeout(60):
        while not (await fetched(url, f"select {condition}", *arguments))[0][0]:
            await asyncio.sleep(0.1)


async def replicated(source: EmbeddedPostgres, target: Database, tenant: UUID) -> None:
    """Begins to move the log of a tenant."""
    tables = ", ".join(f"audit.{table} where (tenant_id = '{tenant}')" for table in LOG_TABLES)
    await executed(
        source.urls()["superuser_url"],
        f"create publication moved for table {tables} with (publish_via_partition_root = true)",
    )
    await executed(
        target.superuser_url,
        f"create subscription moved connection '{source.urls()['superuser_url']}' publication moved"
        " with (run_as_owner = true)",
    )


ALL_COPIED = "count(*) filter (where srsubstate <> 'r') = 0 and count(*) > 0 from pg_subscription_rel"


@pytest.mark.servers
async def test_a_tenant_that_is_moved_while_both_servers_seal_keeps_one_history(
    run_secrets: Secrets, model_home: Path, tmp_path: Path
) -> None:
    with server(wal_level="logical") as source, server() as target:
        old, new = await migrated(source, run_secrets), await migrated(target, run_secrets)
        async with running(settings_for(old, run_secrets, model_home), old) as service:
            tenant = await service.create_tenant()
        async with running(settings_for(new, run_secrets, model_home), new) as service:
            neighbour = await service.create_tenant()
        async with sealing_to(new, KEY):
            async with sealing_to(old, KEY):
                await replicated(source, new, tenant.id)
                events: set[UUID] = set()
                for _ in range(10):
                    events |= await written(old, tenant.id, 5)
                    await asyncio.sleep(0.1)
                await until(new.superuser_url, ALL_COPIED)
                events |= await written(old, tenant.id, 20)
                await until(old.superuser_url, "count(*) = 0 from audit.unsealed")
            kept = await newest_note(old, tenant.id)
            events |= await written(old, tenant.id, 7)  # nobody is left who would seal them there
            count = len(await fetched(old.superuser_url, "select from audit.event where tenant_id = $1", tenant.id))
            await until(new.superuser_url, "count(*) = $1 from audit.event where tenant_id = $2", count, tenant.id)
            await asyncio.sleep(1.5)
            assert await leaves_of(new, tenant.id) == await leaves_of(old, tenant.id)  # left to where they come from
            await executed(new.superuser_url, "drop subscription moved")
            events |= await written(new, tenant.id, 3)
            await until(new.superuser_url, "count(*) = 0 from audit.unsealed")
        leaves = [row["event_id"] for row in await leaves_of(new, tenant.id)]
        assert len(leaves) == len(set(leaves))
        assert events <= set(leaves)
        assert [row["event_id"] for row in await leaves_of(old, tenant.id)] == leaves[: -(7 + 3)]
        report = await verified(new, run_secrets, model_home, tmp_path, tenant, kept)
        assert report.ok, list(report.lines())
        assert await leaves_of(new, neighbour.id)
