"""One process that serves several cells: each tenant by its own cell, whatever the request names, and by no other."""

import asyncio
import re
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import httpx
import pytest
from prometheus_client import REGISTRY

from backend.cells.served import is_of_a_cell, served_cells
from backend.errors import Misdirected, Unavailable
from backend.identity.callers.permissions import Role
from backend.settings import MissingSettingError, Settings
from backend.tenancy import Claims, Tenancy
from tests.cells.test_moving import verified
from tests.cells.world import World, asked, cells_of, newest_note, working_tenant
from tests.listening import listening
from tests.service import PASSWORD, Tenant
from tests.serving import free_port

pytestmark = [pytest.mark.anyio, pytest.mark.cells]

HERE = ("eu-1", "us-1")


@pytest.fixture(scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory, model_home: Path) -> AsyncIterator[World]:
    async with cells_of(tmp_path_factory.mktemp("several"), model_home, "eu-1", "us-1", "asia-1") as made:
        yield made


@pytest.fixture(scope="module")
async def tenants(world: World) -> dict[str, Tenant]:
    """A tenant in each cell, with a document of its own."""
    made = {}
    for name in world.cells:
        async with world.serving(name) as service:
            made[name] = await working_tenant(world, service, name)
    return made


@pytest.fixture(scope="module")
async def client(world: World, tenants: dict[str, Tenant]) -> AsyncIterator[httpx.AsyncClient]:
    async with world.serving_several(*HERE) as (made, _):
        yield made


def counted(cell: str) -> float:
    """How many requests were answered for a cell."""
    return sum(
        sample.value
        for metric in REGISTRY.collect() if metric.name == "affidavit_requests"
        for sample in metric.samples if sample.labels.get("cell") == cell and sample.name.endswith("_total")
    )  # fmt: skip


async def signed_in(client: httpx.AsyncClient, tenant: Tenant, username: str = "analyst") -> dict[str, str]:
    form = {"username": username, "password": PASSWORD, "client_id": tenant.slug}
    answer = await client.post("/auth/token", data=form)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def test_whatever_names_the_tenant_leads_to_its_cell(
    world: World, client: httpx.AsyncClient, tenants: dict[str, Tenant]
) -> None:
    for name in HERE:
        tenant, before = tenants[name], counted(name)
        pair = await signed_in(client, tenant)
        key = tenant.partner_key
        question = {"query": "dispute a card payment"}
        statuses = {
            "token": await client.post("/retrieve", json=question, headers=bearer(pair["access_token"])),
            "key": await client.post("/retrieve", json=question, headers=bearer(key)),
            "openai": await client.get("/v1/models", headers=bearer(pair["access_token"])),
            "refresh": await client.post(
                "/auth/token", data={"grant_type": "refresh_token", "refresh_token": pair["refresh_token"]}
            ),
        }
        assert {kind: answer.status_code for kind, answer in statuses.items()} == dict.fromkeys(statuses, 200)
        assert statuses["token"].json()["contexts"]
        assert counted(name) == before + 5
        listed = await world.cells[name].fetchval(
            "select count(*) from audit.event where tenant_id = $1 and request_id = $2",
            tenant.id, statuses["token"].headers["x-request-id"],
        )  # fmt: skip
        assert listed == 1, "the record is in the tenant's own cell"


async def test_a_browser_is_served_by_its_cell_from_the_form_to_the_last_page(
    client: httpx.AsyncClient, tenants: dict[str, Tenant]
) -> None:
    for name in HERE:
        tenant = tenants[name]
        form = {"tenant": tenant.slug, "username": "analyst", "password": PASSWORD}
        entered = await client.post("/console/sign-in", data=form)
        assert entered.status_code == 303, entered.text
        before = counted(name)
        page = await client.get("/console/ask")  # with the cookie that it was given
        assert page.status_code == 200
        assert counted(name) == before + 1
        client.cookies.clear()


async def test_what_only_its_body_names_begins_anew_in_the_cell_that_has_it(
    world: World, client: httpx.AsyncClient, tenants: dict[str, Tenant]
) -> None:
    """A link is sent as JSON, of which the front reads nothing: the first cell finds that it is another's."""
    tenant = tenants["us-1"]
    async with world.serving("us-1") as us:
        made = await us.post(f"/users/{tenant.users['analyst']}/reset", tenant, "admin", None)
    assert made.status_code == 200, made.text
    link = re.search(r"afp_\w+", made.text)
    assert link is not None
    before = {name: counted(name) for name in HERE}
    answer = await client.post("/auth/reset", json={"token": link[0], "password": PASSWORD})
    assert answer.status_code == 204, answer.text
    assert {name: counted(name) - before[name] for name in HERE} == {"eu-1": 0, "us-1": 1}


async def test_a_tenant_of_a_cell_that_is_not_served_is_told_where_it_is(
    client: httpx.AsyncClient, world: World, tenants: dict[str, Tenant]
) -> None:
    async with world.serving("asia-1") as asia:
        token = await asia.as_user(tenants["asia-1"], "analyst")
    answer = await client.get("/auth/me", headers=token)
    assert (answer.status_code, answer.headers["location"]) == (421, "https://asia-1.example/auth/me")
    form = {"username": "analyst", "password": PASSWORD, "client_id": tenants["asia-1"].slug}
    assert (await client.post("/auth/token", data=form)).status_code == 421


