"""A tenant's provider keeps its users and groups here by SCIM 2.0, as Okta and Entra send it, and opens nothing else."""

import asyncio
from typing import Any

import httpx2
import pytest
from scim2_client.engines.httpx2 import SyncSCIMClient
from scim2_tester import Status, check_server

from backend.operation import issuers, provisioning
from backend.operation.service import OperatorError
from tests.gateways.provider import GROUP, USER, Provider, provider_of
from tests.listening import listening
from tests.service import Service, Tenant

pytestmark = pytest.mark.anyio

ERROR = "urn:ietf:params:scim:api:messages:2.0:Error"


@pytest.fixture(scope="module")
async def provider(service: Service, tenant: Tenant) -> Provider:
    return await provider_of(service, tenant)


@pytest.mark.doors
async def test_the_protocols_own_tester_finds_nothing(service: Service) -> None:
    judged = await provider_of(service, await service.create_tenant())
    async with listening(service) as address:
        results = await asyncio.to_thread(_judged, f"{address}/scim/v2", judged.bearer)
    assert len(results) > 50
    assert [
        (r.title, r.resource_type, r.reason, str(r.data)[:300])
        for r in results
        if r.status not in {Status.SUCCESS, Status.SKIPPED}
    ] == []


def _judged(address: str, bearer: str) -> list[Any]:
    headers = {"Authorization": f"Bearer {bearer}"}
    with httpx2.Client(base_url=address, headers=headers, timeout=30) as client:
        return check_server(SyncSCIMClient(client))


async def test_a_user_is_made_found_changed_and_forgotten(provider: Provider) -> None:
    made = await provider.user(
        "Dana@Bank.example", externalId="ext-dana", active=True, title="Analyst", password="never kept",
        name={"givenName": "Dana", "familyName": "Doe"}, emails=[{"value": "d@bank.example", "type": "work", "primary": True}],
    )  # fmt: skip
    assert made["meta"]["location"].endswith(f"/scim/v2/Users/{made['id']}")
    assert (made["active"], "password" in made) == (True, False)
    assert made.keys() == {"schemas", "id", "externalId", "userName", "name", "active", "emails", "meta"}
    for wanted in ('userName eq "dana@bank.EXAMPLE"', 'externalId eq "ext-dana"', f'id eq "{made["id"]}"',
                   'userName eq "dana@bank.example" and externalId eq "ext-dana"'):  # fmt: skip
        found = (await provider.ask("GET", "/Users", filter=wanted)).json()
        assert (found["totalResults"], found["Resources"]) == (1, [made]), wanted
    shown = (await provider.service.get(f"/users/{made['id']}", provider.tenant, "admin")).json()
    assert (shown["username"], shown["display_name"], shown["roles"]) == ("dana@bank.example", "Dana Doe", [])
    replaced = await provider.ask("PUT", f"/Users/{made['id']}", {"schemas": [USER], "userName": "dana.doe"})
    assert replaced.status_code == 200, replaced.text
    assert replaced.json().keys() == {"schemas", "id", "userName", "meta"}
    assert (await provider.ask("DELETE", f"/Users/{made['id']}")).status_code == 204
    assert (await provider.ask("GET", f"/Users/{made['id']}")).status_code == 404
    assert (await provider.user("dana.doe"))["id"] != made["id"], "its name is free again"


async def test_pages_are_counted_from_one(provider: Provider, service: Service) -> None:
    alone = await provider_of(service, await service.create_tenant())
    names = [(await alone.user(f"user-{number}"))["userName"] for number in range(5)]
    for start, count, expected in (
        (1, 2, names[:2]),
        (2, 2, names[1:3]),
        (5, 9, names[4:]),
        (6, 9, []),
        (0, 1, names[:1]),
        (-3, 0, []),
    ):
        page = (await alone.ask("GET", "/Users", startIndex=start, count=count)).json()
        assert [user["userName"] for user in page.get("Resources", [])] == expected, (start, count)
        assert (page["totalResults"], page["itemsPerPage"]) == (5, len(expected))
    assert (await alone.ask("GET", "/Users", filter='userName eq "nobody"')).json()["totalResults"] == 0


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "replace", "value": {"active": False}},  # Okta
        {"op": "Replace", "path": "active", "value": "False"},  # Entra
        {"op": "Add", "path": "active", "value": "false"},
    ],
)
async def test_a_deactivated_user_is_out_at_once_and_stays_readable(
    provider: Provider, operation: dict[str, Any]
) -> None:
    user = await provider.user(f"leaver-{len(str(operation))}")
    left = await provider.patch(f"/Users/{user['id']}", operation)
    assert (left.status_code, left.json()["active"]) == (200, False)
    assert (await provider.ask("GET", f"/Users/{user['id']}")).json()["active"] is False
    found = (await provider.ask("GET", "/Users", filter=f'userName eq "{user["userName"]}"')).json()
    assert found["Resources"][0]["active"] is False
    back = await provider.patch(f"/Users/{user['id']}", {"op": "replace", "value": {"active": True}})
    assert back.json()["active"] is True


