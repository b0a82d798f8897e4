"""A key is never more than its owner, and nobody comes to anything by a detour over principals that it controls."""

from typing import Any

import httpx
import pytest

from backend.identity.callers.permissions import Role
from tests.factories import bearer, create_key, ingest, vouch
from tests.service import PASSWORD, Service, Tenant

pytestmark = pytest.mark.anyio

QUESTION = {"query": "What is the rule?"}
RESTRICTED = {"query": "What is the rule?", "collection": "restricted"}


@pytest.fixture
async def bank(service: Service) -> Tenant:
    """A tenant with two administrators, and a memo in `restricted` that neither may read."""
    tenant = await service.create_tenant()
    await service.add_user(tenant, "admin2", Role.ADMIN)
    for collection in ("default", "restricted"):
        await ingest(service, tenant, f"rule-{collection}", "The rule is the rule.", collection=collection)
    return tenant


async def ask(
    service: Service, key: str, question: dict[str, str] = QUESTION, path: str = "/retrieve"
) -> httpx.Response:
    return await service.client.post(path, json=question, headers={"Authorization": f"Bearer {key}"})


async def patch(service: Service, tenant: Tenant, path: str, body: Any, by: str = "admin") -> httpx.Response:
    return await service.client.patch(path, json=body, headers=await service.as_user(tenant, by))


async def grant(service: Service, tenant: Tenant, principal: str, by: str, access: str = "read") -> int:
    body = {"principal_id": principal, "access": access}
    return (await service.post("/collections/restricted/grants", tenant, by, body)).status_code


async def test_who_manages_keys_hands_out_asking_answering_and_reading(service: Service, bank: Tenant) -> None:
    wanted = ("retrieval:query", "answers:create", "documents:read")
    key = await create_key(service, bank, *wanted, purpose="Answers the portal's customers.")
    assert key["owner"] == str(bank.users["admin"])
    assert (await ask(service, key["key"])).status_code == 200
    answered = await ask(service, key["key"], {"question": "What is the rule?"}, "/answer")
    assert answered.status_code == 200, answered.text
    event = (await service.get(f"/audit/events/{answered.json()['audit_event_id']}", bank, "compliance")).json()
    assert event["event"]["principal"]["purpose"] == "Answers the portal's customers."


async def test_a_key_loses_what_its_owner_loses_at_the_next_request(service: Service, bank: Tenant) -> None:
    key = await create_key(service, bank, "users:manage", "retrieval:query", by="admin2")
    headers = bearer(key)
    assert (await service.client.get("/users", headers=headers)).status_code == 200
    path = f"/users/{bank.users['admin2']}/roles"
    admin = await service.as_user(bank, "admin")
    await service.client.put(path, json={"roles": ["analyst"]}, headers=admin)
    assert (await service.client.get("/users", headers=headers)).status_code == 403
    assert (await ask(service, key["key"])).status_code == 200  # an analyst may still ask
    await service.client.put(path, json={"roles": []}, headers=admin)
    assert (await ask(service, key["key"])).status_code == 403


async def test_a_key_loses_a_collection_with_its_owner(service: Service, bank: Tenant) -> None:
    owner = await service.add_user(bank, "both", Role.ADMIN)
    assert await grant(service, bank, str(owner), "admin") == 201
    key = await create_key(service, bank, by="both", collections=["restricted"])
    assert len((await ask(service, key["key"], RESTRICTED)).json()["contexts"]) == 1
    grants = (await service.get("/collections/restricted/grants", bank, "admin")).json()["grants"]
    (granted,) = [g["id"] for g in grants if g["principal_id"] == str(owner)]
    headers = await service.as_user(bank, "admin")
    await service.client.delete(f"/collections/restricted/grants/{granted}", headers=headers)
    assert (await ask(service, key["key"], RESTRICTED)).status_code == 404


