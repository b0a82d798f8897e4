"""Conversations: history is what the server recorded, a follow-up is read with it, and each is only its owner's."""

from typing import Any
from uuid import uuid4

import httpx
import pytest

from backend.answers.followup import PastTurn, read_with
from tests.factories import ingest
from tests.service import Service, Tenant

pytestmark = pytest.mark.anyio

TEXTS = {
    "wires": "An outgoing domestic wire costs $25. An outgoing international wire costs $45.",
    "overdraft": "The overdraft fee is $20 for each item paid into overdraft.",
}


@pytest.fixture(scope="module", autouse=True)
async def documents(service: Service, tenant: Tenant) -> None:
    for doc_id, text in TEXTS.items():
        await ingest(service, tenant, doc_id, text)


async def ask(service: Service, tenant: Tenant, question: str, user: str = "analyst", **more: Any) -> dict[str, Any]:
    answer = await service.post("/answer", tenant, user, {"question": question, **more})
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


async def test_a_follow_up_is_read_with_the_question_before_and_says_so(service: Service, tenant: Tenant) -> None:
    first = await ask(service, tenant, "What does an outgoing domestic wire cost?")
    assert first["read_as"] is None
    second = await ask(service, tenant, "And an international one?", previous_turn=first["turn"])
    assert second["conversation"] == first["conversation"]
    assert second["read_as"] == "What does an outgoing international wire cost?"
    assert (second["question"], "$45" in second["answer"]) == ("And an international one?", True)
    assert [citation["number"] for citation in second["citations"]] == list(range(1, len(second["citations"]) + 1))
    (event,) = await service.events(tenant, action="prompt:submitted", limit=1)
    assert event["event"]["prompt"]["read_as"] == {"by": "terms", "used": True}
    revealed = await service.get(
        f"/audit/events/{second['audit_event_id']}", tenant, "compliance", reveal=True, reason="complaint 12"
    )
    assert revealed.json()["payloads"]["read_as"] == second["read_as"]


async def test_a_question_that_stands_alone_is_not_read_otherwise(service: Service, tenant: Tenant) -> None:
    first = await ask(service, tenant, "What does an outgoing domestic wire cost?")
    second = await ask(service, tenant, "What is the overdraft fee for each item?", conversation=first["conversation"])
    assert second["read_as"] is None
    assert "$20" in second["answer"]


async def test_who_asked_sees_its_own_turns_again(service: Service, tenant: Tenant) -> None:
    first = await ask(service, tenant, "What is the overdraft fee?")
    second = await ask(service, tenant, "Who won the 1998 world cup?", conversation=first["conversation"])
    read = await service.get(f"/conversations/{first['conversation']}", tenant, "analyst")
    assert read.status_code == 200, read.text
    turns = read.json()["turns"]
    assert [turn["turn"] for turn in turns] == [first["turn"], second["turn"]]
    assert [turn["refused"] for turn in turns] == [False, True]
    assert (turns[0]["question"], turns[0]["answer"]) == ("What is the overdraft fee?", first["answer"])
    assert turns[0]["citations"] == first["citations"]
    listed = (await service.get("/conversations", tenant, "analyst", limit=1)).json()
    assert listed["conversations"][0]["id"] == first["conversation"]
    assert listed["conversations"][0]["first_question"] == "What is the overdraft fee?"
    older = (await service.get("/conversations", tenant, "analyst", limit=1, cursor=listed["next_cursor"])).json()
    assert older["conversations"][0]["id"] != first["conversation"]


async def test_a_conversation_belongs_to_who_began_it(service: Service, tenant: Tenant, other_tenant: Tenant) -> None:
    first = await ask(service, tenant, "What is the overdraft fee?")
    for owner, user in ((tenant, "editor"), (other_tenant, "analyst")):
        assert (await service.get(f"/conversations/{first['conversation']}", owner, user)).status_code == 404
        rated = await service.post(f"/turns/{first['turn']}/feedback", owner, user, {"rating": "good"})
        assert rated.status_code == 404
        listed = (await service.get("/conversations", owner, user)).json()["conversations"]
        assert first["conversation"] not in {conversation["id"] for conversation in listed}
        body = {"question": "And for checks?", "previous_turn": first["turn"]}
        assert (await service.post("/answer", owner, user, body)).status_code == 404
    taken = {"question": "And for checks?", "conversation": first["conversation"]}
    assert (await service.post("/answer", tenant, "editor", taken)).status_code == 404
    # A name that nobody of the tenant uses begins a conversation; another tenant's names are its own.
    assert (await ask(service, other_tenant, "And for checks?", conversation=first["conversation"]))["refused"]


async def test_an_unknown_turn_is_not_found(service: Service, tenant: Tenant) -> None:
    body = {"question": "And for checks?", "previous_turn": str(uuid4())}
    assert (await service.post("/answer", tenant, "analyst", body)).status_code == 404


@pytest.mark.parametrize("rating", ["good", "bad", "wrong"])
async def test_feedback_is_on_record(service: Service, tenant: Tenant, rating: str) -> None:
    first = await ask(service, tenant, "What is the overdraft fee?")
    body = {"rating": rating, "comment": "The fee changed."}
    rated: httpx.Response = await service.post(f"/turns/{first['turn']}/feedback", tenant, "analyst", body)
    assert rated.status_code == 201, rated.text
    (event,) = await service.events(tenant, action="answer:rated", limit=1)
    assert event["id"] == rated.json()["audit_event_id"]
    assert (event["event"]["rating"], event["event"]["turn"]) == (rating, first["turn"])


HISTORY = [PastTurn("x", "What does an outgoing domestic wire cost?", "It costs $25.")]


@pytest.mark.parametrize(
    ("question", "read"),
    [
        ("And an international one?", "What does an outgoing international wire cost?"),
        ("How can I avoid it?", "How can I avoid it: outgoing domestic wire cost?"),
        ("Who may approve a goodwill credit of $300?", None),
        ("What documents are needed to open an account for a company?", None),
    ],
)
def test_only_what_follows_up_is_read_with_what_was_said_before(question: str, read: str | None) -> None:
    assert read_with(HISTORY, question) == read
    assert read_with([], question) is None
