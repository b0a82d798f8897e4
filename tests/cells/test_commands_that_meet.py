"""Commands that meet, stop half-way or know too little: a tenant is never at home twice, and never removed where it is."""

import re
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta

import asyncpg
import pytest

from backend.cells import control
from backend.cells.directory import Directory
from backend.operation.moving.adding import Signing, _purge_copy, mover
from backend.operation.moving.mover import Mover, alone
from backend.operation.moving.replication import Replication
from backend.operation.service import OperatorError
from tests.cells.world import DIRECTORY_KEY, CellUnderTest, World, asked, held_up, working_tenant
from tests.service import Service, Tenant
from tests.serving import affidavit

pytestmark = [pytest.mark.anyio, pytest.mark.cells]


@asynccontextmanager
async def begun(world: World) -> AsyncIterator[Signing]:
    """A command that has read the directory as it is now."""
    async with control.control(world.control_url) as connection:
        directory = Directory([DIRECTORY_KEY.verifier_key])
        await control.catch_up(connection, directory)
        yield Signing(connection, directory, DIRECTORY_KEY, world.folder / "cells")


@asynccontextmanager
async def moving(signing: Signing, tenant: Tenant, to: str) -> AsyncIterator[Mover]:
    async with (
        AsyncExitStack() as stack,
        mover(signing, stack, tenant.slug, to, timedelta(hours=1), lambda *_: None) as made,
    ):
        yield made


def files(cell: CellUnderTest, tenant: Tenant) -> list[str]:
    return sorted(path.name for path in (cell.folder / "files" / str(tenant.id)).iterdir())


async def killed_behind_the_directory(world: World, tenant: Tenant, to: str) -> None:
    """A move that the directory knows of, and the target does not."""
    async with held_up(world.cells[to], "lock table tenancy.residence in share mode"):
        with world.moving(tenant, to) as process:
            source, _ = await world.home(tenant)
            await world.cells[source].until(
                "exists (select from tenancy.residence where tenant_id = $1 and state = 'departed')", tenant.id
            )
            process.send_signal(signal.SIGKILL)
            process.wait()


async def test_who_takes_back_a_move_that_has_just_ended_removes_nothing(world: World, eu: Service) -> None:
    tenant = await working_tenant(world, eu, "eu-1")
    old, new = world.cells["eu-1"], world.cells["us-1"]
    async with begun(world) as late:
        await world.move(tenant, "us-1")
        async with moving(late, tenant, "us-1") as taking_back:
            with pytest.raises(OperatorError, match="can only move back"):
                await taking_back.abort()
    assert (await old.residence(tenant), await new.residence(tenant)) == (("departed", 1), ("home", 2))
    assert await new.fetch("select from tenancy.tenant where id = $1", tenant.id)
    assert files(new, tenant) == files(old, tenant) != []


async def test_a_command_that_comes_back_to_life_opens_no_fence_behind_the_directory(world: World, eu: Service) -> None:
    """Stopped for so long that the control database gave its lock to another one."""
    tenant = await working_tenant(world, eu, "eu-1")
    old, new = world.cells["eu-1"], world.cells["us-1"]
    async with AsyncExitStack() as stack:
        stopped = await stack.enter_async_context(moving(await stack.enter_async_context(begun(world)), tenant, "us-1"))
        await stopped._begin()
        await stopped._copy()
        await stopped.control.fetch("select pg_advisory_unlock_all()")
        await killed_behind_the_directory(world, tenant, "us-1")
        await stopped._reopen()
        with pytest.raises(OperatorError, match="not at home"):
            await stopped._close()
    assert (await old.residence(tenant), await new.residence(tenant)) == (("departed", 1), ("arriving", 2))

    # Had it opened it before, the target would not answer.
    await old.fetch("update tenancy.residence set state = 'home', purge_after = null where tenant_id = $1", tenant.id)
    refused = await world.command("tenant", "move", tenant.slug, "--to", "us-1")
    assert (refused.returncode, "against the directory" in refused.stderr) == (1, True)
    assert await new.residence(tenant) == ("arriving", 2)
    await old.fetch("update tenancy.residence set state = 'leaving' where tenant_id = $1", tenant.id)
    await world.move(tenant, "us-1")
    assert (await old.residence(tenant), await new.residence(tenant)) == (("departed", 1), ("home", 2))


