"""A stream costs little once it is open; to open one, or to be told that there is none, takes a turn like other requests."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import pytest

from backend.identity.callers.admission import Admission, Lane, LaneLimits, LaneName
from tests.service import Service, Tenant

pytestmark = pytest.mark.anyio


@contextmanager
def short_lane(service: Service, limits: LaneLimits) -> Iterator[Admission]:
    before = service.services.admission
    admission = Admission({**before.lanes, LaneName.SHORT: Lane(limits)})
    service.exchange(admission=admission)
    try:
        yield admission
    finally:
        service.exchange(admission=before)


async def test_a_flood_that_opens_streams_is_bounded_like_any_other(service: Service, tenant: Tenant) -> None:
    token = await service.token(tenant, "analyst")
    with short_lane(service, LaneLimits(0, 0, 0)):
        answer = await service.client.get(f"/jobs/{uuid4()}/events", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 429


async def test_an_open_stream_keeps_no_turn(service: Service, tenant: Tenant) -> None:
    token = await service.token(tenant, "compliance")
    sent: asyncio.Queue[Any] = asyncio.Queue()
    never = asyncio.Event()

    async def receive() -> dict[str, Any]:
        await never.wait()
        return {"type": "http.disconnect"}

    scope = {
        "type": "http", "method": "GET", "path": "/audit/stream", "raw_path": b"/audit/stream", "query_string": b"",
        "headers": [(b"authorization", f"Bearer {token}".encode())], "client": ("203.0.113.9", 1),
        "server": ("service", 80), "scheme": "http", "http_version": "1.1",
    }  # fmt: skip
    with short_lane(service, LaneLimits(1, 1, 10)) as admission:
        stream = asyncio.create_task(service.app(scope, receive, sent.put))
        async with asyncio.timeout(60):
            started = await sent.get()
        assert started["status"] == 200
        assert (admission.lanes[LaneName.STREAM].running, admission.lanes[LaneName.SHORT].running) == (1, 0)
        assert [one.here for one in admission.precedence._tenants.values()] == [0]
        stream.cancel()
        await asyncio.gather(stream, return_exceptions=True)
        assert admission.lanes[LaneName.STREAM].running == 0
