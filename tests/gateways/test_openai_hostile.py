"""What no honest client sends to /v1 is refused in OpenAI's shape, naming the parameter; it does nothing, and is never our error."""

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import openai
import pytest

from backend.answers.extractive import ExtractiveGenerator
from tests.factories import ingest
from tests.gateways.hostile import JSON, default_store, post, recorded, told
from tests.service import Service, Tenant

pytestmark = pytest.mark.anyio

QUESTION = "What does a wire cost?"
ASKED = {"role": "user", "content": QUESTION}
CHAT, RESPONSES, EMBEDDINGS = "/v1/chat/completions", "/v1/responses", "/v1/embeddings"
WHOLE: dict[str, dict[str, Any]] = {
    CHAT: {"model": "affidavit", "messages": [ASKED]},
    RESPONSES: {"model": "affidavit", "input": QUESTION},
    EMBEDDINGS: {"input": "a"},
}
DEEP = "[" * 100_000


@pytest.fixture(scope="module", autouse=True)
async def filled(service: Service, tenant: Tenant) -> None:
    await ingest(service, tenant, "wires", "A wire costs 25 dollars.")


@pytest.fixture(scope="module")
async def store(service: Service, tenant: Tenant) -> str:
    return await default_store(service, tenant)


def with_message(content: str) -> bytes:
    """A chat with a content as it is spelled, since no library would spell it so."""
    return b'{"messages":[{"role":"user","content":%s}]}' % content.encode()


NOT_READ = {
    "nothing": (b"", None), "half": (b'{"messages":', None), "NUL": (b"\0", None), "not UTF-8": (b'{"model":"\xff\xfe"}', None),
    "nested without end": (DEEP.encode(), None), "a list": (b"[]", None), "null": (b"null", None), "a number": (b"1", None),
    "deep content": (with_message(DEEP), None), "no messages": (b"{}", "messages"), "no message": (b'{"messages":[]}', "messages"),
    "a message of null": (b'{"messages":[null]}', "messages.0"), "messages of null": (b'{"messages":null}', "messages"),
    "an object of messages": (b'{"messages":{"0":{}}}', "messages"), "surrogate": (with_message('"a\\ud800"'), "messages.0.content"),
    "NUL in the question": (with_message('"a\\u0000"'), "messages.0.content"), "a number for content": (with_message("5"), "messages.0.content"),
    "blank": (with_message('" \\u00a0"'), "messages"), "unknown role": (b'{"messages":[{"role":"king","content":"q"}]}', "messages.0.role"),
    "no role": (b'{"messages":[{"content":"q"}]}', "messages.0.role"), "endless digits": (b'{"messages":[],"n":%s}' % (b"9" * 5_000), None),
    "too many messages": (json.dumps({"messages": [ASKED] * 501}).encode(), "messages"),
    "a long name of a model": (json.dumps({"model": "m" * 201, "messages": [ASKED]}).encode(), "model"),
    "surrogate in the model": (b'{"model":"\\udfff","messages":[{"role":"user","content":"q"}]}', "model"),
}  # fmt: skip


@pytest.mark.parametrize("case", NOT_READ)
async def test_a_bad_chat_is_refused_naming_the_parameter_and_does_nothing(
    service: Service, tenant: Tenant, case: str
) -> None:
    body, parameter = NOT_READ[case]
    answer = await post(service, tenant, CHAT, body)
    error = told(answer, 400)
    assert (error["param"], error["type"]) == (parameter, "invalid_request_error")
    assert await recorded(service, tenant, answer) == []


async def test_of_a_member_that_comes_twice_the_last_counts(service: Service, tenant: Tenant) -> None:
    asked = json.dumps(ASKED)
    twice = f'{{"stream":true,"messages":[],"messages":[{asked}],"stream":false}}'
    assert (await post(service, tenant, CHAT, twice.encode())).json()["object"] == "chat.completion"


ODD: list[Any] = [
    True, 0, -1, 1.5, 2**31, 2**64, -(2**70), float("inf"), float("nan"), "", " ", "a\0b", "\ud800", "\u202e", "\U0010ffff", "; --",
    "x" * 5_000, [], [[]], [None], ["a"] * 600, {}, {"a": None}, {"": ""}, {"type": {}}, {"type": "json_object"}, {"a": "\ud800"},
]  # fmt: skip


