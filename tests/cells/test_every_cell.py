"""The operator sees all cells as one system, and upgrades them one after the other."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.cells.world import World, working_tenant
from tests.service import Service

pytestmark = [pytest.mark.anyio, pytest.mark.cells]


@contextmanager
def settings_of(world: World, name: str, old: str, new: str) -> Iterator[None]:
    """A cell's settings with something else in them."""
    file = world.folder / "cells" / f"{name}.toml"
    whole = file.read_text()
    assert old in whole
    file.write_text(whole.replace(old, new))
    try:
        yield
    finally:
        file.write_text(whole)


async def said(world: World, *arguments: str, status: int = 0) -> Any:
    done = await world.command(*arguments)
    assert done.returncode == status, (done.stdout, done.stderr)
    return json.loads(done.stdout)


async def test_every_tenant_is_listed_once_with_its_cell_and_a_cell_that_does_not_answer_is_told(
    world: World, eu: Service, us: Service
) -> None:
    moved, stayed, far = (
        await working_tenant(world, eu, "eu-1"),
        await world.tenant(eu, "eu-1"),
        await us.create_tenant(),
    )
    await world.move(moved, "us-1")
    listed = await said(world, "tenant", "list", "--all-cells")
    homes = [(row["slug"], row["cell"]) for row in listed["tenants"]]
    assert {(moved.slug, "us-1"), (stayed.slug, "eu-1"), (far.slug, "us-1")} <= set(homes)
    assert len(homes) == len({slug for slug, _ in homes})
    assert listed["without_answer"] == []

    cells = {cell["name"]: cell for cell in await said(world, "cell", "list")}
    revision = await world.cells["eu-1"].fetchval("select version_num from migration.alembic_version")
    for cell in cells.values():
        assert (cell["answers"], cell["revision"], cell["region"]) == (True, revision, cell["name"][:2])
        assert cell["bytes"] > 10_000_000
        assert cell["checkpoint_seconds"] is not None
    assert cells["eu-1"]["old_copies"] >= 1

    with settings_of(world, "us-1", world.cells["us-1"].database.superuser_url, world.away):
        listed = await said(world, "tenant", "list", "--all-cells", status=1)
        assert stayed.slug in {row["slug"] for row in listed["tenants"]}
        assert [one["cell"] for one in listed["without_answer"]] == ["us-1"]
        cells = {cell["name"]: cell for cell in await said(world, "cell", "list")}
        assert (cells["eu-1"]["answers"], cells["us-1"]["answers"], cells["us-1"]["bytes"]) == (True, False, None)


async def test_the_doctor_finds_what_is_wrong_in_which_cell(world: World, eu: Service, us: Service) -> None:
    tenant, new = await working_tenant(world, eu, "eu-1"), await us.create_tenant()
    await world.move(tenant, "us-1", "--grace-hours", "0")
    us_cell = world.cells["us-1"]
    found = {cell["cell"]: cell for cell in (await said(world, "doctor", "--all-cells"))["cells"]}
    assert [cell["ok"] for cell in found.values()] == [True, True]
    assert any(new.slug in text and "cell add us-1" in text for text in found["us-1"]["advice"])
    old = world.cells["eu-1"]
    await old.fetch(
        "update tenancy.residence set purge_after = now() - interval '2 days' where tenant_id = $1", tenant.id
    )
    await us_cell.fetch("update tenancy.residence set epoch = 7 where tenant_id = $1", tenant.id)
    found = {cell["cell"]: cell for cell in (await said(world, "doctor", "--all-cells", status=1))["cells"]}
    assert (found["eu-1"]["ok"], found["us-1"]["ok"]) == (True, False)
    assert any("cell purge eu-1" in text for text in found["eu-1"]["advice"])
    assert [one["check"] for one in found["us-1"]["checks"] if not one["ok"]] == ["homes"]
    assert tenant.slug in found["us-1"]["checks"][-1]["problem"]
    await us_cell.fetch("update tenancy.residence set epoch = 2 where tenant_id = $1", tenant.id)
    await old.fetch("alter table documents.chunk no force row level security")
    found = {cell["cell"]: cell for cell in (await said(world, "doctor", "--all-cells", status=1))["cells"]}
    await old.fetch("alter table documents.chunk force row level security")
    assert (found["eu-1"]["ok"], found["us-1"]["ok"]) == (False, True)


async def test_cells_are_migrated_in_turn_until_one_fails_and_from_there_when_it_is_given_again(world: World) -> None:
    whole = {"up_to_date": True, "done": ["eu-1", "us-1"], "failed": None, "not_begun": []}
    assert await said(world, "migrate", "--all-cells") == whole
    eu, us = world.cells.values()
    for cell in (eu, us):  # as if a policy had been changed by hand: what an upgrade gives anew
        await cell.fetch("drop policy owner on tenancy.residence")
    with settings_of(world, "us-1", "database_url", "not_a_database_url"):
        refused = await world.command("migrate", "--all-cells")
        assert (refused.returncode, "us-1" in refused.stderr) == (1, True)
        assert await policies(eu) == 0, "nothing is begun where something is missing"
    await eu.fetch("update tenancy.cell set name = 'liar'")
    half = await said(world, "migrate", "--all-cells", status=1)
    assert (half["done"], half["failed"]["cell"], half["not_begun"]) == ([], "eu-1", ["us-1"])
    assert "says that it is liar" in half["failed"]["problem"]
    await eu.fetch("update tenancy.cell set name = 'eu-1'")
    await us.fetch("update tenancy.cell set name = 'liar'")
    half = await said(world, "migrate", "--all-cells", status=1)
    assert (half["done"], half["failed"]["cell"], half["not_begun"]) == (["eu-1"], "us-1", [])
    assert (await policies(eu), await policies(us)) == (1, 0)
    await us.fetch("update tenancy.cell set name = 'us-1'")
    assert await said(world, "migrate", "--all-cells") == whole
    assert await policies(us) == 1


async def policies(cell: Any) -> int:
    return int(
        await cell.fetchval(
            "select count(*) from pg_policies where schemaname = 'tenancy' and tablename = 'residence' and policyname = 'owner'"
        )
    )
