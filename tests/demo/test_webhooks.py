"""The demo tells itself by a webhook, with something that was delivered, something that failed, and something sent again."""

import asyncio
from typing import Any

import pytest

from backend.demo import seed, webhooks
from tests.service import Service, sealing
from tests.webhooks.endpoints import HERE, delivering

pytestmark = pytest.mark.anyio


async def test_it_shows_a_message_that_was_delivered_and_one_that_failed_and_was_sent_again(
    service: Service, address: str
) -> None:
    service.exchange(destinations=HERE)
    tenant = (await seed.create_tenants(service.database.owner_url))["tenants"][0]
    endpoint = await webhooks.create(service.app, tenant, address)
    webhooks.DemoReceiver(endpoint["secret"]).install(service.app)
    admin = await seed.sign_in(service.client, tenant, "admin")
    compliance = await seed.sign_in(service.client, tenant, "compliance")
    held = await service.client.post("/audit/holds", json={"reason": "Subpoena 2026-17"}, headers=compliance)
    assert held.status_code == 201
    path = f"/webhooks/{endpoint['id']}/deliveries"

    async def sent() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (await service.client.get(path, headers=admin)).json()["deliveries"]
        return found

    async with sealing(service.database), delivering(service, seconds=20.0, back_off=(600.0,)) as deliverer:
        working = asyncio.create_task(deliverer.run())
        try:
            for _ in range(2):  # a second start shows nothing more
                await webhooks.show(tenant, endpoint, address)
            async with asyncio.timeout(60):
                while any(one["state"] != "delivered" for one in await sent()) or len(await sent()) < 2:
                    await asyncio.sleep(0.1)
        finally:
            deliverer.stopping.set()
            await working
            deliverer.stopping.clear()
    assert sorted(one["kind"] for one in await sent()) == ["hold.placed", "webhook.test"]
    events = await service.client.get("/audit/events", params={"action": "webhook:replayed"}, headers=compliance)
    assert len(events.json()["events"]) == 1
    unsigned = await service.client.post(
        webhooks.PATH, content=b"{}", headers={"webhook-id": "x", "webhook-timestamp": "1"}
    )
    assert unsigned.status_code == 401
