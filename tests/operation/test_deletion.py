"""When its grace is over, nothing of a tenant is left but its sealed record, and nobody else loses a row."""

import json
import zipfile
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from backend.errors import Conflict
from backend.operation import deletion, placement
from backend.operation.export import export
from backend.operation.tenants import Tenants
from tests.service import Database, Service, Tenant

pytestmark = pytest.mark.anyio

CHUNK = {"doc_id": "pol-1", "chunk_text": "Wires leave before noon.", "source_type": "policy", "metadata": {}}
# The sealed record, what is known to be lost of it, and which of its events are still to be sealed.
RECORD = ("event", "event_document", "log", "leaf", "node", "checkpoint", "archive", "declaration", "unsealed")
KEPT = {f"audit.{table}" for table in RECORD}


async def rows_by_table(database: Database, tenant_id: UUID) -> dict[str, int]:
    """Counts a tenant's rows in every table that has any, as a superuser, whom no policy keeps from seeing them."""
    connection = await asyncpg.connect(database.superuser_url)
    tables = await connection.fetch(
        """
        select c.oid::regclass::text as name from pg_class c join pg_attribute a on a.attrelid = c.oid
        where a.attname = 'tenant_id' and c.relkind in ('r', 'p') and not c.relispartition order by 1
        """
    )
    counts = {
        row["name"]: await connection.fetchval(f"select count(*) from {row['name']} where tenant_id = $1", tenant_id)
        for row in tables
    }
    await connection.close()
    return {name: count for name, count in counts.items() if count}


async def fill(service: Service, tenant: Tenant) -> None:
    assert (await service.post("/ingest", tenant, "editor", CHUNK)).status_code == 201
    assert (await service.post("/answer", tenant, "analyst", {"question": "When do wires leave?"})).status_code == 200
    assert (await service.get("/auth/me", tenant, "partner")).status_code == 200


async def give_domain(service: Service, tenant: Tenant) -> None:
    async with service.operator() as acting:
        await Tenants(acting.connection).add_domain(tenant.slug, f"{tenant.slug}.example")


async def delete(service: Service, tenant: Tenant, grace: timedelta) -> None:
    async with service.operator() as acting:
        await Tenants(acting.connection).delete(tenant.slug, grace)


async def purge_all(database: Database) -> list[str]:
    owner = await asyncpg.connect(database.owner_url)
    try:
        purged = await deletion.purgeable(owner)
        for tenant_id, slug in purged:
            await deletion.purge(database.owner_url, owner, tenant_id, slug)
    finally:
        await owner.close()
    return [slug for _, slug in purged]


async def test_a_purged_tenant_leaves_only_its_record_and_no_other_tenant_loses_anything(
    service: Service, other_tenant: Tenant
) -> None:
    tenant = await service.create_tenant()
    for each in (tenant, other_tenant):
        await fill(service, each)
    await placement.promote(service.database.owner_url, tenant.id, lambda *_: None)
    before, others = [await rows_by_table(service.database, each.id) for each in (tenant, other_tenant)]
    assert {"documents.chunk", 'identity."user"', "audit.payload"} <= before.keys()
    await delete(service, tenant, timedelta())
    assert await purge_all(service.database) == [tenant.slug]
    after = await rows_by_table(service.database, tenant.id)
    assert after.keys() <= KEPT
    assert after["audit.event"] > before["audit.event"]
    assert await rows_by_table(service.database, other_tenant.id) == others
    connection = await asyncpg.connect(service.database.superuser_url)
    assert await connection.fetchval("select count(*) from tenancy.tenant where id = $1", tenant.id) == 0
    recorded = await connection.fetch(
        "select envelope from audit.event where envelope::jsonb ->> 'deleted' = $1", str(tenant.id)
    )
    await connection.close()
    assert [json.loads(row["envelope"])["slug"] for row in recorded] == [tenant.slug]


async def test_a_tenant_is_not_purged_while_its_grace_runs_or_after_it_was_resumed(service: Service) -> None:
    tenant = await service.create_tenant()
    await delete(service, tenant, timedelta(hours=1))
    assert await purge_all(service.database) == []
    async with service.operator() as acting:
        await Tenants(acting.connection).resume(tenant.slug)
    assert await purge_all(service.database) == []
    assert (await service.get("/auth/me", tenant, "partner")).status_code == 200


