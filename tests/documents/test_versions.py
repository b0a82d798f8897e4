"""Submitting and reading versions."""

from typing import Any
from uuid import uuid4

import pytest

from tests.factories import approved, create_collection, decide, retrieved, submission, submit, versions
from tests.service import Service, Tenant

pytestmark = pytest.mark.anyio

FEES_2025 = "The monthly maintenance fee for Everyday Checking is $12."
FEES_2026 = "The monthly maintenance fee for Everyday Checking is $10."
QUESTION = "What is the monthly maintenance fee for Everyday Checking?"


@pytest.fixture(scope="module", autouse=True)
async def guidance(service: Service, tenant: Tenant) -> None:
    await create_collection(service, tenant)


async def test_where_no_approval_is_required_a_version_is_in_force_at_once_and_ends_the_one_before(
    service: Service, tenant: Tenant
) -> None:
    first = await submit(service, tenant, "open-fees", FEES_2025, collection="default")
    assert (first["document_version"], first["status"]) == (1, "approved")
    assert await retrieved(service, tenant, QUESTION, collection="default") == [("open-fees", 1)]
    second = await submit(service, tenant, "open-fees", FEES_2026, collection="default")
    assert second["document_version"] == 2
    assert await retrieved(service, tenant, QUESTION, collection="default") == [("open-fees", 2)]
    known = await versions(service, tenant, first, "analyst")
    assert known[1]["status"] == "superseded"
    assert known[1]["effective_to"] == known[2]["effective_from"]


async def test_the_same_content_makes_no_new_version(service: Service, tenant: Tenant) -> None:
    first = await submit(service, tenant, "same", "One.", "Two.", metadata={"jurisdiction": "US"})
    again = await submission(service, tenant, "same", "One.", "Two.", metadata={"jurisdiction": "US"})
    assert again.status_code == 200
    assert again.json() == {**first, "created": False}
    other_metadata = await submission(service, tenant, "same", "One.", "Two.", metadata={"jurisdiction": "CA"})
    assert other_metadata.status_code == 409
    assert (await submit(service, tenant, "same", "Two.", "One."))["document_version"] == 2


async def test_after_a_rejection_the_same_content_can_be_submitted_again(service: Service, tenant: Tenant) -> None:
    first = await submit(service, tenant, "again", "Once more.")
    assert (await decide(service, tenant, first, "reject", reason="The dates are wrong.")).status_code == 200
    assert (await submit(service, tenant, "again", "Once more."))["document_version"] == 2


async def test_a_version_knows_where_each_chunk_stands(service: Service, tenant: Tenant) -> None:
    span = {"page_start": 3, "page_end": 4, "char_start": 10, "char_end": 26, "heading_path": ["Fees", "Wires"]}
    plain = dict.fromkeys(span)
    body = {
        "doc_id": "spans", "collection": "guidance", "source_type": "policy", "title": "Spans", "metadata": {"owner": "ops"},
        "chunks": [{"text": "Wires cost $25.", **span}, {"text": "Checks cost $8."}],
    }  # fmt: skip
    submitted = (await service.post("/documents/versions", tenant, "editor", body)).json()
    path = f"/documents/{submitted['document_id']}/versions/1"
    version = (await service.get(path, tenant, "approver")).json()
    assert version["metadata"] == {"owner": "ops", "title": "Spans"}
    assert [{name: chunk[name] for name in span} for chunk in version["chunks"]] == [span, plain]
    assert [chunk["text"] for chunk in version["chunks"]] == ["Wires cost $25.", "Checks cost $8."]


