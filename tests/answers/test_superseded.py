"""Answers to questions that only a version which is no longer in force covers."""

import pytest

from tests.factories import approved, create_collection, retired
from tests.service import Service, Tenant

pytestmark = pytest.mark.anyio

TELEX = "A telex confirmation of a payment costs $18."
QUESTION = "How much does a telex confirmation of a payment cost?"


@pytest.fixture(scope="module", autouse=True)
async def guidance(service: Service, tenant: Tenant) -> None:
    await create_collection(service, tenant)
    await approved(
        service, tenant, "fees", TELEX, "A stop payment order costs $33.", title="Fees 2025",
        effective_from="2025-01-01T00:00:00Z",
    )  # fmt: skip
    await approved(
        service,
        tenant,
        "fees",
        "A stop payment order costs $30.",
        title="Fees 2026",
        effective_from="2026-04-01T00:00:00Z",
    )


async def test_a_refusal_names_the_version_that_used_to_answer_and_does_not_quote_it(
    service: Service, tenant: Tenant
) -> None:
    answered = (await service.post("/answer", tenant, "analyst", {"question": QUESTION})).json()
    assert (answered["refused"], answered["answer"], answered["citations"]) == (True, "", [])
    assert answered["superseded"] == [
        {
            "doc_id": "fees", "document_version": 1, "title": "Fees 2025", "collection": "guidance", "status": "superseded",
            "effective_from": "2025-01-01T00:00:00Z", "effective_to": "2026-04-01T00:00:00Z",
        }
    ]  # fmt: skip
    assert "version 1 of fees applied from 2025-01-01 to 2026-04-01" in answered["notice"]
    assert "$18" not in answered["notice"]
    event = (await service.get(f"/audit/events/{answered['audit_event_id']}", tenant, "compliance")).json()["event"]
    assert event["answer"]["superseded"] == [{"doc_id": "fees", "version": 1}]


async def test_as_of_its_own_time_the_version_is_quoted(service: Service, tenant: Tenant) -> None:
    body = {"question": QUESTION, "as_of": "2025-06-01T00:00:00Z"}
    answered = (await service.post("/answer", tenant, "analyst", body)).json()
    assert not answered["refused"]
    assert answered["citations"][0]["quote"] == TELEX
    assert answered["superseded"] == []


async def test_what_is_in_force_is_answered_without_a_word_of_the_past(service: Service, tenant: Tenant) -> None:
    answered = (
        await service.post("/answer", tenant, "analyst", {"question": "What does a stop payment order cost?"})
    ).json()
    assert "$30" in answered["answer"]
    assert "$33" not in str(answered)
    assert (answered["superseded"], answered["notice"]) == ([], None)


async def test_a_question_that_nothing_ever_answered_names_no_version(service: Service, tenant: Tenant) -> None:
    answered = (await service.post("/answer", tenant, "analyst", {"question": "Who won the regatta of 1987?"})).json()
    assert (answered["refused"], answered["superseded"], answered["notice"]) == (True, [], None)


async def test_a_retired_version_is_named_as_retired(service: Service, tenant: Tenant) -> None:
    submitted = await approved(service, tenant, "lockers", "A coin locker holds forty rolls of quarters.")
    assert (await retired(service, tenant, submitted, reason="Removed.")).status_code == 200
    question = {"question": "How many rolls of quarters does a coin locker hold?"}
    answered = (await service.post("/answer", tenant, "analyst", question)).json()
    assert [(old["doc_id"], old["status"]) for old in answered["superseded"]] == [("lockers", "retired")]


async def test_what_was_looked_at_is_on_record_as_not_shown(service: Service, tenant: Tenant) -> None:
    answered = (await service.post("/answer", tenant, "analyst", {"question": QUESTION})).json()
    events = await service.events(tenant, action="retrieval:executed", limit=2)
    (lapsed,) = [event for event in events if event["event"]["retrieval"].get("reading") == "lapsed"]
    assert lapsed["request_id"] == (await _event(service, tenant, answered))["request_id"]
    assert {chunk["used"] for chunk in lapsed["event"]["retrieval"]["chunks"]} == {False}
    readers = (await service.get("/audit/documents/fees/readers", tenant, "compliance")).json()["readers"]
    assert lapsed["id"] not in {reader["event_id"] for reader in readers}


async def _event(service: Service, tenant: Tenant, answered: dict[str, str]) -> dict[str, str]:
    event: dict[str, str] = (
        await service.get(f"/audit/events/{answered['audit_event_id']}", tenant, "compliance")
    ).json()
    return event


async def test_who_may_not_read_the_collection_learns_nothing_of_its_past(service: Service, tenant: Tenant) -> None:
    outsider = await service.add_user(tenant, "outsider")
    headers = await service.as_user(tenant, "admin")
    given = await service.client.put(f"/users/{outsider}/roles", json={"roles": ["approver"]}, headers=headers)
    assert given.status_code == 200, given.text
    grants = (await service.get("/collections/guidance/grants", tenant, "admin")).json()["grants"]
    for grant in grants:
        if grant["role"] == "approver":
            await service.client.delete(f"/collections/guidance/grants/{grant['id']}", headers=headers)
    answered = (await service.post("/answer", tenant, "outsider", {"question": QUESTION})).json()
    assert (answered["refused"], answered["superseded"]) == (True, [])
