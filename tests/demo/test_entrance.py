"""The demo's link lets in once, in time, from this machine."""

import httpx
import pytest

from backend.demo import entrance
from backend.demo.entrance import Entrance
from tests.service import PASSWORD, Service, Tenant

pytestmark = pytest.mark.anyio


async def opened(service: Service, path: str, host: str = "127.0.0.1") -> httpx.Response:
    transport = httpx.ASGITransport(app=service.app, client=(host, 1234))
    async with httpx.AsyncClient(transport=transport, base_url="http://service.test") as client:
        return await client.get(path)


async def test_a_link_signs_in_once_and_that_is_on_record(service: Service, tenant: Tenant) -> None:
    link = Entrance(tenant.slug, "analyst", PASSWORD)
    link.install(service.app)
    assert (await opened(service, link.path()[:-1])).status_code == 404
    assert (await opened(service, link.path(), host="203.0.113.7")).status_code == 404
    first = await opened(service, link_path := link.path())
    assert (first.status_code, first.headers["location"]) == (303, entrance.FIRST_QUESTION)
    assert "HttpOnly" in first.headers["set-cookie"]
    event = (await service.events(tenant, action="auth:succeeded", actor="analyst", limit=1))[0]["event"]
    assert event["door"]["kind"] == "console"
    again = await opened(service, link_path)
    assert (again.status_code, "set-cookie" in again.headers) == (404, False)
    assert (await opened(service, link.path())).status_code == 404  # nor does an empty token


async def test_a_link_ends(service: Service, tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(entrance, "LASTS_SECONDS", -1)
    late = Entrance(tenant.slug, "analyst", PASSWORD)
    late.install(service.app)
    assert (await opened(service, late.path())).status_code == 404
