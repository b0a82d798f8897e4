"""Whatever a client sends, it is refused in one shape, naming the field, and nothing is stored or repeated."""

import json
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import httpx
import pytest

from tests.conftest import Service, Tenant, cloned_database, running, settings_for

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


CONTENT_TYPES = [
    "text/plain",
    "application/xml",
    "multipart/form-data; boundary=x",
    "application/jsonp",
    "json",
    "",
    "text/json",
]


@pytest.mark.parametrize("content_type", CONTENT_TYPES)
async def test_a_body_of_another_type_is_unsupported(service: Service, tenant: Tenant, content_type: str) -> None:
    headers = {**await service.as_user(tenant, "analyst"), "Content-Type": content_type}
    answer = await service.client.post("/retrieve", content=b'{"query": "q"}', headers=headers)
    assert is_error(answer, 415)
    assert answer.json()["error"] == "unsupported_type"


async def test_a_whole_number_may_be_written_with_a_point(service: Service, tenant: Tenant) -> None:
    answer = await service.post("/retrieve", tenant, "analyst", {"query": "q", "k": 5.0, "effective_from": None})
    assert answer.status_code == 200, answer.text


async def test_json_with_parameters_is_json(service: Service, tenant: Tenant) -> None:
    headers = {**await service.as_user(tenant, "analyst"), "Content-Type": "application/json; charset=utf-8"}
    answer = await service.client.post("/retrieve", content=b'{"query": "q"}', headers=headers)
    assert answer.status_code == 200


async def test_signing_in_takes_a_form_and_no_json(service: Service, tenant: Tenant) -> None:
    answer = await service.client.post("/auth/token", json={"username": "analyst", "client_id": tenant.slug})
    assert is_error(answer, 415)


FORMS = {
    "nothing": (b"", 422),
    "half": (b"username=analyst", 422),
    "unknown grant": (b"grant_type=magic", 422),
    "refresh without token": (b"grant_type=refresh_token", 422),
    "NUL in username": (b"username=%00&password=p&client_id=t", 422),
    "NUL in client_id": (b"username=u&password=p&client_id=%00", 422),
    "NUL in password": (b"username=u&password=%00&client_id=t", 401),
    "not UTF-8": (b"username=%ff%fe&password=%ff&client_id=%ff", 401),
    "surrogate as UTF-8": (b"username=%ed%a0%80&password=%ed%a0%80&client_id=%ed%a0%80", 401),
    "raw bytes": (b"username=\xff&password=\xff&client_id=\xff", 401),
    "long username": (b"username=" + b"u" * 129 + b"&password=p&client_id=t", 422),
    "long password": (b"username=u&password=" + b"p" * 1025 + b"&client_id=t", 422),
    "odd refresh token": (b"grant_type=refresh_token&refresh_token=%00", 401),
    "too many fields": (b"&".join(b"a%d=1" % n for n in range(2000)), 422),
}


@pytest.mark.parametrize("case", FORMS)
async def test_a_bad_form_is_refused(service: Service, case: str) -> None:
    form, status = FORMS[case]
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    assert is_error(await service.client.post("/auth/token", content=form, headers=headers), status)


MULTIPART = {
    "a file as password": b'--x\r\nContent-Disposition: form-data; name="password"; filename="p"\r\n\r\np\r\n--x--\r\n',
    "no end": b'--x\r\nContent-Disposition: form-data; name="username"\r\n\r\nu',
    "no multipart": b"\x00\x01",
    "a surrogate": b'--x\r\nContent-Disposition: form-data; name="username"\r\n\r\n\xed\xa0\x80\r\n--x--\r\n',
}


@pytest.mark.parametrize("case", MULTIPART)
async def test_a_bad_multipart_form_is_refused(service: Service, case: str) -> None:
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    assert is_error(await service.client.post("/auth/token", content=MULTIPART[case], headers=headers), 422)


