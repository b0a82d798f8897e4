"""A tenant moves between two real servers while it works: nothing lost, nothing twice, one log, and never two homes."""

import asyncio
import re
import shutil
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import asyncpg
import pytest

from backend.ledger import verifier
from backend.ledger.checkpoints import open_checkpoint
from backend.operation.checking import check_checkpoints
from backend.operation.moving.tables import OF_THE_CELL, moved_tables
from backend.operation.service import OperatorError
from backend.policies import SCHEMAS
from tests.cells.world import CellUnderTest, World, asked, held_up, newest_note, sealed, working_tenant
from tests.ledger.test_tampering import SealedLog
from tests.service import PASSWORD, Service, Tenant

pytestmark = [pytest.mark.anyio, pytest.mark.cells]

# Tables that say nothing of a tenant. Whoever adds one decides here that it stays when tenants move.
OF_NO_TENANT = {
    "audit.handover", "audit.restoration", "audit.sealer", "identity.joint_act", "identity.operator_key",
    "retrieval.embedder", "tenancy.cell", "tenancy.context_key",
}  # fmt: skip


async def verified(
    world: World, name: str, service: Service, tenant: Tenant, folder: Path, *kept: str
) -> verifier.Report:
    """The tenant's export at a cell, verified with the public keys of both."""
    cell = world.cells[name]
    await sealed(cell, tenant)
    keys = [each.key.verifier_key for each in world.cells.values()]
    end = datetime.fromtimestamp(open_checkpoint(await newest_note(cell, tenant), keys).time / 1000, UTC)
    bundle = await SealedLog(service, tenant, cell.database, folder, end=end).export()
    return verifier.verify(bundle, world.public_keys, known=list(kept))


async def test_every_table_moves_or_is_named_with_the_reason_why_not(world: World) -> None:
    eu, us = [await asyncpg.connect(cell.database.superuser_url) for cell in world.cells.values()]
    there = await eu.fetch(
        "select c.oid::regclass::text as name, exists (select from pg_attribute where attrelid = c.oid and attname = 'tenant_id') as own"
        " from pg_class c where relnamespace::regnamespace::text = any ($1) and relkind in ('r', 'p') and not relispartition",
        list(SCHEMAS[1:]),
    )
    names = {table.name.replace("chunk_shared", "chunk") for table in await moved_tables(eu, us)}
    assert {row["name"] for row in there if row["own"]} == (names | set(OF_THE_CELL)) - {"tenancy.tenant"}
    assert {row["name"] for row in there if not row["own"]} == OF_NO_TENANT | {"tenancy.tenant"}
    for connection in (eu, us):
        await connection.execute("create table answers.added (tenant_id uuid, id uuid, primary key (tenant_id, id))")
    assert "answers.added" in {table.name for table in await moved_tables(eu, us)}
    for connection in (eu, us):
        await connection.execute(
            "drop table answers.added; create table answers.added (tenant_id uuid, id uuid primary key)"
        )
    with pytest.raises(OperatorError, match=r"answers\.added"):
        await moved_tables(eu, us)
    for connection in (eu, us):
        await connection.execute("drop table answers.added")
        await connection.close()


@dataclass
class AskingClients:
    """Clients that ask both cells all the time, and what they were answered: when, where, and the status."""

    answers: list[tuple[float, str, int]] = field(default_factory=list)

    @asynccontextmanager
    async def on(self, tenant: Tenant, token: dict[str, str], services: dict[str, Service]) -> AsyncIterator[None]:
        over = asyncio.Event()

        async def client(name: str, service: Service) -> None:
            while not over.is_set():
                status = await asked(service, tenant, token)
                self.answers.append((asyncio.get_running_loop().time(), name, status))
                await asyncio.sleep(0.01)

        clients = [asyncio.create_task(client(name, service)) for name, service in services.items() for _ in range(3)]
        try:
            yield
        finally:
            over.set()  # not cancelled: what is recorded is also answered
            await asyncio.gather(*clients)

    async def until_served(self, name: str) -> None:
        async with asyncio.timeout(60):
            while not self.served(name):
                await asyncio.sleep(0.01)

    def served(self, name: str) -> list[float]:
        return [moment for moment, cell, status in self.answers if (cell, status) == (name, 200)]


async def answers_recorded(cell: CellUnderTest, tenant: Tenant) -> int:
    return int(
        await cell.fetchval(
            "select count(*) from audit.event where tenant_id = $1 and action = 'retrieval:executed'", tenant.id
        )
    )


