"""A bearer that somebody stole, or a provider that turns on its tenant: it makes itself no more than the operator said it is."""

import threading
from typing import Any
from uuid import uuid4

import pytest
from scim2_models import PatchOp

from backend.gateways.scim.resources import Group
from backend.identity.callers.permissions import Role
from backend.operation import issuers
from tests.gateways.provider import GROUP, PATCH, USER, Provider, provider_of
from tests.service import Service

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
async def provider(service: Service) -> Provider:
    return await provider_of(service, await service.create_tenant())


EVERY_ROLE = [role.value for role in Role]


@pytest.mark.parametrize("named", ["roles", "entitlements", "permissions", "credentials_of", "is_admin", "userType"])
async def test_nobody_becomes_more_by_saying_so(provider: Provider, named: str) -> None:
    """Roles come of groups that the operator said a role of, and of nothing that a resource says of itself."""
    said = {named: [{"value": role, "primary": True} for role in EVERY_ROLE]}
    user = await provider.user(f"climber-{named}", **said)
    place = f"/Users/{user['id']}"
    for operation in (
        {"op": "add", "path": named, "value": said[named]},
        {"op": "replace", "value": said},
        {"op": "add", "path": "groups", "value": [{"value": "Legal", "display": "Legal"}]},
    ):
        await provider.patch(place, operation)
    await provider.ask("PUT", place, {"schemas": [USER], "userName": f"climber-{named}", **said, "groups": said[named]})
    assert await provider.roles(user["id"]) == []


@pytest.mark.parametrize(
    "named", ["admin", "Admin", "compliance", "privacy", "legal", "Legal ", "Leg\u0430l", " Legal"]
)
async def test_a_group_stands_for_a_role_by_the_very_name_that_the_operator_said(
    provider: Provider, named: str
) -> None:
    member = (await provider.user(f"member-{uuid4().hex[:8]}"))["id"]
    await provider.group(named, member)
    assert await provider.roles(member) == []


async def test_another_name_or_address_takes_nobodys_place(provider: Provider, service: Service) -> None:
    """A provider may call its own as it likes; who is already somebody here keeps that name, its roles and its sign-in."""
    tenant = provider.tenant
    user = await provider.user("ordinary", externalId="ext-ordinary", emails=[{"value": "o@bank.example"}])
    place = f"/Users/{user['id']}"
    for name in ("admin", "ADMIN", "\uff41dmin", " admin", "compliance"):
        renamed = await provider.patch(place, {"op": "replace", "path": "userName", "value": name})
        assert (renamed.status_code, renamed.json()["scimType"]) == (409, "uniqueness"), name
    for name in ("admin\u200b", "\ufeffadmin", "admin\u202e", "ad\u00admin", "ad\u034fmin", "a" * 129, ""):
        renamed = await provider.patch(place, {"op": "replace", "path": "userName", "value": name})
        assert renamed.status_code == 400, name
    address = {"op": "replace", "path": "emails", "value": [{"value": "admin@bank.example", "primary": True}]}
    assert (await provider.patch(place, address)).status_code == 200
    headers = await service.as_user(tenant, "admin")
    reset = await service.client.post(f"/users/{user['id']}/reset", headers=headers)
    assert reset.status_code in {403, 404, 409}, "its users sign in through the provider, and have no password"
    service.forget_token(tenant, "admin")
    assert (await service.get("/auth/me", tenant, "admin")).json()["roles"] == ["admin"]


async def test_a_bearer_of_a_provider_that_is_trusted_no_more_opens_nothing(service: Service) -> None:
    ended = await provider_of(service, await service.create_tenant())
    user = await ended.user("kept")
    async with service.operator() as acting:
        await issuers.distrust(acting.connection, ended.tenant.slug)
    for method, path in (("GET", "/Users"), ("GET", f"/Users/{user['id']}"), ("DELETE", f"/Users/{user['id']}")):
        assert (await ended.ask(method, path)).status_code == 401


MANY = [{"value": f"0193f3f0-0000-7000-8000-{number:012x}"} for number in range(30_000)]
TOO_MUCH: dict[str, list[dict[str, Any]]] = {
    "operations": [{"op": "add", "path": "members", "value": [member]} for member in MANY[:2_000]],
    "operations on users": [{"op": "replace", "path": "displayName", "value": "x"}] * 501,
    "members times operations": [{"op": "add", "path": "members", "value": MANY[:2_000]}] * 40,
    "without a path": [{"op": "add", "value": {"members": MANY[:2_000]}}] * 40,
    "a filter": [{"op": "remove", "path": "members[" + " or ".join(['value eq "a"'] * 5_000) + "]"}],
    "a text": [{"op": "remove", "path": f'members[value eq "{"x" * 1_000_000}"]'}],
    "values to remove": [{"op": "Remove", "path": "members", "value": MANY[:1_000]}],
    "conditions": [{"op": "replace", "path": "members[" + " or ".join(["value pr"] * 80) + "].type", "value": "User"}]
    * 90,
    "values within values": [{"op": "add", "value": {"a": {"members": MANY[:2_000]}}}] * 40,
}


