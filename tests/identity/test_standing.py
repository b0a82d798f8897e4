"""What is being sent ends within a second of the right to it, however that ends."""

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from backend.answers.delivery import Delivery
from backend.errors import Forbidden, ServiceError, Unauthenticated
from backend.identity.callers import standing as standing_of
from backend.identity.callers.caller import Caller, Origin
from backend.identity.callers.permissions import Permission, Role
from backend.identity.callers.standing import Standing
from backend.identity.sign_in.tokens import LIFETIME_SECONDS
from backend.jobs import routes as jobs_of
from backend.review.analysis import stream
from tests.service import PASSWORD, Service, Tenant

pytestmark = pytest.mark.anyio

PATIENCE = 60  # seconds of a busy machine; what does not end by itself takes for ever


class Officer:
    """A compliance officer of its own for each test, with headers and a caller that are good until something happens."""

    def __init__(self, service: Service, tenant: Tenant, username: str, tokens: dict[str, str]) -> None:
        self.service, self.tenant, self.username = service, tenant, username
        self.access, self.refresh = tokens["access_token"], tokens["refresh_token"]

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.access}"}

    @property
    def path(self) -> str:
        return f"/users/{self.tenant.users[self.username]}"

    async def caller(self) -> Caller:
        return await self.service.services.resolver.resolve(self.access, Origin("standing"))


@pytest.fixture
async def person(service: Service, tenant: Tenant) -> Officer:
    username = f"officer-{secrets.token_hex(4)}"
    await service.add_user(tenant, username, Role.COMPLIANCE)
    form = {"username": username, "password": PASSWORD, "client_id": tenant.slug}
    return Officer(service, tenant, username, (await service.client.post("/auth/token", data=form)).json())


async def as_admin(person: Officer, method: str, path: str, body: Any = None) -> None:
    headers = await person.service.as_user(person.tenant, "admin")
    answer = await person.service.client.request(method, path, json=body, headers=headers)
    assert answer.is_success, answer.text


async def lose_the_role(person: Officer) -> None:
    await as_admin(person, "PUT", f"{person.path}/roles", {"roles": []})


async def be_disabled(person: Officer) -> None:
    await as_admin(person, "PATCH", person.path, {"status": "disabled"})


async def be_deleted(person: Officer) -> None:
    await as_admin(person, "DELETE", person.path)


async def sign_out(person: Officer) -> None:
    assert (await person.service.client.post("/auth/logout", headers=person.headers)).status_code == 204


async def have_a_refresh_token_stolen(person: Officer) -> None:
    form = {"grant_type": "refresh_token", "refresh_token": person.refresh}
    first = (await person.service.client.post("/auth/token", data=form)).json()
    follow = {"grant_type": "refresh_token", "refresh_token": first["refresh_token"]}
    await person.service.client.post("/auth/token", data=follow)
    assert (await person.service.client.post("/auth/token", data=form)).status_code == 401


ENDS: list[Callable[[Officer], Awaitable[None]]] = [
    lose_the_role, be_disabled, be_deleted, sign_out, have_a_refresh_token_stolen,
]  # fmt: skip


def test_a_right_is_asked_about_often_enough_that_a_second_is_kept() -> None:
    assert (standing_of.ASK_SECONDS, stream.POLL_SECONDS, jobs_of._POLL_SECONDS) == (0.5, 0.5, 0.5)


async def ended(url: str, headers: dict[str, str], happens: Callable[[], Awaitable[None]]) -> str:
    """Lets something happen while a response is being sent, which would go on for ever; returns its text."""
    async with (
        asyncio.timeout(PATIENCE),
        httpx.AsyncClient(timeout=PATIENCE) as client,
        client.stream("GET", url, headers=headers) as answer,
    ):
        assert answer.status_code == 200
        await happens()
        return (await answer.aread()).decode()


@pytest.mark.parametrize("happens", ENDS)
async def test_a_stream_of_the_log_ends_with_the_right_to_read_it(
    person: Officer, address: str, happens: Callable[[Officer], Awaitable[None]]
) -> None:
    headers = {**person.headers, "Accept": "text/event-stream"}
    assert "event: error" in await ended(f"{address}/audit/stream", headers, lambda: happens(person))


