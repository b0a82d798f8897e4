"""Files that nobody should be able to harm the service with: each a clear error, nothing visible, the worker alive."""

import os
import resource
import zipfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from backend.documents.files import service as files
from backend.identity.callers.principals import resolve_principal
from backend.jobs import service as jobs
from tests.documents.test_parsing_office import tampered, word
from tests.documents.test_parsing_pdf import DrawnPage, lines, pdf
from tests.factories import ingested, post_file, work
from tests.service import Service, Tenant

pytestmark = pytest.mark.anyio

_ENTITIES = b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "bbbbbbbb"><!ENTITY c "&b;&b;&b;&b;">]><a>&c;</a>'


def page(text: str) -> bytes:
    return DrawnPage(lines(text)).content()


def zip_bomb(path: Path) -> bytes:
    with zipfile.ZipFile(word(path), "a", zipfile.ZIP_DEFLATED) as archive, archive.open("word/zeros.xml", "w") as part:
        for _ in range(600):
            part.write(b"\0" * 1024 * 1024)
    return path.read_bytes()


def xml_bomb(path: Path) -> bytes:
    return tampered(word(path), {"word/document.xml": _ENTITIES}).read_bytes()


def macros(path: Path) -> bytes:
    return tampered(word(path), {"word/vbaProject.bin": b"macro"}).read_bytes()


BAD: list[tuple[str, str, Callable[[Path], bytes]]] = [
    ("encrypted_pdf", "encrypted.pdf", lambda _: pdf([page("Secret.")], password="x")),
    ("corrupt_file", "corrupt.pdf", lambda _: b"%PDF-1.7\n" + os.urandom(5_000)),
    ("no_text", "scanned.pdf", lambda _: pdf([b""])),
    ("too_many_pages", "long.pdf", lambda _: pdf([page("A page.")] * 10_000)),
    ("zip_bomb", "bomb.docx", zip_bomb),
    ("xml_bomb", "entities.docx", xml_bomb),
    ("macro_enabled", "macros.docx", macros),
    ("wrong_format", "picture.pdf", lambda _: b"\x89PNG\r\n\x1a\n" + bytes(1_000)),
    ("wrong_format", "text.docx", lambda _: b"Just some text."),
]


@pytest.mark.parametrize(("code", "filename", "make"), BAD, ids=[filename for _, filename, _ in BAD])
async def test_a_bad_file_fails_its_job_with_a_reason_and_leaves_nothing(
    service: Service, tenant: Tenant, tmp_path: Path, code: str, filename: str, make: Callable[[Path], bytes]
) -> None:
    job = await ingested(service, tenant, filename, make(tmp_path / "bad.docx"))
    assert (job["status"], job["error"]["code"]) == ("failed", code), job
    assert job["attempts"] == 1
    assert not job["retryable"]
    listed = (await service.get("/documents/files", tenant, "editor", doc_id=filename)).json()["files"]
    assert listed == []
    assert (await service.get("/documents", tenant, "editor", doc_id=filename)).json()["documents"] == []
    event = (await service.events(tenant, action="document:ingested", document=filename, limit=1))[0]
    assert (event["outcome"], event["event"]["reason"]) == ("failed", code)
    assert event["event"]["document"]["removed"]
    assert (await ingested(service, tenant, f"{filename}.txt", b"The worker is alive."))["status"] == "succeeded"


@pytest.mark.parametrize(
    ("filename", "status"), [("virus.exe", 415), ("archive.zip", 415), ("macros.docm", 415), ("noextension", 202)]
)
async def test_a_type_that_is_not_taken_is_refused_at_once(
    service: Service, tenant: Tenant, filename: str, status: int
) -> None:
    answer = await post_file(service, tenant, filename, b"Whatever.")
    assert answer.status_code == status, answer.text