async def test_a_deactivated_user_stays_out_when_nothing_is_said_of_that(provider: Provider) -> None:
    user = await provider.user("suspended", active=False)
    path = f"/Users/{user['id']}"
    patched = await provider.patch(path, {"op": "replace", "value": {"displayName": "Sus Pended"}})
    assert (patched.status_code, patched.json()["active"]) == (200, False)
    replaced = await provider.ask("PUT", path, {"schemas": [USER], "userName": "suspended"})
    assert (replaced.status_code, replaced.json()["active"]) == (200, False)
    assert (await provider.patch(path, {"op": "replace", "path": "active", "value": True})).json()["active"] is True


async def test_entras_paths_are_understood_and_what_is_not_kept_is_dropped(provider: Provider) -> None:
    user = await provider.user("entra", emails=[{"value": "old@bank.example", "type": "work"}])
    enterprise = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
    changed = await provider.patch(
        f"/Users/{user['id']}",
        {"op": "Replace", "path": 'emails[type eq "work"].value', "value": "new@bank.example"},
        {"op": "Add", "path": "name.givenName", "value": "Erin"},
        {"op": "Replace", "value": {"name.familyName": "Roe", f"{enterprise}:department": "Risk"}},
        {"op": "Add", "path": 'phoneNumbers[type eq "work"].value', "value": "+1"},
        {"op": "Add", "path": f"{enterprise}:manager", "value": "x"},
        {"op": "Replace", "path": "userName", "value": "Entra.New"},
    )
    assert changed.status_code == 200, changed.text
    told = changed.json()
    assert (told["userName"], told["name"]) == ("Entra.New", {"givenName": "Erin", "familyName": "Roe"})
    assert told["emails"] == [{"value": "new@bank.example", "type": "work"}]
    assert not {"phoneNumbers", enterprise} & told.keys()
    assert (await provider.service.get(f"/users/{user['id']}", provider.tenant, "admin")).json()[
        "username"
    ] == "entra.new"


async def test_groups_give_the_roles_that_the_operator_said_and_take_them(provider: Provider) -> None:
    ann, ben = (await provider.user("ann"))["id"], (await provider.user("ben"))["id"]
    risk = await provider.group("Risk", ann)
    editors = await provider.group("Policy authors", ben, externalId="00g-editors")
    legal = await provider.group("Legal", ann)
    others = await provider.group("Others", ann, ben)
    assert (await provider.roles(ann), await provider.roles(ben)) == (["analyst", "compliance"], ["editor"])
    assert {group["display"] for group in (await provider.ask("GET", f"/Users/{ann}")).json()["groups"]} == {
        "Risk",
        "Legal",
        "Others",
    }
    await provider.patch(
        f"/Groups/{risk['id']}", {"op": "Add", "path": "members", "value": [{"value": ben, "display": "B"}]}
    )
    assert await provider.roles(ben) == ["analyst", "editor"]
    await provider.patch(f"/Groups/{risk['id']}", {"op": "remove", "path": f'members[value eq "{ann}"]'})  # Okta
    await provider.patch(
        f"/Groups/{editors['id']}", {"op": "Remove", "path": "members", "value": [{"value": ben}]}
    )  # Entra
    assert (await provider.roles(ann), await provider.roles(ben)) == (["compliance"], ["analyst"])
    await provider.patch(f"/Groups/{legal['id']}", {"op": "replace", "path": "displayName", "value": "Lawyers"})
    assert await provider.roles(ann) == [], "the group is called something that stands for nothing"
    await provider.ask(
        "PUT", f"/Groups/{others['id']}", {"schemas": [GROUP], "displayName": "Risk", "members": [{"value": ann}]}
    )
    assert (await provider.roles(ann), await provider.roles(ben)) == (["analyst"], ["analyst"])
    assert (await provider.ask("DELETE", f"/Groups/{others['id']}")).status_code == 204
    assert await provider.roles(ann) == []
    await provider.ask("DELETE", f"/Users/{ben}")
    assert "members" not in (await provider.ask("GET", f"/Groups/{risk['id']}")).json()


