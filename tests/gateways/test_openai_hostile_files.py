"""What no honest client says of files to /v1: it is refused in OpenAI's shape, naming the parameter, and nothing of it is kept."""

import json
from typing import Any

import pytest

from tests.gateways.hostile import default_store, post, told
from tests.service import Service, Tenant

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
async def store(service: Service, tenant: Tenant) -> str:
    return await default_store(service, tenant)


ATTRIBUTES: list[Any] = [
    {"a": "b\0"}, {"a": "\ud800"}, {"\0": "b"}, {"a": float("inf")}, {"a": {}}, {"a": ["b"]}, {str(n): n for n in range(17)}, "a", [],
    {"effective_from": "soon"}, {"doc_id": ""}, {"doc_id": 7.5}, {"source_type": "s" * 65}, {"a" * 70_000: 1}, {"a": "x" * 20_000},
    {"effective_from": "2026-01-02", "effective_to": "2026-01-01"}, {"title": "t\0"}, {"replace": "perhaps"},
]  # fmt: skip


@pytest.mark.parametrize("number", range(len(ATTRIBUTES)))
async def test_bad_attributes_are_named_and_the_file_stays_as_it_was(
    service: Service, tenant: Tenant, store: str, number: int
) -> None:
    form = {"file": ("a.md", b"# A\n\nA text.", "text/markdown")}
    editor = await service.as_user(tenant, "editor")
    uploaded = await service.client.post("/v1/files", files=form, data={"purpose": "user_data"}, headers=editor)
    file = uploaded.json()["id"]
    given = {"file_id": file, "attributes": ATTRIBUTES[number]}
    for path, body in (("files", given), ("file_batches", {"files": [given]})):
        answer = await post(service, tenant, f"/v1/vector_stores/{store}/{path}", json.dumps(body).encode(), "editor")
        assert "attributes" in told(answer, 400)["param"].split("."), (ATTRIBUTES[number], answer.text)
    assert (await service.get(f"/v1/files/{file}", tenant, "editor")).json()["status"] == "uploaded"


def form(*parts: tuple[str, bytes], boundary: bytes = b"b") -> bytes:
    lines = [b"--%s\r\nContent-Disposition: form-data; %s\r\n\r\n%s\r\n" % (boundary, name.encode(), content) for name, content in parts]  # fmt: skip
    return b"".join(lines) + b"--%s--\r\n" % boundary


FILE, PURPOSE = ('name="file"; filename="a.md"', b"# A"), ('name="purpose"', b"assistants")
FORMS = {
    "no file": (form(PURPOSE), 400, "file"), "no purpose": (form(FILE), 400, "purpose"), "two files": (form(FILE, FILE, PURPOSE), 400, "file"),
    "another field": (form(('name="upload"; filename="a.md"', b"# A"), PURPOSE), 400, "file"),
    "an empty file": (form(('name="file"; filename="a.md"', b""), PURPOSE), 400, "file"),
    "purpose is no text": (form(FILE, ('name="purpose"', b"\xff")), 400, "purpose"), "nothing": (b"", 400, None), "half": (form(FILE)[:-9], 400, None),
    "another boundary": (form(FILE, PURPOSE, boundary=b"c"), 400, None), "many parts": (form(FILE, *[PURPOSE] * 40), 400, None),
    "a program": (form(('name="file"; filename="a.exe"', b"MZ"), PURPOSE), 415, None),
}  # fmt: skip


@pytest.mark.parametrize("case", FORMS)
async def test_a_bad_form_is_refused_and_nothing_of_it_is_kept(service: Service, tenant: Tenant, case: str) -> None:
    body, status, parameter = FORMS[case]
    before = (await service.get("/v1/files", tenant, "editor")).json()["data"]
    kind = {"Content-Type": "multipart/form-data; boundary=b"}
    answer = await post(service, tenant, "/v1/files", body, "editor", **kind)
    assert told(answer, status)["param"] == parameter, answer.text
    assert (await service.get("/v1/files", tenant, "editor")).json()["data"] == before


async def test_of_a_path_the_name_alone_is_kept(service: Service, tenant: Tenant) -> None:
    kind = {"Content-Type": "multipart/form-data; boundary=b"}
    for path, name in (
        ("../../etc/rules.md", "rules.md"),
        ("C:\\\\rules.md", "rules.md"),
        ("/rules\u202e.md", "rules.md"),
    ):
        body = form((f'name="file"; filename="{path}"', b"# A"), PURPOSE)
        answer = await post(service, tenant, "/v1/files", body, "editor", **kind)
        assert answer.json().get("filename") == name, answer.text


ODD_IDS = [
    "%00",
    "%F0%9F%92%B6",
    "vs_",
    "vs_" + "0" * 31 + "g",
    "vs_" + "0" * 33,
    "VS_" + "0" * 32,
    "x" * 3_000,
    "%2e%2e%2fadmin",
    "file-1_v0",
    "'",
]
PATHS = [
    "/v1/models/{}", "/v1/responses/{}", "/v1/responses/{}/input_items", "/v1/vector_stores/{}", "/v1/vector_stores/{}/files",
    "/v1/files/{}", "/v1/vector_stores/STORE/files/{}", "/v1/vector_stores/STORE/files/{}/content", "/v1/vector_stores/STORE/file_batches/{}",
]  # fmt: skip


@pytest.mark.parametrize("path", PATHS)
async def test_an_id_that_was_never_given_out_is_not_found(
    service: Service, tenant: Tenant, store: str, path: str
) -> None:
    for odd in ODD_IDS:
        told(await service.get(path.replace("STORE", store).format(odd), tenant, "editor"), 404)


@pytest.mark.parametrize(
    ("parameter", "wrong"),
    [("limit", "0"), ("limit", "101"), ("limit", "many"), ("limit", "9" * 400), ("order", "up"), ("after", "a\0"), ("before", "x" * 101)],
)  # fmt: skip
async def test_a_bad_page_is_named(service: Service, tenant: Tenant, parameter: str, wrong: str) -> None:
    for path in ("/v1/files", "/v1/vector_stores"):
        refused = await service.get(path, tenant, "editor", **{parameter: wrong})
        assert told(refused, 400)["param"] == parameter
