"""What a PDF calls its pages stands beside their numbers wherever a page is named."""

from pathlib import Path
from typing import Any

import orjson
import pytest

from backend.documents.parsing import wire
from backend.documents.parsing.errors import CorruptFile
from backend.documents.parsing.sandbox import parse_file
from tests.console.visits import visiting
from tests.documents.scans import mixed, written
from tests.factories import ingested
from tests.service import Service

pytestmark = pytest.mark.anyio

TEXTS = (
    "This preface says who wrote it.", "A table of contents would stand here.",
    "The dispute window is 60 days from the statement.", "An outgoing domestic wire costs $25.",
    "The appendix lists what a lost zebra card costs: $12.", "Nothing else is in the appendix.",
)  # fmt: skip
LABELS = b"/PageLabels << /Nums [0 << /S /r >> 2 << /S /D >> 4 << /S /D /P (A-) >>] >>"


def labelled(labels: bytes = LABELS) -> bytes:
    return mixed(*[written(*[text] * 8) for text in TEXTS], catalog=labels)  # enough for a chunk of its own


async def labels_of(path: Path) -> dict[int, str]:
    async with parse_file(path, filename=path.name) as file:
        seen: list[dict[int, str]] = [dict(file.labels) async for _ in file]
    assert seen[0] == file.labels, "labels are known before the first block"
    return file.labels


@pytest.mark.parametrize(
    ("catalog", "labels"),
    [
        (LABELS, {1: "i", 2: "ii", 3: "1", 4: "2", 5: "A-1", 6: "A-2"}),
        (b"", {}),
        (b"/PageLabels << /Nums [0 << /S /D >>] >>", {}),  # their numbers, which need no other name
        (b"/PageLabels << /Nums [0 << /P (  Cover\x07  page ) >> 1 << /S /D >>] >>", {1: "Cover page", 2: "1", 3: "2", 4: "3", 5: "4", 6: "5"}),
        (b"/PageLabels << /Nums [0 << /P (%s) >>] >>" % (b"long" * 20), {}),
        (b"/PageLabels << /Nums [0 << /S /D /St 99999999999999999999 >> 3 7 (x)] >>", None),
        (b"/PageLabels 7", {}),
    ],
)  # fmt: skip
async def test_the_labels_of_pages_are_read_where_they_are_not_their_numbers(
    tmp_path: Path, catalog: bytes, labels: dict[int, str] | None
) -> None:
    path = tmp_path / "labelled.pdf"
    path.write_bytes(labelled(catalog))
    found = await labels_of(path)
    assert found == labels or labels is None
    assert all(1 <= page <= 6 and 0 < len(label) <= 32 for page, label in found.items())


@pytest.mark.parametrize(
    "label", [[0, "i"], [1, ""], [1, "x" * 33], [1, 7], ["i", "1"], [1], [1, "\u202e"], [5_001, "i"]]
)
async def test_a_label_that_no_parser_would_write_is_refused(label: list[Any]) -> None:
    line = orjson.dumps({"label": label}) + b"\n"
    if label == [5_001, "i"]:  # by who knows how many pages a file may have
        assert wire.decode(line) == (5_001, "i")
    else:
        with pytest.raises(CorruptFile):
            wire.decode(line)


