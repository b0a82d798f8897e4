"""Documents in the console: uploaded, followed, opened at the cited words on the page as printed, compared, retired, deleted."""

import re
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path

import httpx
import matplotlib as mpl
import pytest
from matplotlib.figure import Figure
from PIL import Image

from backend.documents.parsing.errors import CorruptFile
from backend.documents.parsing.limits import ParseLimits
from backend.documents.parsing.sandbox import draw_page
from tests.console.visits import form_token, send, visiting
from tests.factories import ingest, work
from tests.service import Service, Tenant

pytestmark = pytest.mark.anyio

UPLOAD = "/console/documents/upload"
RULE = "A safe deposit box costs 90 dollars a year."
MARKER = (255, 226, 130)


def pdf(*lines: str) -> bytes:
    """A page with these lines."""
    figure, stored = Figure(figsize=(8.5, 11)), BytesIO()
    with mpl.rc_context({"pdf.fonttype": 42}):
        for number, line in enumerate(lines):
            figure.text(0.1, 0.9 - 0.05 * number, line, size=12)
        figure.savefig(stored, format="pdf")
    return stored.getvalue()


async def upload(client: httpx.AsyncClient, name: str, content: bytes, **fields: str) -> httpx.Response:
    token = form_token(await client.get(UPLOAD))
    parts = [("form_token", (None, token)), ("file", (name, content, "application/octet-stream"))]
    parts += [(key, (None, value)) for key, value in fields.items()]
    return await client.post(UPLOAD, files=parts)


@pytest.fixture(scope="module")
async def place(service: Service, tenant: Tenant) -> str:
    """The page of a version that was made of a PDF in the console."""
    async with visiting(service, tenant, "editor") as client:
        sent = await upload(client, "boxes.pdf", pdf("Boxes", RULE, "Keys are kept by two people."), owner="branches")
        assert sent.status_code == 303, sent.text
        following = sent.headers["location"]
        assert "The file is being read" in (await client.get(following)).text
        await work(service)
        done = await client.get(following, headers={"Accept": "application/json"})
        assert (done.json()["status"], done.json()["problem"]) == ("succeeded", None)
        found: str = done.json()["place"]
        return found


async def test_an_upload_is_followed_to_its_version_and_listed_with_its_owner(
    service: Service, tenant: Tenant, place: str
) -> None:
    async with visiting(service, tenant, "analyst") as client:
        assert RULE in (await client.get(place)).text
        listed = (await client.get("/console/documents", params={"q": "boxes"})).text
    assert "branches" in listed
    assert (await service.events(tenant, action="document:uploaded", limit=1))[0]["event"]["door"]["kind"] == "console"


async def test_a_citation_opens_the_page_as_printed_with_the_words_marked(
    service: Service, tenant: Tenant, place: str
) -> None:
    async with visiting(service, tenant, "analyst") as client:
        found = await client.get("/console/search", params={"q": "safe deposit box"})
        link = re.search(r'href="(/console/documents/[^"]+#cited)"', found.text)
        assert link is not None
        source = await client.get(link[1])
        image = re.search(r'src="(/console/documents/[^"]+/picture[^"]*)"', source.text)
        assert image is not None, source.text
        drawn = await client.get(image[1].replace("&amp;", "&"))
        plain = await client.get(image[1].split("?")[0])
        assert (await client.get(f"{image[1].split('/picture')[0]}")).status_code == 200
    assert drawn.headers["content-type"] == "image/png"
    assert _marked(drawn.content) > 1_000
    assert _marked(plain.content) == 0
    read = (await service.events(tenant, action="document:read", document="boxes.pdf", limit=1))[0]
    assert read["event"]["read"]["version"] == 1


def _marked(png: bytes) -> int:
    """How many pixels have about the marker's colour: a picture has few colours of its own."""
    pixels = Image.open(BytesIO(png)).convert("RGB").tobytes()
    near = zip(pixels[::3], pixels[1::3], pixels[2::3], strict=True)
    return sum(abs(r - MARKER[0]) + abs(g - MARKER[1]) + abs(b - MARKER[2]) < 30 for r, g, b in near)


async def test_a_picture_is_for_who_may_read_the_document(
    service: Service, other_tenant: Tenant, tenant: Tenant, place: str
) -> None:
    address = f"{place.removeprefix('/console')}/pages/1/picture"
    assert (await service.get(address, tenant, "analyst")).headers["content-type"] == "image/png"
    assert (await service.get(address, other_tenant, "analyst")).status_code == 404
    assert (
        await service.get(f"{place.removeprefix('/console')}/pages/2/picture", tenant, "analyst")
    ).status_code == 404