async def test_no_purge_takes_what_has_come_back_or_is_on_the_way(world: World, eu: Service) -> None:
    tenant, old = await working_tenant(world, eu, "eu-1"), world.cells["eu-1"]
    await world.move(tenant, "us-1", "--grace-hours", "0")
    removed: list[str] = []
    async with begun(world) as late, AsyncExitStack() as stack:
        async with alone(late.control, tenant.id):
            done = await world.command("cell", "purge", "eu-1")
            assert (done.returncode, done.stdout) == (0, "")
        cell = await late.opened(stack, "eu-1")
        await world.move(tenant, "eu-1")
        await _purge_copy(late, stack, cell, tenant.id, lambda slug, _rows, *, kept: removed.append(f"{slug} {kept}"))
    assert removed == []
    assert files(old, tenant)
    assert await old.fetch("select from tenancy.tenant where id = $1", tenant.id)

    # Nor while the tenant is refused where it is at home: nothing may be written to its log there.
    await world.move(tenant, "us-1", "--grace-hours", "0")
    await world.cells["us-1"].fetch("update tenancy.residence set state = 'leaving' where tenant_id = $1", tenant.id)
    done = await world.command("cell", "purge", "eu-1")
    assert (done.returncode, done.stdout, files(old, tenant) != []) == (0, "", True)
    await world.cells["us-1"].fetch("update tenancy.residence set state = 'home' where tenant_id = $1", tenant.id)
    recorded = "select count(*) from audit.event where tenant_id = $1 and position('\"purged\"' in envelope) > 0"
    for _ in range(2):  # once on record, however often it is given
        assert (await world.command("cell", "purge", "eu-1")).returncode == 0
    assert await world.cells["us-1"].fetchval(recorded, tenant.id) == 1


async def test_a_cell_that_was_left_stays_fenced_when_a_move_back_is_taken_back(world: World, eu: Service) -> None:
    tenant, old = await working_tenant(world, eu, "eu-1"), world.cells["eu-1"]
    await world.move(tenant, "us-1")
    async with begun(world) as signing, moving(signing, tenant, "eu-1") as back:
        await back._check()
        await back._begin()
        await back.abort()
    assert await old.residence(tenant) == ("departed", 1)
    assert await old.fetchval("select not tenancy.is_home($1, 1)", tenant.id)
    await world.move(tenant, "eu-1")


async def test_chunks_that_get_a_partition_of_their_own_meanwhile_keep_the_tenant_where_it_is(
    world: World, eu: Service
) -> None:
    tenant, old = await working_tenant(world, eu, "eu-1"), world.cells["eu-1"]
    token = await eu.as_user(tenant, "analyst")
    async with begun(world) as signing, moving(signing, tenant, "us-1") as made:
        await made._check()
        await made._begin()
        await made._copy()
        await old.fetch("insert into retrieval.placement (tenant_id, state) values ($1, 'promoting')", tenant.id)
        with pytest.raises(OperatorError, match="partition of its own"):
            await made._hand_over()
        await old.fetch("delete from retrieval.placement where tenant_id = $1", tenant.id)
    assert await asked(eu, tenant, token) == 200
    await world.move(tenant, "us-1")


async def test_no_log_of_a_server_holds_the_password_of_another(world: World, eu: Service) -> None:
    tenant, cells = await working_tenant(world, eu, "eu-1"), list(world.cells.values())
    source, target = [await asyncpg.connect(cell.database.superuser_url) for cell in cells]
    for cell, connection in zip(cells, (source, target), strict=True):
        for setting in ("log_min_error_statement = error", "log_statement = ddl", "log_min_duration_statement = 0"):
            await connection.execute(f"alter system set {setting}")
        await connection.execute("select pg_reload_conf()")
        await cell.until("current_setting('log_statement') = 'ddl'")
        await cell.fetch("select 'it is written'")
    replication = Replication(source, target, tenant.id)
    with pytest.raises(asyncpg.PostgresError):
        await replication.begin("postgresql://postgres:Very-Secret-1@localhost:1/postgres")
    assert await source.fetchval(
        "select rolvaliduntil < now() + interval '3 days' from pg_roles where rolname = $1", replication.name
    )
    await replication.stop_sending()
    assert not await source.fetchval("select exists (select from pg_roles where rolname = $1)", replication.name)
    for cell, connection in zip(cells, (source, target), strict=True):
        for setting in ("log_min_error_statement", "log_statement", "log_min_duration_statement"):
            await connection.execute(f"alter system reset {setting}")
        await connection.execute("select pg_reload_conf()")
        written = (cell.server.folder / "server.log").read_text(errors="replace")
        assert "it is written" in written
        assert re.search(r"Very-Secret-1|password '|:[0-9a-f]{64}@", written) is None
        await connection.close()


async def test_the_operator_signs_nothing_over_a_directory_that_was_put_back(world: World) -> None:
    assert (await world.command("cell", "list")).returncode == 0
    here = await asyncpg.connect(world.control_url)
    await here.execute("create database put_back")
    put_back = world.control_url.replace("/control", "/put_back")
    async with control.control(put_back) as there:
        for row in await here.fetch("select index, entry, note from cells.entry where index < 2 order by index"):
            await there.execute("insert into cells.entry (index, entry, note) values ($1, $2, $3)", *row)
    await here.close()
    settings = {**world.operator, "AFFIDAVIT_DIRECTORY_URL": put_back}
    refused = affidavit("cell", "list", settings=settings)
    assert (refused.returncode, "older directory" in refused.stderr) == (1, True), refused.stderr