async def test_a_tenant_moves_while_it_works_and_comes_back(
    world: World, eu: Service, us: Service, tmp_path: Path
) -> None:
    tenant, neighbour = await working_tenant(world, eu, "eu-1"), await world.tenant(us, "us-1")
    old, new = world.cells["eu-1"], world.cells["us-1"]
    token, kept, load = await eu.as_user(tenant, "analyst"), await newest_note(old, tenant), AskingClients()

    # One process of the old cell hears of nothing, as when it is cut off from the control database.
    await eu.services.tenancy.homes.refresh()
    stale = shutil.copy(old.folder / "directory", tmp_path / "stale")
    async with world.serving("eu-1", directory_url=world.away, directory_file=stale) as cut_off:
        async with load.on(tenant, token, {"eu-1": eu, "us-1": us, "cut off": cut_off}):
            await load.until_served("eu-1")
            await load.until_served("cut off")
            await world.move(tenant, "us-1")
            await load.until_served("us-1")
        assert await asked(cut_off, tenant, token) == 503

    assert {status for _, _, status in load.answers} <= {200, 421, 503}
    pause = min(load.served("us-1")) - max(load.served("eu-1") + load.served("cut off"))
    print(f"refused for {pause:.2f} s")
    assert pause > 0  # never both; for how long, the move itself bounds
    assert await answers_recorded(new, tenant) == sum(status == 200 for _, _, status in load.answers)
    assert await world.home(tenant) == ("us-1", 2)
    assert (await old.residence(tenant), await new.residence(tenant)) == (("departed", 1), ("home", 2))
    await works_on(eu, us, tenant, token)
    key = {"Authorization": f"Bearer {tenant.partner_key}"}
    refused = [await service.client.get("/auth/me", headers=key) for service in (eu, us)]
    assert [answer.status_code for answer in refused] == [421, 200]
    stored = [sorted(path.name for path in (cell.folder / "files" / str(tenant.id)).iterdir()) for cell in (old, new)]
    assert stored[0] == stored[1]
    assert len(stored[0]) == 1
    assert (await us.get("/auth/me", neighbour, "analyst")).status_code == 200

    # One log: what was kept at the old cell is believed of the new one's export.
    report = await verified(world, "us-1", us, tenant, tmp_path, kept)
    assert report.ok, list(report.lines())
    assert "OK      history: agrees with 1 kept checkpoints" in report.lines()
    assert await steps_on_record(new, tenant) == ["leaving", "arrived"]
    await adopted(new)
    for cell in (old, new):
        checked = await check_checkpoints(cell.database.sealer_url, world.public_keys)
        assert checked.ok, list(checked.lines())

    # And back again, over the copy that was left there.
    await world.move(tenant, "eu-1")
    assert await world.home(tenant) == ("eu-1", 3)
    assert (await asked(eu, tenant, token), await asked(us, tenant, token)) == (200, 421)
    report = await verified(world, "eu-1", eu, tenant, tmp_path, kept)
    assert report.ok, list(report.lines())


async def works_on(old: Service, new: Service, tenant: Tenant, token: dict[str, str]) -> None:
    """Sessions, texts and passwords hold at the new cell, and the old one says where that is, reading nothing."""
    assert await asked(new, tenant, token) == 200
    found = await new.client.post("/retrieve", json={"query": "wire cost"}, headers=token)
    assert "fees" in {context["doc_id"] for context in found.json()["contexts"]}
    refused = await old.client.post("/retrieve?x=1", json={"query": "fees"}, headers=token)
    assert (refused.status_code, refused.json()["error"]) == (421, "misdirected")
    assert refused.headers["Location"] == "https://us-1.example/retrieve?x=1"
    form = {"username": "analyst", "password": PASSWORD, "client_id": tenant.slug}
    assert (await old.client.post("/auth/token", data=form)).status_code == 421
    assert (await new.client.post("/auth/token", data=form)).status_code == 200


async def test_a_command_that_is_killed_is_carried_on_by_giving_it_again(
    world: World, eu: Service, us: Service, tmp_path: Path
) -> None:
    """At each step, which is held up so that the kill hits it: while rows are copied, behind the fence, behind the directory."""
    tenant = await working_tenant(world, eu, "eu-1")
    old, new = world.cells["eu-1"], world.cells["us-1"]
    token, kept = await eu.as_user(tenant, "analyst"), await newest_note(old, tenant)

    with world.moving(tenant, "us-1") as process:
        await new.until("exists (select from pg_subscription)")
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert await asked(eu, tenant, token) == 200
    assert await world.home(tenant) == ("eu-1", 1)

    async with held_up(old):  # somebody's open transaction
        with world.moving(tenant, "us-1") as process:
            await old.until(
                "exists (select from tenancy.residence where tenant_id = $1 and state = 'leaving')", tenant.id
            )
            process.send_signal(signal.SIGKILL)
            process.wait()
    assert (await asked(eu, tenant, token), await asked(us, tenant, token)) == (503, 421)
    assert await world.home(tenant) == ("eu-1", 1)

    async with held_up(new, "lock table tenancy.residence in share mode"):  # the target cannot be told that it is home
        with world.moving(tenant, "us-1") as process:
            while await world.home(tenant) != ("us-1", 2):
                await asyncio.sleep(0.01)
            process.send_signal(signal.SIGKILL)
            process.wait()
    await eu.services.tenancy.homes.refresh()
    assert await asked(eu, tenant, token) == 421
    assert await asked(us, tenant, token) == 503
    assert (
        "can only move back" in (await world.command("tenant", "move", tenant.slug, "--to", "us-1", "--abort")).stderr
    )

    await world.move(tenant, "us-1")
    assert await asked(us, tenant, token) == 200
    assert (await old.residence(tenant), await new.residence(tenant)) == (("departed", 1), ("home", 2))
    assert await old.fetch("select from pg_replication_slots") == []
    assert await old.fetch("select from pg_publication") == []
    report = await verified(world, "us-1", us, tenant, tmp_path, kept)
    assert report.ok, list(report.lines())
    assert await steps_on_record(new, tenant) == ["leaving", "arrived"]
    await world.move(tenant, "us-1")  # given once more, it does nothing
    assert await world.home(tenant) == ("us-1", 2)