async def test_disabling_a_user_ends_its_keys_and_tokens_until_somebody_takes_the_keys_over(
    service: Service, bank: Tenant
) -> None:
    key = await create_key(service, bank, by="admin2")
    path, keys = f"/users/{bank.users['admin2']}", f"/auth/keys/{key['id']}"
    assert (await ask(service, key["key"])).status_code == 200
    token = await service.as_user(bank, "admin2")
    await patch(service, bank, path, {"status": "disabled"})
    assert (await ask(service, key["key"])).status_code == 401
    await patch(service, bank, path, {"status": "active"})
    assert (await ask(service, key["key"])).status_code == 401
    assert (await service.client.get("/auth/me", headers=token)).status_code == 401
    taken = await patch(service, bank, keys, {"owner": str(bank.users["admin"])})
    assert (taken.status_code, taken.json()["handed_over_by"]) == (200, str(bank.users["admin"])), taken.text
    assert (await ask(service, key["key"])).status_code == 401
    rotated = await service.post(f"{keys}/rotate", bank, "admin", {"overlap_seconds": 0})
    assert (await ask(service, rotated.json()["key"])).status_code == 200
    (event,) = await service.events(bank, action="key:handed_over")
    assert event["event"]["key"]["owner_before"] == str(bank.users["admin2"])


async def test_nobody_hands_over_its_own_key_nor_to_who_is_not_there(service: Service, bank: Tenant) -> None:
    key = await create_key(service, bank)
    path = f"/auth/keys/{key['id']}"
    assert (await patch(service, bank, path, {"owner": str(bank.users["admin2"])})).status_code == 403
    assert (await patch(service, bank, path, {"owner": key["id"]}, "admin2")).status_code == 403
    assert (await patch(service, bank, path, {"owner": str(bank.users["admin2"])}, "admin2")).status_code == 200


async def test_a_key_is_bounded_anew_and_reported_so(service: Service, bank: Tenant) -> None:
    budgets = {"tokens_day": 1000, "tokens_month": 20_000, "cost_day": 1.5, "cost_month": 12.5}
    key = await create_key(service, bank, budgets=budgets, purpose="To try it out.")
    path = f"/auth/keys/{key['id']}"
    changed = (await patch(service, bank, path, {"requests_per_minute": 7, "name": "renamed"})).json()
    assert (changed["name"], changed["requests_per_minute"], changed["budgets"]) == ("renamed", 7, budgets)
    assert changed["purpose"] == "To try it out."
    unbound = (await patch(service, bank, path, {"budgets": {}, "requests_per_minute": None})).json()
    assert unbound["budgets"] == {"tokens_day": None, "tokens_month": None, "cost_day": None, "cost_month": None}
    assert unbound["requests_per_minute"] is None
    headers = await service.as_user(bank, "admin")
    await service.client.delete(path, headers=headers)
    assert (await patch(service, bank, path, {"name": "again"})).status_code == 404


# Detours to a collection.


async def test_an_administrator_comes_to_no_collection_through_its_key_or_a_key_of_that(
    service: Service, bank: Tenant
) -> None:
    key = await create_key(service, bank, "retrieval:query", "keys:manage", "collections:manage")
    headers = bearer(key)
    wanted = {"name": "grandchild", "permissions": ["retrieval:query"]}
    child = (await service.client.post("/auth/keys", json=wanted, headers=headers)).json()
    for grantee in (key["id"], child["id"]):
        assert await grant(service, bank, grantee, "admin") == 403
        body = {"principal_id": grantee, "access": "read"}
        granted = await service.client.post("/collections/restricted/grants", json=body, headers=headers)
        assert granted.status_code == 403
    me = {"principal_id": str(bank.users["admin"]), "access": "read"}
    granted = await service.client.post("/collections/restricted/grants", json=me, headers=headers)
    assert granted.status_code in {403, 404}
    for opened in (key["key"], child["key"]):
        assert (await ask(service, opened, RESTRICTED)).status_code == 404
    assert await grant(service, bank, child["id"], "admin2") == 201, "a second person may"
    assert len((await ask(service, child["key"], RESTRICTED)).json()["contexts"]) == 1


