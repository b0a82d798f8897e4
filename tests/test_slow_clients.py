"""Clients that send half a request, or take half a response, are not waited for."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from backend import http_server, request_scope
from tests.listening import serving
from tests.service import Service, Tenant

pytestmark = pytest.mark.anyio

HALF_A_HEAD = b"GET /health HTTP/1.1\r\nHost: service.test\r\n"


@pytest.fixture(scope="module")
async def port(service: Service) -> AsyncIterator[int]:
    async with serving(service.app, **(http_server.options() | {"loop": "none"})) as address:
        yield int(address.rpartition(":")[2])


async def sent(port: int, octets: bytes) -> bytes:
    """What comes back until the server hangs up."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(octets)
        return await asyncio.wait_for(reader.read(), 60)
    finally:
        writer.close()
        await writer.wait_closed()


@pytest.mark.parametrize("octets", [b"", b"G", HALF_A_HEAD], ids=["nothing", "a letter", "half a head"])
async def test_a_request_whose_head_does_not_come_is_hung_up_on(
    port: int, octets: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_server, "HEAD_SECONDS", 0.2)
    assert await sent(port, octets) == b""


async def test_a_request_whose_head_comes_late_but_in_time_is_served(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(HALF_A_HEAD)
    await asyncio.sleep(0.3)
    writer.write(b"Connection: close\r\n\r\n")
    assert b"200 OK" in await asyncio.wait_for(reader.read(), 60)
    writer.close()
    await writer.wait_closed()


async def test_a_body_that_does_not_come_is_a_408(
    service: Service, tenant: Tenant, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(request_scope, "PATIENCE_SECONDS", 0.3)
    token = (await service.as_user(tenant, "analyst"))["Authorization"].encode()
    head = b"POST /retrieve HTTP/1.1\r\nHost: service.test\r\nContent-Type: application/json\r\nContent-Length: 99\r\n"
    answer = await sent(port, head + b"Authorization: " + token + b'\r\n\r\n{"query": ')
    assert b" 408 " in answer.split(b"\r\n")[0]
    assert b"too_slow" in answer


async def test_forwarding_headers_are_not_believed_by_the_server_itself(
    service: Service, tenant: Tenant, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", "*")
    token = (await service.as_user(tenant, "analyst"))["Authorization"].encode()
    head = b"POST /retrieve/why HTTP/1.1\r\nHost: service.test\r\nX-Forwarded-For: 203.0.113.9\r\nConnection: close\r\n"
    body = b'{"query": "fees", "doc_id": "none"}'
    rest = b"Content-Type: application/json\r\nContent-Length: %d\r\nAuthorization: %s\r\n\r\n" % (len(body), token)
    assert b" 404 " in (await sent(port, head + rest + body)).split(b"\r\n")[0]
    newest = (await service.events(tenant, action="access:denied", limit=1))[0]
    assert newest["event"]["source"] == "127.0.0.1"
