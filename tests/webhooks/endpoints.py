"""Endpoints of a tenant and their deliveries, over the API, and a deliverer on the service's own database."""

import asyncio
import base64
import hashlib
import hmac
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import asyncpg

from backend.egress import Egress, outside_client
from backend.webhooks.delivering import Deliverer
from backend.webhooks.destinations import Destinations
from tests.service import Database, Service, Tenant
from tests.webhooks.receiver import Received, Receiver

HERE = Destinations(["127.0.0.1", "localhost"], plain=True)
ALL_KINDS = [
    "version.approved", "version.superseded", "version.retired", "job.failed", "erasure.executed", "hold.placed", "turn.open",
    "seal.lag", "webhook.disabled",
]  # fmt: skip


@asynccontextmanager
async def delivering(service: Service, **changed: Any) -> AsyncIterator[Deliverer]:
    """A deliverer that may reach this machine, and pauses nowhere."""
    service.exchange(destinations=HERE)
    async with outside_client() as client:
        usual = {
            "destinations": HERE, "egress": Egress(client, own_machine=True, plain=True), "pause_seconds": 0.0,
            "seconds": 30.0, "back_off": (0.0, 0.0),
        }  # fmt: skip
        yield replace(service.services.deliverer, **usual | changed)


async def created(
    service: Service, tenant: Tenant, receiver: Receiver, *kinds: str, username: str = "admin"
) -> dict[str, Any]:
    """An endpoint at a receiver, told of all kinds unless named."""
    service.exchange(destinations=HERE)
    wanted = {"url": receiver.url, "kinds": list(kinds or ALL_KINDS)}
    answer = await service.post("/webhooks", tenant, username, wanted)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def deliveries(service: Service, tenant: Tenant, endpoint: dict[str, Any], **params: Any) -> list[dict[str, Any]]:
    answer = await service.get(f"/webhooks/{endpoint['id']}/deliveries", tenant, "admin", **params)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["deliveries"]
    return found


async def endpoint_of(service: Service, tenant: Tenant, endpoint: dict[str, Any]) -> dict[str, Any]:
    answer = await service.get(f"/webhooks/{endpoint['id']}", tenant, "admin")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def sent_test(service: Service, tenant: Tenant, endpoint: dict[str, Any]) -> str:
    """Asks for a test, and returns its `webhook-id`."""
    answer = await service.post(f"/webhooks/{endpoint['id']}/test", tenant, "admin", None)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


async def serve(deliverer: Deliverer) -> None:
    """Serves what there is to serve now."""
    while await serve_next(deliverer):
        pass


async def serve_next(deliverer: Deliverer) -> bool:
    """Serves the endpoint that is next; returns whether there was one."""
    turn = await deliverer._lease([])
    if turn is not None:
        await deliverer.serve(turn)
    return turn is not None


async def sealed(database: Database, tenant: Tenant) -> None:
    """Waits until everything is sealed that the tenant's log holds; a sealer must run."""
    watching = await asyncpg.connect(database.superuser_url)
    try:
        while await watching.fetchval("select exists (select from audit.unsealed where tenant_id = $1)", tenant.id):
            await asyncio.sleep(0.05)
    finally:
        await watching.close()


async def forced(database: Database, statement: str, *arguments: Any) -> None:
    """Changes what no role of the service may."""
    connection = await asyncpg.connect(database.superuser_url)
    try:
        await connection.execute(statement, *arguments)
    finally:
        await connection.close()


def signatures_by(secret: str, one: Received) -> str:
    """The signature that a receiver computes, as Standard Webhooks says, from what it was sent and the secret it was shown."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{one.headers['webhook-id']}.{one.headers['webhook-timestamp']}.".encode() + one.body
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
