"""Managing a tenant's users over HTTP."""

from typing import Any
from uuid import uuid4

import asyncpg
import httpx
import pytest

from backend.identity.callers.permissions import Role
from tests.factories import bearer, create_key, create_user, vouch
from tests.service import PASSWORD, Service, Tenant

pytestmark = pytest.mark.anyio


async def change(
    service: Service, tenant: Tenant, path: str, body: Any, username: str = "admin", method: str = "PATCH"
) -> httpx.Response:
    return await service.client.request(method, path, json=body, headers=await service.as_user(tenant, username))


async def test_a_new_user_signs_in_and_may_do_what_its_roles_permit(service: Service, tenant: Tenant) -> None:
    user = await create_user(service, tenant, "dana", "analyst")
    me = (await service.get("/auth/me", tenant, "dana")).json()
    assert (me["id"], me["roles"]) == (user["id"], ["analyst"])
    (event, *_) = await service.events(tenant, action="user:changed")
    assert event["event"]["user"] == {"id": user["id"], "change": "created", "roles": ["analyst"]}
    assert PASSWORD not in str(event)


async def test_a_taken_name_or_an_unusable_password_is_refused(service: Service, tenant: Tenant) -> None:
    taken = {"username": "analyst", "password": PASSWORD}
    assert (await service.post("/users", tenant, "admin", taken)).status_code == 409
    short = {"username": "short", "password": "x"}
    assert (await service.post("/users", tenant, "admin", short)).status_code == 422
    named = {"username": "No Name", "password": PASSWORD}
    assert (await service.post("/users", tenant, "admin", named)).status_code == 422


async def test_a_disabled_user_is_refused_on_the_next_request_and_signs_in_anew_when_enabled(
    service: Service, tenant: Tenant
) -> None:
    user = await create_user(service, tenant, "leaver", "analyst")
    assert (await service.get("/auth/me", tenant, "leaver")).status_code == 200
    path = f"/users/{user['id']}"
    assert (await change(service, tenant, path, {"status": "disabled"})).json()["status"] == "disabled"
    assert (await service.get("/auth/me", tenant, "leaver")).status_code == 401
    await change(service, tenant, path, {"status": "active"})
    assert (await service.get("/auth/me", tenant, "leaver")).status_code == 401, "the old token stays dead"
    service.forget_tokens()
    assert (await service.get("/auth/me", tenant, "leaver")).status_code == 200


async def test_roles_change_on_the_next_request_and_on_record(service: Service, tenant: Tenant) -> None:
    user = await create_user(service, tenant, "mover", "analyst")
    path = f"/users/{user['id']}/roles"
    answer = await change(service, tenant, path, {"roles": ["analyst", "approver"]}, method="PUT")
    assert answer.json()["roles"] == ["analyst", "approver"]
    await change(service, tenant, path, {"roles": []}, method="PUT")
    assert (await service.get("/auth/me", tenant, "mover")).json()["permissions"] == []
    events = await service.events(tenant, action="user:changed", limit=2)
    assert [event["event"]["user"]["roles"] for event in events] == [[], ["analyst", "approver"]]


async def test_nobody_changes_their_own_roles_or_status_not_through_a_key_either(
    service: Service, tenant: Tenant
) -> None:
    admin = tenant.users["admin"]
    for body in ({"roles": ["admin", "compliance"]}, {"roles": []}):
        assert (await change(service, tenant, f"/users/{admin}/roles", body, method="PUT")).status_code == 403
    assert (await change(service, tenant, f"/users/{admin}", {"status": "disabled"})).status_code == 403
    headers = bearer(await create_key(service, tenant, "users:manage"))
    more = {"roles": ["admin", "compliance"]}
    raised = await service.client.put(f"/users/{admin}/roles", json=more, headers=headers)
    assert raised.status_code == 403
    assert (await service.get("/auth/me", tenant, "admin")).json()["roles"] == ["admin"]


