"""What no honest client sends to /mcp is refused in a sentence of its protocol; it does nothing, and what it asks for is on record."""

import json
from typing import Any

import httpx
import pytest

from backend.answers.service import Answering
from backend.gateways.mcp import tools
from tests.isolation.examples import example
from tests.service import Service, Tenant

pytestmark = pytest.mark.anyio

HEADERS = {
    "Accept": "application/json, text/event-stream", "Content-Type": "application/json", "MCP-Protocol-Version": "2025-06-18",
}  # fmt: skip
PARSE_ERROR, INVALID_REQUEST, NO_METHOD, INVALID_PARAMS = -32700, -32600, -32601, -32602
SEARCH = {"name": "search", "arguments": {"query": "fees"}}


def message(**changed: Any) -> dict[str, Any]:
    """A call that is right but for what is changed."""
    return {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": SEARCH} | changed


def encoded(**changed: Any) -> bytes:
    return json.dumps(message(**changed)).encode()


def called(tool: str, arguments: str) -> bytes:
    """A call with arguments as they are spelled, since no library would spell them so."""
    return b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"%s","arguments":%s}}' % (
        tool.encode(),
        arguments.encode(),
    )


async def ask(
    service: Service, tenant: Tenant, body: bytes, user: str = "analyst", **headers: str | bytes
) -> httpx.Response:
    given: dict[str, Any] = {**HEADERS, **await service.as_user(tenant, user)}
    return await service.client.post("/mcp", content=body, headers=given | headers)


async def recorded(service: Service, tenant: Tenant, answer: httpx.Response) -> list[tuple[str, str | None]]:
    """Action and reason of each event of a request."""
    found = await service.events(tenant, request_id=answer.headers["x-request-id"])
    return [(event["action"], event["reason"]) for event in found]


DEEP = "[" * 100_000
NO_MESSAGE = {
    "nothing": (b"", PARSE_ERROR, "JSON"),
    "half": (b'{"jsonrpc":', PARSE_ERROR, "JSON"),
    "NUL": (b"\0", PARSE_ERROR, "JSON"),
    "not UTF-8": (b'{"method":"\xff\xfe"}', PARSE_ERROR, "JSON"),
    "nested without end": (DEEP.encode(), PARSE_ERROR, "JSON"),
    "deep arguments": (called("search_documents", '{"filters":' + DEEP + "]" * 100_000 + "}"), PARSE_ERROR, "JSON"),
    "surrogate in the method": (b'{"jsonrpc":"2.0","id":1,"method":"\\ud800"}', PARSE_ERROR, "JSON"),
    "surrogate in the id": (b'{"jsonrpc":"2.0","id":"\\udfff","method":"tools/list"}', PARSE_ERROR, "JSON"),
    "surrogate in an argument": (called("search", '{"query":"a\\ud800b"}'), PARSE_ERROR, "JSON"),
    "surrogate in an argument's name": (called("search", '{"\\ud800":1}'), PARSE_ERROR, "JSON"),
    "endless id": (b'{"jsonrpc":"2.0","id":%s,"method":"tools/list"}' % (b"9" * 5000), PARSE_ERROR, "JSON"),
    "number": (b"1", INVALID_REQUEST, "object"),
    "null": (b"null", INVALID_REQUEST, "object"),
    "empty batch": (b"[]", INVALID_REQUEST, "batches"),
    "batch": (json.dumps([message(), message(id=2)]).encode(), INVALID_REQUEST, "batches"),
    "no version": (encoded(jsonrpc=None), INVALID_REQUEST, "jsonrpc"),
    "another version": (encoded(jsonrpc="1.0"), INVALID_REQUEST, "jsonrpc"),
    "no method": (b'{"jsonrpc":"2.0","id":1}', INVALID_REQUEST, "method"),
    "a number for the method": (encoded(method=7), INVALID_REQUEST, "method"),
    "an id of null": (encoded(id=None), INVALID_REQUEST, "id"),
    "a broken id": (encoded(id=1.5), INVALID_REQUEST, "id"),
    "a truth for an id": (encoded(id=True), INVALID_REQUEST, "id"),
    "an object for an id": (encoded(id={}), INVALID_REQUEST, "id"),
    "no number for an id": (encoded(id=float("nan")), INVALID_REQUEST, "id"),
    "a list for parameters": (encoded(params=["search"]), INVALID_REQUEST, "params"),
    "a text for parameters": (encoded(params="search"), INVALID_REQUEST, "params"),
}  # fmt: skip


