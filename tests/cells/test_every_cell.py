"""The operator sees all cells as one system, and upgrades them one after the other."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from backend.ledger import verifier
from backend.ledger.checkpoints import open_checkpoint
from backend.operation import cells_log, operator_keys
from backend.operation.service import operator
from backend.operation.signing import signing_from
from backend.settings import Settings
from tests.cells.world import DIRECTORY_KEY, World, newest_note, sealed, working_tenant
from tests.factories import ingest
from tests.ledger.sealed_log import SealedLog
from tests.service import PASSWORD, Service
from tests.serving import affidavit

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


async def test_the_checkpoints_of_all_cells_are_in_one_log_which_the_verifier_takes(
    world: World, eu: Service, us: Service, tmp_path: Path
) -> None:
    tenant, kept = await working_tenant(world, eu, "eu-1"), tmp_path / "kept"
    await working_tenant(world, us, "us-1")
    entered = await said(world, "cell", "checkpoints", str(kept))
    assert {one["cell"]: (one["problem"], one["size"] > 0) for one in entered["cells"]} == {
        "eu-1": (None, True), "us-1": (None, True)
    }  # fmt: skip
    await ingest(eu, tenant, "more", "A wire costs 30 dollars.")
    await sealed(world.cells["eu-1"], tenant)
    more = await said(world, "cell", "checkpoints", str(kept))
    assert more["leaves"] >= entered["leaves"] + 1, "what has changed is entered once more, and continues what was"

    keys = [world.cells["eu-1"].key.verifier_key]
    newest = open_checkpoint(await newest_note(world.cells["eu-1"], tenant), keys)
    end = datetime.fromtimestamp(newest.time / 1000, UTC)
    bundle = await SealedLog(eu, tenant, world.cells["eu-1"].database, tmp_path, end=end).export()
    notes = list(verifier.notes_in(kept))
    report = verifier.verify(bundle, f"{world.public_keys}\n{DIRECTORY_KEY.verifier_key}", known=notes)
    assert report.ok, list(report.lines())
    report = verifier.verify(bundle, world.public_keys, known=notes)
    assert not report.ok, "nobody vouches for the log of the cells' logs without the operator's key"
    await refused_when_a_cell_was_put_back(world)


async def refused_when_a_cell_was_put_back(world: World) -> None:
    """What the log of the cells' logs has of a cell is larger than what the cell has now, or has another root."""
    settings = Settings(
        home=world.folder / "operator", directory_url=world.control_url, directory_key=DIRECTORY_KEY.pem().decode(),
        cells_folder=world.folder / "cells",
    )  # fmt: skip
    async with signing_from(settings) as signing:
        log, _ = await cells_log.record(signing, "")
        before = log.newest["us-1"]
        lines = before.text.split("\n")
        lines[1] = str(int(lines[1]) + 1_000)
        await log.add([("us-1", "\n".join(lines))])
    told = await said(world, "cell", "checkpoints", status=1)
    problems = {one["cell"]: one["problem"] for one in told["cells"]}
    assert problems["eu-1"] is None
    assert "it was put back" in str(problems["us-1"])
    control = await asyncpg.connect(world.control_url)
    await control.execute("alter table cells.checkpoint disable trigger all")
    await control.execute("delete from cells.checkpoint where index > 0")
    refused = await world.command("cell", "checkpoints")
    assert (refused.returncode, "another log of checkpoints" in refused.stderr or "not the one" in refused.stderr) == (
        1,
        True,
    )
    await control.close()


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


