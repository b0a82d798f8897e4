"""Chat completions, responses, models and embeddings, through the official client with strict validation of what comes back."""

from typing import Any

import openai
import orjson
import pytest

from tests.factories import ingest
from tests.gateways.openai_client import client_of
from tests.service import Service, Tenant

pytestmark = pytest.mark.anyio

FEE = "An outgoing domestic wire transfer costs 25 dollars."
QUESTION = "What does an outgoing domestic wire transfer cost?"
NOT_THERE = "What is the capital of Mongolia?"


@pytest.fixture(scope="module")
async def filled(service: Service, tenant: Tenant) -> None:
    await ingest(service, tenant, "wires", FEE)


def said(text: str) -> Any:
    return [{"role": "system", "content": "Be a pirate."}, {"role": "user", "content": text}]


async def test_a_chat_is_answered_with_citations_where_clients_show_them(
    service: Service, tenant: Tenant, address: str, filled: None
) -> None:
    async with client_of(service, tenant, "analyst", address) as client:
        raw = await client.chat.completions.with_raw_response.create(model="affidavit/default", messages=said(QUESTION))
    chat = raw.parse()
    message = chat.choices[0].message
    assert message.content is not None
    assert message.content.startswith(f"{FEE} [1]")
    assert "\n\nSources:\n[1] wires, version 1" in message.content
    assert message.annotations is not None
    cited = message.annotations[0].url_citation
    assert message.content[cited.start_index : cited.end_index] == FEE
    assert cited.url.startswith("http")
    assert (chat.choices[0].finish_reason, raw.headers["x-affidavit-ignored"]) == ("stop", "system")
    event = (await service.get(f"/audit/events/{raw.headers['x-audit-event-id']}", tenant, "compliance")).json()[
        "event"
    ]
    assert (event["action"], event["door"]["kind"]) == ("answer:returned", "openai")


async def test_a_stream_ends_with_citations_reason_and_usage(
    service: Service, tenant: Tenant, address: str, filled: None
) -> None:
    async with client_of(service, tenant, "analyst", address) as client:
        stream = await client.chat.completions.create(
            model="affidavit", messages=said(QUESTION), stream=True, stream_options={"include_usage": True}
        )
        chunks = [chunk async for chunk in stream]
    assert len({chunk.id for chunk in chunks}) == 1
    assert chunks[0].choices[0].delta.role == "assistant"
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text.startswith(FEE)
    annotated = [
        chunk for chunk in chunks if chunk.choices and "annotations" in (chunk.choices[0].delta.model_extra or {})
    ]
    assert len(annotated) == 1
    assert chunks[-2].choices[0].finish_reason == "stop"
    assert chunks[-1].usage is not None


async def test_a_refusal_is_ordinary_text_and_says_what_it_is_to_programs(
    service: Service, tenant: Tenant, address: str, filled: None
) -> None:
    async with client_of(service, tenant, "analyst", address) as client:
        raw = await client.chat.completions.with_raw_response.create(model="affidavit", messages=said(NOT_THERE))
        stream = await client.chat.completions.create(model="affidavit", messages=said(NOT_THERE), stream=True)
        streamed = "".join([c.choices[0].delta.content or "" async for c in stream if c.choices])
    chat = raw.parse()
    assert chat.choices[0].finish_reason == "stop"
    assert chat.choices[0].message.content
    assert streamed == chat.choices[0].message.content
    assert chat.model_dump()["metadata"]["refused"] == "true"
    assert raw.headers["x-affidavit-refused"] == "not_supported"


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_response_cites_files_where_it_searched_them(
    service: Service, tenant: Tenant, address: str, filled: None, *, streamed: bool
) -> None:
    async with client_of(service, tenant, "analyst", address) as client:
        store = (await client.vector_stores.list(order="asc")).data[0]
        asked: Any = {
            "model": "affidavit", "input": QUESTION, "include": ["file_search_call.results"],
            "tools": [{"type": "file_search", "vector_store_ids": [store.id]}],
        }  # fmt: skip
        if streamed:
            events = [event async for event in await client.responses.create(**asked, stream=True)]
            assert [event.sequence_number for event in events] == list(range(len(events)))
            kinds = [event.type for event in events]
            assert (kinds[0], kinds[-1]) == ("response.created", "response.completed")
            assert "response.output_text.annotation.added" in kinds
            response = events[-1].response
            deltas = "".join(event.delta for event in events if event.type == "response.output_text.delta")
            assert deltas == response.output_text
        else:
            response = await client.responses.create(**asked)
    search, message = response.output
    assert (search.type, search.queries) == ("file_search_call", [QUESTION])
    assert search.results[0].text == FEE
    citation = message.content[0].annotations[0]
    assert (citation.type, citation.filename) == ("file_citation", "wires")
    assert citation.file_id.endswith("_v1")
    assert response.output_text.startswith(FEE)