@pytest.mark.parametrize("case", TOO_MUCH)
async def test_what_would_take_long_is_refused_at_once_and_changes_nothing(provider: Provider, case: str) -> None:
    user = await provider.user(f"bound-{case[:13].replace(' ', '-')}-{len(case)}")
    group = await provider.group(f"Bound {case}", user["id"])
    place = f"/Users/{user['id']}" if "users" in case else f"/Groups/{group['id']}"
    before = (await provider.ask("GET", place)).json()
    refused = await provider.patch(place, *TOO_MUCH[case])
    assert (refused.status_code, refused.json()["status"]) == (413, "413"), refused.text[:300]
    assert len(refused.content) < 400
    assert (await provider.ask("GET", place)).json() == before


@pytest.mark.parametrize("called", ["operations", "OPERATIONS"])
async def test_what_would_take_long_is_refused_however_its_attributes_are_spelt(
    provider: Provider, called: str
) -> None:
    """RFC 7643, section 2.1: case does not tell names of attributes apart."""
    group = await provider.group(f"Spelt {called}")
    for operations in (
        [{"op": "add", "path": "displayName", "value": "x"}] * 501,
        [{"Op": "remove", "PATH": "members[" + " or ".join(['value eq "a"'] * 5_000) + "]"}],
        [{"oP": "Remove", "Path": "members", "VALUE": MANY[:1_000]}],
    ):
        refused = await provider.ask(
            "PATCH", f"/Groups/{group['id']}", {"schemas": [PATCH], "Operations": [], called: operations}
        )
        assert refused.status_code == 413, refused.text[:300]


async def test_a_large_group_is_read_where_nobody_waits_for_it(
    provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads = []
    read = Group.model_validate

    def watched(*arguments: Any, **more: Any) -> Group:
        threads.append(threading.current_thread())
        return read(*arguments, **more)

    monkeypatch.setattr(Group, "model_validate", watched)
    refused = await provider.ask("POST", "/Groups", {"schemas": [GROUP], "displayName": "Everyone", "members": MANY})
    assert (refused.status_code, refused.json()["scimType"]) == (400, "invalidValue"), "they are nobody's"
    assert threads
    assert threading.current_thread() not in threads


@pytest.mark.parametrize(("method", "kind", "named"), [("PATCH", PatchOp, "patch"), ("PUT", Group, "replace")])
async def test_a_large_group_is_changed_where_nobody_waits_for_it(
    provider: Provider, monkeypatch: pytest.MonkeyPatch, method: str, kind: type[Any], named: str
) -> None:
    threads = []
    change = getattr(kind, named)

    def watched(*arguments: Any, **more: Any) -> Any:
        threads.append(threading.current_thread())
        return change(*arguments, **more)

    monkeypatch.setattr(kind, named, watched)
    group = await provider.group(f"Aside {method}")
    operations = [{"op": "replace", "path": "displayName", "value": "Elsewhere"}]
    body = (
        {"schemas": [PATCH], "Operations": operations}
        if method == "PATCH"
        else {"schemas": [GROUP], "displayName": "Elsewhere"}
    )
    changed = await provider.ask(method, f"/Groups/{group['id']}", body)
    assert (changed.status_code, changed.json()["displayName"]) == (200, "Elsewhere"), changed.text
    assert threads
    assert threading.current_thread() not in threads


async def test_operations_of_providers_that_are_many_but_usual_are_taken(provider: Provider) -> None:
    people = [(await provider.user(f"usual-{number}"))["id"] for number in range(30)]
    group = await provider.group("Usual")
    place = f"/Groups/{group['id']}"
    each = [{"op": "Add", "path": "members", "value": [{"value": person}]} for person in people]
    assert (await provider.patch(place, *each)).status_code == 200
    gone = [{"op": "Remove", "path": f'members[value eq "{person}"]'} for person in people[:20]]
    left = (await provider.patch(place, *gone)).json()["members"]
    assert {member["value"] for member in left} == set(people[20:])