@pytest.mark.parametrize("case", NO_MESSAGE)
async def test_what_is_no_message_is_refused_saying_why_and_does_nothing(
    service: Service, tenant: Tenant, case: str
) -> None:
    body, code, named = NO_MESSAGE[case]
    answer = await ask(service, tenant, body)
    assert answer.status_code == 400, answer.text
    error = answer.json()["error"]
    assert (error["code"], named in error["message"]) == (code, True), error
    assert len(error["message"]) < 120, "one sentence, which repeats nothing"
    assert await recorded(service, tenant, answer) == []


NOT_OFFERED = {
    "unknown method": (encoded(method="tools/delete"), NO_METHOD),
    "long method": (encoded(method="m" * 100_000), NO_METHOD),
    "method of another kind of server": (encoded(method="prompts/get", params={"name": "fees"}), NO_METHOD),
    "no tool": (encoded(params={}), INVALID_PARAMS),
    "a number for the tool": (encoded(params={"name": 5}), INVALID_PARAMS),
    "a list for arguments": (encoded(params={"name": "search", "arguments": []}), INVALID_PARAMS),
    "a text for arguments": (encoded(params={"name": "search", "arguments": "fees"}), INVALID_PARAMS),
    "a level of logs that there is not": (encoded(method="logging/setLevel", params={"level": 7}), INVALID_PARAMS),
    "a number for a cursor": (encoded(method="tools/list", params={"cursor": 7}), INVALID_PARAMS),
    "a number for _meta": (encoded(params={**SEARCH, "_meta": 5}), INVALID_PARAMS),
    "a number for an address": (encoded(method="resources/read", params={"uri": 7}), INVALID_PARAMS),
    "a number for the version": (encoded(method="initialize", params={"protocolVersion": 7}), INVALID_PARAMS),
    "the same member twice": (b'{"jsonrpc":"2.0","id":1,"method":"tools/list","method":"tools/call"}', INVALID_PARAMS),
}  # fmt: skip


