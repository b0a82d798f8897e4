"""Answers over HTTP: only what the documents support, recorded before it is shown, whatever the model does."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from tests.answers import model_server
from tests.answers.model_server import ModelServer
from tests.factories import ingest
from tests.listening import listening
from tests.service import Database, Secrets, Service, Tenant, running, settings_for

pytestmark = pytest.mark.anyio

TEXT = "Card disputes must be filed within 60 days of statement date. A dispute needs the card number & the amount."
QUESTION = "How long do customers have to file card disputes?"


@pytest.fixture(scope="module", autouse=True)
async def documents(service: Service, tenant: Tenant) -> None:
    for doc_id, text in (("pol-001", TEXT), ("pol-002", "Wires leave before noon on business days.")):
        await ingest(service, tenant, doc_id, text)


@pytest.fixture(scope="module")
async def with_model(
    model: ModelServer, database: Database, run_secrets: Secrets, model_home: Any
) -> AsyncIterator[Service]:
    """The service on the same database, with a model server."""
    settings = settings_for(
        database, run_secrets, model_home, model_url=model.url, model_name="test-model", model_api_key="model-key",
    )  # fmt: skip
    async with running(settings, database) as started:
        yield started


@pytest.fixture(scope="module")
async def impatient(
    model: ModelServer, database: Database, run_secrets: Secrets, model_home: Any
) -> AsyncIterator[Service]:
    """The same, which waits two seconds for the model server: longer than for the first word of a stream."""
    settings = settings_for(
        database, run_secrets, model_home, model_url=model.url, model_name="test-model", model_timeout=2
    )
    async with running(settings, database) as started:
        yield started


async def ask(service: Service, tenant: Tenant, question: str = QUESTION, **changed: Any) -> httpx.Response:
    return await service.post("/answer", tenant, "analyst", {"question": question, **changed})


def events_of(body: str) -> list[tuple[str, str]]:
    """Server-sent events as (event, data)."""
    events = []
    for block in body.replace("\r\n", "\n").split("\n\n"):
        lines = [line for line in block.split("\n") if line and not line.startswith(":")]
        if lines:
            fields = [line.partition(":")[::2] for line in lines]
            data = "\n".join(value.removeprefix(" ") for name, value in fields if name == "data")
            events.append((dict(fields)["event"].strip(), data))
    return events


async def turn(service: Service, tenant: Tenant, answer: httpx.Response) -> dict[str, dict[str, Any]]:
    """The recorded events of one question, by action."""
    found = await service.events(tenant, request_id=answer.headers["x-request-id"])
    return {event["action"]: event for event in found}


async def test_an_answer_quotes_its_documents(service: Service, tenant: Tenant) -> None:
    body = (await ask(service, tenant)).json()
    assert body.keys() >= {"question", "answer", "refused", "reason", "citations", "model", "audit_event_id"}
    assert (body["question"], body["refused"], body["reason"]) == (QUESTION, False, None)
    assert "60 days" in body["answer"]
    for citation in body["citations"]:
        assert (citation["doc_id"], citation["document_version"]) == ("pol-001", 1)
        assert citation["quote"] in TEXT


@pytest.mark.parametrize("question", ["Who won the 1998 world cup?", "What is the mortgage rate of Acme Bank?"])
async def test_a_question_that_no_document_answers_is_refused(service: Service, tenant: Tenant, question: str) -> None:
    answer = await ask(service, tenant, question)
    body = answer.json()
    assert (body["refused"], body["answer"], body["citations"]) == (True, "", [])
    assert body["reason"]
    recorded = (await turn(service, tenant, answer))["answer:refused"]
    assert (recorded["outcome"], recorded["reason"]) == ("refused", body["reason"])


async def test_filters_hold_for_answers(service: Service, tenant: Tenant) -> None:
    assert not (await ask(service, tenant, source_type="policy")).json()["refused"]
    for narrowed in (
        {"source_type": "faq"},
        {"filters": {"jurisdiction": "EU"}},
        {"filters": {"jurisdiction": {"in": ["EU"]}}},
        {"effective_from": {"gte": "2101-01-01"}},
        {"as_of": "2001-01-01T00:00:00Z"},
    ):
        assert (await ask(service, tenant, **narrowed)).json()["refused"], narrowed
    assert (await ask(service, tenant, collection="restricted")).status_code == 404


async def test_another_tenant_gets_no_answer_from_it(service: Service, other_tenant: Tenant) -> None:
    assert (await ask(service, other_tenant)).json()["refused"]


@pytest.mark.parametrize("user", ["admin", "compliance", "partner"])
async def test_who_may_not_ask_is_refused(service: Service, tenant: Tenant, user: str) -> None:
    assert (await service.post("/answer", tenant, user, {"question": QUESTION})).status_code == 403


async def test_a_stream_says_the_same_as_the_whole_answer(service: Service, tenant: Tenant) -> None:
    whole = (await ask(service, tenant)).json()
    answer = await ask(service, tenant, stream=True)
    assert answer.headers["content-type"].startswith("text/event-stream")
    events = events_of(answer.text)
    kinds = [kind for kind, _ in events]
    assert (kinds[0], kinds[-1]) == ("token", "done")
    assert "".join(data for kind, data in events if kind == "token") == whole["answer"]
    assert kinds.count("token") > 5
    assert [json.loads(data) for kind, data in events if kind == "citation"] == whole["citations"]
    done = json.loads(events[-1][1])
    own = {"audit_event_id": "", "turn": "", "conversation": ""}
    assert done | own == whole | own
    assert done["audit_event_id"] == (await turn(service, tenant, answer))["answer:returned"]["id"]


async def test_a_refusal_streams_no_token(service: Service, tenant: Tenant) -> None:
    events = events_of((await ask(service, tenant, "Who won the 1998 world cup?", stream=True)).text)
    assert [kind for kind, _ in events] == ["done"]


async def test_the_record_of_an_answer_names_everything(service: Service, tenant: Tenant) -> None:
    answer = await ask(service, tenant)
    recorded = await turn(service, tenant, answer)
    assert recorded.keys() == {"retrieval:executed", "prompt:submitted", "answer:returned"}
    prompt = recorded["prompt:submitted"]["event"]["prompt"]
    assert prompt["retrieval"] == recorded["retrieval:executed"]["id"]
    assert prompt["chunks"] == [chunk["id"] for chunk in recorded["retrieval:executed"]["event"]["retrieval"]["chunks"]]
    event = recorded["answer:returned"]["event"]
    assert event["turn"] == recorded["prompt:submitted"]["id"]
    assert event["answer"].keys() >= {
        "template", "model_requested", "model_served", "parameters", "finish_reason", "citations", "dropped_sentences",
    }  # fmt: skip
    assert event["answer"]["citations"] == list(dict.fromkeys(c["chunk_id"] for c in answer.json()["citations"]))


async def test_a_model_answers_through_its_own_protocol(
    with_model: Service, model: ModelServer, service: Service, tenant: Tenant
) -> None:
    model.reply = model_server.saying("Card disputes must be filed within 60 days of the statement date [1].")
    answer = await ask(with_model, tenant)
    body = answer.json()
    assert (body["refused"], body["model"]) == (False, model_server.MODEL_SERVED)
    assert "60 days" in body["answer"]
    assert body["citations"][0]["quote"] in TEXT
    assert model.authorizations[-1] == "Bearer model-key"
    sent = model.requests[-1]
    assert (sent["model"], QUESTION in sent["messages"][1]["content"]) == ("test-model", True)

    recorded = (await turn(service, tenant, answer))["answer:returned"]["event"]["answer"]
    assert (recorded["model_requested"], recorded["model_served"]) == ("test-model", model_server.MODEL_SERVED)
    assert (recorded["prompt_tokens"], recorded["completion_tokens"]) == (321, 12)
    assert recorded["finish_reason"] == "stop"
    revealed = await reveal(service, tenant, body["audit_event_id"])
    assert revealed["answer"] == body["answer"]
    assert revealed["completion"].endswith("[1].")


async def test_what_a_model_makes_up_is_refused_and_on_record(
    with_model: Service, model: ModelServer, service: Service, tenant: Tenant
) -> None:
    invented = "Card disputes can be filed at any time within ten years [1]."
    model.reply = model_server.saying(invented)
    answer = await ask(with_model, tenant, stream=True)
    assert "ten years" not in answer.text
    done = json.loads(events_of(answer.text)[-1][1])
    assert (done["refused"], done["answer"], done["reason"]) == (True, "", "unsupported")
    assert (await reveal(service, tenant, done["audit_event_id"]))["completion"] == invented


FAILURES = {
    "status 500": model_server.failing(500),
    "status 429": model_server.failing(429),
    "no JSON": model_server.sending(b"<html>"),
    "another protocol": model_server.sending(b"{}"),
}


@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.usefixtures("patient_status")
async def test_a_model_that_fails_gives_503_and_an_end_on_record(
    with_model: Service, model: ModelServer, service: Service, tenant: Tenant, *, failure: str, stream: bool
) -> None:
    model.reply = FAILURES[failure]
    answer = await ask(with_model, tenant, stream=stream)
    assert (answer.status_code, answer.json()["error"]) == (503, "unavailable")
    await has_an_end_on_record(service, tenant, answer)


@pytest.mark.parametrize("stream", [False, True])
async def test_a_model_that_hangs_is_given_up_with_an_end_on_record(
    impatient: Service, model: ModelServer, service: Service, tenant: Tenant, *, stream: bool
) -> None:
    model.reply = model_server.hanging(600)
    answer = await ask(impatient, tenant, stream=stream)
    if stream:  # the status was sent by then
        ((kind, data),) = events_of(answer.text)
        assert (kind, json.loads(data)["error"]) == ("error", "unavailable")
    else:
        assert (answer.status_code, answer.json()["error"]) == (503, "unavailable")
    await has_an_end_on_record(service, tenant, answer)


async def has_an_end_on_record(service: Service, tenant: Tenant, answer: httpx.Response) -> None:
    assert "60 days" not in answer.text
    recorded = await turn(service, tenant, answer)
    assert recorded["answer:aborted"]["outcome"] == "aborted"
    assert recorded["answer:aborted"]["reason"].startswith("generator:")
    assert recorded["answer:aborted"]["event"]["turn"] == recorded["prompt:submitted"]["id"]


async def test_a_model_that_is_not_there_gives_503(
    database: Database, run_secrets: Secrets, model_home: Any, service: Service, tenant: Tenant
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    settings = settings_for(
        database, run_secrets, model_home, model_url=f"http://127.0.0.1:{port}/v1", model_name="m", model_timeout=5
    )
    async with running(settings, database) as alone:
        answer = await ask(alone, tenant)
    assert answer.status_code == 503
    assert "answer:aborted" in await turn(service, tenant, answer)


_SAID = [{"role": "user", "content": QUESTION}]
_TOOL = {"name": "ask", "arguments": {"question": QUESTION}}


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/answer", {"question": QUESTION}),
        ("/answer", {"question": QUESTION, "stream": True}),
        ("/v1/chat/completions", {"messages": _SAID}),
        ("/v1/responses", {"input": QUESTION, "stream": True}),
        ("/mcp", {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": _TOOL}),
    ],
)
async def test_a_client_that_leaves_before_the_answer_leaves_an_end_on_record(
    with_model: Service, model: ModelServer, service: Service, tenant: Tenant, path: str, body: dict[str, Any]
) -> None:
    model.reply = model_server.hanging(600)
    asked, known = len(model.requests), {e["id"] for e in await service.events(tenant, action="answer:aborted")}
    headers = {**await service.as_user(tenant, "analyst"), "Accept": "application/json, text/event-stream"}
    async with listening(with_model) as url, httpx.AsyncClient(timeout=60) as client:
        question = asyncio.create_task(client.post(url + path, json=body, headers=headers))
        async with asyncio.timeout(60):
            while len(model.requests) == asked:
                await asyncio.sleep(0.01)
        question.cancel()
        await asyncio.gather(question, return_exceptions=True)
        aborted: list[dict[str, Any]] = []
        for _ in range(3000):
            aborted = [
                e for e in await service.events(tenant, action="answer:aborted", limit=1) if e["id"] not in known
            ]
            if aborted:
                break
            await asyncio.sleep(0.02)
    assert [event["reason"] for event in aborted] == ["client:disconnected"]
    actions = {event["action"] for event in await service.events(tenant, request_id=aborted[0]["request_id"])}
    assert actions == {"retrieval:executed", "prompt:submitted", "answer:aborted"}


async def reveal(service: Service, tenant: Tenant, event_id: str) -> dict[str, str]:
    answer = await service.get(f"/audit/events/{event_id}", tenant, "compliance", reveal=True, reason="complaint 12")
    payloads: dict[str, str] = answer.json()["payloads"]
    return payloads