async def test_what_is_no_pdf_makes_no_picture_and_does_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "file"
    for content in (b"%PDF-1.7\n" + b"\0" * 5_000, b"<html>", pdf("One page")[:-700]):
        path.write_bytes(content)
        try:
            drawn = await draw_page(path, 1, "words", ParseLimits())
        except CorruptFile:
            continue
        assert drawn.startswith(b"\x89PNG")  # pdfium mends what it can


async def test_a_file_that_cannot_be_taken_is_named_with_its_reason(service: Service, tenant: Tenant) -> None:
    async with visiting(service, tenant, "editor") as client:
        refused = await upload(client, "program.exe", b"MZ")
        assert refused.status_code == 415
        assert 'role="alert"' in refused.text
        broken = await upload(client, "broken.pdf", b"%PDF-1.7 nothing")
        await work(service)
        told = await client.get(broken.headers["location"])
        assert "The file became no version" in told.text
        other = await client.post(UPLOAD, files=[("file", ("a.txt", b"A text.", "text/plain"))])
        assert other.status_code == 403  # without the form's token
    async with visiting(service, tenant, "analyst") as client:
        assert (await client.get(UPLOAD)).status_code == 403


async def test_two_versions_are_compared_word_by_word(service: Service, tenant: Tenant) -> None:
    for amount in ("20 dollars", "25 dollars"):
        version = {
            "doc_id": "copies",
            "source_type": "policy",
            "chunks": [{"text": f"A copy of a cheque costs {amount}."}],
        }
        submitted = await service.post("/documents/versions", tenant, "editor", version)
        assert submitted.status_code == 201, submitted.text
    document = submitted.json()["document_id"]
    async with visiting(service, tenant, "analyst") as client:
        shown = await client.get(f"/console/documents/{document}/compare", params={"before": 1, "after": 2})
        line = await client.get(f"/console/documents/{document}")
    assert "<del>20</del>" in shown.text
    assert "<ins>25</ins>" in shown.text
    assert line.text.count("<rect ") == 2  # one bar for each version on the time line


async def test_a_version_that_ends_soon_is_found_and_retiring_it_is_on_record(service: Service, tenant: Tenant) -> None:
    version = {"doc_id": "offer", "source_type": "policy", "chunks": [{"text": "The offer lasts."}]}
    document = (await service.post("/documents/versions", tenant, "editor", version)).json()["document_id"]
    page = f"/console/documents/{document}/versions/1"
    async with visiting(service, tenant, "approver") as client:
        retired = await send(client, page, f"{page}/retire", reason="Withdrawn by the regulator.")
        assert retired.status_code == 303, retired.text
        assert "The version is retired." in (await client.get(retired.headers["location"])).text
        short = {"form_token": form_token(await client.get("/console/documents")), "reason": "no"}
        assert (await client.post(f"{page}/retire", data=short)).status_code == 422
    assert (await service.events(tenant, action="document:retired", limit=1))[0]["event"]["version"][
        "doc_id"
    ] == "offer"


async def test_documents_that_end_within_a_month_are_listed_by_themselves(service: Service, tenant: Tenant) -> None:
    for name, days in (("ends-soon", 10), ("ends-late", 100)):
        ends = (datetime.now(UTC) + timedelta(days=days)).isoformat()
        version = {"doc_id": name, "source_type": "policy", "chunks": [{"text": f"{name} text."}], "effective_to": ends}
        assert (await service.post("/documents/versions", tenant, "editor", version)).status_code == 201
    async with visiting(service, tenant, "analyst") as client:
        listed = (await client.get("/console/documents", params={"ending": "1"})).text
    assert "ends-soon" in listed
    assert "ends-late" not in listed


async def test_a_document_is_deleted_for_a_reason_by_who_may(service: Service, tenant: Tenant) -> None:
    await ingest(service, tenant, "mistake", "Uploaded by mistake.")
    found = (await service.get("/documents", tenant, "editor", doc_id="mistake")).json()["documents"][0]["id"]
    async with visiting(service, tenant, "privacy") as client:
        token = form_token(await client.get("/console/review/erasures"))
        without = await client.post(f"/console/documents/{found}/delete", data={"form_token": token, "reason": ""})
        assert without.status_code == 422
        form = {"form_token": token, "reason": "Uploaded by mistake"}
        assert (await client.post(f"/console/documents/{found}/delete", data=form)).status_code == 303
    assert (await service.get("/documents", tenant, "editor", doc_id="mistake")).json()["documents"] == []