@pytest.mark.parametrize("case", NOT_OFFERED)
async def test_a_message_that_asks_for_nothing_there_is_gets_an_error_of_the_protocol(
    service: Service, tenant: Tenant, case: str
) -> None:
    body, code = NOT_OFFERED[case]
    answer = await ask(service, tenant, body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (200, code), answer.text
    assert await recorded(service, tenant, answer) == []


NOBODYS = "0193f3f0-0000-7000-8000-00000000dead"
NOT_THERE = {
    "a tool that would write": (encoded(params={"name": "approve_version"}), "mcp:tool"),
    "a tool with a NUL": (encoded(params={"name": "search\0"}), "mcp:tool"),
    "a long tool": (encoded(params={"name": "x" * 100_000}), "mcp:tool"),
    "an address of another kind": (encoded(method="resources/read", params={"uri": "file:///etc/passwd"}), "mcp:uri"),
    "an address with a NUL": (encoded(method="resources/read", params={"uri": "\0"}), "mcp:uri"),
    "an address without an id": (encoded(method="resources/read", params={"uri": f"affidavit://documents/{'-' * 36}/versions/1"}), "mcp:uri"),
    "nobody's version": (encoded(method="resources/read", params={"uri": f"affidavit://documents/{NOBODYS}/versions/1"}), None),
}  # fmt: skip


@pytest.mark.parametrize("case", NOT_THERE)
async def test_who_tries_what_is_not_there_is_told_so_and_is_on_record(
    service: Service, tenant: Tenant, case: str
) -> None:
    body, reason = NOT_THERE[case]
    answer = await ask(service, tenant, body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (200, INVALID_PARAMS), answer.text
    (event,) = await recorded(service, tenant, answer)
    assert event[0] == "access:denied"
    assert reason in {None, event[1]}


WRONG_ARGUMENTS = [
    ("search", '{"query":7}', "query"), ("search", '{"query":["a"]}', "query"), ("search", "{}", "query"),
    ("search", '{"query":"a\\u0000"}', "query"), ("search", '{"query":"  "}', "query"), ("search", '{"query":"q","x":1}', "x"),
    ("search", '{"query":"%s"}' % ("q" * 4001), "query"),
    ("ask", '{"question":" "}', "question"), ("ask", '{"question":"q","as_of":"soon"}', "as_of"),
    ("ask", '{"question":"q","as_of":"0001-01-01T00:00:00+14:00"}', "as_of"), ("ask", '{"question":"q","conversation":"x"}', "conversation"),
    ("why_not_found", '{"question":" ","doc_id":"d"}', "question"), ("why_not_found", '{"question":"q","doc_id":""}', "doc_id"),
    ("search_documents", '{"query":"q","k":NaN}', "k"), ("search_documents", '{"query":"q","k":%s}' % ("9" * 4000), "k"),
    ("search_documents", '{"query":"q","filters":[1]}', "filters"), ("search_documents", '{"query":"q","filters":{"a":1e999}}', "filters"),
    ("search_documents", '{"query":"q","filters":{"a":18446744073709551616}}', "filters"),
    ("search_documents", '{"query":"q","filters":{"a":%s}}' % ("[" * 150 + "]" * 150), "filters"),
    ("search_documents", '{"query":"q","filters":{"a":{"$gt":{"x":1}}}}', "filters.a"),
    ("search_documents", '{"query":"q","source_types":["%s"]}' % ("s" * 5000), "source_types"),
    ("search_documents", '{"query":"q","collections":[]}', "collections"),
    ("get_document", f'{{"document_id":"{NOBODYS}","version":2147483648}}', "version"), ("get_document", '{"document_id":"1"}', "document_id"),
    ("find_events", '{"cursor":"!!"}', "cursor"), ("find_events", '{"action":"everything"}', "action"),
    ("find_events", '{"since":"9999-12-31T23:59:59-23:00"}', "since"), ("get_event", '{"event_id":"x"}', "event_id"),
]  # fmt: skip


@pytest.mark.parametrize(("tool", "arguments", "named"), WRONG_ARGUMENTS)
async def test_a_wrong_argument_is_named_as_the_tool_calls_it_and_never_repeated(
    service: Service, tenant: Tenant, tool: str, arguments: str, named: str
) -> None:
    user = "compliance" if "event" in tool else "analyst"
    answer = await ask(service, tenant, called(tool, arguments), user)
    result = answer.json()["result"]
    told = result["structuredContent"]
    assert (answer.status_code, result["isError"], told["error"]) == (200, True, "invalid_input"), answer.text
    assert told["detail"].partition(":")[0].partition(".0")[0].startswith(named), told
    assert "<function" not in told["detail"]
    assert len(told["detail"]) < 300
    assert await recorded(service, tenant, answer) == []


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "application/jsonp", "json", ""])
async def test_a_body_of_another_type_is_unsupported(service: Service, tenant: Tenant, kind: str) -> None:
    answer = await ask(service, tenant, encoded(), **{"Content-Type": kind})
    assert (answer.status_code, answer.json()["error"]) == (415, "unsupported_type")
    assert await recorded(service, tenant, answer) == []
    assert (await ask(service, tenant, encoded(), **{"Content-Type": "application/json; charset=utf-8"})).is_success


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Accept": "text/html"}, 406), ({"Accept": ""}, 406), ({"MCP-Protocol-Version": "1999-01-01"}, 400),
        ({"MCP-Protocol-Version": b"\xff"}, 400), ({"MCP-Protocol-Version": "x" * 5000}, 400),
        ({"Last-Event-ID": "1"}, 200), ({"Mcp-Method": "tools/call", "Mcp-Name": b"\xff"}, 200),
    ],
)  # fmt: skip
async def test_odd_headers_are_refused_or_mean_nothing(
    service: Service, tenant: Tenant, headers: dict[str, str | bytes], status: int
) -> None:
    answer = await ask(service, tenant, encoded(), **headers)
    assert answer.status_code == status, answer.text
    assert ("error" in answer.json()) is (status != 200)
    assert len(await recorded(service, tenant, answer)) == (1 if status == 200 else 0), "what was searched is on record"