@pytest.mark.parametrize("path", WHOLE)
async def test_whatever_a_parameter_is_it_is_taken_or_named(service: Service, tenant: Tenant, path: str) -> None:
    """Each property that is served is in turn each odd value, while the others are right."""
    document = (await service.client.get("/openapi.json")).json()
    body = document["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"]
    schema = document["components"]["schemas"][body["$ref"].rpartition("/")[2]]
    for name in [*schema["properties"], "unknown"]:
        for odd in ODD:
            spelled = json.dumps({**WHOLE[path], name: odd}).encode()
            answer = await post(service, tenant, path, spelled)
            assert answer.status_code in {200, 400, 404}, (name, odd, answer.text)
            if answer.status_code != 200:
                error = told(answer, answer.status_code)
                assert error["param"] is not None, (name, odd, error)
                assert error["param"].partition(".")[0] == name, (name, odd, error)
            if name == "unknown":
                assert answer.status_code == 200, "unknown parameters are not in the way"
        absent = await post(service, tenant, path, json.dumps({**WHOLE[path], name: None}).encode())
        required = name in {"messages", "input"}
        assert absent.status_code == (400 if required else 200), (name, absent.text)


BAD_FILTERS: list[Any] = [
    {"type": "eq", "key": "a"}, {"type": "eq", "value": 1}, {"type": "eq", "key": 7, "value": 1}, {"type": [], "key": "a", "value": 1},
    {"type": "eq", "key": "a", "value": {"exists": False}}, {"type": "eq", "key": "a", "value": [1]}, {"type": "in", "key": "a", "value": 1},
    {"type": "eq", "key": "a", "value": float("inf")}, {"type": "gt", "key": "a", "value": "x"}, {"type": "eq", "key": "a", "value": "\ud800"},
    {"type": "eq", "key": "", "value": 1}, {"type": "eq", "key": "k" * 300, "value": 1}, {"type": "and", "filters": []}, {"type": "or"},
    {"type": "or", "filters": [7]}, {"type": "in", "key": "a", "value": []}, {"type": "in", "key": "a", "value": [{}]}, {"a": 1},
]  # fmt: skip


@pytest.mark.parametrize("number", range(len(BAD_FILTERS)))
async def test_a_filter_that_says_nothing_that_can_be_searched_for_is_named(
    service: Service, tenant: Tenant, store: str, number: int
) -> None:
    filters = BAD_FILTERS[number]
    tool = {"type": "file_search", "vector_store_ids": [store], "filters": filters}
    for path, body in (
        (RESPONSES, {**WHOLE[RESPONSES], "tools": [tool]}),
        (f"/v1/vector_stores/{store}/search", {"query": QUESTION, "filters": filters}),
    ):
        answer = await post(service, tenant, path, json.dumps(body).encode())
        assert told(answer, 400)["param"] in {"filters", "tools"}, filters
        assert await recorded(service, tenant, answer) == []


async def test_of_a_filter_comes_back_what_was_read_of_it(service: Service, tenant: Tenant, store: str) -> None:
    """What stands beside can be no JSON at all, such as an infinite number, and would break the answer that repeats it."""
    read = {"type": "and", "filters": [{"type": "ne", "key": "a", "value": 1}]}
    odd = {"x": float("inf"), "y": "\ud800"}
    filters = {**read, **odd, "filters": [{**read["filters"][0], **odd}]}  # type: ignore[dict-item]
    tool = {"type": "file_search", "vector_store_ids": [store], "filters": filters}
    body = json.dumps({**WHOLE[RESPONSES], "tools": [tool]}).encode()
    answer = await post(service, tenant, RESPONSES, body)
    assert answer.status_code == 200, answer.text
    assert answer.json()["tools"] == [{**tool, "filters": read}]
    streamed = await post(service, tenant, RESPONSES, body[:-1] + b',"stream":true}')
    assert "response.completed" in streamed.text


async def test_stores_and_a_model_confine_a_response_together(service: Service, tenant: Tenant) -> None:
    stores = (await service.get("/v1/vector_stores", tenant, "editor")).json()["data"]
    of = {store["name"]: store["id"] for store in stores}

    async def asked(user: str, model: str, *named: str) -> httpx.Response:
        tools = [{"type": "file_search", "vector_store_ids": list(named)}]
        return await service.post(RESPONSES, tenant, user, {"model": model, "input": QUESTION, "tools": tools})

    for model, named in (
        ("affidavit", [of["default"]]),
        ("affidavit/default", [of["default"]]),
        ("affidavit", of.values()),
    ):
        assert (await asked("approver", model, *named)).status_code in {200, 403}, model
        newest = (await service.events(tenant, action="retrieval:executed", limit=1))[0]["event"]["retrieval"]
        assert newest["chunk_count"] > 0
    for model, named in (("gpt-5", [of["default"]]), ("affidavit/restricted", [of["default"]])):
        assert told(await asked("approver", model, *named), 404)
    for store in (of["restricted"], "vs_" + "0" * 32, "made up", ""):
        assert told(await asked("analyst", "affidavit", store), 400)["param"] == "tools"


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "json", ""])
async def test_a_body_of_another_type_is_unsupported(service: Service, tenant: Tenant, kind: str) -> None:
    for path, whole in WHOLE.items():
        answer = await post(service, tenant, path, json.dumps(whole).encode(), **{"Content-Type": kind})
        assert told(answer, 415)["code"] == "unsupported_type"
    assert told(await post(service, tenant, "/v1/files", b"{}", "editor"), 415)