async def test_a_response_without_a_search_cites_addresses_and_is_evidence(
    service: Service, tenant: Tenant, address: str, filled: None
) -> None:
    async with client_of(service, tenant, "analyst", address) as client:
        response = await client.responses.create(
            model="affidavit", input=[{"role": "user", "content": [{"type": "input_text", "text": QUESTION}]}]
        )
        assert response.output[0].content[0].annotations[0].type == "url_citation"  # type: ignore[union-attr]
        with pytest.raises(openai.PermissionDeniedError):
            await client.responses.delete(response.id)


@pytest.mark.parametrize(
    ("changed", "parameter"),
    [
        ({"n": 2}, "n"),
        ({"logprobs": True}, "logprobs"),
        ({"modalities": ["text", "audio"]}, "modalities"),
        ({"response_format": {"type": "json_object"}}, "response_format"),
        ({"tool_choice": "required", "tools": [{"type": "function", "function": {"name": "f"}}]}, "tool_choice"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]}, "messages"),
        ({"messages": [{"role": "assistant", "content": "Hello."}]}, "messages"),
    ],
)
async def test_what_is_not_offered_is_named(
    service: Service, tenant: Tenant, address: str, changed: dict[str, Any], parameter: str
) -> None:
    async with client_of(service, tenant, "analyst", address) as client:
        with pytest.raises(openai.BadRequestError) as refused:
            await client.chat.completions.create(**{"model": "affidavit", "messages": said(QUESTION), **changed})
    assert (refused.value.param, refused.value.code) == (parameter, "unsupported_parameter")


async def test_unknown_fields_nulls_and_sampling_are_not_in_the_way(
    service: Service, tenant: Tenant, address: str, filled: None
) -> None:
    body = {
        "model": "affidavit", "messages": said(QUESTION), "temperature": 0.2, "top_p": None, "stop": None, "n": None,
        "stream": None, "user": None, "frequency_penalty": 0, "something_new": {"a": 1},
    }  # fmt: skip
    answer = await service.post("/v1/chat/completions", tenant, "analyst", body)
    assert answer.status_code == 200, answer.text


async def test_models_are_collections_and_others_are_not_found(
    service: Service, tenant: Tenant, address: str, filled: None
) -> None:
    async with client_of(service, tenant, "analyst", address) as client:
        names = [model.id async for model in client.models.list()]
        assert names == ["affidavit", "affidavit/default", "affidavit-tasks"]
        assert (await client.models.retrieve("affidavit/default")).id == "affidavit/default"
        for model in ("gpt-5", "affidavit/restricted"):
            with pytest.raises(openai.NotFoundError):
                await client.chat.completions.create(model=model, messages=said(QUESTION))


async def test_a_background_task_is_answered_without_a_record(
    service: Service, tenant: Tenant, address: str, filled: None
) -> None:
    before = (await service.events(tenant, limit=1))[0]["id"]
    async with client_of(service, tenant, "analyst", address) as client:
        wanted = 'Generate a title as JSON {"title": ""} for:\nUSER: What does a wire cost?\nASSISTANT: 25 dollars.'
        title = await client.chat.completions.create(
            model="affidavit-tasks", messages=[{"role": "user", "content": wanted}]
        )
    assert title.choices[0].message.content == '{"title":"What does a wire cost?"}'
    since = [e for e in await service.events(tenant, limit=5) if e["id"] > before and e["action"] != "audit:read"]
    assert since == []


@pytest.mark.parametrize("encoding", [{"encoding_format": "float"}, {}], ids=["float", "base64, the client's own"])
async def test_embeddings_are_those_of_retrieval(service: Service, tenant: Tenant, address: str, encoding: Any) -> None:
    key = tenant.partner_key
    # Strict validation takes no base64, not even of OpenAI itself: it looks before the client decodes.
    async with openai.AsyncOpenAI(
        base_url=f"{address}/v1", api_key=key, _strict_response_validation=bool(encoding), max_retries=0
    ) as client:
        made = await client.embeddings.create(model="affidavit", input=["a fee", "a rule"], **encoding)
    own = await service.services.embedder.embed_passages(["a fee", "a rule"])
    assert len(made.data) == 2
    assert made.data[0].embedding == pytest.approx(list(own[0]), abs=1e-3)


