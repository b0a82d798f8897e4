"""What is on record is what the event holds, under the key that seals it; where that cannot be, nothing is done."""

import json
from dataclasses import replace
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from uuid_utils.compat import uuid7

from backend.audit.actions.retrieval import TextsEmbedded
from backend.audit.events import Event
from backend.audit.recorder import Draft, Recorder
from backend.errors import AuditUnavailable
from backend.identity.callers.caller import Caller
from backend.identity.callers.on_behalf_of import asserted
from backend.tenancy import Tenancy
from tests.service import Database, Service, Tenant

pytestmark = pytest.mark.anyio


SEARCH = {"reason": "complaint 17", "action": "texts:embedded"}


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
        embedded = TextsEmbedded(texts=1, characters=8, model="m")
        event = Event(embedded, payloads={"query": "mortgage", "filters": "kept", "chunks": "new"})
        event_id = await recorder.record(connection, analyst, event, draft)
    assert event_id == draft.event_id
    revealed = await service.get(f"/audit/events/{event_id}", tenant, "compliance", reveal=True, reason="checking")
    assert revealed.json()["payloads"] == {"query": "mortgage", "filters": "kept", "chunks": "new"}
    assert [e["id"] for e in await service.events(tenant, q="mortgage", **SEARCH)] == [str(event_id)]
    assert await service.events(tenant, q="zebra", **SEARCH) == []


def analyst_of(tenant: Tenant, **changed: Any) -> Caller:
    return Caller(tenant.id, tenant.slug, tenant.users["analyst"], "user", "analyst", "request", **changed)


async def record(service: Service, actor: Caller, draft: Draft | None = None, model: str = "m", **texts: str) -> UUID:
    embedded = Event(TextsEmbedded(texts=1, characters=8, model=model), payloads=texts)
    async with service.services.tenancy.transaction(actor.claims()) as connection:
        return await service.services.recorder.record(connection, actor, embedded, draft)


@pytest.fixture
async def superuser(database: Database) -> Any:
    connection = await asyncpg.connect(database.superuser_url)
    yield connection
    await connection.close()


@pytest.mark.parametrize("readable", [0, 49, 50, 51])
async def test_the_envelope_lists_fifty_collections_and_a_text_all_of_more(
    service: Service, tenant: Tenant, superuser: asyncpg.Connection, readable: int
) -> None:
    collections = frozenset(uuid7() for _ in range(readable))
    event_id = await record(service, analyst_of(tenant, readable=collections), query="wire")
    written = json.loads(await superuser.fetchval("select envelope from audit.event where id = $1", event_id))
    assert len(written["principal"]["collections"]) == min(readable, 50)
    assert written["principal"]["collection_count"] == readable
    revealed = await service.get(f"/audit/events/{event_id}", tenant, "compliance", reveal=True, reason="checking")
    texts = revealed.json()["payloads"]
    listed = texts.pop("collections", None)
    assert texts == {"query": "wire"}
    assert listed == (json.dumps(sorted(map(str, collections)), separators=(",", ":")) if readable > 50 else None)


async def test_texts_are_sealed_under_a_key_of_the_month(
    service: Service, tenant: Tenant, superuser: asyncpg.Connection
) -> None:
    event_id = await record(service, analyst_of(tenant), query="wire")
    key = "select k.month from audit.payload p join audit.data_key k on k.id = p.key_id where p.event_id = $1"
    assert await superuser.fetchval(f"select ({key}) = date_trunc('month', now() at time zone 'utc')::date", event_id)


async def test_after_a_key_was_erased_elsewhere_one_record_is_refused_and_the_next_has_a_new_key(
    service: Service, superuser: asyncpg.Connection
) -> None:
    tenant = await service.create_tenant()
    analyst = analyst_of(tenant)
    for _ in range(2):  # remembered once it is seen to be committed
        await record(service, analyst, query="wire")
    assert service.services.recorder._vault.remembered
    await superuser.execute("delete from audit.payload where tenant_id = $1", tenant.id)
    erased = await superuser.fetch("delete from audit.data_key where tenant_id = $1 returning id", tenant.id)
    assert len(erased) == 1
    with pytest.raises(AuditUnavailable) as refused:
        await record(service, analyst, query="wire")
    assert refused.value.reason == "audit:erased_key"
    event_id = await record(service, analyst, query="wire")
    used = await superuser.fetchval("select key_id from audit.payload where event_id = $1", event_id)
    assert used != erased[0]["id"]


async def test_what_cannot_be_put_on_record_is_unavailable_and_says_why_to_the_log(
    service: Service, superuser: asyncpg.Connection
) -> None:
    tenant = await service.create_tenant()
    analyst = analyst_of(tenant)
    draft = Draft()
    await record(service, analyst, draft)
    with pytest.raises(AuditUnavailable) as twice:
        await record(service, analyst, draft)
    assert twice.value.reason == "audit:UniqueViolationError"
    with pytest.raises(AuditUnavailable) as unwritable:
        await record(service, analyst, model="\x00")
    assert unwritable.value.reason == "audit:CanonicalJSONError"
    await record(service, analyst, query="wire")
    await superuser.execute(
        "update audit.data_key set wrapped = set_byte(wrapped, 20, get_byte(wrapped, 20) # 1) where tenant_id = $1",
        tenant.id,
    )
    with pytest.raises(AuditUnavailable) as changed:
        await record(service, analyst, query="wire")
    assert changed.value.reason == "audit:WrappedKeyInvalid"