async def test_groups_are_found_without_their_members(provider: Provider) -> None:
    member = (await provider.user("member"))["id"]
    group = await provider.group("Findable", member, externalId="00g-find")
    for wanted in (
        'displayName eq "findable"',
        'externalId eq "00g-find"',
        f'id eq "{group["id"]}" and members eq "{member}"',
    ):
        found = (await provider.ask("GET", "/Groups", filter=wanted, excludedAttributes="members")).json()
        assert [one["id"] for one in found["Resources"]] == [group["id"]], wanted
        assert "members" not in found["Resources"][0]
    one = (await provider.ask("GET", f"/Groups/{group['id']}", excludedAttributes="members")).json()
    assert one.keys() == {"schemas", "id", "externalId", "displayName", "meta"}
    few = (await provider.ask("GET", f"/Groups/{group['id']}", attributes="displayName")).json()
    assert few.keys() == {"schemas", "id", "displayName"}


async def test_what_is_wrong_is_said_in_scims_words_and_changes_nothing(provider: Provider) -> None:
    user = await provider.user("steady", externalId="ext-steady")
    group = await provider.group("Half", user["id"])
    place, unknown = f"/Users/{user['id']}", "0193f3f0-0000-7000-8000-00000000dead"
    for method, path, body, status, kind in (
        ("POST", "/Users", {"schemas": [USER], "userName": "STEADY"}, 409, "uniqueness"),
        ("POST", "/Users", {"schemas": [USER], "userName": "admin"}, 409, "uniqueness"),
        ("POST", "/Users", {"schemas": [USER], "userName": "another", "externalId": "ext-steady"}, 409, "uniqueness"),
        ("POST", "/Users", {"schemas": [USER]}, 400, "invalidValue"),
        ("POST", "/Users", {"schemas": [USER], "userName": "a b"}, 400, "invalidValue"),
        ("POST", "/Users", {"schemas": [USER], "userName": "x\0y"}, 400, "invalidValue"),
        ("POST", "/Users", [], 400, "invalidSyntax"),
        ("PATCH", place, {"schemas": ["x"], "Operations": [{"op": "replace", "path": "active", "value": "maybe"}]}, 400, None),
        ("PATCH", place, {"Operations": [{"op": "grow"}]}, 400, "invalidValue"),
        ("PATCH", place, {"Operations": [{"op": "remove"}]}, 400, "noTarget"),
        ("PATCH", place, {"Operations": [{"op": "replace", "path": "id", "value": "x"}]}, 400, "mutability"),
        ("PATCH", place, {"Operations": [{"op": "replace", "path": "a[b", "value": "x"}]}, 400, "invalidPath"),
        ("PATCH", place, {"Operations": []}, 400, "invalidValue"),
        ("PUT", f"/Users/{unknown}", {"schemas": [USER], "userName": "x"}, 404, None),
        ("GET", "/Users/nothing", None, 404, None),
        ("GET", "/Nothing", None, 404, None),
        ("POST", "/Groups", {"schemas": [GROUP], "displayName": "G", "members": [{"value": unknown}]}, 400, "invalidValue"),
        ("POST", "/Groups", {"schemas": [GROUP], "displayName": "G", "members": [{"value": "x"}]}, 400, "invalidValue"),
        ("PUT", f"/Groups/{group['id']}", {"schemas": [GROUP], "displayName": "G", "members": [{"value": unknown}]}, 400, "invalidValue"),
    ):  # fmt: skip
        if method == "PATCH":
            answer = await provider.patch(path, *body["Operations"])  # type: ignore[index, call-overload]
        else:
            answer = await provider.ask(method, path, body)
        told = answer.json()
        assert (answer.status_code, told["status"], told["schemas"]) == (status, str(status), [ERROR]), (
            method,
            path,
            body,
            told,
        )
        assert kind is None or told["scimType"] == kind, (body, told)
        assert answer.headers["content-type"] == "application/scim+json"
        assert "maybe" not in told["detail"]
    for wanted in (
        'userName sw "a"',
        "userName eq",
        "userName eq true",
        'userName eq "a" or userName eq "b"',
        "(" * 3000,
        'title eq "x"',
    ):
        answer = await provider.ask("GET", "/Users", filter=wanted)
        assert (answer.status_code, answer.json().get("scimType")) in {(400, "invalidFilter"), (400, "invalidValue")}, (
            wanted
        )
    assert (await provider.ask("GET", place, excludedAttributes="groups")).json() == user
    assert (await provider.ask("GET", f"/Groups/{group['id']}")).json() == group


