"""A draft spares work and changes nothing: what is on record is what the event holds, under the key that seals it."""

from dataclasses import replace

import pytest

from backend.audit.events import Action, Event
from backend.audit.recorder import Recorder
from backend.identity.callers.caller import Caller
from backend.identity.callers.on_behalf_of import asserted
from backend.tenancy import Tenancy
from tests.conftest import Service, Tenant

pytestmark = pytest.mark.anyio


SEARCH = {"reason": "complaint 17", "action": "retrieval:executed"}


async def test_what_came_out_otherwise_than_drafted_is_sealed_and_found_as_it_came_out(
    service: Service, tenant: Tenant
) -> None:
    recorder: Recorder = service.services.recorder
    analyst = Caller(tenant.id, tenant.slug, tenant.users["analyst"], "user", "analyst", "request")
    tenancy: Tenancy = service.services.tenancy
    async with tenancy.transaction(analyst.claims()) as connection:
        draft = await recorder.draft(connection, analyst, {"query": "zebra", "filters": "kept", "contexts": "dropped"})
        # What it then holds is of another data subject, so it is sealed under another key.
        analyst = replace(analyst, on_behalf_of=asserted("customer 7"))
        await tenancy.bind(connection, analyst.claims())
        event = Event(Action.RETRIEVAL_EXECUTED, payloads={"query": "mortgage", "filters": "kept", "chunks": "new"})
        event_id = await recorder.record(connection, analyst, event, draft)
    assert event_id == draft.event_id
    revealed = await service.get(f"/audit/events/{event_id}", tenant, "compliance", reveal=True, reason="checking")
    assert revealed.json()["payloads"] == {"query": "mortgage", "filters": "kept", "chunks": "new"}
    assert [e["id"] for e in await service.events(tenant, q="mortgage", **SEARCH)] == [str(event_id)]
    assert await service.events(tenant, q="zebra", **SEARCH) == []