async def test_a_tenant_that_has_moved_is_served_where_it_is_now(world: World, tenants: dict[str, Tenant]) -> None:
    """Its copies have the same id and the same slug in both cells, and its rows are only answered from one."""
    async with AsyncExitStack() as stack:
        client, _ = await stack.enter_async_context(world.serving_several(*HERE))
        async with world.serving("eu-1") as eu:
            tenant = await working_tenant(world, eu, "eu-1")
            await eu.add_user(tenant, "privacy2", Role.PRIVACY)
        token = bearer((await signed_in(client, tenant))["access_token"])
        officer = bearer((await signed_in(client, tenant, "compliance"))["access_token"])
        hold = {"subject": "analyst", "reason": "Subpoena 17"}
        assert (await client.post("/audit/holds", json=hold, headers=officer)).status_code == 201
        await world.move(tenant, "us-1")
        held = (await client.get("/audit/holds", headers=officer)).json()["holds"]
        assert [(one["reason"], one["released_at"]) for one in held] == [("Subpoena 17", None)]
        assert await erased(client, tenant) == 409, "a hold holds at the new home too"
        for name in HERE:
            assert await world.cells[name].fetchval(
                "select count(*) from documents.chunk where tenant_id = $1", tenant.id
            )
        before = counted("us-1")
        answer = await client.post("/retrieve", json={"query": "dispute a card payment"}, headers=token)
        assert (answer.status_code, counted("us-1") - before) == (200, 1)
        answer = await client.post("/retrieve", json={"query": "dispute"}, headers=token | {"Host": "eu-1.example"})
        assert answer.status_code == 200


async def erased(client: httpx.AsyncClient, tenant: Tenant) -> int:
    """Has two people erase the analyst; returns what the second one is answered."""
    first, second = [
        bearer((await signed_in(client, tenant, name))["access_token"]) for name in ("privacy", "privacy2")
    ]
    wanted = {"subject": "analyst", "legal_basis": "GDPR article 17(1)(b)"}
    asked = await client.post("/audit/erasures", json=wanted, headers=first)
    assert asked.status_code == 201, asked.text
    return (await client.post(f"/audit/erasures/{asked.json()['id']}/approval", headers=second)).status_code


async def test_nothing_of_a_tenant_passes_another_cells_connections(world: World, tenants: dict[str, Tenant]) -> None:
    """Whatever lies about the tenant only leads to a cell that refuses: the context is signed with that cell's key, for its name."""
    async with world.serving_several(*HERE) as (client, services):
        tokens = {name: (await signed_in(client, tenants[name]))["access_token"] for name in HERE}
        for name, other in (HERE, HERE[::-1]):
            for lie in (
                {"Host": f"{other}.example"}, {"Cookie": f"affidavit={tenants[other].partner_key[4:11]}.x"},
                {"Host": f"{other}.example", "X-Forwarded-Host": f"{other}.example"},
            ):  # fmt: skip
                before = counted(name)
                answer = await client.get("/auth/me", headers=bearer(tokens[name]) | lie)
                assert (answer.status_code, answer.json()["tenant"]["slug"]) == (200, tenants[name].slug), lie
                assert counted(name) == before + 1
            seen = await world.cells[other].fetchval(
                "select count(*) from audit.event where tenant_id = $1", tenants[name].id
            )
            assert seen == 0
            own, wrong = services[name], services[other]
            claims = Claims("r", tenants[name].id, tenants[name].users["analyst"], kind="user")
            with pytest.raises(Misdirected):
                async with wrong.tenancy.transaction(claims):
                    pass
            signed = own.tenancy._signer.sign(claims, 0, 1)
            assert signed != wrong.tenancy._signer.sign(claims, 0, 1)
            mixed_up = Tenancy(wrong.pool, own.tenancy._signer, timeout=5)
            with pytest.raises(Unavailable, check=lambda refused: "invalid context" in str(refused.__cause__)):
                async with mixed_up.transaction(claims) as connection:
                    await connection.fetch("select * from documents.chunk")


async def test_readiness_says_which_cell_is_away_while_the_others_serve(
    world: World, tenants: dict[str, Tenant]
) -> None:
    us = world.cells["us-1"]
    async with world.serving_several(*HERE, database_timeout=1) as (client, _):
        tokens = {name: (await signed_in(client, tenants[name]))["access_token"] for name in HERE}
        assert (await client.get("/ready")).json()["away"] == []
        await us.fetch("alter table documents.chunk no force row level security")
        try:
            await until_away(client, ["us-1"])
            statuses = {name: (await client.get("/auth/me", headers=bearer(tokens[name]))).status_code for name in HERE}
            assert statuses == {"eu-1": 200, "us-1": 503}
            assert [REGISTRY.get_sample_value("affidavit_cell_ready", {"cell": name}) for name in HERE] == [1, 0]
        finally:
            await us.fetch("alter table documents.chunk force row level security")
        await until_away(client, [])
        assert (await client.get("/auth/me", headers=bearer(tokens["us-1"]))).status_code == 200