PARAMETERS = [
    ("limit=0", "limit"), ("limit=501", "limit"), ("limit=many", "limit"), ("limit=1e3", "limit"),
    ("limit=99999999999999999999", "limit"),
    ("from=yesterday", "from"), ("from=2026-01-01T00:00:00", "from"), ("to=9999-12-31T23:59:59-23:00", "to"), ("to=1e308", "to"),
    ("action=everything", "action"), ("outcome=%00", "outcome"), ("actor=%00", "actor"), ("document=%00", "document"),
    ("request_id=%00", "request_id"), ("cursor=%00", "cursor"), ("cursor=abc", "cursor"), ("cursor=!!!", "cursor"),
    ("cursor=" + "A" * 65, "cursor"), ("cursor=AAAAAAAAAAAAAAAAAAAAAB", "cursor"), ("page=2", "page"), ("%00=1", "query"),
    ("%ED%A0%80=1", "query"),
]  # fmt: skip


@pytest.mark.parametrize(("query", "field"), PARAMETERS)
async def test_a_bad_parameter_is_refused_naming_it(service: Service, tenant: Tenant, query: str, field: str) -> None:
    headers = await service.as_user(tenant, "compliance")
    answer = await service.client.get(f"/audit/events?{query}", headers=headers)
    assert is_error(answer, 422), answer.text
    assert field in answer.json()["detail"]


@pytest.mark.parametrize(
    "query", ["document=%FF%ED%A0%80", "actor=%FF", "request_id=%F0%9F%92%B6", "document=" + "%F0%9F%92%B6" * 256]
)
async def test_odd_but_valid_parameters_find_nothing(service: Service, tenant: Tenant, query: str) -> None:
    answer = await service.client.get(f"/audit/events?{query}", headers=await service.as_user(tenant, "compliance"))
    assert answer.status_code == 200, answer.text
    assert answer.json()["events"] == []


@pytest.mark.parametrize(
    ("method", "path", "user", "status"),
    [
        ("GET", "/audit/events/not-an-id", "compliance", 422),
        ("GET", "/audit/events/%00", "compliance", 422),
        ("GET", "/audit/events/%ED%A0%80", "compliance", 422),
        ("GET", f"/audit/events/{UNKNOWN}", "compliance", 404),
        ("GET", f"/audit/events/{UNKNOWN}?reveal=true", "compliance", 422),
        ("GET", f"/audit/events/{UNKNOWN}?reveal=true&reason=%00%00%00", "compliance", 422),
        ("GET", f"/audit/events/{UNKNOWN}?reveal=perhaps", "compliance", 422),
        ("GET", "/audit/documents/%00/readers", "compliance", 422),
        ("GET", f"/audit/documents/{'d' * 257}/readers", "compliance", 422),
        ("GET", "/audit/documents/d/readers?cursor=x", "compliance", 422),
        ("DELETE", "/auth/keys/not-an-id", "admin", 422),
        ("DELETE", f"/auth/keys/{UNKNOWN}", "admin", 404),
        ("GET", "/nonesuch", "admin", 404),
        ("GET", "/%00/%ff", "admin", 404),
        ("GET", "/ingest", "admin", 405),
        ("TRACE", "/ingest", "admin", 405),
        ("GET", "/documents/not-an-id", "compliance", 404),
        ("GET", "/documents/versions", "compliance", 405),
        ("GET", "/documents/erasures", "compliance", 405),
        ("DELETE", "/documents/files", "admin", 405),
        ("POST", "/ingest/", "editor", 404),
        ("GET", "/docs/assets/%2e%2e/%2e%2e/settings.py", "admin", 404),
    ],
)
async def test_a_bad_path_is_refused(
    service: Service, tenant: Tenant, method: str, path: str, user: str, status: int
) -> None:
    answer = await service.client.request(method, path, headers=await service.as_user(tenant, user))
    assert is_error(answer, status), answer.text


@pytest.mark.parametrize(
    ("method", "path", "methods"),
    [
        ("PUT", "/documents", "GET, POST"),
        ("PUT", f"/documents/{UNKNOWN}", "DELETE, GET"),
        ("DELETE", "/documents/versions", "POST"),
        ("POST", "/health", "GET"),
        ("POST", "/docs/assets/swagger-ui.css", "GET, HEAD"),
    ],
)
async def test_a_method_that_a_path_does_not_take_is_answered_with_all_that_it_takes(
    service: Service, method: str, path: str, methods: str
) -> None:
    answer = await service.client.request(method, path)
    assert is_error(answer, 405), answer.text
    assert answer.headers["allow"] == methods


