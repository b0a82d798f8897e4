"""Retrieval with a reranker: it says in which order, never what; and it is sent nothing that is not on record."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from backend.identity.callers.permissions import Role
from backend.retrieval.ranking.ordering import by_reranker
from tests.factories import ingest
from tests.retrieval import rerank_server
from tests.retrieval.hits import hit
from tests.retrieval.rerank_server import RerankServer, after, scoring, sending
from tests.service import Database, Secrets, Service, Tenant, running, settings_for
from tests.test_faults import failing_commit, without_insert

pytestmark = pytest.mark.anyio

TEXTS = {
    "fee": "The late payment fee of the card is $29.",
    "fees": "Late payment fees of cards are listed in the price list.",
    "waiver": "Members of the armed forces pay no late payment fee on any card that they hold.",
    "wires": "Wires leave at five.",
}
SECRET = "The late payment fee of the card is waived for staff."
ASKED = {"query": "What is the late payment fee of the card?", "k": 2}


@pytest.fixture(scope="module")
def server() -> Iterator[RerankServer]:
    with rerank_server.running() as started:
        yield started


@pytest.fixture(scope="module")
async def reranked(
    server: RerankServer, service: Service, database: Database, run_secrets: Secrets, model_home: Any
) -> AsyncIterator[Service]:
    """The service on the same database, with a reranker."""
    chosen = {"reranker_url": server.url, "reranker_model": "cross-encoder", "reranker_timeout": 60}
    async with running(settings_for(database, run_secrets, model_home, **chosen), database) as started:
        yield started


@pytest.fixture(scope="module")
async def filled(service: Service, tenant: Tenant) -> Tenant:
    chunks = [{"doc_id": doc_id, "chunk_text": text, "source_type": "policy"} for doc_id, text in TEXTS.items()]
    chunks.append({"doc_id": "secret", "chunk_text": SECRET, "source_type": "policy", "collection": "restricted"})
    assert (await service.post("/ingest/batch", tenant, "editor", {"chunks": chunks})).status_code == 201
    await service.add_user(tenant, "chief", Role.ADMIN)
    async with service.operator() as acting:
        await acting.grant(tenant.id, "restricted", "read", principal_id=tenant.users["chief"])
    return tenant


@pytest.fixture(autouse=True)
def replies_by_length(server: RerankServer) -> None:
    server.requests.clear()
    server.reply = scoring(lambda text: len(text) / 1000)


async def found(service: Service, tenant: Tenant, user: str = "analyst", **asked: Any) -> dict[str, Any]:
    answer = await service.post("/retrieve", tenant, user, {**ASKED, **asked})
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def doc_ids(body: dict[str, Any]) -> list[str]:
    return [context["doc_id"] for context in body["contexts"]]


async def event_of(service: Service, tenant: Tenant, event_id: str) -> dict[str, Any]:
    event: dict[str, Any] = (await service.get(f"/audit/events/{event_id}", tenant, "compliance")).json()["event"]
    return event


async def test_the_order_shown_is_the_rerankers_and_so_is_the_one_on_record(
    service: Service, reranked: Service, filled: Tenant, server: RerankServer
) -> None:
    assert doc_ids(await found(service, filled)) == ["fee", "fees"]
    body = await found(reranked, filled)
    assert doc_ids(body) == ["waiver", "fees"]
    assert [context["score"] for context in body["contexts"]] == [
        len(TEXTS["waiver"]) / 1000,
        len(TEXTS["fees"]) / 1000,
    ]
    (request,) = server.requests
    assert request["query"] == ASKED["query"]
    assert set(request["documents"]) == set(TEXTS.values())  # more than k, and nothing that the analyst may not read
    recorded = (await event_of(service, filled, body["audit_event_id"]))["retrieval"]
    assert [chunk["doc_id"] for chunk in recorded["chunks"]] == ["waiver", "fees"]
    assert recorded["chunks"][0]["score_micros"] == len(TEXTS["waiver"]) * 1000
    assert recorded["chunks"][0]["search_score_micros"] < recorded["chunks"][1]["search_score_micros"]
    assert (recorded["reranking"]["model"], recorded["reranking"]["outcome"]) == ("cross-encoder", "succeeded")
    submitted = await event_of(service, filled, recorded["reranking"]["submitted"])
    assert submitted["action"] == "candidates:submitted"
    assert submitted["submission"]["model"] == "cross-encoder"
    assert {chunk["doc_id"] for chunk in submitted["submission"]["chunks"]} == TEXTS.keys()


async def test_without_the_setting_nothing_is_sent_and_nothing_more_is_recorded(
    service: Service, filled: Tenant, server: RerankServer
) -> None:
    body = await found(service, filled)
    recorded = (await event_of(service, filled, body["audit_event_id"]))["retrieval"]
    assert not server.requests
    assert "reranking" not in recorded
    assert "search_score_micros" not in recorded["chunks"][0]


@pytest.mark.parametrize("broken", [without_insert, lambda service: failing_commit(service, "raise exception 'full'")])
async def test_what_cannot_be_recorded_is_not_sent(
    service: Service, reranked: Service, filled: Tenant, server: RerankServer, broken: Any
) -> None:
    await reranked.token(filled, "analyst")
    async with broken(service):
        refused = await reranked.post("/retrieve", filled, "analyst", ASKED)
    assert refused.status_code == 503
    assert not server.requests


async def test_what_is_withdrawn_while_the_reranker_works_is_not_shown_and_no_transaction_waits_for_it(
    reranked: Service, filled: Tenant, server: RerankServer
) -> None:
    text = (
        "The late payment fee of the card is this, which a reranker that likes length likes best of all, but it ends."
    )
    await ingest(reranked, filled, "ended", text)
    assert doc_ids(await found(reranked, filled)) == ["ended", "waiver"]
    working = (
        "select count(*) from pg_stat_activity where usename = 'affidavit_runtime' and state <> 'idle' and datname = $1"
    )
    seen = list[str]()

    async def withdraw() -> None:
        superuser = await asyncpg.connect(reranked.database.superuser_url)
        try:
            database = await superuser.fetchval("select current_database()")
            while await superuser.fetchval(working, database):  # what else the service asks ends soon
                await asyncio.sleep(0.05)
            seen.append("none")
            await superuser.execute("update documents.chunk set effective_to = effective_from where text = $1", text)
        finally:
            await superuser.close()

    server.reply = after(withdraw, scoring(len))
    assert doc_ids(await found(reranked, filled)) == ["waiver", "fees"]
    assert text in server.requests[-1]["documents"]
    assert seen == ["none"]


def test_what_a_reranker_has_not_scored_stands_behind_what_it_has() -> None:
    hits = [hit(UUID(int=number)) for number in range(5)]
    scored, others = by_reranker(hits, {UUID(int=1): -5, UUID(int=2): 7, UUID(int=4): 7, UUID(int=9): 9})
    assert [one.chunk_id.int for one in scored] == [2, 4, 1]
    assert [one.chunk_id.int for one in others] == [0, 3]


@pytest.mark.parametrize("reply", [sending(b"", 500), sending(b"[]"), sending(b"not json")])
async def test_while_the_reranker_is_away_the_order_of_the_search_stands_and_that_is_on_record(
    service: Service, reranked: Service, filled: Tenant, server: RerankServer, reply: Any
) -> None:
    server.reply = reply
    body, plain = await found(reranked, filled), await found(service, filled)
    assert [(c["doc_id"], c["score"]) for c in body["contexts"]] == [
        (c["doc_id"], c["score"]) for c in plain["contexts"]
    ]
    recorded = (await event_of(service, filled, body["audit_event_id"]))["retrieval"]
    assert recorded["reranking"]["outcome"] == "failed"


async def test_a_reranker_that_is_required_and_away_lets_nothing_out(
    database: Database, run_secrets: Secrets, model_home: Any, filled: Tenant, server: RerankServer
) -> None:
    chosen = {"reranker_url": server.url, "reranker_model": "cross-encoder", "reranker_required": True}
    server.reply = sending(TEXTS["fee"].encode(), 500)
    async with running(settings_for(database, run_secrets, model_home, **chosen), database) as strict:
        for path, body in (("/retrieve", ASKED), ("/answer", {"question": ASKED["query"]})):
            refused = await strict.post(path, filled, "analyst", body)
            assert (refused.status_code, refused.json()["error"]) == (503, "unavailable")
            assert "$29" not in refused.text


async def test_no_more_candidates_are_sent_than_the_setting_says_or_than_are_asked_for(
    reranked: Service, filled: Tenant, server: RerankServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reranked.services.retrieval.reranker, "candidates", 3)
    assert len(doc_ids(await found(reranked, filled, k=2))) == 2
    assert len(doc_ids(await found(reranked, filled, k=100))) == 4
    assert [len(request["documents"]) for request in server.requests] == [3, 4]


async def test_another_tenants_texts_are_never_sent(
    reranked: Service, filled: Tenant, other_tenant: Tenant, server: RerankServer
) -> None:
    own = {"doc_id": "own", "chunk_text": "The late payment fee of our card is ours.", "source_type": "policy"}
    assert (await reranked.post("/ingest", other_tenant, "editor", own)).status_code == 201
    await found(reranked, filled, k=100)
    await found(reranked, filled, k=100, user="partner")
    assert all(own["chunk_text"] not in request["documents"] for request in server.requests)
    assert all(SECRET not in request["documents"] for request in server.requests)


async def test_an_answer_is_drawn_from_the_reranked_passages(
    service: Service, reranked: Service, filled: Tenant, server: RerankServer
) -> None:
    answer = (await reranked.post("/answer", filled, "analyst", {"question": ASKED["query"]})).json()
    events = await service.events(filled)
    turn = (await event_of(service, filled, answer["audit_event_id"]))["turn"]
    prompt = next(event["event"]["prompt"] for event in events if event["id"] == turn)
    retrieved = (await event_of(service, filled, prompt["retrieval"]))["retrieval"]
    assert [chunk["doc_id"] for chunk in retrieved["chunks"]] == ["waiver", "fees", "fee", "wires"]
    assert prompt["chunks"] == [chunk["id"] for chunk in retrieved["chunks"]]


async def test_explanation_and_why_tell_of_the_reranker(
    service: Service, reranked: Service, filled: Tenant, server: RerankServer
) -> None:
    first = (await found(reranked, filled, user="approver", collection="default", explain=True))["contexts"][0]
    assert first["explanation"]["rerank_score"] == first["score"] == len(TEXTS["waiver"]) / 1000
    assert first["explanation"]["search_rank"] == 3
    for asked, doc_id, reason, rank in (
        ({}, "waiver", "returned", 1),
        ({}, "fee", "outranked", 3),
        ({"principal": "analyst"}, "fee", "outranked", 3),
        ({"principal": "analyst"}, "secret", "not_granted", None),
        ({"principal": "analyst", "collection": "restricted"}, "secret", "not_granted", None),
    ):
        user = "chief" if asked else "analyst"
        answer = await reranked.post("/retrieve/why", filled, user, {**ASKED, **asked, "doc_id": doc_id})
        assert answer.status_code == 200, answer.text
        (document,) = answer.json()["documents"]
        assert (document["reason"], document["rank"]) == (reason, rank)
    event = (await service.events(filled, action="candidates:submitted"))[0]["event"]
    assert event["principal"]["id"] == str(filled.users["chief"])


async def test_a_replay_takes_the_scores_on_record_and_asks_no_reranker(
    service: Service, reranked: Service, filled: Tenant, server: RerankServer
) -> None:
    body = await found(reranked, filled, diversity=0.2)
    server.requests.clear()
    path = f"/audit/events/{body['audit_event_id']}/replay"
    for replaying in (service, reranked):
        replay = (await replaying.post(path, filled, "compliance", {"reason": "Complaint 118"})).json()
        assert replay["outcome"] == "equal"
        assert [chunk["doc_id"] for chunk in replay["now"]] == doc_ids(body)
    assert not server.requests
