"""Where a collection masks personal data, no model is given any, and whoever may read the document has it back in the answer."""

import json
import re
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from fastapi import Response

from tests.answers import model_server
from tests.answers.model_server import ModelServer
from tests.answers.test_routes import events_of, reveal
from tests.documents.test_personal_data import ACCOUNT, MAIL, TEXT, make
from tests.retrieval import rerank_server
from tests.retrieval.rerank_server import RerankServer, scoring
from tests.service import Database, Secrets, Service, Tenant, running, settings_for

pytestmark = pytest.mark.anyio

PLAIN = ACCOUNT.replace(" ", "")
QUESTION = f"From where is the fee of Jane Roe taken, from {PLAIN}?"


@pytest.fixture(scope="module")
def reranker() -> Iterator[RerankServer]:
    with rerank_server.running() as started:
        started.reply = scoring(lambda text: len(text) / 1000)
        yield started


@pytest.fixture(scope="module")
async def with_models(
    model: ModelServer, reranker: RerankServer, database: Database, run_secrets: Secrets, model_home: Any
) -> AsyncIterator[Service]:
    """The service with a model and a reranker behind a network."""
    settings = settings_for(
        database, run_secrets, model_home, model_url=model.url, model_name="m", reranker_url=reranker.url,
        reranker_model="cross-encoder",
    )  # fmt: skip
    async with running(settings, database) as started:
        yield started


@pytest.fixture(scope="module", autouse=True)
async def documents(service: Service, tenant: Tenant) -> None:
    await make(service, tenant, "mask", "mask")
    body = {"doc_id": "jane", "chunk_text": TEXT, "source_type": "policy", "collection": "mask"}
    body["metadata"] = {"title": f"Letter of {MAIL}"}  # type: ignore[assignment]
    assert (await service.post("/ingest", tenant, "editor", body)).status_code == 201


async def test_what_has_no_personal_data_is_answered_where_it_would_be_masked(service: Service, tenant: Tenant) -> None:
    body = {
        "doc_id": "hours", "chunk_text": "Branches close at noon on Fridays.", "source_type": "policy", "collection": "mask",
        "metadata": {"about": "hours"},
    }  # fmt: skip
    assert (await service.post("/ingest", tenant, "editor", body)).status_code == 201
    asked = {"question": "When do branches close on Fridays?", "collection": "mask", "filters": {"about": "hours"}}
    answer = await service.post("/answer", tenant, "editor", asked)
    assert answer.status_code == 200, answer.text
    assert [cited["doc_id"] for cited in answer.json()["citations"]] == ["hours"]


def saying_what_it_read(body: dict[str, Any]) -> Response:
    """A model that repeats a passage with whatever stands in the place of the account."""
    passage = re.search(r"is taken from (\S+?)\.", body["messages"][1]["content"])
    assert passage is not None
    return model_server.saying(f"The fee of Jane Roe is taken from {passage[1]} [1].")(body)


def unknowing(requests: list[Any]) -> bool:
    """Whether nothing of the personal data was sent."""
    return bool(requests) and not any(value in json.dumps(requests) for value in (ACCOUNT, PLAIN, "0440 0532", MAIL))


@pytest.mark.parametrize("stream", [False, True])
async def test_a_model_and_a_reranker_see_pseudonyms_and_the_reader_sees_the_account(
    with_models: Service, model: ModelServer, reranker: RerankServer, tenant: Tenant, stream: bool  # noqa: FBT001
) -> None:  # fmt: skip
    model.requests.clear()
    reranker.requests.clear()
    model.reply = saying_what_it_read
    body = {"question": QUESTION, "collection": "mask", "stream": stream}
    answer = await with_models.post("/answer", tenant, "analyst", body)
    assert answer.status_code == 200, answer.text
    done = json.loads(events_of(answer.text)[-1][1]) if stream else answer.json()
    assert unknowing(model.requests)
    assert unknowing(reranker.requests)
    # As the asker wrote it, who knows it so.
    assert done["answer"] == f"The fee of Jane Roe is taken from {PLAIN}. [1]"
    (citation,) = done["citations"]
    assert citation["quote"] == f"The fee of Jane Roe is taken from {ACCOUNT}."
    assert TEXT[citation["quote_start"] : citation["quote_end"]] == citation["quote"]
    assert done["answer"][citation["start"] : citation["end"]] == done["answer"].removesuffix(" [1]")
    if stream:
        said = "".join(data for kind, data in events_of(answer.text) if kind == "token")
        assert said == done["answer"]


async def test_the_record_proves_what_was_sent_and_shown_and_tells_kinds_and_counts_alone(
    with_models: Service, model: ModelServer, service: Service, tenant: Tenant
) -> None:
    model.reply = saying_what_it_read
    body = {"question": QUESTION, "collection": "mask"}
    done = (await with_models.post("/answer", tenant, "analyst", body)).json()
    (prompt,) = await service.events(tenant, action="prompt:submitted", limit=1)
    assert prompt["event"]["prompt"]["masked"] == {"email": 1, "iban": 1}
    events = await service.events(tenant, request_id=prompt["request_id"])
    assert not any(value in str(events) for value in (ACCOUNT, PLAIN, MAIL))
    sent = await reveal(service, tenant, prompt["id"])
    assert sent["question"] == QUESTION
    assert PLAIN not in sent["user_prompt"]
    assert ACCOUNT not in sent["user_prompt"]
    shown = await reveal(service, tenant, done["audit_event_id"])
    assert shown["answer"] == done["answer"]
    assert PLAIN not in shown["completion"]


async def test_the_built_in_generator_quotes_the_document_as_it_is(service: Service, tenant: Tenant) -> None:
    body = {"question": "From which account is the fee of Jane Roe taken?", "collection": "mask"}
    done = (await service.post("/answer", tenant, "analyst", body)).json()
    assert f"is taken from {ACCOUNT}." in done["answer"], done
    assert done["citations"][0]["quote"] in TEXT


async def test_what_a_model_makes_up_stands_for_nothing(
    with_models: Service, model: ModelServer, tenant: Tenant
) -> None:
    made_up = "[IBAN-AAAABBBBCCCCDDDD]"
    model.reply = model_server.saying(f"The fee of Jane Roe is taken from {made_up} [1].")
    answer = await with_models.post("/answer", tenant, "analyst", {"question": QUESTION, "collection": "mask"})
    assert answer.json()["refused"], answer.json()


async def test_a_replay_finds_what_was_found(service: Service, tenant: Tenant) -> None:
    body = {"query": QUESTION, "collection": "mask"}
    asked = (await service.post("/retrieve", tenant, "analyst", body)).json()
    again = await service.post(
        f"/audit/events/{asked['audit_event_id']}/replay", tenant, "compliance", {"reason": "complaint 12"}
    )
    assert again.status_code == 200, again.text
    assert again.json()["outcome"] == "equal", again.json()
