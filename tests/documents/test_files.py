"""Files: uploaded, made versions of by a job, found, and read again."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest

from backend.errors import Unavailable
from tests.documents.test_parsing_office import presentation, word, workbook
from tests.documents.test_parsing_pdf import DrawnPage, lines, pdf
from tests.factories import create_collection, decide, ingested, post_file, retrieved, versions, work
from tests.service import Database, Secrets, Service, Tenant, running, settings_for

pytestmark = pytest.mark.anyio

FEES = (
    b"# Fees\n\nThe monthly maintenance fee for Everyday Checking is $12.\n\n## Wires\n\nAn outgoing wire costs $25.\n"
)
QUESTION = "What is the monthly maintenance fee for Everyday Checking?"


@pytest.fixture(scope="module")
async def service(
    database: Database, run_secrets: Secrets, model_home: Path, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Service]:
    folder = tmp_path_factory.mktemp("store") / "files"
    settings = settings_for(database, run_secrets, model_home, storage_folder=folder)
    async with running(settings, database) as started:
        yield started


def stored(service: Service) -> list[Path]:
    folder = service.services.settings.storage_folder
    return sorted(path for path in folder.rglob("*") if path.is_file())


async def test_an_uploaded_file_becomes_a_version_that_is_found_and_read_again(
    service: Service, tenant: Tenant, other_tenant: Tenant
) -> None:
    uploaded = await post_file(
        service, tenant, "fees.md", FEES, media_type="text/markdown", doc_id="fees", source_type="schedule",
        metadata='{"jurisdiction": "US"}', title="Fee schedule", effective_from="2020-01-01T00:00:00Z",
    )  # fmt: skip
    assert uploaded.status_code == 202, uploaded.text
    body = uploaded.json()
    assert (body["doc_id"], body["collection"], body["accepted"]) == ("fees", "default", True)
    assert await retrieved(service, tenant, QUESTION, collection="default") == []
    await work(service)

    job = (await service.get(f"/jobs/{body['job_id']}", tenant, "editor")).json()
    assert job["status"] == "succeeded", job
    assert (job["result"]["document_version"], job["result"]["created"]) == (1, True)
    found = (await service.post("/retrieve", tenant, "analyst", {"query": QUESTION})).json()["contexts"][0]
    assert (found["doc_id"], found["document_version"]) == ("fees", 1)
    assert found["metadata"] == {"jurisdiction": "US", "title": "Fee schedule"}
    version = await service.get(f"/documents/{body['document_id']}/versions/1", tenant, "analyst")
    assert version.json()["chunks"][0]["heading_path"] == found["heading_path"] == ["Fees"]
    assert (found["char_start"], found["page_start"]) == (0, None)
    assert found["link"] == f"/documents/{body['document_id']}/versions/1"

    path = f"/documents/{body['document_id']}/versions/1/file"
    original = await service.get(path, tenant, "analyst")
    assert original.content == FEES
    assert original.headers["content-disposition"] == "attachment; filename*=UTF-8''fees.md"
    read = (await service.events(tenant, action="document:read"))[0]
    assert (read["principal_name"], read["event"]["read"]["doc_id"]) == ("analyst", "fees")
    assert (await service.get(path, other_tenant, "analyst")).status_code == 404
    assert (await service.get(path, tenant, "partner")).status_code == 403


async def test_a_file_is_stored_under_its_tenant_and_nothing_of_it_can_be_read_there(
    service: Service, tenant: Tenant
) -> None:
    await ingested(service, tenant, "secret.txt", b"The planted marker is xylophone-4711." * 50)
    paths = stored(service)
    assert all(path.parent.name.count("-") == 4 for path in paths)
    assert any(path.parent.name == str(tenant.id) for path in paths)
    assert not any(b"xylophone-4711" in path.read_bytes() for path in paths)


async def test_a_page_opens_where_a_citation_points(service: Service, tenant: Tenant) -> None:
    texts = ("Cover.", "The dispute window is 60 days from the statement.", "The end.")
    terms = pdf([DrawnPage(lines(*[text] * 8)).content() for text in texts])  # enough for a chunk of its own
    job = await ingested(service, tenant, "terms.pdf", terms, doc_id="terms", media_type="application/pdf")
    assert job["status"] == "succeeded", job
    assert job["result"]["pages"] == 3
    document = job["result"]["document_id"]
    chunk = next(
        chunk
        for chunk in (await service.get(f"/documents/{document}/versions/1", tenant, "analyst")).json()["chunks"]
        if "dispute window" in chunk["text"]
    )
    page = await service.get(f"/documents/{document}/versions/1/pages/{chunk['page_end']}", tenant, "analyst")
    assert "dispute window is 60 days" in page.json()["text"]
    assert (page.json()["page"], page.json()["page_count"]) == (2, 3)
    assert (await service.get(f"/documents/{document}/versions/1/pages/4", tenant, "analyst")).status_code == 404


async def test_the_same_bytes_make_no_new_version_and_no_second_job(service: Service, tenant: Tenant) -> None:
    first = (await post_file(service, tenant, "same.txt", b"Always the same.")).json()
    waiting = await post_file(service, tenant, "same.txt", b"Always the same.")
    assert (waiting.status_code, waiting.json()["accepted"], waiting.json()["job_id"]) == (200, False, first["job_id"])
    await work(service)
    again = await post_file(service, tenant, "same.txt", b"Always the same.")
    assert (again.status_code, again.json()["document_version"], again.json()["job_id"]) == (200, 1, None)
    dated = await post_file(service, tenant, "same.txt", b"Always the same.", metadata='{"a": 1}')
    assert dated.status_code == 409
    assert (await ingested(service, tenant, "same.txt", b"Now another."))["result"]["document_version"] == 2
    back = await ingested(service, tenant, "same.txt", b"Always the same.")
    assert back["result"]["document_version"] == 3
    listed = (await service.get("/documents/files", tenant, "editor", doc_id="same.txt")).json()["files"]
    assert [(file["document_version"], file["is_latest"]) for file in listed] == [(3, True), (2, False), (1, False)]


async def test_other_bytes_with_the_same_text_make_no_version_and_are_not_kept(
    service: Service, tenant: Tenant
) -> None:
    await ingested(service, tenant, "text.txt", b"One text.\n")
    before = len(stored(service))
    job = await ingested(service, tenant, "text.txt", b"One text.\n\n\n")
    assert (job["status"], job["result"]["created"], job["result"]["document_version"]) == ("succeeded", False, 1)
    assert len(stored(service)) == before


async def test_two_uploads_of_one_document_at_once_become_two_versions_in_some_order(
    service: Service, tenant: Tenant
) -> None:
    answers = await asyncio.gather(
        *(post_file(service, tenant, "race.txt", f"Text {number}.".encode()) for number in range(2))
    )
    assert [answer.status_code for answer in answers] == [202, 202]
    await asyncio.gather(work(service), work(service))
    known = await versions(service, tenant, answers[0].json(), "editor")
    assert sorted(known) == [1, 2]
    assert [version["in_force"] for _, version in sorted(known.items())] == [False, True]


async def test_where_approval_is_required_a_file_waits_for_it(service: Service, tenant: Tenant) -> None:
    await create_collection(service, tenant)
    job = await ingested(service, tenant, "guide.txt", b"Ask for two proofs of address.", collection="guidance")
    submitted = job["result"]
    assert submitted["status"] == "in_review"
    path = f"/documents/{submitted['document_id']}/versions/1/file"
    assert (await service.get(path, tenant, "analyst")).status_code == 404
    assert (await service.get(path, tenant, "approver")).status_code == 200
    assert (await decide(service, tenant, submitted)).status_code == 200
    assert (await service.get(path, tenant, "analyst")).status_code == 200


@pytest.mark.parametrize(
    ("fields", "status", "named"),
    [
        ({"collection": "nowhere"}, 404, "nowhere"),
        ({"metadata": "{"}, 422, "metadata"),
        ({"metadata": "[]"}, 422, "metadata"),
        ({"effective_from": "soon"}, 422, "effective_from"),
        ({"effective_from": "2026-01-02T00:00:00Z", "effective_to": "2026-01-01T00:00:00Z"}, 422, "effective_to"),
        ({"surprise": "1"}, 422, "surprise"),
        ({"doc_id": "x" * 257}, 422, "doc_id"),
        ({"title": "a\0b"}, 422, "title"),
    ],
)
async def test_a_bad_field_is_named_and_its_file_is_not_kept(
    service: Service, tenant: Tenant, fields: dict[str, str], status: int, named: str
) -> None:
    before = len(stored(service))
    answer = await post_file(service, tenant, "bad.txt", b"Some text.", **fields)
    assert answer.status_code == status, answer.text
    assert named in answer.json()["detail"]
    assert len(stored(service)) == before


async def test_who_may_not_write_uploads_nothing(service: Service, tenant: Tenant) -> None:
    before = len(stored(service))
    assert (await post_file(service, tenant, "no.txt", b"Text.", "analyst")).status_code == 403
    admin = await post_file(service, tenant, "no.txt", b"Text.", "admin")
    assert admin.status_code == 403
    anonymous = await service.client.post("/documents", files={"file": ("no.txt", b"Text.")})
    assert anonymous.status_code == 401
    assert len(stored(service)) == before


async def test_a_damaged_or_missing_original_is_an_error_and_never_half_an_answer(
    service: Service, tenant: Tenant
) -> None:
    job = await ingested(service, tenant, "damage.txt", b"Whole and sound.")
    path = f"/documents/{job['result']['document_id']}/versions/1/file"
    newest = max(stored(service), key=lambda file: file.stat().st_mtime_ns)
    sealed = newest.read_bytes()
    newest.write_bytes(sealed[:-1] + bytes([sealed[-1] ^ 1]))
    assert (await service.get(path, tenant, "editor")).status_code == 503
    newest.unlink()
    assert (await service.get(path, tenant, "editor")).status_code == 503
    newest.write_bytes(sealed)
    assert (await service.get(path, tenant, "editor")).content == b"Whole and sound."


async def test_an_interrupted_upload_leaves_nothing(service: Service, tenant: Tenant) -> None:
    before = len(stored(service))
    head = b'--x\r\nContent-Disposition: form-data; name="file"; filename="cut.txt"\r\n\r\n'

    async def cut() -> AsyncIterator[bytes]:
        yield head + b"a" * 300_000

    headers = {**await service.as_user(tenant, "editor"), "Content-Type": "multipart/form-data; boundary=x"}
    answer = await service.client.post("/documents", content=cut(), headers=headers)
    assert answer.status_code == 422
    assert len(stored(service)) == before
    listed = (await service.get("/documents/files", tenant, "editor", doc_id="cut.txt")).json()["files"]
    assert listed == []


async def test_a_file_store_that_is_away_is_waited_for_by_jobs_and_refuses_uploads(
    service: Service, tenant: Tenant
) -> None:
    uploaded = (await post_file(service, tenant, "away.txt", b"Comes back.")).json()
    folder = service.services.settings.storage_folder
    hidden = folder.with_name("hidden")
    folder.rename(hidden)
    folder.write_text("not a folder")
    try:
        assert (await post_file(service, tenant, "other.txt", b"Not now.")).status_code == 503
        await work(service)
        job = (await service.get(f"/jobs/{uploaded['job_id']}", tenant, "editor")).json()
        assert (job["status"], job["error"]["code"]) == ("queued", Unavailable.code)
    finally:
        folder.unlink()
        hidden.rename(folder)
    superuser = await asyncpg.connect(service.database.superuser_url)
    await superuser.execute("update jobs.job set run_after = now() where id = $1", uploaded["job_id"])
    await superuser.close()
    await work(service)
    assert (await service.get(f"/jobs/{uploaded['job_id']}", tenant, "editor")).json()["status"] == "succeeded"


async def test_a_file_of_every_type_becomes_a_version_that_says_where_its_text_stands(
    service: Service, tenant: Tenant, tmp_path: Path
) -> None:
    files = {
        "rates.xlsx": (workbook(tmp_path / "a.xlsx").read_bytes(), {"sheet": "Rates", "page_start": None}),
        "deck.pptx": (presentation(tmp_path / "a.pptx").read_bytes(), {"sheet": None, "page_start": 1}),
        "policy.docx": (word(tmp_path / "a.docx").read_bytes(), {"heading_path": ["Fees"], "page_start": None}),
        "page.html": (b"<h1>Fees</h1><p>A wire costs 5 euros.</p>", {"heading_path": ["Fees"], "char_start": 0}),
        "table.csv": (b"Product,Fee\nWire,5\n", {"char_start": 0}),
        "mail.eml": (b"From: a@b.example\nSubject: Fees\n\nA wire costs 5 euros.\n", {"char_start": 0}),
    }
    uploaded = {name: (await post_file(service, tenant, name, content)).json() for name, (content, _) in files.items()}
    await work(service)
    for name, (_, place) in files.items():
        job = (await service.get(f"/jobs/{uploaded[name]['job_id']}", tenant, "editor")).json()
        assert job["status"] == "succeeded", (name, job)
        version = await service.get(f"/documents/{uploaded[name]['document_id']}/versions/1", tenant, "analyst")
        assert version.json()["chunks"][0].items() >= place.items(), name


PAGE_OF_TABLE = b"<h1>Fees</h1><p>The fee is <del>$12</del> $15.</p>"


async def test_what_is_not_in_the_text_is_told_by_job_version_and_document(service: Service, tenant: Tenant) -> None:
    job = await ingested(service, tenant, "struck.html", PAGE_OF_TABLE)
    assert job["result"]["warnings"] == [{"kind": "struck_out", "place": "element del"}]
    document = job["result"]["document_id"]
    told = [{"kind": "struck_out", "place": "element del", "detail": "Struck-out text is left out."}]
    shown = (await service.get(f"/documents/{document}/versions/1", tenant, "editor")).json()
    assert shown["warnings"] == told
    shown = (await service.get(f"/documents/{document}", tenant, "editor")).json()
    assert [version["warnings"] for version in shown["versions"]] == [told]


async def test_a_collection_refuses_files_with_the_warnings_that_it_names(service: Service, tenant: Tenant) -> None:
    headers = await service.as_user(tenant, "admin")
    await service.client.patch("/collections/default", json={"refused_warnings": ["struck_out"]}, headers=headers)
    try:
        job = await ingested(service, tenant, "refused.html", PAGE_OF_TABLE)
        assert (job["status"], job["error"]["code"]) == ("failed", "refused_warning")
        assert "struck_out (element del)" in job["error"]["detail"]
        assert (await ingested(service, tenant, "taken.html", b"<p>The fee is $15.</p>"))["status"] == "succeeded"
        refused = {"refused_warnings": ["no_such_kind"]}
        answer = await service.client.patch("/collections/default", json=refused, headers=headers)
        assert answer.status_code == 422
    finally:
        await service.client.patch("/collections/default", json={"refused_warnings": []}, headers=headers)


async def test_a_document_is_called_as_it_calls_itself_unless_its_uploader_names_it(
    service: Service, tenant: Tenant
) -> None:
    titles = {}
    for filename, content, fields in (
        ("own.html", b"<title>Card policy</title><p>Cards.</p>", {}),
        ("heading.md", b"# Wire policy\n\nWires.", {}),
        ("nothing.txt", b"Nothing but text.", {}),
        ("named.html", b"<title>Card policy</title><p>Other cards.</p>", {"title": "Given"}),
    ):
        job = await ingested(service, tenant, filename, content, **fields)
        document = (await service.get(f"/documents/{job['result']['document_id']}", tenant, "editor")).json()
        titles[filename] = document["title"]
    assert titles == {
        "own.html": "Card policy", "heading.md": "Wire policy", "nothing.txt": "nothing", "named.html": "Given"
    }  # fmt: skip
