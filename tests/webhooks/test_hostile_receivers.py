"""Receivers that do not behave, and addresses that point inside: nothing is called that was not looked at, and nobody else waits."""

import asyncio
import itertools
import socket
from typing import Any

import pytest

from backend.egress import Egress, outside_client
from backend.webhooks.destinations import Destinations
from tests.service import Service, Tenant
from tests.webhooks.endpoints import created, deliveries, delivering, endpoint_of, forced, sent_test, serve
from tests.webhooks.receiver import Received, answering, receiving

pytestmark = pytest.mark.anyio


@pytest.fixture(name="tenant")
async def _tenant(service: Service) -> Tenant:
    return await service.create_tenant()


async def never(_: Received, __: asyncio.StreamWriter) -> None:
    await asyncio.Event().wait()


async def trickling(_: Received, writer: asyncio.StreamWriter) -> None:
    """Answers so slowly that each byte comes in time, and the whole never."""
    while True:
        writer.write(b"H")
        await writer.drain()
        await asyncio.sleep(0.1)


async def endless(_: Received, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        writer.write(b"10000\r\n" + b"x" * 0x10000 + b"\r\n")
        await writer.drain()


async def endless_head(_: Received, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n")
    for number in itertools.count():
        writer.write(b"X-%d: %b\r\n" % (number, b"x" * 1000))
        await writer.drain()


@pytest.mark.parametrize("behaviour", [never, trickling, endless_head])
async def test_a_receiver_that_gives_no_answer_in_time_or_no_end_of_it_has_not_taken_anything(
    service: Service, tenant: Tenant, behaviour: Any
) -> None:
    async with receiving() as receiver, delivering(service, seconds=1.0, back_off=(300.0,)) as deliverer:
        endpoint = await created(service, tenant, receiver)
        receiver.always = behaviour
        await sent_test(service, tenant, endpoint)
        await asyncio.wait_for(serve(deliverer), 120)
        (failed,) = await deliveries(service, tenant, endpoint)
        assert (failed["state"], failed["failure"], failed["response_status"]) == ("failed", "no_answer", None)


async def test_a_body_without_end_is_not_read(service: Service, tenant: Tenant) -> None:
    async with receiving() as receiver, delivering(service) as deliverer:
        endpoint = await created(service, tenant, receiver)
        receiver.always = endless
        await sent_test(service, tenant, endpoint)
        await asyncio.wait_for(serve(deliverer), 120)
        (delivered,) = await deliveries(service, tenant, endpoint)
        assert (delivered["state"], delivered["response_status"]) == ("delivered", 200)


async def test_a_redirect_is_not_followed(service: Service, tenant: Tenant) -> None:
    async with receiving() as receiver, receiving() as inside, delivering(service, back_off=(300.0,)) as deliverer:
        endpoint = await created(service, tenant, receiver)
        receiver.always = answering("307 Temporary Redirect", f"Location: {inside.url}\r\n")
        await sent_test(service, tenant, endpoint)
        await serve(deliverer)
        (failed,) = await deliveries(service, tenant, endpoint)
        assert (failed["failure"], failed["response_status"]) == ("redirect", 307)
        assert inside.received == []


@pytest.mark.parametrize(
    "url",
    [
        "https://10.1.2.3/", "https://127.0.0.1/", "https://169.254.169.254/latest", "https://[::1]/", "http://127.0.0.1/",
        "https://intranet/", "http://hooks.example.com/", "https://user:secret@hooks.example.com/", "https://hooks.example.com/#x",
        "https://hooks.example.com.evil.example/", "https://evilhooks.example.com/", "https://hooks.example.com@evil.example/",
        "https://münchen.example.com/", "https://hooks.example.com:0/",
    ],
)  # fmt: skip
async def test_an_address_that_the_operator_does_not_allow_gets_no_endpoint(
    service: Service, tenant: Tenant, url: str
) -> None:
    service.exchange(destinations=Destinations(["hooks.example.com", "*.partner.example.com"]))
    answer = await service.post("/webhooks", tenant, "admin", {"url": url, "kinds": ["hold.placed"]})
    assert (answer.status_code, answer.json()["error"]) == (422, "invalid_input")
    for good in ("https://hooks.example.com/x?y=z", "https://a.partner.example.com:8443/"):
        answer = await service.post("/webhooks", tenant, "admin", {"url": good, "kinds": ["hold.placed"]})
        assert answer.status_code == 201
        changed = {"url": url}
        headers = await service.as_user(tenant, "admin")
        refused = await service.client.patch(f"/webhooks/{answer.json()['id']}", json=changed, headers=headers)
        assert refused.status_code == 422


async def test_unless_the_operator_names_hosts_nothing_goes_out(service: Service, tenant: Tenant) -> None:
    service.exchange(destinations=Destinations(service.services.settings.webhook_hosts))
    answer = await service.post(
        "/webhooks", tenant, "admin", {"url": "https://hooks.example.com/", "kinds": ["hold.placed"]}
    )
    assert answer.status_code == 422
    assert "does not allow" in answer.json()["detail"]


async def test_a_host_that_is_allowed_no_more_or_points_inside_is_not_called(service: Service, tenant: Tenant) -> None:
    async with receiving() as receiver, outside_client() as client:
        port = receiver.url.rsplit(":", 1)[1]
        for changed, url in (
            ({"destinations": Destinations(["elsewhere.example"], plain=True)}, receiver.url),
            # As in production: this machine is inside.
            ({"destinations": Destinations(["*"]), "egress": Egress(client)}, f"https://localhost:{port}"),
        ):
            async with delivering(service, back_off=(300.0,)) as deliverer:
                endpoint = await created(service, tenant, receiver)
                await sent_test(service, tenant, endpoint)
                await forced(
                    service.database, "update webhooks.endpoint set url = $2 where id = $1", endpoint["id"], url
                )
            async with delivering(service, back_off=(300.0,), **changed) as deliverer:
                await serve(deliverer)
            (failed,) = await deliveries(service, tenant, endpoint)
            assert (failed["state"], failed["failure"]) == ("failed", "address_refused")
        assert receiver.received == []


async def test_a_name_that_points_elsewhere_a_moment_later_is_called_where_it_was_looked_at(
    service: Service, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    resolve = socket.getaddrinfo

    def rebound(host: Any, port: Any, *more: Any, **named: Any) -> Any:
        if host != "hooks.example.com":
            return resolve(host, port, *more, **named)
        asked.append(host)
        # Public to who asks first, and inside to whoever asks again.
        address = "127.0.0.1" if len(asked) == 1 else "127.0.0.2"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    async with receiving() as receiver, outside_client() as client:
        monkeypatch.setattr(socket, "getaddrinfo", rebound)
        port = receiver.url.rsplit(":", 1)[1].split("/")[0]
        egress = Egress(client, own_machine=True, plain=True)
        monkeypatch.setattr("backend.egress._OWN_MACHINE", frozenset({"hooks.example.com"}))
        status = await egress.post(f"http://hooks.example.com:{port}/hook", b"{}", {"webhook-id": "x"}, seconds=60)
        assert (status, len(receiver.received), asked) == (204, 1, ["hooks.example.com"])
        assert receiver.received[0].headers["host"] == f"hooks.example.com:{port}"


async def test_cookies_that_a_receiver_sets_are_kept_for_nobody(service: Service, tenant: Tenant) -> None:
    async with receiving() as receiver, delivering(service) as deliverer:
        endpoint = await created(service, tenant, receiver)
        receiver.always = answering("200 OK", "Set-Cookie: a=b; Path=/\r\n")
        for _ in range(2):
            await sent_test(service, tenant, endpoint)
        await serve(deliverer)
        assert len(receiver.received) == 2
        assert all("cookie" not in one.headers for one in receiver.received)


async def test_slow_receivers_of_one_tenant_delay_no_other(service: Service, tenant: Tenant) -> None:
    other = await service.create_tenant()
    async with receiving() as slow, receiving() as quick, delivering(service, seconds=600.0, slots=4) as deliverer:
        slow.always = never
        for _ in range(6):
            await sent_test(service, tenant, await created(service, tenant, slow))
        working = asyncio.create_task(deliverer.run())
        try:
            await until(lambda: len(slow.received) == 2)
            await asyncio.sleep(0.5)
            assert len(slow.received) == 2  # of one tenant, only so many at once
            await sent_test(service, other, await created(service, other, quick))
            await until(lambda: len(quick.received) == 1)
            assert len(slow.received) == 2
        finally:
            deliverer.stopping.set()
            working.cancel()
            await asyncio.gather(working, return_exceptions=True)
            deliverer.stopping.clear()


async def test_a_message_that_a_receiver_refuses_does_not_hold_up_the_next(service: Service, tenant: Tenant) -> None:
    async with receiving() as receiver, delivering(service, back_off=(300.0,)) as deliverer:
        endpoint = await created(service, tenant, receiver)
        receiver.next = [answering("400 Bad Request")]
        await sent_test(service, tenant, endpoint)
        second = await sent_test(service, tenant, endpoint)
        await serve(deliverer)
        assert {one["state"] for one in await deliveries(service, tenant, endpoint)} == {"failed", "delivered"}
        assert (await deliveries(service, tenant, endpoint, state="delivered"))[0]["id"] in {
            second,
            receiver.received[1].id,
        }
        assert (await endpoint_of(service, tenant, endpoint))["failing_since"] is None


async def until(holds: Any) -> None:
    async with asyncio.timeout(60):
        while not holds():
            await asyncio.sleep(0.02)
