"""Whatever a client sends, it is refused in one shape, naming the field, and nothing is stored or repeated."""

import json
from typing import Any
from uuid import UUID

import httpx
import pytest

from tests.service import Service, Tenant

# The same in every process: test processes must collect the same names.
UNKNOWN = UUID("0193f3f0-0000-7000-8000-00000000dead")

pytestmark = pytest.mark.anyio

CHUNK = {"doc_id": "pol-001", "chunk_text": "Wires leave before noon.", "source_type": "policy", "metadata": {}}
JSON = {"Content-Type": "application/json"}
UNIT = 16 * 1024


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = {"a": value}
    return value


def body_with(base: dict[str, Any], **changed: Any) -> bytes:
    return json.dumps({**base, **changed}).encode()


def chunk_with_metadata(metadata: str) -> bytes:
    return b'{"doc_id": "d", "chunk_text": "t", "source_type": "s", "metadata": %s}' % metadata.encode()


# Bodies that are refused with 422, and the field that the answer names.
INGEST = {
    "not JSON": (b"{", "body"),
    "not UTF-8": (b'{"doc_id": "\xff\xfe"}', ""),
    "nested without end": (b'{"metadata": ' + b"[" * 100_000, ""),
    "empty": (b"", "body"),
    "no object": (b"[]", "body"),
    "unknown field": (body_with(CHUNK, jurisdiction="US"), "body.jurisdiction"),
    "unknown field with a surrogate": (b'{"\\ud800": 1}', "body"),
    "missing field": (b"{}", "body.chunk_text"),
    "number for text": (body_with(CHUNK, chunk_text=7), "body.chunk_text"),
    "empty text": (body_with(CHUNK, chunk_text=""), "body.chunk_text"),
    "NUL in text": (body_with(CHUNK, chunk_text="a\0b"), "body.chunk_text"),
    "surrogate in text": (body_with(CHUNK, chunk_text="a\ud800b"), "body.chunk_text"),
    "NUL in doc_id": (body_with(CHUNK, doc_id="a\0b"), "body.doc_id"),
    "surrogate in doc_id": (body_with(CHUNK, doc_id="\udfff"), "body.doc_id"),
    "long doc_id": (body_with(CHUNK, doc_id="d" * 257), "body.doc_id"),
    "surrogate in source_type": (body_with(CHUNK, source_type="\ud83d"), "body.source_type"),
    "surrogate in collection": (body_with(CHUNK, collection="\ud83d"), "body.collection"),
    "metadata no object": (body_with(CHUNK, metadata=["US"]), "body.metadata"),
    "metadata null": (body_with(CHUNK, metadata=None), "body.metadata"),
    "metadata too deep": (body_with(CHUNK, metadata=nested(9)), "body.metadata"),
    "metadata deep lists": (chunk_with_metadata('{"a": ' + "[" * 8 + "]" * 8 + "}"), "body.metadata"),
    "metadata too large": (body_with(CHUNK, metadata={"a": "x" * UNIT}), "body.metadata"),
    "metadata large when encoded": (body_with(CHUNK, metadata={"a": "ß" * (UNIT // 2)}), "body.metadata"),
    "NUL in metadata": (body_with(CHUNK, metadata={"a": ["\0"]}), "body.metadata"),
    "NUL in a metadata key": (body_with(CHUNK, metadata={"\0": 1}), "body.metadata"),
    "surrogate in metadata": (body_with(CHUNK, metadata={"a": {"b": "\ud800"}}), "body.metadata"),
    "surrogate in a metadata key": (body_with(CHUNK, metadata={"\ud800": 1}), "body.metadata"),
    "NaN": (chunk_with_metadata('{"a": NaN}'), "body.metadata"),
    "infinity": (chunk_with_metadata('{"a": [-Infinity]}'), "body.metadata"),
    "huge exponent": (chunk_with_metadata('{"a": 1e999}'), "body.metadata"),
    "65 bits": (chunk_with_metadata('{"a": 18446744073709551616}'), "body.metadata"),
    "endless digits": (chunk_with_metadata('{"a": %s}' % ("9" * 5000)), ""),
}
RETRIEVE = {
    "unknown field": (b'{"query": "q", "top": 3}', "body.top"),
    "NUL": (body_with({"query": "a\0"}), "body.query"),
    "surrogate": (b'{"query": "\\udc00"}', "body.query"),
    "empty query": (b'{"query": ""}', "body.query"),
    "long query": (body_with({"query": "q" * 4001}), "body.query"),
    "k zero": (b'{"query": "q", "k": 0}', "body.k"),
    "k negative": (b'{"query": "q", "k": -1}', "body.k"),
    "k beyond 100": (b'{"query": "q", "k": 101}', "body.k"),
    "k boolean": (b'{"query": "q", "k": true}', "body.k"),
    "k fraction": (b'{"query": "q", "k": 5.5}', "body.k"),
    "k text": (b'{"query": "q", "k": "5"}', "body.k"),
    "k huge": (b'{"query": "q", "k": 1e400}', "body.k"),
    "k endless": (b'{"query": "q", "k": 99999999999999999999999}', "body.k"),
    "k null": (b'{"query": "q", "k": null}', "body.k"),
    "unknown mode": (b'{"query": "q", "mode": "\\ud800"}', "body.mode"),
    "nothing asked": (b'{"query": " \\t\\u00a0"}', "body.query"),
    "nothing to be seen": (b'{"query": "\\u200b\\ufeff\\u00ad\\u3164\\u2800"}', "body.query"),
    "as_of on no day": (b'{"query": "q", "as_of": "2026-02-30"}', "body.as_of"),
    "as_of without zone": (b'{"query": "q", "as_of": "2026-01-01T00:00:00"}', "body.as_of"),
    "as_of before time": (b'{"query": "q", "as_of": "0001-01-01T00:00:00+14:00"}', "body.as_of"),
    "as_of after time": (b'{"query": "q", "as_of": "9999-12-31T23:59:59-12:00"}', "body.as_of"),
    "as_of in seconds": (b'{"query": "q", "as_of": 5}', "body.as_of"),
    "as_of in seconds as text": (b'{"query": "q", "as_of": "1767225600"}', "body.as_of"),
    "as_of endless": (b'{"query": "q", "as_of": 1e308}', "body.as_of"),
    "filters no object": (b'{"query": "q", "filters": []}', "body.filters"),
    "filters too many": (body_with({"query": "q", "filters": {str(n): n for n in range(33)}}), "body.filters"),
    "NUL in filters": (body_with({"query": "q", "filters": {"a": "\0"}}), "body.filters"),
    "surrogate in filters": (b'{"query": "q", "filters": {"\\ud800": 1}}', "body.filters"),
    "infinity in filters": (b'{"query": "q", "filters": {"a": 1e999}}', "body.filters"),
    "65 bits in filters": (b'{"query": "q", "filters": {"a": 99999999999999999999}}', "body.filters"),
    "surrogate in source_type": (b'{"query": "q", "source_type": "\\ud800"}', "body.source_type"),
    "NUL in collection": (body_with({"query": "q", "collection": "\0"}), "body.collection"),
}
KEYS = {
    "no permission": (b'{"name": "n", "permissions": []}', "body.permissions"),
    "unknown permission": (b'{"name": "n", "permissions": ["everything"]}', "body.permissions"),
    "surrogate in permission": (b'{"name": "n", "permissions": ["\\ud800"]}', "body.permissions"),
    "surrogate in name": (b'{"name": "\\ud800", "permissions": ["retrieval:query"]}', "body.name"),
    "NUL in name": (body_with({"name": "\0", "permissions": ["retrieval:query"]}), "body.name"),
    "expired": (
        b'{"name": "n", "permissions": ["retrieval:query"], "expires_at": "2001-01-01T00:00:00Z"}',
        "expires_at",
    ),
    "NUL in collection": (
        body_with({"name": "n", "permissions": ["retrieval:query"], "collections": ["\0"]}),
        "body.collections",
    ),
}
BODIES = [
    pytest.param(path, user, body, field, id=f"{path} {case}")
    for path, user, cases in (
        ("/ingest", "editor", INGEST),
        ("/retrieve", "analyst", RETRIEVE),
        ("/auth/keys", "admin", KEYS),
    )
    for case, (body, field) in cases.items()
]


def is_error(answer: httpx.Response, status: int) -> bool:
    """Every error has one shape, and says under which id to ask about it."""
    body = answer.json()
    shaped = {"error", "detail", "request_id"} <= body.keys() and body["request_id"] == answer.headers["x-request-id"]
    return shaped and answer.status_code == status


@pytest.mark.parametrize(("path", "user", "body", "field"), BODIES)
async def test_a_bad_body_is_refused_naming_the_field(
    service: Service, tenant: Tenant, path: str, user: str, body: bytes, field: str
) -> None:
    answer = await service.client.post(path, content=body, headers={**await service.as_user(tenant, user), **JSON})
    assert is_error(answer, 422), answer.text
    assert answer.json()["error"] == "invalid_input"
    assert field in answer.json()["detail"]


@pytest.mark.parametrize("case", ["question", "stream"])
async def test_a_bad_question_is_refused_before_anything_is_streamed(
    service: Service, tenant: Tenant, case: str
) -> None:
    body = {"question": "a\0b"} if case == "question" else {"question": "q", "stream": "maybe"}
    answer = await service.post("/answer", tenant, "analyst", body)
    assert is_error(answer, 422)
    assert f"body.{case}" in answer.json()["detail"]


async def test_nothing_of_a_bad_body_comes_back(service: Service, tenant: Tenant) -> None:
    headers = {**await service.as_user(tenant, "editor"), **JSON}
    secret = "4111 1111 1111 1111"
    body = body_with(CHUNK, chunk_text=[secret], metadata=secret, source_type={"a": secret})
    answer = await service.client.post("/ingest", content=body, headers=headers)
    assert is_error(answer, 422)
    assert secret not in answer.text


async def test_a_thousand_mistakes_get_a_short_answer(service: Service, tenant: Tenant) -> None:
    headers = {**await service.as_user(tenant, "editor"), **JSON}
    unknown = {f"{n}{'x' * 1000}": n for n in range(1000)}
    answer = await service.client.post("/ingest", content=json.dumps(unknown).encode(), headers=headers)
    assert is_error(answer, 422)
    assert len(answer.content) < 10_000


async def test_an_unknown_collection_and_one_that_is_not_granted_look_alike(service: Service, tenant: Tenant) -> None:
    answers = [
        await service.post("/retrieve", tenant, "analyst", {"query": "q", "collection": slug})
        for slug in ("restricted", "nonesuch!!")  # as long as each other
    ]
    assert all(is_error(answer, 404) for answer in answers)
    bodies = [answer.json() | {"request_id": ""} for answer in answers]
    bodies[1]["detail"] = bodies[1]["detail"].replace("nonesuch!!", "restricted")
    assert bodies[0] == bodies[1]
    written = await service.post("/ingest", tenant, "editor", {**CHUNK, "collection": "nonesuch"})
    assert is_error(written, 404)


async def test_extreme_but_valid_metadata_comes_back_as_it_was(service: Service, tenant: Tenant) -> None:
    metadata = {
        "largest": 2**63 - 1, "smallest": -(2**63), "huge": 1e300, "tiny": 1e-300, "third": 1 / 3, "yes": True, "none": None,
        "deep": nested(7), "text": "💶 \u0001 \u2028 é", "": "empty key", "list": [], "object": {},
    }  # fmt: skip
    stored = await service.post("/ingest", tenant, "editor", {**CHUNK, "doc_id": "extreme", "metadata": metadata})
    assert stored.status_code == 201, stored.text
    found = await service.post("/retrieve", tenant, "analyst", {"query": "wires", "filters": {"largest": 2**63 - 1}})
    assert [context["metadata"] for context in found.json()["contexts"]] == [metadata]


async def test_the_largest_metadata_is_taken(service: Service, tenant: Tenant) -> None:
    largest = {"a": "x" * (UNIT - len('{"a":""}'))}
    body = {**CHUNK, "doc_id": "largest", "metadata": largest}
    assert (await service.post("/ingest", tenant, "editor", body)).status_code == 201


async def test_one_bad_chunk_keeps_the_whole_batch_out(service: Service, tenant: Tenant) -> None:
    chunks = [{**CHUNK, "doc_id": "batch", "chunk_text": f"Batch text {n}."} for n in range(3)]
    bad = [*chunks, {**CHUNK, "doc_id": "batch", "metadata": nested(9)}]
    assert is_error(await service.post("/ingest/batch", tenant, "editor", {"chunks": bad}), 422)
    assert is_error(await service.post("/ingest/batch", tenant, "editor", {"chunks": []}), 422)
    found = await service.post("/retrieve", tenant, "analyst", {"query": "Batch text", "k": 100})
    assert "batch" not in {context["doc_id"] for context in found.json()["contexts"]}
