"""One answer is reconstructed from the log alone, and is what was delivered."""

import hashlib
from collections.abc import AsyncIterator, Iterator
from typing import Any
from uuid import UUID

import httpx
import orjson
import pytest

from backend.answers import prompt as prompts
from backend.provenance import code, configuration
from tests.answers import model_server
from tests.answers.model_server import ModelServer
from tests.factories import ingest
from tests.service import Database, Secrets, Service, Tenant, running, settings_for

pytestmark = pytest.mark.anyio

TEXT = "Card disputes must be filed within 60 days of statement date. A dispute needs the card number."
QUESTION = "How long do customers have to file card disputes?"


@pytest.fixture(scope="module")
def model() -> Iterator[ModelServer]:
    with model_server.running() as started:
        started.reply = model_server.saying("Card disputes must be filed within 60 days of statement date [1].")
        yield started


@pytest.fixture(scope="module")
async def with_model(
    model: ModelServer, database: Database, run_secrets: Secrets, model_home: Any
) -> AsyncIterator[Service]:
    settings = settings_for(
        database, run_secrets, model_home, model_url=model.url, model_name="test-model", model_api_key="model-key"
    )
    async with running(settings, database) as started:
        yield started


@pytest.fixture(scope="module")
async def delivered(with_model: Service, tenant: Tenant) -> httpx.Response:
    for doc_id, text in (("disputes", TEXT), ("wires", "Wires leave before noon on business days.")):
        await ingest(with_model, tenant, doc_id, text)
    answer = await with_model.post("/answer", tenant, "analyst", {"question": QUESTION, "source_type": "policy"})
    assert answer.status_code == 200, answer.text
    assert not answer.json()["refused"]
    return answer


@pytest.fixture(scope="module")
async def logged(with_model: Service, tenant: Tenant, delivered: httpx.Response) -> dict[str, dict[str, Any]]:
    """The three events of the turn by their subject: envelopes, with `texts`."""
    found = {}
    for event in await with_model.events(tenant, request_id=delivered.headers["x-request-id"]):
        path = f"/audit/events/{event['id']}"
        revealed = await with_model.get(path, tenant, "compliance", reveal=True, reason="reconstruction")
        found[event["action"].partition(":")[0]] = {**event["event"], "texts": revealed.json()["payloads"]}
    assert found.keys() == {"retrieval", "prompt", "answer"}
    return found


async def test_what_was_delivered_stands_in_the_log(delivered: httpx.Response, logged: dict[str, Any]) -> None:
    body, answer = delivered.json(), logged["answer"]
    assert answer["id"] == body["audit_event_id"]
    assert answer["texts"]["question"] == body["question"]
    assert answer["texts"]["answer"] == body["answer"]
    assert orjson.loads(answer["texts"]["citations"]) == body["citations"]
    assert answer["answer"]["citations"] == list(dict.fromkeys(cited["chunk_id"] for cited in body["citations"]))
    assert answer["answer"]["model_served"] == body["model"]


async def test_what_the_model_was_sent_and_said_stands_in_the_log(model: ModelServer, logged: dict[str, Any]) -> None:
    (sent,) = model.requests
    prompt, answer = logged["prompt"], logged["answer"]
    assert prompt["texts"]["system_prompt"] == sent["messages"][0]["content"]
    assert prompt["texts"]["user_prompt"] == sent["messages"][1]["content"]
    assert prompt["prompt"]["model"] == answer["answer"]["model_requested"] == sent["model"] == "test-model"
    assert answer["answer"]["model_served"] == model_server.MODEL_SERVED
    known = {name: sent[name] for name in sent if name in {"temperature", "top_p", "seed", "max_tokens"}}
    recorded = prompt["prompt"]["parameters"]
    assert known
    assert {str(value) for value in known.values()} <= {str(value) for value in recorded.values()}
    assert prompt["prompt"]["template_sha256"] == prompts.TEMPLATE_SHA256
    assert answer["texts"]["completion"].endswith("[1].")
    facts = {name: answer["answer"][name] for name in ("prompt_tokens", "completion_tokens", "finish_reason")}
    assert facts == {"prompt_tokens": 321, "completion_tokens": 12, "finish_reason": "stop"}


async def test_every_chunk_stands_in_the_log_with_its_place_and_its_text(logged: dict[str, Any]) -> None:
    retrieval, prompt = logged["retrieval"]["retrieval"], logged["prompt"]["prompt"]
    texts = {entry["id"]: entry["text"] for entry in orjson.loads(logged["retrieval"]["texts"]["contexts"])}
    assert [chunk["id"] for chunk in retrieval["chunks"]] == list(texts) == prompt["chunks"]
    for rank, chunk in enumerate(retrieval["chunks"], 1):
        assert chunk["rank"] == rank
        assert chunk["sha256"] == hashlib.sha256(texts[chunk["id"]].encode()).hexdigest()
        assert isinstance(chunk["score_micros"], int)
        assert (chunk["version"], chunk["used"]) == (1, True)
    assert retrieval["chunks"][0]["doc_id"] == "disputes"
    assert prompt["retrieval"] == logged["retrieval"]["id"]
    assert {"mode", "k", "source_type", "embedding_model", "index"} <= retrieval.keys()


async def test_who_asked_when_and_by_which_service_stands_in_the_log(
    with_model: Service, tenant: Tenant, delivered: httpx.Response, logged: dict[str, Any]
) -> None:
    me = (await with_model.get("/auth/me", tenant, "analyst")).json()
    service = {"code": code(), "configuration": configuration(with_model.services.settings)}
    for event in logged.values():
        principal = event["principal"]
        assert (principal["id"], principal["roles"]) == (str(tenant.users["analyst"]), ["analyst"])
        assert principal["permissions"] == sorted(me["permissions"])
        assert len(principal["collections"]) == principal["collection_count"] == 1
        assert UUID(principal["session"])
        assert event["request_id"] == delivered.headers["x-request-id"]
        assert event["service"] == service
    assert logged["prompt"]["turn"] == logged["answer"]["turn"] == logged["prompt"]["id"]
    assert logged["retrieval"]["time"] <= logged["prompt"]["time"] <= logged["answer"]["time"]
    assert logged["retrieval"]["retrieval"]["milliseconds"] >= 0
    assert logged["answer"]["answer"]["milliseconds"] > 0


async def test_the_configuration_that_is_recorded_changes_with_a_setting_and_betrays_no_secret(
    database: Database, run_secrets: Secrets, model_home: Any
) -> None:
    settings = settings_for(database, run_secrets, model_home)
    assert configuration(settings) == configuration(settings_for(database, run_secrets, model_home))
    assert configuration(settings) != configuration(settings_for(database, run_secrets, model_home, chunk_tokens=200))
    assert configuration(settings) == configuration(settings_for(database, Secrets(), model_home))
    assert configuration(settings) != configuration(settings.model_copy(update={"payload_key": None}))
