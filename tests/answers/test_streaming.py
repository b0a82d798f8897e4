"""A streamed answer: each sentence leaves when it was checked and is on record, and nothing unrecorded is delivered."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest

from backend.audit.events import Action, Event
from backend.audit.recorder import Recorder
from backend.errors import AuditUnavailable
from tests.answers import model_server
from tests.answers.model_server import ModelServer
from tests.answers.test_routes import events_of, listening, reveal, turn
from tests.conftest import Database, Secrets, Service, Tenant, running, settings_for

pytestmark = pytest.mark.anyio

FIRST, SECOND = "Wires leave before noon.", "A wire costs 25 dollars."
SAID = "Wires leave before noon [1]. A wire costs 25 dollars [1]. "
BODY = {"question": "When do wires leave, and what do they cost?", "stream": True}


@pytest.fixture(scope="module")
def model() -> Iterator[ModelServer]:
    with model_server.running() as started:
        yield started


@pytest.fixture(scope="module")
async def with_model(
    model: ModelServer, database: Database, run_secrets: Secrets, model_home: Any
) -> AsyncIterator[Service]:
    settings = settings_for(database, run_secrets, model_home, model_url=model.url, model_name="m", model_timeout=4)
    async with running(settings, database) as started:
        yield started


@pytest.fixture(scope="module", autouse=True)
async def documents(service: Service, tenant: Tenant) -> None:
    body = {"doc_id": "wires", "chunk_text": f"{FIRST} {SECOND}", "source_type": "policy"}
    assert (await service.post("/ingest", tenant, "editor", body)).status_code == 201


async def received_until(client: httpx.AsyncClient, url: str, headers: dict[str, str], mark: str) -> str:
    """Reads a stream until something is in it, then leaves."""
    received = ""
    async with client.stream("POST", f"{url}/answer", json=BODY, headers=headers) as answer:
        async for text in answer.aiter_text():
            received += text
            if mark in received:
                return received
    return received


async def ended(service: Service, tenant: Tenant, actions: set[str]) -> dict[str, dict[str, Any]]:
    """The events of the tenant's latest question, once it has an end."""
    for _ in range(200):
        (prompt,) = await service.events(tenant, action="prompt:submitted", limit=1)
        found = await service.events(tenant, request_id=prompt["request_id"])
        if actions <= {event["action"] for event in found}:
            return {event["action"]: event for event in found}
        await asyncio.sleep(0.02)
    raise AssertionError({event["action"] for event in found})


async def test_the_first_sentence_comes_while_the_second_is_being_written(
    with_model: Service, model: ModelServer, service: Service, tenant: Tenant
) -> None:
    model.reply = model_server.pausing("Wires leave before noon [1]. A", 1.5, " wire costs 25 dollars [1].")
    started = time.monotonic()
    came: dict[str, float] = {}
    async with listening(with_model) as url, httpx.AsyncClient() as client:
        headers = await service.as_user(tenant, "analyst")
        body = ""
        async with client.stream("POST", f"{url}/answer", json=BODY, headers=headers) as answer:
            async for text in answer.aiter_text():
                body += text
                for mark in ("noon.", "dollars.", "event: citation", "event: done"):
                    if mark in body:
                        came.setdefault(mark, time.monotonic() - started)
    assert max(came["noon."], came["event: citation"]) < came["dollars."] - 0.7
    assert came["dollars."] <= came["event: done"]
    done = json.loads(events_of(body)[-1][1])
    assert "".join(data for kind, data in events_of(body) if kind == "token") == done["answer"]
    assert done["answer"] == f"{FIRST} [1] {SECOND} [2]"
    cited = [json.loads(data) for kind, data in events_of(body) if kind == "citation"]
    assert cited == done["citations"]
    assert [done["answer"][c["start"] : c["end"]] for c in cited] == [FIRST, SECOND]
    recorded = await turn(service, tenant, answer)
    assert recorded.keys() == {"retrieval:executed", "prompt:submitted", "answer:shown", "answer:returned"}
    assert (await reveal(service, tenant, recorded["answer:shown"]["id"]))["sentence"] == f"{FIRST} [1]"