async def test_a_document_whose_name_is_a_path_can_be_asked_about(service: Service, tenant: Tenant) -> None:
    doc_id = "policies/2026/fees? #1 100%"
    assert (await service.post("/ingest", tenant, "editor", {**CHUNK, "doc_id": doc_id})).status_code == 201
    found = await service.post("/retrieve", tenant, "analyst", {"query": "wires", "k": 100})
    assert doc_id in {context["doc_id"] for context in found.json()["contexts"]}
    path = "/audit/documents/policies%2F2026%2Ffees%3F%20%231%20100%25/readers"
    readers = await service.get(path, tenant, "compliance")
    assert (readers.json()["doc_id"], len(readers.json()["readers"])) == (doc_id, 1)


@pytest.mark.parametrize(
    "authorization",
    [
        "",
        "Bearer",
        "Bearer ",
        "Basic dTpw",
        "Bearer a.b.c",
        "Bearer \xff\xfe",
        "Bearer " + "x" * 20_000,
        "bearer afd_",
        "Bearer afr_x",
    ],
)
async def test_bad_credentials_are_refused_alike(service: Service, authorization: str) -> None:
    answer = await service.client.get("/auth/me", headers={"Authorization": authorization.encode("latin-1")})
    assert is_error(answer, 401)
    assert answer.json()["detail"] == "Valid credentials are needed."
    assert answer.headers["www-authenticate"] == "Bearer"


async def test_one_bad_chunk_keeps_the_whole_batch_out(service: Service, tenant: Tenant) -> None:
    chunks = [{**CHUNK, "doc_id": "batch", "chunk_text": f"Batch text {n}."} for n in range(3)]
    bad = [*chunks, {**CHUNK, "doc_id": "batch", "metadata": nested(9)}]
    assert is_error(await service.post("/ingest/batch", tenant, "editor", {"chunks": bad}), 422)
    assert is_error(await service.post("/ingest/batch", tenant, "editor", {"chunks": []}), 422)
    found = await service.post("/retrieve", tenant, "analyst", {"query": "Batch text", "k": 100})
    assert "batch" not in {context["doc_id"] for context in found.json()["contexts"]}


@pytest.fixture(scope="module")
async def small(postgres: Any, run_secrets: Any, model_home: Any) -> AsyncIterator[Service]:
    """A service with small limits."""
    limits = {"max_body_bytes": 4096, "max_chunk_chars": 100, "max_batch_chunks": 3}
    async with (
        cloned_database(postgres) as database,
        running(settings_for(database, run_secrets, model_home, **limits), database) as started,
    ):
        yield started


@pytest.fixture(scope="module")
async def small_tenant(small: Service) -> Tenant:
    return await small.create_tenant()


async def test_a_body_that_says_that_it_is_too_large_is_not_read(small: Service) -> None:
    answer = await small.client.post("/ingest", content=b"x" * 4097, headers=JSON)
    assert is_error(answer, 413)
    assert answer.json()["error"] == "too_large"


async def test_a_body_that_turns_out_too_large_is_cut_off(small: Service, small_tenant: Tenant) -> None:
    sent = 0

    async def pieces() -> AsyncIterator[bytes]:
        nonlocal sent
        while True:
            sent += 1
            yield b"x" * 1024

    headers = {**await small.as_user(small_tenant, "editor"), **JSON}
    answer = await small.client.post("/ingest", content=pieces(), headers=headers)
    assert is_error(answer, 413), answer.text
    assert sent < 10


async def test_a_form_that_turns_out_too_large_is_cut_off(small: Service) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        while True:
            yield b"a=" + b"x" * 1024 + b"&"

    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    assert is_error(await small.client.post("/auth/token", content=pieces(), headers=headers), 413)


async def test_a_chunk_that_is_too_long_is_named(small: Service, small_tenant: Tenant) -> None:
    long = {**CHUNK, "chunk_text": "x" * 101}
    assert is_error(await small.post("/ingest", small_tenant, "editor", long), 413)
    batch = await small.post("/ingest/batch", small_tenant, "editor", {"chunks": [CHUNK, long]})
    assert is_error(batch, 413)
    assert "item 1" in batch.json()["detail"]


async def test_a_batch_of_too_many_chunks_is_refused(small: Service, small_tenant: Tenant) -> None:
    answer = await small.post("/ingest/batch", small_tenant, "editor", {"chunks": [CHUNK] * 4})
    assert is_error(answer, 422)
    assert "chunks" in answer.json()["detail"]