async def test_an_administrator_makes_no_reviewer_who_could_be_itself_under_another_name(
    service: Service, tenant: Tenant
) -> None:
    for role in ("compliance", "privacy"):
        wanted = {"username": f"sock-{role}", "password": "correct horse battery staple", "roles": ["analyst", role]}
        answer = await service.post("/users", tenant, "admin", wanted)
        assert (answer.status_code, role in answer.json()["detail"]) == (403, True)
        path = f"/users/{tenant.users['analyst']}/roles"
        assert (await change(service, tenant, path, {"roles": ["analyst", role]}, method="PUT")).status_code == 403
    assert (await service.get("/auth/me", tenant, "analyst")).json()["roles"] == ["analyst"]
    # Who has such a role already can be given others, or lose it.
    path = f"/users/{tenant.users['compliance']}/roles"
    for roles in (["analyst", "compliance"], ["compliance"]):
        assert (await change(service, tenant, path, {"roles": roles}, method="PUT")).json()["roles"] == roles


async def test_only_who_manages_users_does_and_another_tenants_user_is_not_found(
    service: Service, tenant: Tenant, other_tenant: Tenant
) -> None:
    path = f"/users/{tenant.users['analyst']}"
    for username in ("editor", "compliance", "partner"):
        assert (await service.get(path, tenant, username)).status_code == 403
    for unknown in (path, f"/users/{uuid4()}"):
        answers = [
            await service.get(unknown, other_tenant, "admin"),
            await change(service, other_tenant, unknown, {"status": "disabled"}),
            await change(service, other_tenant, f"{unknown}/roles", {"roles": []}, method="PUT"),
        ]
        assert {(answer.status_code, answer.json()["error"]) for answer in answers} == {(404, "not_found")}
    assert (await service.get("/auth/me", tenant, "analyst")).status_code == 200


async def test_users_are_listed_page_by_page(service: Service, tenant: Tenant) -> None:
    everyone = (await service.get("/users", tenant, "admin", limit=100)).json()["users"]
    first = (await service.get("/users", tenant, "admin", limit=3)).json()
    rest = (await service.get("/users", tenant, "admin", limit=100, cursor=first["next_cursor"])).json()
    assert first["users"] + rest["users"] == everyone
    assert rest["next_cursor"] is None


@pytest.mark.parametrize(
    ("username", "typed"),
    [
        ("o'neil@bank.example", "O'Neil@Bank.Example"),
        ("o\u2019neil", "o\u2019neil"),
        ("j\u00fcrgen.m\u00fcller@bank.example", "J\u00dcRGEN.M\u00dcLLER@BANK.EXAMPLE"),
        ("jos\u00e9", "Jose\u0301"),  # as another keyboard writes it
        ("\u7530\u4e2d", "\u7530\u4e2d"),
    ],
)
async def test_people_sign_in_by_their_own_names_however_they_are_typed(
    service: Service, tenant: Tenant, username: str, typed: str
) -> None:
    user = await create_user(service, tenant, username, "analyst")
    for name in (username, typed):
        form = {"username": name, "password": PASSWORD, "client_id": tenant.slug}
        answer = await service.client.post("/auth/token", data=form)
        assert answer.status_code == 200, answer.text
        bearer_of = {"Authorization": f"Bearer {answer.json()['access_token']}"}
        me = (await service.client.get("/auth/me", headers=bearer_of)).json()
        assert (me["id"], me["name"]) == (user["id"], username)
    again = {"username": typed, "password": PASSWORD}
    assert (await service.post("/users", tenant, "admin", again)).status_code == 409


async def hire(service: Service, tenant: Tenant, by: str, username: str, *roles: str) -> str:
    """A user whose password somebody chose, and who therefore is somebody that this one may act as."""
    answer = await service.post("/users", tenant, by, {"username": username, "password": PASSWORD, "roles": roles})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


