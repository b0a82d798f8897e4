"""What tests of the lines that connect a client share."""

from collections.abc import AsyncIterator

import pytest

from tests.browsing import browser
from tests.gateways.clients.shown import FILE, ShownPrograms
from tests.listening import listening
from tests.service import Service, Tenant

__all__ = ["browser"]


@pytest.fixture(scope="module")
async def shown(service: Service, tenant: Tenant) -> AsyncIterator[ShownPrograms]:
    chunk = {"doc_id": "pol-001", "chunk_text": FILE, "source_type": "policy"}
    assert (await service.post("/ingest", tenant, "editor", chunk)).status_code == 201
    may = ["retrieval:query", "answers:create", "documents:read"]
    made = await service.post("/auth/keys", tenant, "admin", {"name": "assistant", "permissions": may})
    async with listening(service) as address:
        service.exchange(settings=service.services.settings.model_copy(update={"public_url": address}))
        yield ShownPrograms(address, made.json()["key"])
