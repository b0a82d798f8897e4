"""The operator creates, limits, suspends, resumes and deletes tenants, with credentials that open nothing of theirs."""

import asyncio
import re
import secrets
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import asyncpg
import httpx
import pytest

from backend.identity.callers.permissions import Role
from backend.ledger.history import META_LOG
from backend.operation import operator_keys, placement, tenants
from backend.operation.service import OperatorError
from tests.factories import ingest, post_file, work
from tests.service import PASSWORD, Database, Service, Tenant, sealing

pytestmark = pytest.mark.anyio

ROUTES = [
    ("GET", "/operator/state"),
    ("POST", "/operator/tenants"),
    ("GET", "/operator/tenants"),
    ("GET", "/operator/tenants/{slug}"),
    ("PATCH", "/operator/tenants/{slug}"),
    ("POST", "/operator/tenants/{slug}/suspend"),
    ("POST", "/operator/tenants/{slug}/resume"),
    ("DELETE", "/operator/tenants/{slug}"),
    ("PUT", "/operator/tenants/{slug}/domains/bank.example"),
    ("DELETE", "/operator/tenants/{slug}/domains/bank.example"),
]


async def key_named(service: Service, name: str) -> str:
    async with service.operator() as acting:
        return await operator_keys.create(acting.connection, name)


@pytest.fixture(scope="module")
async def operator_key(service: Service) -> str:
    return await key_named(service, "provisioning")


@pytest.fixture
async def as_operator(service: Service, operator_key: str) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app=service.app)
    headers = {"Authorization": f"Bearer {operator_key}"}
    async with httpx.AsyncClient(transport=transport, base_url="http://service.test", headers=headers) as client:
        yield client


async def create(as_operator: httpx.AsyncClient) -> dict[str, Any]:
    answer = await as_operator.post("/operator/tenants", json={"slug": f"new-{secrets.token_hex(4)}", "name": "New"})
    assert answer.status_code == 201, answer.text
    created: dict[str, Any] = answer.json()
    return created


async def test_a_created_tenant_works_and_the_act_is_in_its_log(
    service: Service, as_operator: httpx.AsyncClient
) -> None:
    slug = (await create(as_operator))["slug"]
    async with service.operator() as acting:
        tenant_id = await acting.tenant(slug)
    tenant = Tenant(tenant_id, slug, "", {})
    for role in (Role.ANALYST, Role.EDITOR, Role.COMPLIANCE):
        await service.add_user(tenant, role, role)
    await ingest(service, tenant, "d", "Wires leave at noon.", metadata={})
    found = await service.post("/retrieve", tenant, "analyst", {"query": "wires"})
    assert [context["doc_id"] for context in found.json()["contexts"]] == ["d"]
    created = [e for e in await service.events(tenant) if e["event"].get("tenant_status") == "active"]
    assert [event["event"]["operator"]["name"] for event in created] == ["provisioning"]


async def test_the_operator_sees_how_sealing_and_jobs_go(
    service: Service, tenant: Tenant, as_operator: httpx.AsyncClient
) -> None:
    async def state() -> dict[str, Any]:
        answer = await as_operator.get("/operator/state")
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    await ingest(service, tenant, "d", "Wires leave at noon.")
    before = await state()
    assert before["sealing"]["waiting"] > 0
    assert (before["sealing"]["idle_seconds"], before["sealing"]["checkpoint_seconds"]) == (None, None)
    async with sealing(service.database):
        while (await state())["sealing"]["waiting"]:
            await asyncio.sleep(0.05)
        after = (await state())["sealing"]
    assert 0 <= after["checkpoint_seconds"] <= 60
    assert 0 <= after["idle_seconds"] <= 60
    assert not after["halted"]
    assert before["jobs"] == []
    await post_file(service, tenant, "wires.md", b"# Wires", "editor")
    (waiting,) = (await state())["jobs"]
    assert (waiting["kind"], waiting["status"], waiting["number"]) == ("document:ingest", "queued", 1)
    await work(service)
    (done,) = (await state())["jobs"]
    assert (done["status"], done["number"]) == ("succeeded", 1)