async def test_a_move_is_taken_back(world: World, eu: Service, us: Service) -> None:
    tenant = await working_tenant(world, eu, "eu-1")
    old, new = world.cells["eu-1"], world.cells["us-1"]
    token = await eu.as_user(tenant, "analyst")
    async with held_up(old):
        with world.moving(tenant, "us-1") as process:
            await old.until(
                "exists (select from tenancy.residence where tenant_id = $1 and state = 'leaving')", tenant.id
            )
            process.send_signal(signal.SIGKILL)
            process.wait()
    taken_back = await world.command("tenant", "move", tenant.slug, "--to", "us-1", "--abort")
    assert taken_back.returncode == 0, taken_back.stderr
    assert await asked(eu, tenant, token) == 200
    assert await new.residence(tenant) is None
    assert await new.fetch("select from tenancy.tenant where id = $1", tenant.id) == []
    assert await new.fetch("select from audit.event where tenant_id = $1", tenant.id) == []
    assert await steps_on_record(old, tenant) == ["leaving", "stayed"]


async def test_a_tenant_whose_work_does_not_end_stays_and_works_on(world: World, eu: Service) -> None:
    tenant, old = await working_tenant(world, eu, "eu-1"), world.cells["eu-1"]
    token = await eu.as_user(tenant, "analyst")
    async with held_up(old):
        moved = await world.command("tenant", "move", tenant.slug, "--to", "us-1")
    assert moved.returncode == 1
    assert "did not end within" in moved.stderr
    assert await asked(eu, tenant, token) == 200
    await world.move(tenant, "us-1")  # carries on with what was copied


async def test_an_old_copy_goes_when_its_time_of_grace_is_over_and_both_cells_say_so(
    world: World, eu: Service, us: Service, tmp_path: Path
) -> None:
    tenant, neighbour = await working_tenant(world, eu, "eu-1"), await working_tenant(world, eu, "eu-1")
    old, new = world.cells["eu-1"], world.cells["us-1"]
    kept = await newest_note(old, tenant)
    await world.move(tenant, "us-1", "--grace-hours", "1")
    early = await world.command("cell", "purge", "eu-1")
    assert (early.returncode, early.stdout) == (0, "")
    await old.fetch("update tenancy.residence set purge_after = now() where tenant_id = $1", tenant.id)
    done = await world.command("cell", "purge", "eu-1")
    assert done.returncode == 0, done.stderr
    assert tenant.slug in done.stdout

    for table in ("tenancy.tenant where id = $1", *(f"audit.{name} where tenant_id = $1" for name in ("event", "leaf", "log", "payload")),
                  "documents.chunk where tenant_id = $1", 'identity."user" where tenant_id = $1'):  # fmt: skip
        assert await old.fetch(f"select from {table}", tenant.id) == [], table
        assert await new.fetch(f"select from {table}", tenant.id), table
    assert list((old.folder / "files" / str(tenant.id)).iterdir()) == []
    assert len(list((new.folder / "files" / str(tenant.id)).iterdir())) == 1
    assert await asked(eu, neighbour, await eu.as_user(neighbour, "analyst")) == 200
    assert await steps_on_record(new, tenant) == ["leaving", "arrived", "purged"]
    platform = await old.fetchval(
        "select count(*) from audit.event where tenant_id = $1 and position($2 in envelope) > 0",
        UUID(int=0),
        tenant.slug,
    )
    assert platform == 1
    await sealed(new, tenant)
    await adopted(new)
    for cell in (old, new):
        checked = await check_checkpoints(cell.database.sealer_url, world.public_keys)
        assert checked.ok, list(checked.lines())
    again = await world.command("cell", "purge", "eu-1")
    assert (again.returncode, again.stdout) == (0, "")

    await world.move(tenant, "eu-1")  # over what was purged
    report = await verified(world, "eu-1", eu, tenant, tmp_path, kept)
    assert report.ok, list(report.lines())


async def steps_on_record(cell: CellUnderTest, tenant: Tenant) -> list[str]:
    """What the tenant's log says of its moves."""
    rows = await cell.fetch(
        "select envelope from audit.event"
        " where tenant_id = $1 and action = 'tenant:changed' and position('\"moved\"' in envelope) > 0 order by id",
        tenant.id,
    )
    return [re.search(r'"step":"(\w+)"', row["envelope"])[1] for row in rows]  # type: ignore[index]


async def adopted(cell: CellUnderTest) -> None:
    """Returns when the sealer has taken what tenants brought."""
    await cell.until("not exists (select from tenancy.residence where state = 'home' and not checkpoints_adopted)")