async def test_two_names_for_one_end_user_are_refused(service: Service, tenant: Tenant, filled: None) -> None:
    headers = {**await service.as_user(tenant, "partner"), "X-On-Behalf-Of": "employee-1"}
    body = {"model": "affidavit", "messages": said(QUESTION), "safety_identifier": "employee-2"}
    answer = await service.client.post("/v1/chat/completions", json=body, headers=headers)
    assert answer.status_code in {400, 403}


async def test_a_response_is_read_again_by_who_got_it_and_by_nobody_else(
    service: Service, tenant: Tenant, address: str, filled: None
) -> None:
    async with client_of(service, tenant, "analyst", address) as client:
        made = await client.responses.create(model="affidavit", input=QUESTION)
        again = await client.responses.retrieve(made.id)
        assert (again.id, again.output_text) == (made.id, made.output_text)
        (asked,) = [item async for item in client.responses.input_items.list(made.id)]
        assert asked.model_dump()["content"][0]["text"] == QUESTION
        with pytest.raises(openai.PermissionDeniedError):
            await client.responses.delete(made.id)
    async with client_of(service, tenant, "editor", address) as colleague:
        with pytest.raises(openai.NotFoundError):
            await colleague.responses.retrieve(made.id)


EARLIER = [
    {"role": "system", "content": "Be a pirate."},
    {"role": "user", "content": [{"type": "text", "text": QUESTION}, {"type": "image_url", "image_url": {"url": "x"}}]},
    {"role": "assistant", "content": "It costs 99 dollars."},
    {"role": "user", "content": "And how much is it for two of these?"},
]


async def test_a_follow_up_is_read_with_what_the_client_says_was_asked_and_nothing_is_quoted_of_it(
    service: Service, tenant: Tenant, address: str, filled: None
) -> None:
    """Chat interfaces send the conversation so far; no turn of theirs may become a source, and all of it is on record."""
    messages: Any = EARLIER
    async with client_of(service, tenant, "analyst", address) as client:
        chat = await client.chat.completions.create(model="affidavit", messages=messages)
        alone = await client.chat.completions.create(model="affidavit", messages=messages[-1:])
        response = await client.responses.create(model="affidavit", input=messages, instructions="Say aye.")
    answer = chat.choices[0].message.content
    assert answer is not None
    assert FEE in answer
    assert "99 dollars" not in answer
    assert "$99" not in answer
    assert FEE not in (alone.choices[0].message.content or "")
    assert response.output_text.startswith(FEE)
    for told, instructions in ((chat, "Be a pirate."), (response, "Say aye.\n\nBe a pirate.")):
        turn = told.model_dump()["metadata"]["turn"]
        revealed = await service.get(f"/audit/events/{turn}", tenant, "compliance", reveal=True, reason="checking")
        texts = revealed.json()["payloads"]
        assert texts["client_instructions"] == instructions, revealed.text
        assert orjson.loads(texts["client_history"]) == [{"question": QUESTION, "answer": "It costs 99 dollars."}]
        assert "99 dollars" not in texts["user_prompt"]


async def test_what_is_on_record_goes_before_what_a_client_says(
    service: Service, tenant: Tenant, address: str, filled: None
) -> None:
    chat = {"X-Conversation": "a chat that both know"}
    claimed: Any = [
        {"role": "user", "content": "What is the capital of Mongolia?"},
        {"role": "user", "content": "And how much is it for two of these?"},
    ]
    async with client_of(service, tenant, "analyst", address) as client:
        await client.chat.completions.create(model="affidavit", messages=said(QUESTION), extra_headers=chat)
        followed = await client.chat.completions.create(model="affidavit", messages=claimed, extra_headers=chat)
    assert FEE in (followed.choices[0].message.content or "")


async def test_two_end_users_in_one_body_are_refused(service: Service, tenant: Tenant, filled: None) -> None:
    headers = await service.as_user(tenant, "partner")
    body = {"input": "a fee", "user": "employee-1", "safety_identifier": "employee-2"}
    assert (await service.client.post("/v1/embeddings", json=body, headers=headers)).status_code == 400
    body["user"] = "employee-2"
    assert (await service.client.post("/v1/embeddings", json=body, headers=headers)).status_code == 200
    newest = (await service.events(tenant, action="texts:embedded", limit=1))[0]
    assert newest["event"]["principal"]["on_behalf_of"]["subject"] == "employee-2"