async def test_a_bearer_opens_this_door_and_no_other_and_others_do_not_open_it(
    provider: Provider, service: Service
) -> None:
    headers = {"Authorization": f"Bearer {provider.bearer}"}
    for path in ("/auth/me", "/users", "/audit/events", "/v1/models", "/provisioning", "/documents"):
        assert (await service.client.get(path, headers=headers)).status_code == 401, path
    assert (await service.client.post("/mcp", headers=headers, json={})).status_code == 401
    refused = (await service.events(provider.tenant, action="auth:failed", limit=10))[0]
    assert (refused["reason"], refused["event"]["principal"]["kind"]) == ("scim_bearer:door", "issuer")
    for user in ("admin", "compliance", "partner"):
        assert (await service.get("/scim/v2/Users", provider.tenant, user)).status_code == 403, user
    assert (await service.client.get("/scim/v2/Users")).status_code == 401
    another = provider.bearer[:-1] + ("1" if provider.bearer.endswith("0") else "0")
    for wrong in (another, "afs_", provider.bearer.replace("afs_", "afd_")):
        answer = await service.client.get("/scim/v2/Users", headers={"Authorization": f"Bearer {wrong}"})
        assert (answer.status_code, answer.json()["schemas"]) == (401, [ERROR])


async def test_a_provider_sees_and_changes_nobody_but_its_own(
    provider: Provider, service: Service, other_tenant: Tenant
) -> None:
    other = await provider_of(service, other_tenant)
    mine = await provider.user("mine")
    group = await provider.group("Mine", mine["id"])
    theirs = await other.user("theirs")
    local = str(provider.tenant.users["admin"])
    for asked, place in (
        (other, f"/Users/{mine['id']}"),
        (other, f"/Groups/{group['id']}"),
        (provider, f"/Users/{local}"),
    ):
        for method, body in (
            ("GET", None),
            ("DELETE", None),
            ("PUT", {"schemas": [USER, GROUP], "userName": "x", "displayName": "x"}),
        ):
            assert (await asked.ask(method, place, body)).status_code == 404, (method, place)
        assert (await asked.patch(place, {"op": "replace", "path": "displayName", "value": "x"})).status_code == 404
    for member in (theirs["id"], local):
        taken = await provider.patch(
            f"/Groups/{group['id']}", {"op": "add", "path": "members", "value": [{"value": member}]}
        )
        assert (taken.status_code, taken.json()["scimType"]) == (400, "invalidValue")
    names = [user["userName"] for user in (await other.ask("GET", "/Users")).json()["Resources"]]
    assert names == ["theirs"]


async def test_every_change_is_on_record_as_the_providers(provider: Provider, service: Service) -> None:
    user = await provider.user("recorded", emails=[{"value": "secret@bank.example"}])
    group = await provider.group("Risk", user["id"])
    await provider.patch(f"/Users/{user['id']}", {"op": "replace", "value": {"active": False}})
    await provider.ask("DELETE", f"/Groups/{group['id']}")
    events = [found["event"] for found in await service.events(provider.tenant, door="scim", limit=6)][::-1]
    told = [(event["action"], event.get("user", event.get("group"))["change"]) for event in events]
    assert told == [
        ("user:changed", "created"), ("group:changed", "created"), ("user:changed", "roles"), ("user:changed", "changed"),
        ("group:changed", "deleted"), ("user:changed", "roles"),
    ]  # fmt: skip
    assert {event["principal"]["kind"] for event in events} == {"issuer"}
    assert {event["principal"]["purpose"] for event in events} == {f"bearer of {provider.tenant.slug}"}
    assert events[3]["user"]["status"] == "disabled"
    assert "secret@bank.example" not in str(events)


async def test_the_administrator_sees_what_the_provider_keeps_and_ends_its_bearers(service: Service) -> None:
    tenant = await service.create_tenant()
    first = await provider_of(service, tenant)
    await first.group("Risk", (await first.user("one"))["id"])
    kept = (await service.get("/provisioning", tenant, "admin")).json()
    assert (kept["users"], kept["inactive"], [(g["name"], g["members"]) for g in kept["groups"]]) == (
        1,
        0,
        [("Risk", 1)],
    )
    assert first.bearer not in str(kept)
    async with service.operator() as acting:
        second = await provisioning.create(acting.connection, tenant.slug, "second")
    async with service.operator() as acting:
        with pytest.raises(OperatorError, match="is taken"):
            await provisioning.create(acting.connection, tenant.slug, "second")
    headers = await service.as_user(tenant, "admin")
    place = f"/provisioning/bearers/{kept['bearers'][0]['id']}"
    assert (await service.client.delete(place, headers=headers)).status_code == 204
    assert (await service.client.delete(place, headers=headers)).status_code == 404
    assert (await first.ask("GET", "/Users")).status_code == 401
    left = Provider(service, tenant, second)
    assert (await left.ask("GET", "/Users")).status_code == 200
    async with service.operator() as acting:
        await issuers.distrust(acting.connection, tenant.slug)
        with pytest.raises(OperatorError, match="trusts no issuer"):
            await provisioning.create(acting.connection, tenant.slug, "third")
    assert (await left.ask("GET", "/Users")).status_code == 401
    assert (await service.get("/provisioning", tenant, "admin")).json()["users"] == 0
