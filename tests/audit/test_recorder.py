"""A draft spares work and changes nothing: what is on record is what the event holds, under the key that seals it."""

from datetime import datetime, timedelta, tzinfo

import pytest

from backend.audit.events import Action, Event
from backend.audit.recorder import Recorder
from backend.identity.caller import Caller
from tests.conftest import Service, Tenant

pytestmark = pytest.mark.anyio


class Later(datetime):
    """A clock that is a month ahead."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> "Later":
        return cls.fromtimestamp((datetime.now(tz) + timedelta(days=31)).timestamp(), tz)


SEARCH = {"reason": "complaint 17", "action": "retrieval:executed"}


async def test_what_came_out_otherwise_than_drafted_is_sealed_and_found_as_it_came_out(
    service: Service, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder: Recorder = service.app.state.recorder
    analyst = Caller(tenant.id, tenant.slug, tenant.users["analyst"], "user", "analyst", "request")
    async with service.app.state.tenancy.transaction(analyst.claims()) as connection:
        draft = await recorder.draft(connection, analyst, {"query": "zebra", "filters": "kept", "contexts": "dropped"})
        # As at the turn of a month: what is sealed now is under another key.
        monkeypatch.setattr("backend.audit.recorder.datetime", Later)
        event = Event(Action.RETRIEVAL_EXECUTED, payloads={"query": "mortgage", "filters": "kept", "chunks": "new"})
        event_id = await recorder.record(connection, analyst, event, draft)
    assert event_id == draft.event_id
    revealed = await service.get(f"/audit/events/{event_id}", tenant, "compliance", reveal=True, reason="checking")
    assert revealed.json()["payloads"] == {"query": "mortgage", "filters": "kept", "chunks": "new"}
    assert [e["id"] for e in await service.events(tenant, q="mortgage", **SEARCH)] == [str(event_id)]
    assert await service.events(tenant, q="zebra", **SEARCH) == []
