"""What OpenAI's protocol is offered as: parameters that are refused by name, events in their order, and for whom it is asked."""

from typing import Any

import pytest

from backend import metrics
from tests.factories import bearer, create_key, ingest
from tests.gateways.openai_client import client_of
from tests.identity.test_on_behalf_of import KEY, public_pem
from tests.service import Service, Tenant

pytestmark = pytest.mark.anyio

FEE = "An outgoing domestic wire transfer costs 25 dollars."
QUESTION = "What does an outgoing domestic wire transfer cost?"
CHAT = {"model": "affidavit", "messages": [{"role": "user", "content": QUESTION}]}
RESPONSE = {"model": "affidavit", "input": QUESTION}
CHAT_PATH, RESPONSE_PATH = "/v1/chat/completions", "/v1/responses"
SEARCH = {"type": "file_search"}


@pytest.fixture(scope="module")
async def filled(service: Service, tenant: Tenant) -> None:
    await ingest(service, tenant, "wires", FEE)
    for number in range(12):
        await ingest(service, tenant, f"more-{number}", f"Rule {number} about an outgoing wire transfer and its cost.")


async def post(service: Service, tenant: Tenant, path: str, body: Any, user: str = "analyst") -> Any:
    return await service.post(path, tenant, user, body)


@pytest.mark.parametrize(
    ("path", "changed", "parameter"),
    [
        (CHAT_PATH, {"function_call": {"name": "f"}}, "function_call"),
        (CHAT_PATH, {"web_search_options": {}}, "web_search_options"),
        (CHAT_PATH, {"tool_choice": {"type": "function", "function": {"name": "f"}}}, "tool_choice"),
        (CHAT_PATH, {"response_format": {"type": "json_schema", "json_schema": {}}}, "response_format"),
        (RESPONSE_PATH, {"background": True}, "background"),
        (RESPONSE_PATH, {"conversation": "conv_1"}, "conversation"),
        (RESPONSE_PATH, {"text": {"format": {"type": "json_object"}}}, "text"),
        (RESPONSE_PATH, {"include": ["message.output_text.logprobs"]}, "include"),
        (RESPONSE_PATH, {"tools": [{"type": "web_search"}]}, "tools"),
        (RESPONSE_PATH, {"tools": [SEARCH, SEARCH]}, "tools"),
        (RESPONSE_PATH, {"tools": [{**SEARCH, "ranking_options": {"score_threshold": 0.5}}]}, "tools"),
        (RESPONSE_PATH, {"tools": [{**SEARCH, "vector_store_ids": ["vs_" + "0" * 32]}]}, "tools"),
        (RESPONSE_PATH, {"tools": [{**SEARCH, "filters": {"type": "like", "key": "a", "value": 1}}]}, "filters"),
        (RESPONSE_PATH, {"tool_choice": {"type": "web_search"}}, "tool_choice"),
        (RESPONSE_PATH, {"prompt": {"id": "pmpt_1"}}, "prompt"),
        (RESPONSE_PATH, {"input": [{"role": "user", "content": [{"type": "input_image"}]}]}, "input"),
        ("/v1/embeddings", {"dimensions": 7}, "dimensions"),
    ],
)
async def test_what_would_change_the_answer_and_is_not_offered_is_refused_by_its_name(
    service: Service, tenant: Tenant, path: str, changed: dict[str, Any], parameter: str
) -> None:
    whole = {CHAT_PATH: CHAT, RESPONSE_PATH: RESPONSE}.get(path, {"input": "a"})
    refused = await post(service, tenant, path, {**whole, **changed})
    error = refused.json()["error"]
    assert (refused.status_code, error["param"], error["code"]) == (400, parameter, "unsupported_parameter"), error
    assert error["type"] == "invalid_request_error"
    assert error["message"]