async def test_a_page_is_named_by_its_label_wherever_it_is_named(service: Service) -> None:
    tenant = await service.create_tenant()
    job = await ingested(service, tenant, "terms.pdf", labelled(), doc_id="terms", media_type="application/pdf")
    assert job["status"] == "succeeded", job
    version = f"/documents/{job['result']['document_id']}/versions/1"
    chunks = (await service.get(version, tenant, "analyst")).json()["chunks"]
    assert {chunk["page_start"]: chunk["page_label"] for chunk in chunks} == {
        1: "i", 2: "ii", 3: "1", 4: "2", 5: "A-1", 6: "A-2",
    }  # fmt: skip

    question = "What does a lost zebra card cost?"
    found = (await service.post("/retrieve", tenant, "analyst", {"query": question})).json()
    first = found["contexts"][0]
    assert (first["page_start"], first["page_label"], first["recognition_confidence"]) == (5, "A-1", None)
    answer = await service.post("/answer", tenant, "analyst", {"question": question})
    citation = answer.json()["citations"][0]
    assert (citation["page_start"], citation["page_label"]) == (5, "A-1")
    page = (await service.get(f"{version}/pages/5", tenant, "analyst")).json()
    assert (page["page"], page["page_label"]) == (5, "A-1")

    chat = {"model": "affidavit", "messages": [{"role": "user", "content": question}]}
    message = (await service.post("/v1/chat/completions", tenant, "analyst", chat)).json()["choices"][0]["message"]
    assert "terms, version 1, page A-1 (5): " in message["content"]
    assert message["annotations"][0]["url_citation"]["page_label"] == "A-1"
    assert message["annotations"][0]["url_citation"]["page"] == 5

    async with visiting(service, tenant, "analyst") as client:
        assert "page A-1 (5)" in (await client.get("/console/search", params={"q": question})).text
        shown = await client.get(f"/console{version}", params={"chunk": citation["chunk_id"]})
        assert ">Page A-1 (5)<" in shown.text
        assert ">Page ii (2)<" in shown.text
        assert "<h1>Page A-1 (5) of 6</h1>" in (await client.get(f"/console{version}/pages/5")).text


async def test_the_record_of_what_was_shown_holds_the_labels_among_the_words_that_can_be_erased(
    service: Service,
) -> None:
    tenant = await service.create_tenant()
    await ingested(service, tenant, "terms.pdf", labelled(), doc_id="terms", media_type="application/pdf")
    answer = await service.post("/answer", tenant, "analyst", {"question": "What does a lost zebra card cost?"})
    request = answer.headers["x-request-id"]
    for action, name in (("retrieval:executed", "contexts"), ("answer:returned", "citations")):
        (event,) = await service.events(tenant, action=action, request_id=request)
        assert "A-1" not in orjson.dumps(event["event"]).decode()
        path = f"/audit/events/{event['id']}"
        told = await service.get(path, tenant, "compliance", reveal=True, reason="Complaint 7")
        shown = [each for each in orjson.loads(told.json()["payloads"][name]) if "zebra" in str(each)]
        assert {each["page_label"] for each in shown} == {"A-1"}


async def test_a_page_that_has_no_label_looks_as_it_always_did(service: Service) -> None:
    tenant = await service.create_tenant()
    job = await ingested(service, tenant, "plain.pdf", labelled(b""), doc_id="plain", media_type="application/pdf")
    version = f"/documents/{job['result']['document_id']}/versions/1"
    chat = {"model": "affidavit", "messages": [{"role": "user", "content": "What does a lost zebra card cost?"}]}
    message = (await service.post("/v1/chat/completions", tenant, "analyst", chat)).json()["choices"][0]["message"]
    assert "plain, version 1, page 5: " in message["content"]
    async with visiting(service, tenant, "analyst") as client:
        assert ">Page 5<" in (await client.get(f"/console{version}")).text


async def test_a_version_that_is_submitted_as_text_can_name_its_pages_too(service: Service) -> None:
    tenant = await service.create_tenant()
    chunk = {"text": "A lost zebra card costs $12.", "page_start": 7, "page_label": "B-3", "recognition_confidence": 91}
    body = {"doc_id": "own", "source_type": "policy", "chunks": [chunk]}
    made = await service.post("/documents/versions", tenant, "editor", body)
    assert made.status_code == 201, made.text
    found = (await service.post("/retrieve", tenant, "analyst", {"query": "zebra card"})).json()["contexts"][0]
    assert {name: found[name] for name in chunk if name != "text"} == {k: v for k, v in chunk.items() if k != "text"}
    for wrong in (
        {"page_label": ""},
        {"page_label": "x" * 33},
        {"recognition_confidence": 101},
        {"recognition_confidence": -1},
    ):
        refused = await service.post("/documents/versions", tenant, "editor", body | {"chunks": [chunk | wrong]})
        assert refused.status_code == 422, wrong
