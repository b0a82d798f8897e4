"""A streamed answer: each sentence leaves when it was checked and is on record, and nothing unrecorded is delivered."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import httpx
import pytest

from backend.answers import routes
from tests.answers import model_server
from tests.answers.model_server import ModelServer
from tests.answers.test_routes import events_of, reveal, turn
from tests.factories import ingest
from tests.listening import listening
from tests.service import Database, Service, Tenant

pytestmark = pytest.mark.anyio

FIRST, SECOND = "Wires leave before noon.", "A wire costs 25 dollars."
SAID = "Wires leave before noon [1]. A wire costs 25 dollars [1]. "
BODY = {"question": "When do wires leave, and what do they cost?", "stream": True}


@pytest.fixture(scope="module", autouse=True)
async def documents(service: Service, tenant: Tenant) -> None:
    await ingest(service, tenant, "wires", f"{FIRST} {SECOND}")


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
    for _ in range(3000):
        (prompt,) = await service.events(tenant, action="prompt:submitted", limit=1)
        found = await service.events(tenant, request_id=prompt["request_id"])
        if actions <= {event["action"] for event in found}:
            return {event["action"]: event for event in found}
        await asyncio.sleep(0.02)
    raise AssertionError({event["action"] for event in found})


async def test_the_first_sentence_comes_while_the_second_is_being_written(
    with_model: Service, model: ModelServer, service: Service, tenant: Tenant
) -> None:
    gate = threading.Event()
    model.reply = model_server.gated("Wires leave before noon [1]. A", gate, " wire costs 25 dollars [1].")
    async with listening(with_model) as url, httpx.AsyncClient(timeout=60) as client:
        headers = await service.as_user(tenant, "analyst")
        body = ""
        async with client.stream("POST", f"{url}/answer", json=BODY, headers=headers) as answer:
            async for text in answer.aiter_text():
                body += text
                if "noon." in body and "event: citation" in body and not gate.is_set():
                    assert "dollars." not in body
                    gate.set()
    assert body.index("dollars.") < body.index("event: done")
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
    model.reply = model_server.gated("", threading.Event(), SAID)
    assert routes._KEEP_ALIVE_SECONDS == 1
    async with listening(with_model) as url, httpx.AsyncClient(timeout=60) as client:
        headers = await service.as_user(tenant, "analyst")
        received = await received_until(client, url, headers, ": ping")
    assert "noon" not in received
    assert (await ended(service, tenant, {"answer:aborted"}))["answer:aborted"]["reason"] == "client:disconnected"


async def test_a_client_that_leaves_between_two_sentences_leaves_the_first_on_record(
    with_model: Service, model: ModelServer, service: Service, tenant: Tenant
) -> None:
    model.reply = model_server.gated("Wires leave before noon [1]. A", threading.Event(), "")
    async with listening(with_model) as url, httpx.AsyncClient(timeout=60) as client:
        headers = await service.as_user(tenant, "analyst")
        await received_until(client, url, headers, "event: citation")
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


REFUSED_AT_COMMIT = """
    create function audit.fail_at_commit() returns trigger language plpgsql as $$
    begin
      if new.action = tg_argv[0] then raise 'this cannot be committed'; end if;
      return null;
    end $$;
    create constraint trigger fail_at_commit after insert on audit.event deferrable initially deferred
      for each row execute function audit.fail_at_commit('{action}')
"""
TAKEN_BACK = "drop trigger fail_at_commit on audit.event; drop function audit.fail_at_commit()"


@asynccontextmanager
async def refused_at_commit(database: Database, action: str) -> AsyncIterator[None]:
    """Events of an action are inserted, and fail their transaction when it commits, as long as the block runs."""
    superuser = await asyncpg.connect(database.superuser_url)
    try:
        await superuser.execute(REFUSED_AT_COMMIT.format(action=action))
        yield
    finally:
        await superuser.execute(TAKEN_BACK)
        await superuser.close()


@pytest.mark.parametrize("unrecorded", ["answer:shown", "answer:returned"])
@pytest.mark.usefixtures("patient_status")
async def test_a_sentence_whose_record_does_not_commit_is_not_delivered(
    with_model: Service, model: ModelServer, service: Service, tenant: Tenant, database: Database, unrecorded: str
) -> None:
    model.reply = model_server.pausing("Wires leave before noon [1]. A", 0.3, " wire costs 25 dollars [1].")
    async with refused_at_commit(database, unrecorded):
        answer = await with_model.post("/answer", tenant, "analyst", BODY)
    assert "dollars." not in answer.text
    assert ("noon." in answer.text) == (unrecorded == "answer:returned")
    recorded = await turn(service, tenant, answer)
    assert unrecorded not in recorded
    assert recorded["answer:aborted"]["reason"] == "service:Unavailable"
    if unrecorded == "answer:shown":
        assert answer.status_code == 503
