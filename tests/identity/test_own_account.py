"""One's own account: another password, a one-time link, and one's own sign-ins."""

from typing import Any

import httpx
import pytest

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