async def test_what_is_retrieved_or_cited_says_where_it_stands_and_opens_there(
    service: Service, tenant: Tenant
) -> None:
    texts = {
        "page": "A lost zebra card is replaced for $12.", "sheet": "The zebra card costs $3 a month.",
        "text": "Zebra cards are sent by post within 9 days.",
    }  # fmt: skip
    spans: dict[str, dict[str, Any]] = {
        "page": {"page_start": 3, "page_end": 4, "char_start": 10, "char_end": 48, "heading_path": ["Cards", "Zebra"]},
        "sheet": {"sheet": "Fees 2026"},
        "text": {},
    }
    nowhere = dict.fromkeys(("page_start", "page_end", "sheet", "char_start", "char_end", "heading_path"))
    body = {"doc_id": "zebra", "source_type": "policy", "chunks": [{"text": texts[at], **spans[at]} for at in texts]}
    document = (await service.post("/documents/versions", tenant, "editor", body)).json()["document_id"]

    found = (await service.post("/retrieve", tenant, "analyst", {"query": "zebra card", "k": 3})).json()
    answer = await service.post(
        "/answer", tenant, "analyst", {"question": "How much is a lost zebra card replaced for?"}
    )
    assert {cited["quote"] for cited in answer.json()["citations"]} >= {texts["page"]}
    for source in (*found["contexts"], *answer.json()["citations"]):
        text = source.get("chunk_text") or source["quote"]
        at = next(at for at in texts if texts[at] == text)
        version = f"/documents/{document}/versions/1"
        assert {name: source[name] for name in nowhere} == nowhere | spans[at]
        path = f"{version}/pages/3" if at == "page" else version
        if "quote" in source:
            place = f"chunk={source['chunk_id']}&start=0&end={len(text)}#cited"
            assert source["link"].endswith(f"/console{version}?{place}")
        else:
            assert source["link"] == path
        opened = (await service.get(path, tenant, "analyst")).json()
        assert (source["chunk_id"], text) in {(chunk["chunk_id"], chunk["text"]) for chunk in opened["chunks"]}
    pages = [(await service.get(f"{version}/pages/{page}", tenant, "analyst")) for page in (3, 4, 5)]
    assert [(page.status_code, page.json().get("text")) for page in pages] == [
        (200, texts["page"]), (200, texts["page"]), (404, None),
    ]  # fmt: skip
    recorded = (await service.events(tenant, action="retrieval:executed", request_id=answer.headers["x-request-id"]))[0]
    assert {chunk.get("page") for chunk in recorded["event"]["retrieval"]["chunks"]} >= {3}


@pytest.mark.parametrize("span", [{"page_start": 4, "page_end": 3}, {"char_end": 3}])
async def test_a_place_that_ends_before_it_begins_is_refused(
    service: Service, tenant: Tenant, span: dict[str, int]
) -> None:
    body = {"doc_id": "astray", "source_type": "policy", "chunks": [{"text": "Somewhere.", **span}]}
    assert (await service.post("/documents/versions", tenant, "editor", body)).status_code == 422


async def test_metadata_must_meet_the_schema_of_its_collection(service: Service, tenant: Tenant) -> None:
    schema = {"required": ["jurisdiction"], "properties": {"jurisdiction": {"enum": ["US", "CA"]}}}
    await create_collection(service, tenant, "strict", approval_required=False, metadata_schema=schema)
    refused = await submission(service, tenant, "x", "Text.", collection="strict", metadata={"jurisdiction": "FR"})
    assert (refused.status_code, refused.json()["error"]) == (422, "invalid_input")
    assert "metadata.jurisdiction" in refused.json()["detail"]
    chunk = {"doc_id": "x", "chunk_text": "Text.", "source_type": "policy", "collection": "strict"}
    assert (await service.post("/ingest", tenant, "editor", chunk)).status_code == 422
    await submit(service, tenant, "x", "Text.", collection="strict", metadata={"jurisdiction": "US"})


async def test_a_submitted_version_takes_no_more_chunks(service: Service, tenant: Tenant) -> None:
    chunk = {"doc_id": "closed", "chunk_text": "One more.", "source_type": "policy"}
    await submit(service, tenant, "closed", "All there is.", collection="default")
    assert (await service.post("/ingest", tenant, "editor", chunk)).status_code == 409
    await submit(service, tenant, "closed", "All there is.")
    refused = await service.post("/ingest", tenant, "editor", {**chunk, "collection": "guidance"})
    assert refused.status_code == 409


