"""Whoever ever made or changed a source stands behind what it brings, for ever: none of them is the second person for it."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

import asyncpg
import httpx
import pytest
from uuid_utils.compat import uuid7

from backend.identity.callers.caller import Caller
from backend.identity.callers.permissions import Role
from tests.factories import let_two_minutes_go_by
from tests.gateways.provider import provider_of
from tests.isolation.injection import acting
from tests.service import PASSWORD, Service, Tenant
from tests.sources.site import site
from tests.sources.sources import POLICIES, approve, bank_with_policies, created, documents, reaching, run, work

pytestmark = pytest.mark.anyio

WIRES = "Wires leave before noon."


async def bank_of_both(service: Service) -> Tenant:
    """A bank with two people who each keep sources and review documents."""
    bank = await bank_with_policies(service)
    for name in ("both", "third"):
        await service.add_user(bank, name, Role.ADMIN, Role.APPROVER)
    return bank


async def changed(service: Service, bank: Tenant, source: dict[str, Any], username: str, **change: Any) -> None:
    headers = await service.as_user(bank, username)
    answer = await service.client.patch(f"/sources/{source['id']}", json=change, headers=headers)
    assert answer.status_code == 200, answer.text


async def made_by(service: Service, bank: Tenant, username: str, address: str) -> dict[str, Any]:
    body = {"name": "wires", "kind": "urls", "collection": POLICIES, "address": address}
    answer = await service.post("/sources", bank, username, body)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def retire(service: Service, bank: Tenant, version: dict[str, Any], username: str) -> httpx.Response:
    path = f"/documents/{version['document_id']}/versions/1/retire"
    return await service.post(path, bank, username, {"reason": "It is gone."})


@pytest.mark.parametrize("end", ["deleted", "taken over"])
async def test_who_was_behind_a_request_of_a_source_does_not_decide_it_when_the_source_has_ended(
    service: Service, end: str
) -> None:
    bank = await bank_of_both(service)
    async with site() as there, reaching(service):
        source = await made_by(service, bank, "both", there.page("/wires.md", WIRES))
        await run(service, bank, source)
        (version,) = (await documents(service, bank)).values()
        assert await approve(service, bank, version) == 200
        del there.pages["/wires.md"]
        assert (await run(service, bank, source))["counts"]["retirements_asked"] == 1
        if end == "deleted":
            headers = await service.as_user(bank, "both")
            assert (await service.client.delete(f"/sources/{source['id']}", headers=headers)).status_code == 204
        else:
            await changed(service, bank, source, "admin", name="wires of the admin")
    assert (await retire(service, bank, version, "both")).status_code == 202
    assert (await documents(service, bank)).popitem()[1]["status"] == "approved"
    assert (await retire(service, bank, version, "third")).status_code == 200


async def test_who_made_a_source_approves_nothing_of_it_though_somebody_else_changed_it_since(service: Service) -> None:
    bank = await bank_of_both(service)
    async with site() as there, reaching(service):
        source = await made_by(service, bank, "both", there.page("/wires.md", WIRES))
        await changed(service, bank, source, "admin", name="wires of the admin")
        await run(service, bank, source)
        (version,) = (await documents(service, bank)).values()
        assert version["author_id"] == str(bank.users["admin"])
        assert await approve(service, bank, version, "both") == 403
        await changed(service, bank, source, "third", status="disabled")  # who answers for it from now on
        assert await approve(service, bank, version, "third") == 403
        headers = await service.as_user(bank, "admin")
        assert (await service.client.delete(f"/sources/{source['id']}", headers=headers)).status_code == 204
        assert await approve(service, bank, version, "both") == 403
        assert await approve(service, bank, version) == 200


async def test_a_source_that_is_made_while_somebody_vouches_counts_as_made_before(service: Service) -> None:
    """The administrator who could act as its maker may have sent that request."""
    bank = await bank_of_both(service)
    made = (await service.post("/users", bank, "both", {"username": "second", "roles": ["admin"]})).json()
    chosen = {"token": made["invitation"]["token"], "password": PASSWORD}
    assert (await service.client.post("/auth/reset", json=chosen)).status_code == 204
    assert (await service.post(f"/users/{made['id']}/vouch", bank, "third", None)).status_code == 200
    async with site() as there, reaching(service):
        source = await made_by(service, bank, "second", there.page("/wires.md", WIRES))
        await let_two_minutes_go_by(service, bank)
        await run(service, bank, source)
        (version,) = (await documents(service, bank)).values()
        assert await approve(service, bank, version, "both") == 403
        assert await approve(service, bank, version, "third") == 200


async def test_who_has_a_run_go_on_though_most_is_gone_retires_nothing_of_it(service: Service) -> None:
    bank = await bank_of_both(service)
    async with site() as there, reaching(service):
        source = await created(service, bank, there.page("/wires.md", WIRES))
        await run(service, bank, source)
        (version,) = (await documents(service, bank)).values()
        assert await approve(service, bank, version) == 200
        del there.pages["/wires.md"]
        for name, asked in (("both", {"accept_gone": True}), ("third", {})):
            answer = await service.post(f"/sources/{source['id']}/runs", bank, name, asked)
            assert answer.status_code == 202, answer.text
            await work(service)
    assert (await retire(service, bank, version, "both")).status_code == 202
    assert (await retire(service, bank, version, "third")).status_code == 200


Inserting = tuple[str, Callable[[Caller, UUID], tuple[object, ...]]]
A_SOURCE: Inserting = (
    "insert into sources.source (tenant_id, id, name, kind, collection_id, address, source_type, responsible_id, created_by)"
    " select $1, $2, gen_random_uuid()::text, 'urls', c.id, 'https://evil.example', 'x', $3, $3 from documents.collection c where c.approval_required",
    lambda caller, taken: (caller.tenant_id, taken, caller.principal_id),
)
A_KEY: Inserting = (
    "insert into identity.api_key (tenant_id, id, name, permissions, created_by, owner_id) values ($1, $2, gen_random_uuid()::text, '{}', $3, $3)",
    lambda caller, taken: (caller.tenant_id, taken, caller.principal_id),
)
A_USER: Inserting = (
    'insert into identity."user" (tenant_id, id, username, display_name) values ($1, $2, gen_random_uuid()::text, $2::uuid::text)',
    lambda caller, taken: (caller.tenant_id, taken),
)


@pytest.mark.parametrize("inserting", [A_SOURCE, A_KEY, A_USER], ids=["a source", "a key", "a user"])
async def test_nobody_is_given_the_id_of_somebody_else(service: Service, inserting: Inserting) -> None:
    """As SQL of the runtime role, in the name of an administrator: who stands behind an id is looked up by the id alone."""
    bank = await bank_with_policies(service)
    async with reaching(service):
        kept, gone = [await created(service, bank, f"https://localhost/{name}.md") for name in ("kept", "gone")]
        headers = await service.as_user(bank, "admin")
        assert (await service.client.delete(f"/sources/{gone['id']}", headers=headers)).status_code == 204
    key = await service.post("/auth/keys", bank, "admin", {"name": "a key", "permissions": ["retrieval:query"]})
    caller = await acting(service, bank, "admin")
    statement, values = inserting
    await provider_of(service, bank)
    async with service.operator() as operator:
        provider = await operator.connection.fetchval("select id from identity.issuer where tenant_id = $1", bank.id)
    taken = {kept["id"], gone["id"], key.json()["id"], str(bank.users["approver"]), str(provider)}
    for one in taken:
        async with service.services.tenancy.transaction(caller.claims()) as connection:
            with pytest.raises(asyncpg.UniqueViolationError):
                async with connection.transaction():
                    await connection.execute(statement, *values(caller, UUID(one)))
    async with service.services.tenancy.transaction(
        caller.claims()
    ) as connection:  # so that it is the id which is refused
        assert await connection.execute(statement, *values(caller, UUID(str(uuid7())))) == "INSERT 0 1"
