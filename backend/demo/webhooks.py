"""The demo's webhook. Its receiver is the demo itself, which refuses one message at first, so that one can be sent again."""

import asyncio
import hmac
from dataclasses import dataclass, field
from typing import Any

import httpx
import structlog
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from backend.demo.seed import sign_in
from backend.identity.callers.permissions import Role
from backend.webhooks import signatures
from backend.webhooks.kinds import TEST, EventKind

PATH = "/demo/webhooks"
KINDS = (EventKind.VERSION_APPROVED, EventKind.VERSION_SUPERSEDED, EventKind.HOLD_PLACED)
_WAITED = 240  # times half a second
log = structlog.get_logger()


@dataclass(slots=True)
class DemoReceiver:
    """Takes what is signed with its secret; of tests, not the first time that it is sent one."""

    secret: str = field(repr=False)
    _refused: str | None = None

    def install(self, app: FastAPI) -> None:
        """Adds the receiver's route to the application."""
        app.router.routes.append(Route(PATH, self._receive, methods=["POST"], include_in_schema=False))

    async def _receive(self, request: Request) -> Response:
        body, sent = await request.body(), request.headers
        if not self._is_ours(sent.get("webhook-id", ""), sent.get("webhook-timestamp", ""), sent, body):
            return Response(status_code=401)
        if f'"type":"{TEST}"'.encode() in body and self._refused is None:
            self._refused = sent["webhook-id"]
            return Response(status_code=503)
        return Response(status_code=204)

    def _is_ours(self, message_id: str, seconds: str, sent: Any, body: bytes) -> bool:  # noqa: ANN401 - headers
        if not seconds.isdecimal():
            return False
        secret = signatures.read(self.secret)
        expected = signatures.signed_headers([secret], message_id, int(seconds), body)["webhook-signature"]
        return any(hmac.compare_digest(expected, each) for each in sent.get("webhook-signature", "").split(" "))


async def create(app: FastAPI, tenant: dict[str, Any], base_url: str) -> dict[str, str]:
    """Has the demo told of what happens in a tenant from now on; returns where, and the secret."""
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://demo") as client:
        admin = await sign_in(client, tenant, Role.ADMIN)
        for forgotten in (await client.get("/webhooks", headers=admin)).raise_for_status().json()["endpoints"]:
            (await client.delete(f"/webhooks/{forgotten['id']}", headers=admin)).raise_for_status()
        wanted = {"url": f"{base_url}{PATH}", "kinds": list(KINDS), "description": "This demo itself"}
        made = (await client.post("/webhooks", json=wanted, headers=admin)).raise_for_status().json()
    return {"tenant": tenant["slug"], "id": made["id"], "secret": made["secret"]}


async def show(tenant: dict[str, Any], endpoint: dict[str, str], base_url: str) -> None:
    """Once the demo serves, sends a test that is refused, and sends it again, unless that was done before."""
    path = f"/webhooks/{endpoint['id']}"
    try:
        async with httpx.AsyncClient(base_url=base_url, trust_env=False) as client:
            admin = await _signed_in(client, tenant)
            known = (await client.get(path, headers=admin)).raise_for_status().json()["url"]
            if known != f"{base_url}{PATH}":  # another port than that of the start before
                await client.patch(path, json={"url": f"{base_url}{PATH}"}, headers=admin)
            sent = (await client.get(f"{path}/deliveries", headers=admin)).raise_for_status().json()["deliveries"]
            if any(each["kind"] == TEST for each in sent):
                return
            test = (await client.post(f"{path}/test", headers=admin)).raise_for_status().json()["id"]
            await _until_tried(client, f"{path}/deliveries", admin, test)
            (await client.post(f"{path}/deliveries/{test}/replay", headers=admin)).raise_for_status()
    except (httpx.HTTPError, TimeoutError) as error:  # the demo goes on without
        log.warning("webhook not shown", cause=type(error).__name__)


async def _signed_in(client: httpx.AsyncClient, tenant: dict[str, Any]) -> dict[str, str]:
    """Signs in as soon as the demo serves."""
    for _ in range(_WAITED):
        try:
            return await sign_in(client, tenant, Role.ADMIN)
        except httpx.HTTPError:
            await asyncio.sleep(0.5)
    raise TimeoutError


async def _until_tried(client: httpx.AsyncClient, path: str, admin: dict[str, str], test: str) -> None:
    for _ in range(_WAITED):
        sent = (await client.get(path, headers=admin)).raise_for_status().json()["deliveries"]
        if any(each["id"] == test and each["state"] != "waiting" for each in sent):
            return
        await asyncio.sleep(0.5)
    raise TimeoutError
