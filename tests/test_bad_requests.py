"""Types of bodies, forms, parameters, paths, methods and credentials that are wrong are refused in one shape, naming what is."""

import pytest

from tests.service import Service, Tenant
from tests.test_bad_input import CHUNK, UNKNOWN, is_error

pytestmark = pytest.mark.anyio

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
