"""The original recipe, end to end: ingest, retrieve, answer, and the records of all three."""

import pytest

from tests.service import Service, Tenant

pytestmark = pytest.mark.anyio

CHUNK = {
    "doc_id": "pol-001",
    "chunk_text": "Card disputes must be filed within 60 days of statement date.",
    "source_type": "policy",
    "metadata": {"jurisdiction": "US", "version": "1.0"},
}
QUESTION = "How long do customers have to file card disputes?"


async def test_an_ingested_chunk_is_retrieved_first_answered_from_and_on_record(
    service: Service, tenant: Tenant
) -> None:
    for text in ("Wire transfers leave before 5 pm.", "An account needs a passport."):
        other = {**CHUNK, "doc_id": f"pol-{len(text)}", "chunk_text": text}
        assert (await service.post("/ingest", tenant, "editor", other)).status_code == 201
    ingested = await service.post("/ingest", tenant, "editor", CHUNK)
    assert ingested.status_code == 201
    assert ingested.json()["doc_id"] == "pol-001"

    retrieved = await service.post("/retrieve", tenant, "analyst", {"query": QUESTION, "source_type": "policy"})
    first = retrieved.json()["contexts"][0]
    assert (first["doc_id"], first["chunk_text"], first["metadata"]) == (
        "pol-001",
        CHUNK["chunk_text"],
        CHUNK["metadata"],
    )
    assert first["chunk_id"] == ingested.json()["id"]

    answered = (await service.post("/answer", tenant, "analyst", {"question": QUESTION})).json()
    assert not answered["refused"]
    assert answered["citations"][0]["quote"] in CHUNK["chunk_text"]

    recorded = {event["id"]: event for event in await service.events(tenant)}
    assert recorded[retrieved.json()["audit_event_id"]]["event"]["retrieval"]["chunks"][0]["id"] == first["chunk_id"]
    assert recorded[answered["audit_event_id"]]["action"] == "answer:returned"


async def test_the_other_tenant_retrieves_nothing_of_it(service: Service, tenant: Tenant, other_tenant: Tenant) -> None:
    assert (await service.post("/ingest", tenant, "editor", CHUNK)).status_code == 201
    found = await service.post("/retrieve", other_tenant, "analyst", {"query": QUESTION})
    assert found.status_code == 200
    assert found.json()["contexts"] == []
