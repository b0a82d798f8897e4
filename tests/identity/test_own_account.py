"""One's own account: another password, a one-time link, and one's own sign-ins."""

import asyncio
from typing import Any

import asyncpg
import httpx
import pytest

from backend.identity.callers.permissions import Role
from tests.service import PASSWORD, Service, Tenant

pytestmark = pytest.mark.anyio

CHOSEN = "a password that I chose"


async def signed_in(service: Service, tenant: Tenant, username: str, password: str = PASSWORD) -> httpx.Response:
    form = {"username": username, "password": password, "client_id": tenant.slug}
    return await service.client.post("/auth/token", data=form)


async def session(service: Service, tenant: Tenant, username: str, password: str = PASSWORD) -> dict[str, str]:
    """Headers of a sign-in of its own."""
    answer = await signed_in(service, tenant, username, password)
    assert answer.status_code == 200, answer.text
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}


async def lives(service: Service, headers: dict[str, str]) -> bool:
    return (await service.client.get("/auth/me", headers=headers)).status_code == 200


async def link(service: Service, tenant: Tenant, username: str) -> str:
    answer = await service.post(f"/users/{tenant.users[username]}/reset", tenant, "admin", {})
    assert answer.status_code == 200, answer.text
    return str(answer.json()["token"])


async def follow(service: Service, token: str) -> int:
    body = {"token": token, "password": CHOSEN}
    return (await service.client.post("/auth/reset", json=body)).status_code


async def set_status(service: Service, tenant: Tenant, username: str, status: str) -> None:
    headers = await service.as_user(tenant, "admin")
    answer = await service.client.patch(f"/users/{tenant.users[username]}", json={"status": status}, headers=headers)
    assert answer.status_code == 200, answer.text


@pytest.fixture
async def bank(service: Service) -> Tenant:
    return await service.create_tenant()


async def test_ones_password_is_changed_with_the_old_one_and_ends_all_other_sign_ins(
    service: Service, bank: Tenant
) -> None:
    here, elsewhere = [await session(service, bank, "analyst") for _ in range(2)]

    async def change(old: str) -> int:
        body: dict[str, Any] = {"old_password": old, "new_password": CHOSEN}
        return (await service.client.post("/auth/password", json=body, headers=here)).status_code

    assert await change("not the old password") in {401, 403}
    assert await lives(service, elsewhere)
    assert await change(PASSWORD) == 204
    assert (await lives(service, here), await lives(service, elsewhere)) == (True, False)
    assert (await signed_in(service, bank, "analyst")).status_code == 401
    assert (await signed_in(service, bank, "analyst", CHOSEN)).status_code == 200


async def test_a_link_sets_a_password_once_and_ends_every_sign_in(service: Service, bank: Tenant) -> None:
    before, token = await session(service, bank, "editor"), await link(service, bank, "editor")
    assert await lives(service, before), "a link that nobody follows changes nothing"
    assert await follow(service, token) == 204
    assert not await lives(service, before)
    assert await follow(service, token) == 401
    assert (await signed_in(service, bank, "editor", CHOSEN)).status_code == 200


async def test_a_link_that_was_given_before_its_user_was_disabled_opens_nothing_afterwards(
    service: Service, bank: Tenant
) -> None:
    token = await link(service, bank, "approver")
    await set_status(service, bank, "approver", "disabled")
    assert await follow(service, token) == 401
    await set_status(service, bank, "approver", "active")
    assert await follow(service, token) == 401
    assert await follow(service, await link(service, bank, "approver")) == 204


async def test_one_sees_and_ends_ones_own_sign_ins_and_nobody_elses(service: Service, bank: Tenant) -> None:
    here, elsewhere = [await session(service, bank, "analyst") for _ in range(2)]
    other = await session(service, bank, "editor")
    listed = (await service.client.get("/auth/sessions", headers=elsewhere)).json()["sessions"]
    (mine,) = [one["id"] for one in listed if one["current"]]
    path = f"/auth/sessions/{mine}"
    assert (await service.client.delete(path, headers=other)).status_code == 404
    assert (await service.client.delete(path, headers=here)).status_code == 204
    assert (await lives(service, here), await lives(service, elsewhere), await lives(service, other)) == (
        True,
        False,
        True,
    )


