"""A request whose client went away while it waited for its turn is not done."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from backend.identity.callers.admission import Admission, Lane, LaneLimits, LaneName, Party
from tests.service import Service, Tenant

pytestmark = pytest.mark.anyio

OTHER = Party("other", "two")


@pytest.mark.parametrize("gone", [True, False])
async def test_what_waited_is_done_only_for_a_client_that_is_still_there(
    service: Service, tenant: Tenant, *, gone: bool
) -> None:
    """A body that has arrived while its request waited is read in full, and one of a client that went away is not."""
    token = await service.token(tenant, "editor")
    before, lane_of_all = service.services.admission, Lane(LaneLimits(1, 1, 10))
    service.exchange(admission=Admission(dict.fromkeys(LaneName, lane_of_all)))
    body = {"chunks": [{"doc_id": "fees", "chunk_text": "A wire costs 25 USD.", "source_type": "policy"}]}
    pieces = [json.dumps(body).encode()[:20], json.dumps(body).encode()[20:]]
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        if gone or not pieces:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": pieces.pop(0), "more_body": bool(pieces)}

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(b"authorization", f"Bearer {token}".encode()), (b"content-type", b"application/json")]
    scope = {
        "type": "http", "method": "POST", "path": "/ingest/batch", "raw_path": b"/ingest/batch", "query_string": b"",
        "headers": headers, "client": ("203.0.113.9", 1), "server": ("service", 80), "scheme": "http",
        "http_version": "1.1",
    }  # fmt: skip
    try:
        async with lane_of_all.admitted(OTHER):
            waiting = asyncio.create_task(service.app(scope, receive, send))
            async with asyncio.timeout(20):
                while not lane_of_all.waiting:
                    await asyncio.sleep(0.002)
        async with asyncio.timeout(20):
            await waiting
    finally:
        service.exchange(admission=before)
    found = await service.post("/retrieve", tenant, "analyst", {"query": "wire", "mode": "lexical"})
    assert [context["doc_id"] for context in found.json()["contexts"]] == ([] if gone else ["fees"])
    assert sent[0]["status"] == (503 if gone else 201)


async def test_who_sends_nothing_after_it_waited_holds_no_turn_before_it_is_known(service: Service) -> None:
    before, lane_of_all = service.services.admission, Lane(LaneLimits(1, 1, 10))
    service.exchange(admission=Admission(dict.fromkeys(LaneName, lane_of_all)))
    never = asyncio.Event()

    async def body() -> AsyncIterator[bytes]:
        await never.wait()
        yield b""

    try:
        async with lane_of_all.admitted(OTHER):
            asked = asyncio.create_task(service.client.post("/ingest/batch", content=body()))
            async with asyncio.timeout(20):
                while not lane_of_all.waiting:
                    await asyncio.sleep(0.002)
        async with asyncio.timeout(20):
            assert (await asked).status_code == 401
    finally:
        service.exchange(admission=before)