@pytest.mark.parametrize(
    ("path", "body", "parameter"),
    [
        (CHAT_PATH, {**CHAT, "messages": [{"role": "user", "content": "x" * 4_001}]}, "messages"),
        (CHAT_PATH, {**CHAT, "messages": [{"role": "user", "content": ""}]}, "messages"),
        (RESPONSE_PATH, {**RESPONSE, "input": "x" * 4_001}, "input"),
        (RESPONSE_PATH, {**RESPONSE, "tools": [{**SEARCH, "max_num_results": 51}]}, "tools"),
        ("/v1/embeddings", {"input": ["a"] * 257}, "input"),
    ],
)
async def test_a_wrong_value_is_refused_by_the_clients_own_name_of_it(
    service: Service, tenant: Tenant, path: str, body: Any, parameter: str
) -> None:
    refused = await post(service, tenant, path, body)
    assert refused.status_code == 400
    assert str(refused.json()["error"]["param"]).partition(".")[0] == parameter, refused.text


async def test_how_documents_are_cut_is_not_the_clients_decision(service: Service, tenant: Tenant) -> None:
    store = (await service.get("/v1/vector_stores", tenant, "editor")).json()["data"][0]["id"]
    cut = {"chunking_strategy": {"type": "static", "static": {"max_chunk_size_tokens": 100}}}
    for path, body in (
        ("files", {"file_id": "file-" + "0" * 32}),
        ("file_batches", {"file_ids": ["file-" + "0" * 32]}),
    ):
        refused = await post(service, tenant, f"/v1/vector_stores/{store}/{path}", {**body, **cut}, "editor")
        assert (refused.status_code, refused.json()["error"]["param"]) == (400, "chunking_strategy")


async def test_as_many_results_are_found_as_were_asked_for_and_told_as_they_were_scored(
    service: Service, tenant: Tenant, address: str, filled: None
) -> None:
    async with client_of(service, tenant, "analyst", address) as client:
        store = (await client.vector_stores.list()).data[0].id
        for most in (1, 3, 11):
            asked: Any = {
                "model": "affidavit", "input": QUESTION, "include": ["file_search_call.results"],
                "tools": [{"type": "file_search", "vector_store_ids": [store], "max_num_results": most}],
            }  # fmt: skip
            search = (await client.responses.create(**asked)).output[0]
            results = search.results  # type: ignore[union-attr]
            assert results is not None
            assert len(results) == most
            prompt = (await service.events(tenant, action="prompt:submitted", limit=1))[0]["event"]["prompt"]
            assert len(prompt["chunks"]) == most
        direct = (await client.vector_stores.search(store, query=QUESTION, max_num_results=11)).data
        assert [(result.filename, result.score) for result in results] == [(hit.filename, hit.score) for hit in direct]
        silent = await client.responses.create(**{**asked, "include": []})
        assert silent.output[0].results is None  # type: ignore[union-attr]


async def test_events_of_a_response_come_in_openais_order(
    service: Service, tenant: Tenant, address: str, filled: None
) -> None:
    async with client_of(service, tenant, "analyst", address) as client:
        events = [
            event
            async for event in await client.responses.create(
                model="affidavit",
                input=QUESTION,
                stream=True,
                tools=[{"type": "file_search", "vector_store_ids": []}],
            )
        ]
        chunks = [
            chunk
            async for chunk in await client.chat.completions.create(
                model="affidavit",
                messages=CHAT["messages"],
                stream=True,
                stream_options={"include_usage": True},  # type: ignore[arg-type]
            )
        ]
    kinds = [event.type.removeprefix("response.") for event in events]
    assert list(dict.fromkeys(kinds)) == [
        "created", "in_progress", "output_item.added", "file_search_call.in_progress", "file_search_call.searching",
        "file_search_call.completed", "output_item.done", "content_part.added", "output_text.delta",
        "output_text.annotation.added", "output_text.done", "content_part.done", "completed",
    ]  # fmt: skip
    assert [kind for kind in kinds if kind.startswith("output_item")] == ["output_item.added", "output_item.done"] * 2
    told = ["usage" if not c.choices else "finish" if c.choices[0].finish_reason else next(
        name for name, value in c.choices[0].delta.model_dump().items() if value is not None
    ) for c in chunks]  # fmt: skip
    assert list(dict.fromkeys(told)) == ["content", "annotations", "finish", "usage"]
    assert chunks[0].choices[0].delta.role == "assistant"
    assert chunks[-2].choices[0].delta.model_dump(exclude_none=True) == {}