@pytest.mark.parametrize(
    ("header", "value", "status"),
    [
        ("X-Conversation", b"\xff\xfe", 200), ("X-Conversation", "x" * 201, 400), ("X-Conversation", "../../x", 200),
        ("X-OpenWebUI-User-Id", "x" * 201, 400), ("X-Purpose", "no", 400), ("Idempotency-Key", "k" * 5_000, 200), ("Accept", "image/png", 200),
        ("OpenAI-Organization", b"\xff", 200), ("X-Stainless-Retry-Count", "-1", 200), ("Expect", "100-continue", 200),
    ],
)  # fmt: skip
async def test_odd_headers_are_named_or_mean_nothing(
    service: Service, tenant: Tenant, header: str, value: str | bytes, status: int
) -> None:
    answer = await post(service, tenant, CHAT, json.dumps(WHOLE[CHAT]).encode(), **{header: value})
    assert answer.status_code == status, answer.text
    if status == 400:
        assert header in {told(answer, 400)["param"], told(answer, 400)["message"].partition(":")[0]}


async def test_what_is_too_large_says_so_in_openais_shape(service: Service, tenant: Tenant) -> None:
    limit = service.services.settings.max_body_bytes
    for path in WHOLE:
        answer = await post(service, tenant, path, b"x" * (limit + 1))
        assert told(answer, 413)["code"] == "too_large"

        async def pieces() -> AsyncIterator[bytes]:
            while True:
                yield b"[" * 100_000

        headers = {**JSON, **await service.as_user(tenant, "analyst")}
        assert told(await service.client.post(path, content=pieces(), headers=headers), 413)


async def test_the_same_name_of_a_conversation_is_another_one_of_another_person(
    service: Service, tenant: Tenant
) -> None:
    for user in ("analyst", "editor"):
        for turns in (1, 2):
            named = {"X-Conversation": "chat 1"}
            assert (await post(service, tenant, CHAT, json.dumps(WHOLE[CHAT]).encode(), user, **named)).is_success
            newest = (await service.get("/conversations", tenant, user)).json()["conversations"][0]
            assert newest["turns"] == turns, user


@pytest.mark.parametrize("path", [CHAT, RESPONSES])
async def test_a_fault_of_ours_is_told_without_its_words_and_is_not_tried_again(
    service: Service, tenant: Tenant, address: str, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The question is on record by then: a client that asks again by itself would make a second turn of one click."""

    async def broken(*_: object) -> None:
        raise RuntimeError("password=hunter2")

    monkeypatch.setattr(ExtractiveGenerator, "generate", broken)
    before = len(await service.events(tenant, action="prompt:submitted", limit=200))
    key = (await service.as_user(tenant, "analyst"))["Authorization"].removeprefix("Bearer ")
    async with openai.AsyncOpenAI(base_url=f"{address}/v1", api_key=key, max_retries=2) as client:
        with pytest.raises(openai.InternalServerError) as failed:
            await client.post(path.removeprefix("/v1"), body=WHOLE[path], cast_to=object)
    assert (failed.value.status_code, failed.value.code, failed.value.type) == (500, "internal", "server_error")
    assert "hunter2" not in failed.value.response.text
    assert len(await service.events(tenant, action="prompt:submitted", limit=200)) == before + 1


async def test_no_method_or_route_that_there_is_not(service: Service, tenant: Tenant) -> None:
    headers = await service.as_user(tenant, "analyst")
    for method, path, status in (
        ("PATCH", CHAT, 405),
        ("GET", EMBEDDINGS, 405),
        ("POST", "/v1/audio/speech", 404),
        ("GET", "/v1", 404),
    ):
        answer = await service.client.request(method, path, headers=headers)
        told(answer, status)