async def until_away(client: httpx.AsyncClient, expected: list[str]) -> None:
    for _ in range(200):
        answer = await client.get("/ready")
        if answer.json().get("away") == expected:
            assert answer.status_code == 200
            return
        await asyncio.sleep(0.1)
    raise AssertionError(answer.text)


def test_a_cells_keys_and_addresses_come_from_its_file_alone(tmp_path: Path, model_home: Path) -> None:
    """A file that lacks one leaves it unset, whatever the process is configured with."""
    common = {
        "home": model_home, "served_cells": ["*"], "cells_folder": tmp_path, "directory_public_key": "k", "directory_file": tmp_path / "d",
        "context_key": "c" * 40, "payload_key": "p" * 40, "runtime_database_url": "postgresql://one/x",
        "storage_folder": tmp_path, "search_key": "s" * 40, "max_body_bytes": 4096, "replication_url": "postgresql://one/x",
    }  # fmt: skip
    settings = Settings(**common)
    with pytest.raises(MissingSettingError):
        served_cells(settings)
    (tmp_path / "eu-1.toml").write_text('payload_key = "q23456789012345678901234567890123"\n')
    (cell,) = served_cells(settings).values()
    assert (cell.cell, cell.max_body_bytes, cell.search_key) == ("eu-1", 4096, settings.search_key)
    assert cell.payload_key != settings.payload_key
    for name in ("context_key", "runtime_database_url", "storage_folder", "replication_url", "cells_folder"):
        assert is_of_a_cell(name)
        assert getattr(cell, name) is None, name
    with pytest.raises(MissingSettingError, match="no settings of the cell asia-1"):
        served_cells(Settings(**{**common, "served_cells": ["asia-1"]}))


async def test_requests_are_passed_on_to_cells_of_regions_whose_data_may_pass_and_to_no_others(
    world: World, tenants: dict[str, Tenant]
) -> None:
    tenant, question = tenants["asia-1"], {"query": "dispute a card payment"}
    async with world.serving("asia-1") as asia, listening(asia) as address:
        await world.add("asia-1", address)
        try:
            token = await asia.as_user(tenant, "analyst")
            async with world.serving_several(*HERE, cell_pass_on=["asia"]) as (client, _):
                pair = await signed_in(client, tenant)  # named by the form
                answer = await client.post("/retrieve", json=question, headers=bearer(pair["access_token"]))
                assert (answer.status_code, bool(answer.json()["contexts"])) == (200, True)
                events = await asia.events(tenant, action="retrieval:executed")
                assert answer.headers["x-request-id"] in {event["request_id"] for event in events}
                editor = bearer((await signed_in(client, tenant, "editor"))["access_token"])
                large = {"file": ("large.md", b"# Fees\n\n" + b"A wire costs $25.\n\n" * 60_000)}
                assert (await client.post("/documents", files=large, headers=editor)).status_code == 202
                again = await client.get("/auth/me", headers=token | {"X-Affidavit-Passed-On": "1"})
                assert again.status_code == 421, "what one cell has passed on goes no further"
                own = bearer((await signed_in(client, tenants["us-1"]))["access_token"])
                assert (await client.get("/auth/me", headers=own)).status_code == 200
            async with world.serving("eu-1", cell_pass_on=["asia"]) as eu:  # one cell, which passes on as well
                assert (await eu.client.get("/auth/me", headers=token)).status_code == 200
            async with world.serving_several(*HERE, cell_pass_on=["eu"]) as (client, _):
                assert (await client.get("/auth/me", headers=token)).status_code == 421
            await world.add("asia-1", f"http://127.0.0.1:{free_port()}")
            async with world.serving_several(*HERE, cell_pass_on=["asia"]) as (client, _):
                refused = await client.get("/auth/me", headers=token)
                assert (refused.status_code, refused.json()["error"]) == (503, "unavailable")
        finally:
            await world.add("asia-1")


async def test_a_tenant_moves_from_a_cell_whose_clock_is_ahead_to_one_whose_clock_is_behind(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each differs from its database as much as it may; the log goes on, and so does who is signed in."""
    true_time = time.time
    async with world.serving("eu-1") as eu, world.serving("us-1") as us:
        monkeypatch.setattr(time, "time", lambda: true_time() + 29)
        tenant = await working_tenant(world, eu, "eu-1")
        token, kept = await eu.as_user(tenant, "analyst"), await newest_note(world.cells["eu-1"], tenant)
        assert await asked(eu, tenant, token) == 200
        await world.move(tenant, "us-1")
        monkeypatch.setattr(time, "time", lambda: true_time() - 29)
        assert await asked(us, tenant, token) == 200
        assert (await us.client.get("/auth/me", headers=bearer(tenant.partner_key))).status_code == 200
        monkeypatch.undo()
        report = await verified(world, "us-1", us, tenant, tmp_path, kept)
    assert report.ok, list(report.lines())