async def test_nobody_raises_itself_through_users_whose_passwords_it_chose(service: Service) -> None:
    tenant = await service.create_tenant()
    admin, analyst = tenant.users["admin"], tenant.users["analyst"]
    puppet_id = await hire(service, tenant, "admin", "puppet", "admin")
    await hire(service, tenant, "puppet", "puppet-of-puppet", "admin")
    for puppet in ("puppet", "puppet-of-puppet"):
        for roles in (["admin", "approver"], []):
            path = f"/users/{admin}/roles"
            refused = await change(service, tenant, path, {"roles": roles}, puppet, "PUT")
            assert (refused.status_code, refused.json()["error"]) == (403, "forbidden"), refused.text
        assert (await change(service, tenant, f"/users/{admin}", {"status": "disabled"}, puppet)).status_code == 403
        assert (await service.post(f"/users/{admin}/reset", tenant, puppet, {})).status_code == 403
        deleted = await service.client.delete(f"/users/{admin}", headers=await service.as_user(tenant, puppet))
        assert deleted.status_code == 403
    assert (await service.get("/auth/me", tenant, "admin")).json()["roles"] == ["admin"]
    # Others are theirs to manage, those whom they made as well.
    path = f"/users/{analyst}/roles"
    for by in ("puppet-of-puppet", "puppet", "admin"):
        for roles in (["analyst", "editor"], ["analyst"]):
            assert (await change(service, tenant, path, {"roles": roles}, by, "PUT")).status_code == 200
    made = await hire(service, tenant, "admin", "made")
    path = f"/users/{made}/roles"
    assert (await change(service, tenant, path, {"roles": ["editor"]}, method="PUT")).status_code == 200
    # A password of its own makes it nobody of its own: who made it can have chosen that as well.
    own = {"old_password": PASSWORD, "new_password": "a password of my own"}
    assert (await service.post("/auth/password", tenant, "puppet", own)).status_code == 204
    path = f"/users/{admin}/roles"
    assert (await change(service, tenant, path, {"roles": []}, "puppet", "PUT")).status_code == 403
    await service.add_user(tenant, "colleague", Role.ADMIN)
    await vouch(service, tenant, puppet_id, "colleague")
    path = f"/users/{admin}/roles"
    assert (await change(service, tenant, path, {"roles": ["admin", "partner"]}, "puppet", "PUT")).status_code == 200


async def test_a_disabled_administrator_does_not_come_back_through_a_user_whose_password_it_chose(
    service: Service,
) -> None:
    tenant = await service.create_tenant()
    await service.add_user(tenant, "colleague", Role.ADMIN)
    await hire(service, tenant, "admin", "puppet", "admin")
    assert (await service.get("/auth/me", tenant, "puppet")).status_code == 200
    path = f"/users/{tenant.users['admin']}"
    assert (await change(service, tenant, path, {"status": "disabled"}, "colleague")).status_code == 200
    assert (await change(service, tenant, path, {"status": "active"}, "puppet")).status_code == 403
    assert (await change(service, tenant, path, {"status": "active"}, "colleague")).status_code == 200


async def test_nobody_grants_to_its_own_role_through_a_user_whose_password_it_chose(service: Service) -> None:
    tenant = await service.create_tenant()
    await service.add_user(tenant, "boss", Role.ADMIN, Role.APPROVER)
    await service.post("/collections", tenant, "boss", {"slug": "vault", "name": "Vault"})
    await hire(service, tenant, "boss", "puppet", "admin")
    await hire(service, tenant, "puppet", "puppet-of-puppet", "admin")
    for by in ("boss", "puppet", "puppet-of-puppet"):
        answer = await service.post("/collections/vault/grants", tenant, by, {"role": "approver", "access": "read"})
        assert answer.status_code == 403, by
        answer = await service.post("/collections/vault/grants", tenant, by, {"role": "editor", "access": "write"})
        assert answer.status_code == (201 if by == "boss" else 409), "which is no role of anybody who acts"
    assert "vault" not in (await service.get("/auth/me", tenant, "boss")).json()["readable_collections"]


async def test_who_chose_a_password_stands_behind_a_user_through_however_many_others(service: Service) -> None:
    tenant = await service.create_tenant()
    superuser = await asyncpg.connect(service.database.superuser_url)
    made_by = tenant.users["admin"]
    for _ in range(40):
        await superuser.execute(
            'insert into identity."user" (tenant_id, id, username, display_name, credentials_of)'
            " values ($1, $2, $3, '', $4)",
            tenant.id, made := uuid4(), f"puppet-{made}", made_by,
        )  # fmt: skip
        made_by = made
    behind = await superuser.fetchval("select identity.behind($1, $2, 'infinity')", tenant.id, made_by)
    assert tenant.users["admin"] in behind
    assert len(behind) == 41
    await superuser.execute(
        'update identity."user" set credentials_of = $3 where tenant_id = $1 and id = $2',
        tenant.id, await service.add_user(tenant, "last", Role.ADMIN), made_by,
    )  # fmt: skip
    await superuser.close()
    path = f"/users/{tenant.users['admin']}/roles"
    assert (await change(service, tenant, path, {"roles": ["admin", "editor"]}, "last", "PUT")).status_code == 403
