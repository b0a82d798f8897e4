"""What the directory says goes: for who signs in, for processes that start, and for the operator's commands."""

import json

import asyncpg
import pytest

from backend.cells.known import DirectoryUnknown
from backend.operation import deletion
from backend.operation.tenants import Tenants
from tests.cells.world import CellUnderTest, World, working_tenant
from tests.service import PASSWORD, Service, Tenant

pytestmark = [pytest.mark.anyio, pytest.mark.cells]


async def test_people_who_give_an_address_are_sent_to_the_cell_that_their_institution_moved_to(
    world: World, eu: Service, us: Service
) -> None:
    tenant = await eu.create_tenant()
    domain = f"{tenant.slug}.example"
    form = {"username": "analyst", "password": PASSWORD, "client_id": f"jane@{domain}"}

    async def told() -> list[int]:
        for service in (eu, us):
            await service.services.tenancy.homes.refresh()
        return [(await service.client.post("/auth/token", data=form)).status_code for service in (eu, us)]

    async with eu.operator() as acting:
        await Tenants(acting.connection).add_domain(tenant.slug, domain)
    assert await told() == [200, 401]  # the cell knows its own, and no other does
    await world.add("eu-1")
    assert await told() == [200, 421]
    await world.move(tenant, "us-1")
    assert await told() == [421, 200]
    await world.add("eu-1")  # the old copy says nothing
    assert await told() == [421, 200]
    async with us.operator() as acting:
        await Tenants(acting.connection).remove_domain(tenant.slug, domain)
    await world.add("us-1")
    assert await told() == [401, 401]


async def test_slug_and_domain_of_a_purged_tenant_are_given_again_in_another_cell(
    world: World, eu: Service, us: Service
) -> None:
    tenant, far = await world.tenant(eu, "eu-1"), await us.create_tenant()
    domain = f"{tenant.slug}.example"
    async with eu.operator() as acting:
        await Tenants(acting.connection).add_domain(tenant.slug, domain)
    await world.add("eu-1")
    async with us.operator() as acting:
        await Tenants(acting.connection).add_domain(far.slug, domain)
        await Tenants(acting.connection).create(tenant.slug, "The same name")
    add = ("cell", "add", "us-1", "--region", "us", "--address", "https://us-1.example")
    assert "another cell has a tenant" in (await world.command(*add)).stderr
    await purge(world.cells["eu-1"], tenant)
    await world.add("us-1")
    for service, statuses in ((eu, [421, 421]), (us, [200, 401])):
        await service.services.tenancy.homes.refresh()
        for named, status in zip((domain, tenant.slug), statuses, strict=True):
            form = {"username": "analyst", "password": PASSWORD, "client_id": named}
            assert (await service.client.post("/auth/token", data=form)).status_code == status
    await world.add("eu-1")


async def purge(cell: CellUnderTest, tenant: Tenant) -> None:
    """Deletes a tenant for good, as `affidavit tenant purge` does when its time of grace is over."""
    await cell.fetch("update tenancy.tenant set status = 'deleting', delete_after = now() where id = $1", tenant.id)
    owner = await asyncpg.connect(cell.database.owner_url)
    await deletion.purge(cell.database.owner_url, owner, tenant.id, tenant.slug)
    left = await owner.fetchval("select count(*) from audit.payload where tenant_id = $1", tenant.id)
    await owner.close()
    assert left == 0, "or the tenant stays until the retention of its texts is over"


async def test_processes_start_and_serve_from_the_signed_copy_while_the_control_database_is_away(
    world: World, eu: Service
) -> None:
    tenant, away = await working_tenant(world, eu, "eu-1"), world.away
    token = await eu.as_user(tenant, "analyst")
    async with world.serving("us-1") as first:
        await first.services.tenancy.homes.refresh()
    async with world.serving("us-1", directory_url=away) as service:
        refused = await service.client.get("/auth/me", headers=token)
        assert refused.status_code == 421
    async with world.serving("us-1", directory_url=away, cell_redirect=True) as service:
        assert (await service.client.get("/auth/me", headers=token)).status_code == 307
    with pytest.raises(DirectoryUnknown):
        async with world.serving("us-1", directory_url=away, directory_file=world.folder / "none"):
            pass


async def test_what_is_wrong_is_refused_before_anything_moves(world: World, eu: Service) -> None:
    tenant = await working_tenant(world, eu, "eu-1")
    old, new = world.cells["eu-1"], world.cells["us-1"]

    async def refusal(*arguments: str) -> str:
        done = await world.command(*arguments)
        assert done.returncode == 1, done.stdout
        return done.stderr

    move = ("tenant", "move", tenant.slug, "--to")
    listed = await world.command("cell", "list")
    assert [cell["name"] for cell in json.loads(listed.stdout)] == ["eu-1", "us-1"]
    assert (await world.command("cell", "key", str(world.folder / "made.pem"))).returncode == 0
    assert (world.folder / "made.pem").stat().st_mode & 0o077 == 0
    assert "made.pem" in await refusal("cell", "key", str(world.folder / "made.pem"))
    assert "no cell asia-1" in await refusal(*move, "asia-1")
    assert "no tenant nobody" in await refusal("tenant", "move", "nobody", "--to", "us-1")
    assert "is at home in eu-1 already" in await refusal(*move, "eu-1")
    add = ("--region", "eu", "--address", "https://x.example")
    (world.folder / "cells" / "liar.toml").write_text((world.folder / "cells" / "us-1.toml").read_text())
    assert "another cell already" in await refusal("cell", "add", "liar", *add)
    await new.fetch("update tenancy.cell set name = 'liar'")
    assert "says that it is liar" in await refusal(*move, "us-1")
    await new.fetch("update tenancy.cell set name = 'us-1'")
    await new.fetch("update migration.alembic_version set version_num = '0001'")
    assert "different revisions" in await refusal(*move, "us-1")
    await new.fetch("update migration.alembic_version set version_num = (select max(revision) from migration.release)")
    file = world.folder / "cells" / "us-1.toml"
    whole = file.read_text()
    file.write_text("\n".join(line for line in whole.split("\n") if not line.startswith("payload_other_keys")))
    assert "cannot open the tenant's keys" in await refusal(*move, "us-1")
    file.write_text(whole)
    await old.fetch(
        "update tenancy.tenant set status = 'deleting', delete_after = now() + interval '1 day' where id = $1",
        tenant.id,
    )
    assert "is being deleted" in await refusal(*move, "us-1")
    assert await new.residence(tenant) is None
    await old.fetch("update tenancy.tenant set status = 'suspended', delete_after = null where id = $1", tenant.id)
    await world.move(tenant, "us-1")
    assert await new.fetchval("select status from tenancy.tenant where id = $1", tenant.id) == "suspended"