async def test_a_key_that_is_handed_over_opens_nothing_until_its_new_owner_rotates_it(
    service: Service, bank: Tenant
) -> None:
    key = await create_key(service, bank)
    overlapping = await service.post(f"/auth/keys/{key['id']}/rotate", bank, "admin", {"overlap_seconds": 600})
    mine = {"owner": str(bank.users["admin2"])}
    handed = await patch(service, bank, f"/auth/keys/{key['id']}", mine, "admin2")
    assert (handed.status_code, handed.json()["lookup_ids"]) == (200, [])
    known = (key["key"], overlapping.json()["key"])
    assert [(await ask(service, secret)).status_code for secret in known] == [401, 401], "the owner before knows them"
    rotated = await service.post(f"/auth/keys/{key['id']}/rotate", bank, "admin2", {"overlap_seconds": 0})
    assert (await ask(service, rotated.json()["key"])).status_code == 200
    assert await grant(service, bank, key["id"], "admin") == 201, "the new owner alone knows it"
    taken = {"owner": str(bank.users["admin"])}
    await patch(service, bank, f"/auth/keys/{key['id']}", taken, "admin")
    again = await service.post(f"/auth/keys/{key['id']}/rotate", bank, "admin", {"overlap_seconds": 0})
    assert (await ask(service, again.json()["key"], RESTRICTED)).status_code == 404, "that was for the other owner"


async def test_a_user_reads_no_more_than_who_made_it_until_another_administrator_vouches_for_it(
    service: Service, bank: Tenant
) -> None:
    wanted = {"username": "sock", "password": PASSWORD, "roles": ["approver"]}  # approvers read `restricted`
    sock = (await service.post("/users", bank, "admin", wanted)).json()
    assert sock["counts_as"] == str(bank.users["admin"])
    assert await grant(service, bank, sock["id"], "admin") == 403
    assert (await service.post("/retrieve", bank, "sock", RESTRICTED)).status_code == 404
    assert (await service.post("/retrieve", bank, "sock", QUESTION)).json()["contexts"]
    assert (await service.get("/auth/me", bank, "sock")).json()["readable_collections"] == ["default"]
    readers = (await service.get("/collections/restricted/readers", bank, "admin")).json()["readers"]
    assert "sock" not in {reader["name"] for reader in readers}
    changed = await service.post(
        "/auth/password", bank, "sock", {"old_password": PASSWORD, "new_password": "a password of my own"}
    )
    assert changed.status_code == 204, changed.text
    assert (await service.post("/retrieve", bank, "sock", RESTRICTED)).status_code == 404
    await vouch(service, bank, sock["id"], "admin2")
    assert (await service.post("/retrieve", bank, "sock", RESTRICTED)).status_code == 200
    readers = (await service.get("/collections/restricted/readers", bank, "admin")).json()["readers"]
    assert "sock" in {reader["name"] for reader in readers}


async def test_a_user_who_owns_things_is_deleted_and_what_it_made_stays(service: Service, bank: Tenant) -> None:
    leaver = await service.add_user(bank, "leaver", Role.ADMIN, Role.EDITOR)
    assert await grant(service, bank, str(leaver), "admin") == 201
    kept, lost = [await create_key(service, bank, by="leaver") for _ in range(2)]
    handed = {"owner": str(bank.users["admin"])}
    assert (await patch(service, bank, f"/auth/keys/{kept['id']}", handed)).status_code == 200
    await ingest(service, bank, "of-leaver", "The rule of who left.", by="leaver")
    token, path = await service.as_user(bank, "leaver"), f"/users/{leaver}"
    assert (await service.client.delete(path, headers=await service.as_user(bank, "admin"))).status_code == 204
    assert (await service.client.get("/auth/me", headers=token)).status_code == 401
    rotated = await service.post(f"/auth/keys/{kept['id']}/rotate", bank, "admin", {"overlap_seconds": 0})
    assert [(await ask(service, key["key"])).status_code for key in (rotated.json(), lost)] == [200, 401]
    found = (await service.post("/retrieve", bank, "analyst", {"query": "Who left?"})).json()["contexts"]
    assert "of-leaver" in {context["doc_id"] for context in found}
    assert (await service.get(path, bank, "admin")).json()["status"] == "deleted"
    assert str(leaver) in {event["principal_id"] for event in await service.events(bank, action="document:ingested")}
    namesake = (await service.post("/users", bank, "admin", {"username": "leaver", "roles": []})).json()
    assert namesake["id"] != str(leaver)
    assert (await service.client.get("/auth/me", headers=token)).status_code == 401
    assert (await ask(service, lost["key"])).status_code == 401