async def test_an_empty_file_is_refused_at_once(service: Service, tenant: Tenant) -> None:
    answer = await post_file(service, tenant, "empty.txt", b"")
    assert answer.status_code == 422
    assert "empty" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("../../etc/passwd.txt", "passwd.txt"),
        ("C:\\Users\\me\\fees.txt", "fees.txt"),
        ("fe\u202ees\u0007.txt", "fees.txt"),
        ("x" * 300 + ".txt", "x" * 196 + ".txt"),
    ],
)
async def test_a_name_with_a_path_or_control_characters_is_made_plain(
    service: Service, tenant: Tenant, name: str, kept: str
) -> None:
    content = name.encode()
    written = content.replace(b"\\", b"\\\\")
    form = b'--b\r\nContent-Disposition: form-data; name="file"; filename="%s"\r\n\r\n%s\r\n--b--\r\n' % (
        written,
        content,
    )
    headers = {**await service.as_user(tenant, "editor"), "Content-Type": "multipart/form-data; boundary=b"}
    answer = await service.client.post("/documents", content=form, headers=headers)
    assert answer.status_code == 202, answer.text
    assert answer.json()["doc_id"] == kept
    await work(service)
    file = (await service.get("/documents/files", tenant, "editor", doc_id=kept)).json()["files"][0]
    assert file["filename"] == kept
    path = f"/documents/{file['document_id']}/versions/{file['document_version']}/file"
    assert (await service.get(path, tenant, "editor")).content == content


async def test_a_file_beyond_the_limit_is_refused_and_never_in_memory(service: Service, tenant: Tenant) -> None:
    limit = service.services.settings.max_file_bytes
    headers = {**await service.as_user(tenant, "editor"), "Content-Type": "multipart/form-data; boundary=b"}
    declared = {**headers, "Content-Length": str(2 * limit)}
    assert (await service.client.post("/documents", content=b"", headers=declared)).status_code == 413
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    async def endless() -> AsyncIterator[bytes]:
        yield b'--b\r\nContent-Disposition: form-data; name="file"; filename="big.txt"\r\n\r\n'
        while True:
            yield b"a" * 1024 * 1024

    answer = await service.client.post("/documents", content=endless(), headers=headers)
    assert answer.status_code == 413
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    assert grown < limit / 2


@pytest.mark.parametrize(
    ("content_type", "body", "status"),
    [
        ("application/json", b"{}", 415),
        ("multipart/form-data", b"x", 422),
        ("multipart/form-data; boundary=b", b"no form at all", 422),
        ("multipart/form-data; boundary=b", b"--b--\r\n", 422),
        (
            "multipart/form-data; boundary=b",
            b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--b--\r\n',
            422,
        ),
        (
            "multipart/form-data; boundary=b",
            b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n\xff\r\n--b--\r\n',
            422,
        ),
        ("multipart/form-data; boundary=b", b"--b\r\n" + b"A" * 100_000, 422),
        ("multipart/form-data; boundary=" + "b" * 300, b"x", 422),
    ],
)
async def test_a_body_that_is_no_form_with_a_file_is_refused(
    service: Service, tenant: Tenant, content_type: str, body: bytes, status: int
) -> None:
    headers = {**await service.as_user(tenant, "editor"), "Content-Type": content_type}
    answer = await service.client.post("/documents", content=body, headers=headers)
    assert answer.status_code == status, answer.text


@pytest.mark.parametrize(
    "parameters", [{}, {"file": 1}, {"file": "no id"}, {"file": "0193f0c0-0000-7000-8000-000000000000"}]
)
async def test_a_job_that_the_service_did_not_write_fails_and_the_worker_goes_on(
    service: Service, tenant: Tenant, parameters: dict[str, object]
) -> None:
    tenancy = service.services.tenancy
    caller = await resolve_principal(tenancy, tenant.id, tenant.users["editor"], "a-request")
    async with tenancy.transaction(caller.claims()) as connection:
        job_id = await jobs.enqueue(connection, caller, files.INGEST, parameters)
    await work(service)
    job = (await service.get(f"/jobs/{job_id}", tenant, "editor")).json()
    assert (job["status"], job["error"]["code"]) == ("failed", "file_gone")
