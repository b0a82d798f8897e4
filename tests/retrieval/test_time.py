"""Retrieval at other moments: as of then, as known then, as the caller then."""

import asyncio
from datetime import UTC, datetime

import pytest

from tests.factories import approved, create_collection, retired, retrieved
from tests.service import Service, Tenant

pytestmark = pytest.mark.anyio

QUESTION = {"query": "How high is the cap on cash advances?", "collection": "guidance"}


@pytest.fixture(scope="module", autouse=True)
async def guidance(service: Service, tenant: Tenant) -> None:
    await create_collection(service, tenant)


async def now() -> str:
    """A moment between what was done before and what is done next."""
    await asyncio.sleep(0.02)
    moment = datetime.now(UTC).isoformat()
    await asyncio.sleep(0.02)
    return moment


async def test_what_was_learned_later_is_not_known_at_an_earlier_moment(service: Service, tenant: Tenant) -> None:
    await approved(service, tenant, "cap", "The cap on cash advances is $500.", effective_from="2026-01-01T00:00:00Z")
    then = await now()
    await approved(service, tenant, "cap", "The cap on cash advances is $300.", effective_from="2026-03-01T00:00:00Z")
    assert await retrieved(service, tenant, **QUESTION) == [("cap", 2)]
    assert await retrieved(service, tenant, **QUESTION, as_of="2026-02-01T00:00:00Z") == [("cap", 1)]
    # In May, the second version applied: that is known today, and was not known before it was approved.
    assert await retrieved(service, tenant, **QUESTION, as_of="2026-05-01T00:00:00Z") == [("cap", 2)]
    assert await retrieved(service, tenant, **QUESTION, as_of="2026-02-01") == [("cap", 1)]
    assert await retrieved(service, tenant, **QUESTION, as_of="2026-05-01T00:00:00Z", known_at=then) == [("cap", 1)]
    assert await retrieved(service, tenant, **QUESTION, known_at=then) == [("cap", 1)]
    assert await retrieved(service, tenant, **QUESTION, known_at="2026-01-02T00:00:00Z") == []


async def test_a_version_retired_since_was_in_force_as_far_as_was_known(service: Service, tenant: Tenant) -> None:
    submitted = await approved(service, tenant, "gone", "Passbooks are stamped in blue.")
    then = await now()
    assert (await retired(service, tenant, submitted, reason="No passbooks.")).status_code == 200
    question = {"query": "What colour are passbooks stamped in?", "collection": "guidance"}
    assert ("gone", 1) not in await retrieved(service, tenant, **question)
    assert ("gone", 1) in await retrieved(service, tenant, **question, known_at=then)


async def test_a_chunk_added_later_was_not_known(service: Service, tenant: Tenant) -> None:
    chunk = {"doc_id": "growing", "chunk_text": "Vault A opens at nine.", "source_type": "policy"}
    assert (await service.post("/ingest", tenant, "editor", chunk)).status_code == 201
    then = await now()
    await service.post("/ingest", tenant, "editor", {**chunk, "chunk_text": "Vault B opens at ten."})
    question = {"query": "When does the vault open?", "collection": "default"}
    assert len(await retrieved(service, tenant, **question)) == 2
    assert len(await retrieved(service, tenant, **question, known_at=then)) == 1


async def test_the_past_opens_no_collection_that_is_closed_now_nor_one_that_was_closed_then(
    service: Service, tenant: Tenant
) -> None:
    await approved(service, tenant, "secret", "The reserve ratio target is 9 percent.")
    question = {"query": "What is the reserve ratio target?"}
    grants = (await service.get("/collections/guidance/grants", tenant, "admin")).json()["grants"]
    (grant,) = [g["id"] for g in grants if g["role"] == "approver"]
    granted = await now()
    assert (await service.client.delete(
        f"/collections/guidance/grants/{grant}", headers=await service.as_user(tenant, "admin")
    )).status_code == 204  # fmt: skip
    withdrawn = await now()
    asked = {**question, "username": "approver"}
    assert ("secret", 1) not in await retrieved(service, tenant, **asked, known_at=granted, as_caller_then=True)
    again = {"role": "approver", "access": "read"}
    assert (await service.post("/collections/guidance/grants", tenant, "admin", again)).status_code == 201
    assert ("secret", 1) in await retrieved(service, tenant, **asked, known_at=withdrawn)
    assert ("secret", 1) not in await retrieved(service, tenant, **asked, known_at=withdrawn, as_caller_then=True)
    assert ("secret", 1) in await retrieved(service, tenant, **asked, known_at=granted, as_caller_then=True)


async def test_only_reviewers_ask_as_the_caller_they_were(service: Service, tenant: Tenant) -> None:
    body = {"query": "Anything?", "known_at": "2026-01-01T00:00:00Z", "as_caller_then": True}
    assert (await service.post("/retrieve", tenant, "analyst", body)).status_code == 403
    del body["known_at"]
    assert (await service.post("/retrieve", tenant, "approver", body)).status_code == 422


async def test_times_are_on_record(service: Service, tenant: Tenant) -> None:
    body = {"query": "Anything?", "known_at": "2026-02-01T00:00:00Z", "as_of": "2026-01-01T00:00:00+01:00"}
    event_id = (await service.post("/retrieve", tenant, "analyst", body)).json()["audit_event_id"]
    event = (await service.get(f"/audit/events/{event_id}", tenant, "compliance")).json()["event"]
    assert event["retrieval"]["as_of"] == "2025-12-31T23:00:00.000000Z"
    assert event["retrieval"]["known_at"] == "2026-02-01T00:00:00.000000Z"