async def test_the_database_lets_its_owner_delete_nothing_of_a_tenant_whose_grace_runs(service: Service) -> None:
    tenant = await service.create_tenant()
    await fill(service, tenant)
    await delete(service, tenant, timedelta(hours=1))
    before = await rows_by_table(service.database, tenant.id)
    owner = await asyncpg.connect(service.database.owner_url)
    for table in ("audit.payload", "identity.refresh_token", "documents.version"):
        assert await owner.execute(f"delete from {table} where tenant_id = $1", tenant.id) == "DELETE 0"
    with pytest.raises(Conflict):
        await deletion.purge(service.database.owner_url, owner, tenant.id, tenant.slug)
    await owner.close()
    assert await rows_by_table(service.database, tenant.id) == before


async def as_superuser(database: Database, statement: str, *arguments: Any) -> None:
    connection = await asyncpg.connect(database.superuser_url)
    await connection.execute(statement, *arguments)
    await connection.close()


async def test_texts_stay_until_their_retention_is_over_and_everything_else_goes_at_once(service: Service) -> None:
    tenant = await service.create_tenant()
    await fill(service, tenant)
    await as_superuser(
        service.database,
        "insert into audit.retention (tenant_id, id, event_class, days, set_by) values ($1, $1, 'answer', 1, $1)",
        tenant.id,
    )
    await delete(service, tenant, timedelta())
    assert await purge_all(service.database) == [tenant.slug]
    left = await rows_by_table(service.database, tenant.id)
    assert left.keys() - KEPT == {"audit.payload", "audit.payload_term", "audit.data_key", "audit.retention"}
    await as_superuser(service.database, "update audit.retention set days = 0 where tenant_id = $1", tenant.id)
    assert await purge_all(service.database) == [tenant.slug]
    assert (await rows_by_table(service.database, tenant.id)).keys() <= KEPT
    assert await purge_all(service.database) == []


async def test_nothing_of_a_tenant_is_purged_while_a_hold_applies(service: Service) -> None:
    tenant = await service.create_tenant()
    await fill(service, tenant)
    held = await service.post("/audit/holds", tenant, "compliance", {"reason": "Litigation 2026-17"})
    assert held.status_code == 201, held.text
    await delete(service, tenant, timedelta())
    before = await rows_by_table(service.database, tenant.id)
    assert await purge_all(service.database) == []
    assert await rows_by_table(service.database, tenant.id) == before
    await as_superuser(service.database, "update audit.hold set released_at = now() where tenant_id = $1", tenant.id)
    assert await purge_all(service.database) == [tenant.slug]


async def test_every_table_with_rows_of_tenants_is_purged_or_named_as_kept(service: Service) -> None:
    connection = await asyncpg.connect(service.database.owner_url)
    tables = await connection.fetch(
        """
        select c.oid::regclass::text as name from pg_class c join pg_attribute a on a.attrelid = c.oid
        where a.attname = 'tenant_id' and c.relkind in ('r', 'p') and not c.relispartition
        """
    )
    order = await deletion.deletion_order(connection)
    await connection.close()
    assert {row["name"] for row in tables} == set(order) | KEPT
    assert order.index("identity.refresh_token") < order.index("identity.session") < order.index('identity."user"')


async def test_an_export_holds_all_that_a_tenant_may_read_and_nothing_of_others(
    service: Service, other_tenant: Tenant, tmp_path: Path
) -> None:
    tenant = await service.create_tenant()
    await fill(service, tenant)
    await fill(service, other_tenant)
    await give_domain(service, tenant)
    owner = await asyncpg.connect(service.database.owner_url)
    target = tmp_path / "export.zip"
    rows = await export(owner, service.services.tenancy, await Tenants(owner).get(tenant.slug), target)
    await owner.close()
    everything = await rows_by_table(service.database, tenant.id)
    for table in (
        "documents.chunk",
        "documents.version",
        "identity.api_key",
        'identity."user"',
        "documents.collection",
    ):
        assert rows[table] == everything[table]
    with zipfile.ZipFile(target) as archive:
        text = "\n".join(archive.read(name).decode() for name in archive.namelist())
        assert json.loads(archive.read("manifest.json"))["domains"] == [f"{tenant.slug}.example"]
        chunks = [json.loads(line) for line in archive.read("documents.chunk.jsonl").splitlines()]
    assert [chunk["text"] for chunk in chunks] == [CHUNK["chunk_text"]]
    assert str(other_tenant.id) not in text
    assert "$argon2" not in text
    assert any(e["event"].get("exported") for e in await service.events(tenant))