async def test_nobody_moves_to_a_full_cell_or_is_made_there(world: World, eu: Service, us: Service) -> None:
    tenant, us_cell = await working_tenant(world, eu, "eu-1"), world.cells["us-1"]
    async with operator(us_cell.database.owner_url) as acting:
        key = {"Authorization": f"Bearer {await operator_keys.create(acting.connection, 'full')}"}
    add = ("cell", "add", "us-1", "--region", "us", "--address", "https://us-1.example")
    at_home = {cell["name"]: cell["tenants"] for cell in await said(world, "cell", "list")}["us-1"]
    if at_home == 0:
        await us_tenant(world)
        at_home = 1
    for limit, why in (
        (("--most-tenants", str(at_home)), "of at most"), (("--most-gigabytes", "0.01"), "its database has")
    ):  # fmt: skip
        await said(world, *add, *limit)
        refused = await world.command("tenant", "move", tenant.slug, "--to", "us-1")
        assert (refused.returncode, "us-1 is full" in refused.stderr, why in refused.stderr) == (1, True, True)
        assert await us_cell.residence(tenant) is None, "nothing has begun"
        own = {**world.operator, "AFFIDAVIT_DATABASE_URL": us_cell.database.owner_url}
        keyless = {name: value for name, value in own.items() if name != "AFFIDAVIT_DIRECTORY_KEY"}
        for settings, said_why in (
            (own, why), (own | {"AFFIDAVIT_DIRECTORY_URL": world.away}, "no directory"), (keyless, "whose limits"),
        ):  # fmt: skip
            made = await asyncio.to_thread(affidavit, "tenant", "create", "one-more", settings=settings)
            assert (made.returncode, said_why in made.stderr) == (1, True), made.stderr
        answer = await us.client.post("/operator/tenants", json={"slug": "one-more"}, headers=key)
        assert (answer.status_code, why in answer.text) == (409, True), answer.text
        assert await us_cell.fetchval("select count(*) from tenancy.tenant where slug = 'one-more'") == 0
    await world.add("us-1")  # without limits
    assert (await asyncio.to_thread(affidavit, "tenant", "create", "one-more", settings=own)).returncode == 0
    await world.move(tenant, "us-1")


async def us_tenant(world: World) -> None:
    async with world.serving("us-1") as us:
        await world.tenant(us, "us-1")


async def test_a_cell_whose_servers_are_gone_for_good_is_named_with_its_tenants_and_may_come_back(
    world: World, eu: Service, us: Service
) -> None:
    tenant = await world.tenant(us, "us-1")
    token = await us.as_user(tenant, "analyst")
    lost = ("cell", "remove", "us-1", "--lost", "--reason")
    refused = await world.command(*lost, "The data centre burnt down.")
    assert (refused.returncode, "answers" in refused.stderr) == (1, True)
    with settings_of(world, "us-1", world.cells["us-1"].database.superuser_url, world.away):
        refused = await world.command(*lost, " ")
        assert (refused.returncode, "say in a sentence" in refused.stderr) == (1, True)
        named = await said(world, *lost, "The data centre burnt down.")
        assert (named["lost"], named["removed"], tenant.slug in named["tenants"]) == (True, False, True)
        listed = {cell["name"]: cell for cell in await said(world, "cell", "list")}
        assert (listed["us-1"]["state"], listed["us-1"]["problem"]) == ("lost", "lost: The data centre burnt down.")
        moves = ((tenant.slug, "eu-1"), ((await eu.create_tenant()).slug, "us-1"))
        await world.add("eu-1")
        for slug, to in moves:
            assert (await world.command("tenant", "move", slug, "--to", to)).returncode == 1
    await eu.services.tenancy.homes.refresh()
    answer = await eu.client.get("/auth/me", headers=token)
    assert (answer.status_code, answer.json()["error"], answer.headers["retry-after"]) == (503, "cell_lost", "3600")
    form = {"username": "analyst", "password": PASSWORD, "client_id": tenant.slug}
    assert (await eu.client.post("/auth/token", data=form)).json()["error"] == "cell_lost"
    await world.add("us-1")  # restored from its backups
    await eu.services.tenancy.homes.refresh()
    assert (await eu.client.get("/auth/me", headers=token)).status_code == 421
    assert (await us.client.get("/auth/me", headers=token)).status_code == 200