@pytest.mark.parametrize(
    ("named", "status"), [("search", 200), ("  search\t ", 200), ("fetch", 400), ("Search", 400), ("", 400)]
)
async def test_headers_say_what_the_message_says_and_spaces_around_it_mean_nothing(
    service: Service, tenant: Tenant, named: str, status: int
) -> None:
    version = "2026-07-28"
    meta = {
        f"io.modelcontextprotocol/{name}": value
        for name, value in (("protocolVersion", version), ("clientCapabilities", {}))
    }
    meta["io.modelcontextprotocol/clientInfo"] = {"name": "a", "version": "1"}
    headers = {"MCP-Protocol-Version": version, "Mcp-Method": " tools/call ", "Mcp-Name": named}
    answer = await ask(service, tenant, encoded(params={**SEARCH, "_meta": meta}), **headers)
    assert answer.status_code == status, answer.text
    assert len(await recorded(service, tenant, answer)) == (1 if status == 200 else 0)


async def test_a_call_that_wants_no_answer_is_not_made(service: Service, tenant: Tenant) -> None:
    """Otherwise a notification would search, and nobody could see what came of it."""
    body = {"jsonrpc": "2.0", "method": "tools/call", "params": SEARCH}
    answer = await ask(service, tenant, json.dumps(body).encode())
    assert (answer.status_code, answer.content) == (202, b"")
    assert await recorded(service, tenant, answer) == []


async def test_a_body_beyond_the_limit_is_too_large(service: Service, tenant: Tenant) -> None:
    answer = await ask(service, tenant, encoded(params={**SEARCH, "_meta": {"a": "x" * 5_000_000}}))
    assert answer.status_code == 413
    assert await recorded(service, tenant, answer) == []


async def test_a_tool_that_breaks_tells_the_client_nothing_of_how(
    service: Service, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object) -> None:
        raise RuntimeError("password=hunter2")

    monkeypatch.setattr(Answering, "answer", broken)
    answer = await ask(service, tenant, called("ask", '{"question":"q"}'))
    told = answer.json()["result"]["structuredContent"]
    assert (told["error"], "hunter2" in answer.text) == ("internal", False)
    assert told["request_id"] == answer.headers["x-request-id"]


ODD: list[Any] = [
    None, True, 0, -1, 1.5, 2**31, 2**63, 2**64, -(2**70), 1e308, float("inf"), "", " ", "a\0b", "\u202e", "\U0010ffff", "%", "'; --", "x" * 5000,
    [], [[]], [None], ["a"] * 200, {}, {"a": None}, {"$gt": {}}, {"": ""}, {"a": {"ne": [[]]}}, "2026-01-01T00:00:00Z", NOBODYS,
]  # fmt: skip


@pytest.mark.parametrize("tool", tools.BY_NAME)
async def test_whatever_an_argument_is_the_tool_answers_or_names_it(
    service: Service, tenant: Tenant, tool: str
) -> None:
    """Each property of the served schema is in turn each odd value, while the others are right."""
    headers = {**HEADERS, **await service.as_user(tenant, "compliance" if "event" in tool else "analyst")}
    listed = await service.client.post("/mcp", json=message(method="tools/list", params={}), headers=headers)
    (schema,) = [known["inputSchema"] for known in listed.json()["result"]["tools"] if known["name"] == tool]
    for name in [*schema.get("properties", {}), "unknown"]:
        for odd in ODD:
            arguments = example(schema, schema) | {name: odd}
            body = encoded(params={"name": tool, "arguments": arguments})
            answer = await service.client.post("/mcp", content=body, headers=headers)
            assert answer.status_code == 200, (name, odd, answer.text)
            assert "result" in answer.json(), (name, odd, answer.text)
            told = answer.json()["result"]["structuredContent"]
            assert told.get("error") in {None, "invalid_input", "not_found"}, (name, odd, told)
