"""Managing collections and who may use them."""

from uuid import uuid4

import pytest

from tests.factories import bearer, create_key
from tests.service import Service, Tenant

pytestmark = pytest.mark.anyio

CHUNK = {"doc_id": "d", "chunk_text": "The gate closes at six.", "source_type": "policy", "collection": "gates"}


@pytest.fixture(scope="module", autouse=True)
async def gates(service: Service, tenant: Tenant) -> None:
    created = await service.post("/collections", tenant, "admin", {"slug": "gates", "name": "Gates"})
    assert created.status_code == 201, created.text
    assert (created.json()["readable"], created.json()["writable"]) == (False, False)
    for access in ("read", "write"):
        await service.post("/collections/gates/grants", tenant, "admin", {"role": "editor", "access": access})
    assert (await service.post("/ingest", tenant, "editor", CHUNK)).status_code == 201


async def found(service: Service, tenant: Tenant, username: str) -> bool:
    answer = await service.post("/retrieve", tenant, username, {"query": "When does the gate close?"})
    return any(context["doc_id"] == "d" for context in answer.json()["contexts"])


async def test_a_grant_works_on_the_next_request_and_so_does_its_withdrawal(service: Service, tenant: Tenant) -> None:
    assert not await found(service, tenant, "analyst")
    wanted = {"principal_id": str(tenant.users["analyst"]), "access": "read"}
    granted = await service.post("/collections/gates/grants", tenant, "admin", wanted)
    assert (granted.status_code, granted.json()["principal_name"]) == (201, "analyst")
    assert await found(service, tenant, "analyst")
    assert (await service.post("/collections/gates/grants", tenant, "admin", wanted)).status_code == 409
    path = f"/collections/gates/grants/{granted.json()['id']}"
    headers = await service.as_user(tenant, "admin")
    assert (await service.client.delete(path, headers=headers)).status_code == 204
    assert not await found(service, tenant, "analyst")
    assert (await service.client.delete(path, headers=headers)).status_code == 404
    events = await service.events(tenant, action="grant:changed", limit=2)
    grantee = {"collection": "gates", "access": "read", "principal": wanted["principal_id"]}
    assert [event["event"]["grant"] for event in events] == [
        {**grantee, "change": "withdrawn"},
        {**grantee, "change": "granted"},
    ]


async def test_nobody_grants_access_to_themselves_by_name_by_role_or_through_a_key(
    service: Service, tenant: Tenant
) -> None:
    admin = str(tenant.users["admin"])
    for grantee in ({"principal_id": admin}, {"role": "admin"}):
        wanted = {**grantee, "access": "read"}
        assert (await service.post("/collections/gates/grants", tenant, "admin", wanted)).status_code == 403
    key = await create_key(service, tenant, "collections:manage", "users:manage")
    headers = bearer(key)
    for principal in (admin, key["id"]):
        wanted = {"principal_id": principal, "access": "read"}
        answer = await service.client.post("/collections/gates/grants", json=wanted, headers=headers)
        assert answer.status_code == 403, answer.text


async def test_a_collection_is_seen_by_who_uses_or_manages_it_and_is_not_found_by_others(
    service: Service, tenant: Tenant, other_tenant: Tenant
) -> None:
    listed = {
        username: {row["slug"] for row in (await service.get("/collections", tenant, username)).json()["collections"]}
        for username in ("admin", "editor", "analyst")
    }
    assert listed == {
        "admin": {"default", "gates", "restricted"}, "editor": {"default", "gates", "restricted"}, "analyst": {"default"}
    }  # fmt: skip
    assert (await service.get("/collections/gates", tenant, "analyst")).status_code == 404
    headers = await service.as_user(other_tenant, "admin")
    change = {"name": "Ours"}
    answers = [
        await service.get("/collections/gates", other_tenant, "admin"),
        await service.client.patch("/collections/gates", json=change, headers=headers),
        await service.get("/collections/gates/grants", other_tenant, "admin"),
        await service.post("/collections/gates/grants", other_tenant, "admin", {"role": "analyst", "access": "read"}),
        await service.client.delete(f"/collections/gates/grants/{uuid4()}", headers=headers),
    ]
    assert {(answer.status_code, answer.json()["error"]) for answer in answers} == {(404, "not_found")}


async def test_another_tenants_user_gets_no_grant(service: Service, tenant: Tenant, other_tenant: Tenant) -> None:
    for principal in (str(other_tenant.users["analyst"]), str(uuid4())):
        wanted = {"principal_id": principal, "access": "read"}
        assert (await service.post("/collections/gates/grants", tenant, "admin", wanted)).status_code == 404


async def test_only_who_manages_collections_changes_them(service: Service, tenant: Tenant) -> None:
    headers = await service.as_user(tenant, "editor")
    assert (await service.client.patch("/collections/gates", json={"name": "X"}, headers=headers)).status_code == 403
    assert (await service.post("/collections", tenant, "editor", {"slug": "x", "name": "X"})).status_code == 403
    again = {"slug": "gates", "name": "Gates"}
    assert (await service.post("/collections", tenant, "admin", again)).status_code == 409
    klingon = {"slug": "y", "name": "Y", "language": "klingon"}
    assert (await service.post("/collections", tenant, "admin", klingon)).status_code == 422
    reference = {"slug": "z", "name": "Z", "metadata_schema": {"$ref": "http://127.0.0.1/"}}
    assert (await service.post("/collections", tenant, "admin", reference)).status_code == 422


async def test_a_collection_that_comes_to_require_approval_takes_no_more_unapproved_text(
    service: Service, tenant: Tenant
) -> None:
    headers = await service.as_user(tenant, "admin")
    changed = await service.client.patch("/collections/gates", json={"approval_required": True}, headers=headers)
    assert (changed.json()["approval_required"], changed.json()["name"]) == (True, "Gates")
    more = {**CHUNK, "chunk_text": "The gate never closes."}
    assert (await service.post("/ingest", tenant, "editor", more)).status_code == 409
    other = {**more, "doc_id": "e"}
    assert (await service.post("/ingest", tenant, "editor", other)).json()["status"] == "draft"
    assert await found(service, tenant, "editor")
    (event, *_) = await service.events(tenant, action="collection:changed")
    assert event["event"]["changed"] == ["approval_required"]