async def test_the_operator_s_role_sees_of_the_log_no_tenant(database: Database) -> None:
    connection = await asyncpg.connect(database.operator_url)
    try:
        seen = {row["tenant_id"] for row in await connection.fetch("select tenant_id from audit.checkpoint")}
        assert seen == {META_LOG}
        for hidden in ("tenant_id from audit.unsealed", "note from audit.checkpoint", "holder from audit.sealer"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.fetch(f"select {hidden}")
    finally:
        await connection.close()


async def test_the_operator_sees_that_a_tenant_has_outgrown_the_shared_partition(
    service: Service, as_operator: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    tenant = await service.create_tenant()
    path = f"/operator/tenants/{tenant.slug}"
    for number in range(2):
        await ingest(service, tenant, f"d-{number}", f"Rule {number}.", metadata={})
    small = (await as_operator.get(path)).json()
    assert (small["chunks"], small["placement"], small["promotion_proposed"]) == (2, "shared", False)
    monkeypatch.setattr(tenants, "CROSSOVER", 1)
    assert (await as_operator.get(path)).json()["promotion_proposed"]
    await placement.promote(service.database.owner_url, tenant.id, lambda *_: None)
    promoted = (await as_operator.get(path)).json()
    assert (promoted["chunks"], promoted["placement"], promoted["promotion_proposed"]) == (2, "private", False)


async def test_the_operator_gives_domains_and_takes_them_away_and_the_log_tells(
    service: Service, as_operator: httpx.AsyncClient
) -> None:
    tenant, other = await service.create_tenant(), await service.create_tenant()
    name = f"d{secrets.token_hex(4)}"
    domain = f"/operator/tenants/{tenant.slug}/domains/{name}"
    for spelt in (".Example", ".example"):  # the second time it is the tenant's already
        given = await as_operator.put(f"{domain}{spelt}")
        assert (given.status_code, given.json()["domains"]) == (200, [f"{name}.example"])
    refused = await as_operator.put(f"/operator/tenants/{other.slug}/domains/{name}.example")
    assert (refused.status_code, tenant.slug in refused.json()["detail"]) == (409, True)
    for nonsense in ("bank", "192.0.2.1", "jane@bank.example", "-a.example", "a%00.example"):
        assert (await as_operator.put(f"/operator/tenants/{tenant.slug}/domains/{nonsense}")).status_code == 422
    form = {"username": "analyst", "password": PASSWORD, "client_id": f"jane@{name}.example"}
    assert (await service.client.post("/auth/token", data=form)).status_code == 200
    assert (await as_operator.delete(f"/operator/tenants/{other.slug}/domains/{name}.example")).status_code == 404
    taken = await as_operator.delete(f"{domain}.EXAMPLE")
    assert (taken.status_code, taken.json()["domains"]) == (200, [])
    assert (await as_operator.delete(f"{domain}.example")).status_code == 404
    assert (await service.client.post("/auth/token", data=form)).status_code == 401
    told = [e["event"] for e in await service.events(tenant, action="tenant:changed")]
    changed = {kind: [e[kind] for e in told if e.get(kind)] for kind in ("domain_added", "domain_removed")}
    assert changed == {"domain_added": [f"{name}.example"], "domain_removed": [f"{name}.example"]}


async def test_a_suspended_tenant_is_refused_on_the_next_request_and_serves_again_when_resumed(
    service: Service, as_operator: httpx.AsyncClient
) -> None:
    tenant = await service.create_tenant()
    for username in ("analyst", "partner"):
        assert (await service.get("/auth/me", tenant, username)).status_code == 200
    suspended = await as_operator.post(f"/operator/tenants/{tenant.slug}/suspend")
    assert suspended.json()["status"] == "suspended"
    for username in ("analyst", "partner"):
        assert (await service.get("/auth/me", tenant, username)).status_code == 401
    form = {"username": "analyst", "password": PASSWORD, "client_id": tenant.slug}
    assert (await service.client.post("/auth/token", data=form)).status_code == 401
    assert (await as_operator.post(f"/operator/tenants/{tenant.slug}/resume")).json()["status"] == "active"
    assert (await service.get("/auth/me", tenant, "analyst")).status_code == 200


async def test_a_deleted_tenant_is_refused_at_once_and_can_be_resumed_while_its_grace_runs(
    service: Service, as_operator: httpx.AsyncClient
) -> None:
    tenant = await service.create_tenant()
    deleted = await as_operator.delete(f"/operator/tenants/{tenant.slug}")
    assert deleted.status_code == 202
    ends = datetime.fromisoformat(deleted.json()["delete_after"])
    assert timedelta(days=29) < ends - datetime.now(UTC) < timedelta(days=31)
    assert (await service.get("/auth/me", tenant, "partner")).status_code == 401
    assert (await as_operator.post(f"/operator/tenants/{tenant.slug}/suspend")).status_code == 409
    assert (await as_operator.delete(f"/operator/tenants/{tenant.slug}")).status_code == 409
    await as_operator.post(f"/operator/tenants/{tenant.slug}/resume")
    assert (await service.get("/auth/me", tenant, "partner")).status_code == 200


async def test_limits_that_the_operator_sets_hold_from_the_next_request(
    service: Service, as_operator: httpx.AsyncClient
) -> None:
    tenant = await service.create_tenant()
    limits = {"requests_per_minute": 1, "principal_requests_per_minute": None}
    changed = await as_operator.patch(f"/operator/tenants/{tenant.slug}", json=limits)
    assert {name: changed.json()[name] for name in limits} == limits
    assert changed.json()["name"] == tenant.slug
    answers = [(await service.get("/auth/me", tenant, "partner")).status_code for _ in range(4)]
    assert answers.count(429) >= 2  # at most one passes in each of two windows


@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_no_credential_of_a_tenant_opens_a_route_of_the_operator(
    service: Service, tenant: Tenant, method: str, path: str
) -> None:
    url = path.format(slug=tenant.slug)
    credentials = [await service.as_user(tenant, name) for name in ("admin", "compliance", "partner")]
    for headers in ({}, {"Authorization": "Bearer afo_x"}, *credentials):
        refused = await service.client.request(method, url, headers=headers, json={"slug": "mine"})
        assert refused.status_code == 401
    assert refused.json()["error"] == "unauthenticated"


async def test_an_operator_key_opens_no_other_route(service: Service, as_operator: httpx.AsyncClient) -> None:
    opened = []
    for path, operations in service.app.openapi()["paths"].items():
        for method, operation in operations.items():
            if operation.get("security") == [{"bearer": []}]:
                answer = await as_operator.request(method, re.sub(r"\{\w+\}", str(uuid4()), path))
                opened += [(method, path)] if answer.status_code not in {401, 422} else []
                assert answer.status_code == 401 or method in {"post", "put", "patch"} or "{" in path
    assert opened == []


async def test_a_rotated_operator_key_has_two_secrets_for_a_while_and_stays_one_key(service: Service) -> None:
    async with service.operator() as acting:
        old = await operator_keys.create(acting.connection, "rotated")
        new = await operator_keys.rotate(acting.connection, "rotated", 60)
        known = [(await operator_keys.presented(acting.connection, secret)).id for secret in (old, new)]
        assert known[0] == known[1]  # so it is not two people who declare what a restored database lost
    for secret in (old, new):
        answer = await service.client.get("/operator/tenants", headers={"Authorization": f"Bearer {secret}"})
        assert answer.status_code == 200
    async with service.operator() as acting:
        newest = await operator_keys.rotate(acting.connection, "rotated", 0)
    for secret, status in ((old, 401), (new, 401), (newest, 200)):
        answer = await service.client.get("/operator/tenants", headers={"Authorization": f"Bearer {secret}"})
        assert answer.status_code == status
    async with service.operator() as acting:
        with pytest.raises(OperatorError, match="no live operator key"):
            await operator_keys.rotate(acting.connection, "nobody", 60)


async def test_an_operators_key_is_exchanged_while_it_is_used(service: Service) -> None:
    """Two clients ask without a pause, and take the new secret one after the other."""
    in_use, statuses = [await key_named(service, "in-use")] * 2, list[int]()

    async def client(number: int) -> None:
        while True:
            headers = {"Authorization": f"Bearer {in_use[number]}"}
            statuses.append((await service.client.get("/operator/tenants", headers=headers)).status_code)
            await asyncio.sleep(0)

    async def more() -> None:
        wanted = len(statuses) + 6
        while len(statuses) < wanted:
            await asyncio.sleep(0.01)

    old, asking = in_use[0], [asyncio.create_task(client(number)) for number in range(2)]
    async with asyncio.timeout(60):
        await more()
        async with service.operator() as acting:
            new = await operator_keys.rotate(acting.connection, "in-use", 3600)
        for number in range(2):
            await more()
            in_use[number] = new
        await more()
    for task in asking:
        task.cancel()
    await asyncio.gather(*asking, return_exceptions=True)
    assert (set(statuses), old == new) == ({200}, False)


async def test_a_revoked_operator_key_is_refused_on_the_next_request(service: Service) -> None:
    key = await key_named(service, "temporary")
    headers = {"Authorization": f"Bearer {key}"}
    assert (await service.client.get("/operator/tenants", headers=headers)).status_code == 200
    async with service.operator() as acting:
        await operator_keys.revoke(acting.connection, "temporary")
    assert (await service.client.get("/operator/tenants", headers=headers)).status_code == 401


@pytest.mark.parametrize(
    ("body", "status"), [({"slug": "A"}, 422), ({"slug": "x" * 64}, 422), ({}, 422), ({"slug": "taken-slug"}, 409)]
)
async def test_a_bad_or_taken_slug_is_refused(
    as_operator: httpx.AsyncClient, body: dict[str, str], status: int
) -> None:
    await as_operator.post("/operator/tenants", json={"slug": "taken-slug"})
    assert (await as_operator.post("/operator/tenants", json=body)).status_code == status


async def test_a_tenant_that_does_not_exist_is_not_found(as_operator: httpx.AsyncClient) -> None:
    for method, path in (route for route in ROUTES if "{slug}" in route[1]):
        answer = await as_operator.request(method, path.format(slug="no-such-tenant"), json={"name": "x"})
        assert answer.status_code == 404


async def test_the_operator_role_can_touch_no_table_of_tenant_content(database: Database) -> None:
    connection = await asyncpg.connect(database.operator_url)
    rights = await connection.fetch(
        """
        select c.oid::regclass::text || ' ' || privilege as held
        from pg_class c join pg_namespace n on n.oid = c.relnamespace
        cross join unnest(array['select', 'insert', 'update', 'references']) as privilege
        where n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast') and c.relkind in ('r', 'p', 'v', 'm', 'S')
          and has_any_column_privilege(c.oid, privilege)
        union
        select c.oid::regclass::text || ' ' || privilege
        from pg_class c join pg_namespace n on n.oid = c.relnamespace
        cross join unnest(array['delete', 'truncate', 'trigger']) as privilege
        where n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast') and c.relkind in ('r', 'p')
          and has_table_privilege(c.oid, privilege)
        """
    )
    functions = await connection.fetch(
        """
        select p.oid::regproc::text as callable from pg_proc p join pg_namespace n on n.oid = p.pronamespace
        where n.nspname in ('tenancy', 'identity', 'documents', 'retrieval', 'audit', 'migration')
          and has_function_privilege(p.oid, 'execute')
        """
    )
    await connection.close()
    assert sorted(row["held"] for row in rights) == [
        "audit.checkpoint select",  # of the log of logs
        "audit.event insert",
        "audit.sealer select",
        "audit.unsealed select",  # how many, and not whose
        "identity.operator_key select",
        "retrieval.collection_size select",  # how many chunks, and of which tenant
        "retrieval.placement select",
        "tenancy.domain delete",
        "tenancy.domain insert",
        "tenancy.domain select",
        "tenancy.tenant select",
        "tenancy.tenant update",
    ]
    assert sorted(row["callable"] for row in functions) == [
        "audit.event_time",
        "identity.create_tenant",
        "tenancy.is_home",  # in this cell
        "tenancy.totals",
    ]


@pytest.mark.parametrize(
    "attack",
    [
        "select text from documents.chunk",
        "select hash from identity.password",
        "select envelope from audit.event",
        "insert into identity.operator_key (id, name, digest) values (gen_random_uuid(), 'x', sha256(''))",
        "insert into identity.user_role (tenant_id, user_id, role) values (gen_random_uuid(), gen_random_uuid(), 'admin')",
        "update tenancy.tenant set status = 'deleting', delete_after = now()",
        "delete from tenancy.tenant",
        "set role affidavit_owner",
        "create table public.x ()",
        """insert into audit.event (id, envelope) select '01980000-0000-7000-8000-000000000000', '{"id":
        "01980000-0000-7000-8000-000000000000", "tenant": "00000000-0000-0000-0000-000000000000", "action": "a", "outcome": "b",
        "time": "2026-11-24T00:00:00Z", "request_id": "r", "principal": {"kind": "user"}}'""",
    ],
)
@pytest.mark.usefixtures("tenant")
async def test_sql_of_the_operator_role_reaches_nothing_else(database: Database, attack: str) -> None:
    connection = await asyncpg.connect(database.operator_url)
    try:
        with pytest.raises((asyncpg.InsufficientPrivilegeError, asyncpg.CheckViolationError)):
            await connection.execute(attack)
    finally:
        await connection.close()
