"""Three cells, two of them in one region: moves are proposed, a cell empties itself and goes, and what is one cell's stays there."""

import asyncio
import json
import shutil
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.cells.world import World, asked, cells_of, working_tenant
from tests.factories import ingest
from tests.service import Service
from tests.serving import environment

pytestmark = [pytest.mark.anyio, pytest.mark.cells]


@pytest.fixture(scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory, model_home: Path) -> AsyncIterator[World]:
    async with cells_of(tmp_path_factory.mktemp("three"), model_home, "eu-1", "eu-2", "us-1") as made:
        yield made


async def planned(world: World) -> Any:
    done = await world.command("cell", "plan", "--most-moves", "9")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


async def test_what_is_measured_leads_to_moves_within_the_region_and_a_cell_empties_itself_and_goes(
    world: World, eu: Service
) -> None:
    async with world.serving("eu-2") as other:
        large, small = await working_tenant(world, eu, "eu-1"), await working_tenant(world, eu, "eu-1")
        for number in range(5):
            await ingest(eu, large, f"more-{number}", f"A wire costs {number} dollars.")
        found = await planned(world)
        cells = {cell["cell"]: cell for cell in found["cells"]}
        assert (cells["eu-1"]["tenants"], cells["eu-1"]["chunks"], cells["eu-2"]["chunks"]) == (2, 9, 0)
        assert cells["eu-1"]["events_per_day"] > 0 < cells["eu-1"]["chunks_per_day"]
        assert cells["us-1"]["share"] == 0
        assert [(move["source"], move["target"]) for move in found["moves"]] == [("eu-1", "eu-2")]

        refused = await world.command("cell", "drain", "us-1")
        assert (refused.returncode, "no other cell of the region us" in refused.stderr) == (1, True)
        refused = await world.command("cell", "remove", "eu-1")
        assert (refused.returncode, "is not empty" in refused.stderr) == (1, True)

        # Killed on the way, it goes on from where it was.
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "backend", "cell", "drain", "eu-1", env=environment(world.operator),
            stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        try:
            await world.cells["eu-2"].until("exists (select from tenancy.residence)")
        finally:
            process.kill()
            await process.wait()
        into = await world.command("tenant", "move", small.slug, "--to", "eu-1")
        assert "at home in eu-1 already" in into.stderr
        drained = await world.command("cell", "drain", "eu-1", "--grace-hours", "0")
        assert drained.returncode == 0, drained.stderr
        assert all(json.loads(line)["moved"] for line in drained.stdout.splitlines())
        for tenant in (large, small):
            assert (await world.home(tenant))[0] == "eu-2"
            assert await asked(other, tenant, await other.as_user(tenant, "analyst")) == 200

        back = await world.command("tenant", "move", small.slug, "--to", "eu-1")
        assert (back.returncode, "is being emptied" in back.stderr) == (1, True)
        early = await world.command("cell", "remove", "eu-1")
        assert (early.returncode, "departed" in early.stderr) == (1, True)
        old = world.cells["eu-1"]
        await old.fetch("update tenancy.residence set purge_after = now()")
        assert (await world.command("cell", "purge", "eu-1")).returncode == 0
        assert (await world.command("cell", "remove", "eu-1")).returncode == 0
        assert [cell["name"] for cell in json.loads((await world.command("cell", "list")).stdout)] == ["eu-2", "us-1"]
        gone = await world.command("tenant", "move", small.slug, "--to", "eu-1")
        assert (gone.returncode, "no cell eu-1" in gone.stderr) == (1, True)
        await world.add("eu-1")  # the operator may change its mind
        await world.move(small, "eu-1")
        assert await world.home(small) == ("eu-1", 3)


async def test_a_tenant_that_cannot_move_stays_and_the_others_leave(world: World) -> None:
    async with world.serving("eu-1") as eu:
        stays, moves = await working_tenant(world, eu, "eu-1"), await working_tenant(world, eu, "eu-1")
        old = world.cells["eu-1"]
        await old.fetch(
            "update tenancy.tenant set status = 'deleting', delete_after = now() + interval '1 day' where id = $1",
            stays.id,
        )
        drained = await world.command("cell", "drain", "eu-1")
        told = {one["tenant"]: one for one in map(json.loads, drained.stdout.splitlines())}
        assert drained.returncode == 1
        assert stays.slug in drained.stderr
        assert "is being deleted" in told[stays.slug]["problem"]
        assert told[moves.slug]["moved"]
        assert (await world.home(stays))[0] == "eu-1"
        await world.add("eu-1")


async def test_a_token_of_a_tenant_opens_nothing_in_any_other_cell_whatever_the_process_knows(
    world: World, tmp_path: Path
) -> None:
    """Each of three tenants asks each of three cells: with the directory, with a stale one, and while the control database is away."""
    async with AsyncExitStack() as stack:
        services = {name: await stack.enter_async_context(world.serving(name)) for name in world.cells}
        stale = {name: shutil.copy(world.cells[name].folder / "directory", tmp_path / name) for name in world.cells}
        tenants = {name: await working_tenant(world, service, name) for name, service in services.items()}
        tokens = {name: await services[name].as_user(tenant, "analyst") for name, tenant in tenants.items()}
        for service in services.values():
            await service.services.tenancy.homes.refresh()
        away = {
            name: await stack.enter_async_context(world.serving(name, directory_url=world.away, directory_file=stale[name]))
            for name in world.cells
        }  # fmt: skip
        for home, tenant in tenants.items():
            for name in world.cells:
                expected = 200 if name == home else 421
                assert await asked(services[name], tenant, tokens[home]) == expected, (home, name)
                # One that does not know the tenant yet asks its own database, which has no such tenant.
                assert await asked(away[name], tenant, tokens[home]) == (200 if name == home else 401), (home, name)
        await world.move(tenants["us-1"], "eu-2")
        assert await asked(away["us-1"], tenants["us-1"], tokens["us-1"]) == 503
        assert await asked(away["eu-2"], tenants["us-1"], tokens["us-1"]) == 200