async def test_ingested_chunks_are_a_draft_until_their_author_submits_them(service: Service, tenant: Tenant) -> None:
    chunk = {
        "doc_id": "draft",
        "chunk_text": "Tellers count cash twice.",
        "source_type": "policy",
        "collection": "guidance",
    }
    assert (await service.post("/ingest", tenant, "editor", chunk)).json()["status"] == "draft"
    found = (await service.get("/documents", tenant, "editor", doc_id="draft")).json()["documents"]
    submitted = {"document_id": found[0]["id"], "document_version": 1}
    assert (await decide(service, tenant, submitted)).status_code == 409
    answer = await decide(service, tenant, submitted, "submit", username="editor")
    assert (answer.status_code, answer.json()["status"]) == (200, "in_review")
    assert await retrieved(service, tenant, "How do tellers count cash?", collection="guidance") == []
    assert (await decide(service, tenant, submitted)).status_code == 200
    assert await retrieved(service, tenant, "How do tellers count cash?", collection="guidance") == [("draft", 1)]


async def test_who_neither_writes_nor_reviews_sees_only_versions_that_were_approved(
    service: Service, tenant: Tenant
) -> None:
    first = await approved(service, tenant, "seen", "Seen by all.")
    await submit(service, tenant, "seen", "Not yet seen.")
    path = f"/documents/{first['document_id']}/versions"
    assert list(await versions(service, tenant, first, "analyst")) == [1]
    assert (await service.get(f"{path}/2", tenant, "analyst")).status_code == 404
    assert (await service.get(f"{path}/1", tenant, "analyst")).json()["chunks"][0]["text"] == "Seen by all."
    assert (await service.get(f"{path}/2", tenant, "approver")).json()["chunks"][0]["text"] == "Not yet seen."


async def test_a_superseded_version_can_still_be_read(service: Service, tenant: Tenant) -> None:
    first = await approved(service, tenant, "old", "The old text.")
    await approved(service, tenant, "old", "The new text.")
    version = (await service.get(f"/documents/{first['document_id']}/versions/1", tenant, "analyst")).json()
    assert (version["status"], version["in_force"]) == ("superseded", False)
    assert [chunk["text"] for chunk in version["chunks"]] == ["The old text."]


async def test_another_tenants_document_is_not_found_like_one_that_does_not_exist(
    service: Service, tenant: Tenant, other_tenant: Tenant
) -> None:
    submitted = await submit(service, tenant, "theirs", "Their text.")
    for document_id in (submitted["document_id"], str(uuid4())):
        answers = await _all_routes(service, other_tenant, document_id)
        assert {(answer.status_code, answer.json()["error"]) for answer in answers} == {(404, "not_found")}


async def _all_routes(service: Service, tenant: Tenant, document_id: str) -> list[Any]:
    path = f"/documents/{document_id}"
    reason = {"reason": "Because of the test."}
    return [
        await service.get(path, tenant, "approver"),
        await service.get(f"{path}/versions/1", tenant, "approver"),
        await service.post(f"{path}/versions/1/submit", tenant, "editor", {}),
        await service.post(f"{path}/versions/1/approve", tenant, "approver", {}),
        await service.post(f"{path}/versions/1/reject", tenant, "approver", reason),
        await service.post(f"{path}/versions/1/retire", tenant, "approver", reason),
    ]


async def test_documents_are_listed_page_by_page(service: Service, tenant: Tenant) -> None:
    for number in range(3):
        await submit(service, tenant, f"page-{number}", f"Text {number}.", collection="restricted")
    seen: list[str] = []
    cursor: dict[str, str] = {}
    for _ in range(3):
        page = (await service.get("/documents", tenant, "editor", collection="restricted", limit=1, **cursor)).json()
        seen += [document["doc_id"] for document in page["documents"]]
        cursor = {"cursor": page["next_cursor"]}
    assert seen == ["page-0", "page-1", "page-2"]
    assert page["next_cursor"] is None
    assert (await service.get("/documents", tenant, "analyst", collection="restricted")).json()["documents"] == []