async def promote(service: Service, tenant: Tenant, username: str, role: Role = Role.COMPLIANCE) -> None:
    """Makes somebody a reviewer of what administrators do, as the operator."""
    async with service.operator() as acting:
        await acting.connection.execute(PROMOTE, tenant.id, tenant.users[username], role)


PROMOTE = "insert into identity.user_role (tenant_id, user_id, role) values ($1, $2, $3)"


@pytest.mark.parametrize("role", [Role.COMPLIANCE, Role.PRIVACY])
async def test_a_link_that_an_administrator_made_opens_nothing_once_its_user_is_a_reviewer(
    service: Service, bank: Tenant, role: Role
) -> None:
    token = await link(service, bank, "analyst")
    await promote(service, bank, "analyst", role)
    assert await follow(service, token) == 401
    assert (await signed_in(service, bank, "analyst", CHOSEN)).status_code == 401
    refused = await service.post(f"/users/{bank.users['analyst']}/reset", bank, "admin", {})
    assert refused.status_code == 403


async def test_a_link_is_looked_at_again_when_it_is_presented(service: Service, bank: Tenant) -> None:
    token = await link(service, bank, "analyst")
    superuser = await asyncpg.connect(service.database.superuser_url)
    await superuser.execute("set session_replication_role = replica")  # no triggers: only what the link itself is asked
    await superuser.execute(PROMOTE, bank.id, bank.users["analyst"], Role.COMPLIANCE)
    await superuser.close()
    assert await follow(service, token) == 401


async def test_who_becomes_a_reviewer_loses_the_password_that_somebody_else_may_have_chosen(
    service: Service, bank: Tenant
) -> None:
    assert await follow(service, await link(service, bank, "editor")) == 204
    opened = await session(service, bank, "editor", CHOSEN)
    first = {"username": "hired", "password": PASSWORD, "roles": ["analyst"]}
    bank.users["hired"] = (await service.post("/users", bank, "admin", first)).json()["id"]
    hired = await session(service, bank, "hired")
    for username in ("editor", "hired"):
        await promote(service, bank, username)
    assert (await lives(service, opened), await lives(service, hired)) == (False, False)
    assert (await signed_in(service, bank, "editor", CHOSEN)).status_code == 401
    assert (await signed_in(service, bank, "hired")).status_code == 401
    listed = (await service.get(f"/users/{bank.users['hired']}", bank, "admin")).json()
    assert listed["counts_as"] is None
    # The operator gives another, with the role or afterwards, and a second such role takes away nothing.
    await service.add_user(bank, "officer", Role.COMPLIANCE)
    await promote(service, bank, "officer", Role.PRIVACY)
    assert (await signed_in(service, bank, "officer")).status_code == 200


async def test_a_password_that_is_being_chosen_while_its_user_becomes_a_reviewer_is_refused(
    service: Service, bank: Tenant
) -> None:
    token = await link(service, bank, "analyst")
    superuser = await asyncpg.connect(service.database.superuser_url)
    waiting = "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and query like '%set_password%' and datname = current_database()"
    async with service.operator() as acting:
        await acting.connection.execute(PROMOTE, bank.id, bank.users["analyst"], Role.COMPLIANCE)
        following = asyncio.create_task(follow(service, token))
        while not following.done() and not await superuser.fetchval(waiting):
            await asyncio.sleep(0.01)
        assert not following.done(), "the link was open, and waits for the role"
    assert await following == 401
    await superuser.close()
    assert (await signed_in(service, bank, "analyst", CHOSEN)).status_code == 401