async def test_something_is_sent_every_second_while_the_model_works(
    with_model: Service, model: ModelServer, service: Service, tenant: Tenant
) -> None:
    model.reply = model_server.pausing("", 2.6, SAID)
    started = time.monotonic()
    async with listening(with_model) as url, httpx.AsyncClient() as client:
        headers = await service.as_user(tenant, "analyst")
        received = await received_until(client, url, headers, ": ping")
        assert time.monotonic() - started < 2.4
    assert "noon" not in received
    assert (await ended(service, tenant, {"answer:aborted"}))["answer:aborted"]["reason"] == "client:disconnected"


async def test_a_client_that_leaves_between_two_sentences_leaves_the_first_on_record(
    with_model: Service, model: ModelServer, service: Service, tenant: Tenant
) -> None:
    model.reply = model_server.pausing("Wires leave before noon [1]. A", 3, " wire costs 25 dollars [1].")
    async with listening(with_model) as url, httpx.AsyncClient() as client:
        headers = await service.as_user(tenant, "analyst")
        received = await received_until(client, url, headers, "event: citation")
    assert "dollars." not in received
    recorded = await ended(service, tenant, {"answer:aborted"})
    assert recorded.keys() == {"retrieval:executed", "prompt:submitted", "answer:shown", "answer:aborted"}
    assert recorded["answer:aborted"]["reason"] == "client:disconnected"


async def test_a_model_that_dies_between_two_sentences_ends_the_stream_with_an_error(
    with_model: Service, model: ModelServer, service: Service, tenant: Tenant
) -> None:
    model.reply = model_server.breaking_off_after(SAID)
    answer = await with_model.post("/answer", tenant, "analyst", BODY)
    kinds = [kind for kind, _ in events_of(answer.text)]
    if answer.status_code == 200:
        assert (kinds[0], kinds[-1]) == ("token", "error")
        failed = json.loads(events_of(answer.text)[-1][1])
        assert (failed["error"], failed["request_id"]) == ("unavailable", answer.headers["x-request-id"])
    recorded = await turn(service, tenant, answer)
    assert recorded["answer:aborted"]["reason"] == "generator:GeneratorUnavailable"
    assert ("noon" in answer.text) <= ("answer:shown" in recorded)
    assert "answer:returned" not in recorded


@pytest.mark.parametrize("unrecorded", [Action.ANSWER_SHOWN, Action.ANSWER_RETURNED])
async def test_a_sentence_whose_record_does_not_commit_is_not_delivered(
    with_model: Service, model: ModelServer, service: Service, tenant: Tenant, monkeypatch: pytest.MonkeyPatch,
    unrecorded: Action,
) -> None:  # fmt: skip
    record = Recorder.record

    async def failing(self: Recorder, connection: Any, actor: Any, event: Event, *more: Any) -> Any:
        if event.action == unrecorded:
            await record(self, connection, actor, event, *more)  # it fails after that, as a commit does
            raise AuditUnavailable(reason="test")
        return await record(self, connection, actor, event, *more)

    monkeypatch.setattr(Recorder, "record", failing)
    model.reply = model_server.pausing("Wires leave before noon [1]. A", 0.3, " wire costs 25 dollars [1].")
    answer = await with_model.post("/answer", tenant, "analyst", BODY)
    monkeypatch.undo()
    assert "dollars." not in answer.text
    assert ("noon." in answer.text) == (unrecorded is Action.ANSWER_RETURNED)
    recorded = await turn(service, tenant, answer)
    assert unrecorded not in recorded
    assert recorded["answer:aborted"]["reason"] == "service:AuditUnavailable"
    if unrecorded is Action.ANSWER_SHOWN:
        assert answer.status_code == 503