async def test_a_stream_ends_with_its_access_token(
    person: Officer, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def expire() -> None:
        later = SimpleNamespace(time=lambda: time.time() + LIFETIME_SECONDS, monotonic=time.monotonic)
        monkeypatch.setattr(standing_of, "time", later)

    headers = {**person.headers, "Accept": "text/event-stream"}
    assert "event: error" in await ended(f"{address}/audit/stream", headers, expire)


async def test_a_stream_of_a_key_ends_with_the_key_and_with_its_secret(service: Service, tenant: Tenant) -> None:
    admin = await service.as_user(tenant, "admin")

    async def rotate(key_id: str) -> None:
        path, body = f"/auth/keys/{key_id}/rotate", {"overlap_seconds": 0}
        assert (await service.client.post(path, json=body, headers=admin)).status_code == 200

    async def revoke(key_id: str) -> None:
        assert (await service.client.delete(f"/auth/keys/{key_id}", headers=admin)).status_code == 204

    for happens in (rotate, revoke):
        wanted = {"name": "standing", "permissions": [Permission.RETRIEVAL_QUERY]}
        made = (await service.client.post("/auth/keys", json=wanted, headers=admin)).json()
        caller = await service.services.resolver.resolve(made["key"], Origin("standing"))
        standing = Standing(service.services.tenancy, caller)
        await asyncio.sleep(0.6)
        await standing.check()
        await happens(made["id"])
        await asyncio.sleep(0.6)
        with pytest.raises(Unauthenticated):
            await standing.check()


@pytest.mark.parametrize("happens", ENDS)
async def test_an_answer_that_is_still_being_made_ends_with_the_right_to_it(
    person: Officer, happens: Callable[[Officer], Awaitable[None]]
) -> None:
    stopped = asyncio.Event()

    async def make(send: Callable[[str], None]) -> None:
        send("A first sentence.")
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()

    standing = Standing(person.service.services.tenancy, await person.caller())
    taken: list[str] = []

    async def take() -> None:
        async for item in Delivery(make, standing.check).items():
            taken.append(item)  # noqa: PERF401 - what was taken before the end counts

    taking = asyncio.create_task(take())
    async with asyncio.timeout(PATIENCE):
        while not taken:
            await asyncio.sleep(0.01)
        await happens(person)
        with pytest.raises((Unauthenticated, Forbidden)) as refusal:
            await taking
    assert isinstance(refusal.value, ServiceError)
    assert taken == ["A first sentence."]
    await asyncio.wait_for(stopped.wait(), PATIENCE)


async def test_who_loses_a_collection_gets_no_more_of_an_answer_from_it(service: Service, tenant: Tenant) -> None:
    admin, body = await service.as_user(tenant, "admin"), {"role": "compliance", "access": "read"}
    await service.client.post("/collections", json={"slug": "passing", "name": "Passing"}, headers=admin)
    granted = (await service.client.post("/collections/passing/grants", json=body, headers=admin)).json()
    caller = await service.services.resolver.resolve(await service.token(tenant, "compliance"), Origin("standing"))
    standing = Standing(service.services.tenancy, caller)
    path = f"/collections/passing/grants/{granted['id']}"
    assert (await service.client.delete(path, headers=admin)).status_code == 204
    await asyncio.sleep(0.6)
    with pytest.raises(Forbidden):
        await standing.check()


async def test_a_stream_of_a_job_ends_when_its_user_is_disabled(service: Service, tenant: Tenant, address: str) -> None:
    username = f"editor-{secrets.token_hex(4)}"
    await service.add_user(tenant, username, Role.EDITOR)
    headers = await service.as_user(tenant, username)
    file = {"file": ("a.txt", b"Text that nobody works on: there is no worker.")}
    fields = {"doc_id": "standing", "source_type": "policy"}
    job = await service.client.post("/documents", data=fields, files=file, headers=headers)
    assert job.status_code == 202, job.text
    user = f"/users/{tenant.users[username]}"

    async def disable() -> None:
        answer = await service.client.patch(
            user, json={"status": "disabled"}, headers=await service.as_user(tenant, "admin")
        )
        assert answer.status_code == 200

    text = await ended(f"{address}/jobs/{job.json()['job_id']}/events", headers, disable)
    assert "event: progress" in text
    assert "event: end" not in text