async def test_open_webui_names_its_user_to_a_key_that_takes_its_word(
    service: Service, tenant: Tenant, filled: None
) -> None:
    may = ("retrieval:query", "answers:create")
    plain = bearer(await create_key(service, tenant, *may, name="webui"))
    signing = bearer(await create_key(service, tenant, *may, name="signing", assertion_key=public_pem(KEY)))
    # Who must prove for whom it asks proves nothing by this header.
    for key, named in ((plain, "webui-7"), (signing, None)):
        headers = {**key, "X-OpenWebUI-User-Id": "webui-7"}
        for path, whole in ((CHAT_PATH, CHAT), (RESPONSE_PATH, RESPONSE), ("/v1/embeddings", {"input": "a"})):
            answer = await service.client.post(path, json=whole, headers=headers)
            assert answer.status_code == 200, answer.text
            action = "texts:embedded" if "embeddings" in path else "answer:returned"
            newest = (await service.events(tenant, action=action, limit=1))[0]["event"]["principal"]
            assert newest.get("on_behalf_of", {}).get("subject") == named, path
    for more in ({"user": "somebody-else"}, {}):
        headers = {**plain, "X-OpenWebUI-User-Id": "webui-7"} | ({} if more else {"X-On-Behalf-Of": "somebody-else"})
        refused = await service.client.post(CHAT_PATH, json={**CHAT, **more}, headers=headers)
        assert (refused.status_code, refused.json()["error"]["param"]) == (400, "X-OpenWebUI-User-Id")
    claimed = await service.client.post(CHAT_PATH, json={**CHAT, "user": "webui-7"}, headers=signing)
    assert (claimed.status_code, claimed.json()["error"]["param"]) == (400, "user")


async def test_the_first_name_of_an_end_user_counts_wherever_it_stands(
    service: Service, tenant: Tenant, filled: None
) -> None:
    key = bearer(await create_key(service, tenant, "retrieval:query", "answers:create", name="portal"))
    for body in ({"safety_identifier": "e-1"}, {"user": "e-1"}, {"metadata": {"end_user": "e-1"}}):
        assert (await service.client.post(CHAT_PATH, json={**CHAT, **body}, headers=key)).status_code == 200
        newest = (await service.events(tenant, action="answer:returned", limit=1))[0]["event"]["principal"]
        assert newest["on_behalf_of"] == {"subject": "e-1", "assurance": "asserted"}


async def test_background_tasks_are_counted(service: Service, tenant: Tenant) -> None:
    before = metrics.TASKS._value.get()
    for wanted, said in (('{"tags": []}', '{"tags":[]}'), ('{"follow_ups": []}', '{"follow_ups":[]}')):
        body = {"model": "affidavit-tasks", "messages": [{"role": "user", "content": wanted}]}
        answer = await post(service, tenant, CHAT_PATH, body)
        assert answer.json()["choices"][0]["message"]["content"] == said
    assert metrics.TASKS._value.get() == before + 2


async def test_a_refusal_of_openais_shape_says_all_that_its_clients_read(service: Service, tenant: Tenant) -> None:
    refused = (await post(service, tenant, CHAT_PATH, {**CHAT, "model": "gpt-5"})).json()
    assert set(refused["error"]) == {"message", "type", "param", "code", "request_id"}
    assert (refused["error"]["param"], refused["error"]["code"]) == ("model", "model_not_found")
