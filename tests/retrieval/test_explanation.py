"""Reviewers see why chunks rank where they do; anyone may ask why a document was not found, and all of it is on record."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from backend.retrieval.models import RetrievalRequest
from backend.retrieval.stages import Coverage, Partition, Question, Ranking, SearchPlan, ValidityFilter
from backend.retrieval.weights import UNRECORDED
from backend.retrieval.why import RankedDocument, _standing
from tests.factories import create_collection, ingest
from tests.retrieval.hits import DISCRETION, hit
from tests.service import Service, Tenant

pytestmark = pytest.mark.anyio

QUERY = "late payment fee"
ASKED, OTHER = UUID(int=1), UUID(int=2)
TEXTS = {
    "fees": "A late payment fee of $29.00 is charged after the due date.",
    "wires": "Wire transfers leave before 5 pm.",
    "passports": "An account needs a passport.",
}


@pytest.fixture(scope="module")
async def filled(service: Service, tenant: Tenant) -> Tenant:
    chunks = [{"doc_id": doc_id, "chunk_text": text, "source_type": "policy"} for doc_id, text in TEXTS.items()]
    chunks.append({"doc_id": "secret", "chunk_text": "The late payment fee is waived for staff.", "source_type": "policy",
                   "collection": "restricted"})  # fmt: skip
    assert (await service.post("/ingest/batch", tenant, "editor", {"chunks": chunks})).status_code == 201
    return tenant


async def why(service: Service, tenant: Tenant, user: str, doc_id: str, **asked: Any) -> list[dict[str, Any]]:
    answer = await service.post("/retrieve/why", tenant, user, {"query": QUERY, "doc_id": doc_id, **asked})
    assert answer.status_code == 200, answer.text
    documents: list[dict[str, Any]] = answer.json()["documents"]
    return documents


async def test_an_explanation_names_scores_ranks_terms_tier_and_plan(service: Service, filled: Tenant) -> None:
    body = {"query": QUERY, "collection": "default", "explain": True}
    answer = (await service.post("/retrieve", filled, "approver", body)).json()
    first = answer["contexts"][0]
    explanation = first["explanation"]
    assert first["doc_id"] == "fees"
    assert first["score"] == pytest.approx(
        explanation["cosine"] + service.services.retrieval.weights.lexical * explanation["bm25"]
    )
    assert (explanation["semantic_rank"], explanation["lexical_rank"]) == (1, 1)
    assert {term["term"] for term in explanation["matched_terms"]} == {"late", "payment", "fee"}
    assert all(term["idf"] > 0 for term in explanation["matched_terms"])
    assert (explanation["tier"], explanation["plan"]) == ("shared", "exact")
    assert answer["contexts"][1]["explanation"]["matched_terms"] == []
    (event,) = [e for e in await service.events(filled) if e["id"] == answer["audit_event_id"]]
    assert event["event"]["retrieval"]["explained"] is True


async def test_an_explanation_needs_the_permission_to_review(service: Service, filled: Tenant) -> None:
    refused = await service.post("/retrieve", filled, "analyst", {"query": QUERY, "explain": True})
    assert refused.status_code == 403
    assert (await service.events(filled))[0]["action"] == "access:denied"
    plain = await service.post("/retrieve", filled, "analyst", {"query": QUERY})
    assert plain.json()["contexts"][0]["explanation"] is None


async def test_a_document_is_returned_or_outranked_with_its_rank(service: Service, filled: Tenant) -> None:
    (best,) = await why(service, filled, "analyst", "fees")
    assert (best["reason"], best["rank"], best["collection"]) == ("returned", 1, "default")
    (second,) = await why(service, filled, "analyst", "wires", k=1)
    assert second["reason"] == "outranked"
    assert second["rank"] > 1


@pytest.mark.parametrize(
    ("ranked", "compared", "standing"),
    [
        ([OTHER, ASKED], (2, False), ("returned", 2)),
        ([OTHER, OTHER, ASKED], (1, False), ("outranked", 3)),
        ([OTHER, OTHER, OTHER], (9, False), ("outranked", 9)),
        ([OTHER, OTHER, OTHER], (2, True), ("duplicate", None)),
        ([OTHER, OTHER, OTHER], (2, False), ("missed", 2)),
        ([OTHER, OTHER, OTHER], (None, False), ("no_match", None)),
    ],
)
def test_where_a_document_stands_is_told_from_what_is_returned(
    ranked: list[UUID], compared: tuple[int | None, bool], standing: tuple[str, int | None]
) -> None:
    candidates = [hit(uuid4(), document) for document in ranked]
    coverage = Coverage({}, set(), 0, Partition.SHARED, frozenset(), 0, {}, {})
    ranking = Ranking(candidates[:2], candidates, SearchPlan.EXACT, coverage)
    request = RetrievalRequest(query=QUERY, k=2, distinct=True)
    question = Question(request, None, "model", 1, ValidityFilter.IN_FORCE, UNRECORDED, DISCRETION)
    rank, repeats = compared
    assert _standing(question, ranking, RankedDocument(ASKED, passes=True, repeats=repeats, rank=rank)) == standing


async def test_a_document_is_missed_for_what_the_request_asks(service: Service, filled: Tenant) -> None:
    assert (await why(service, filled, "analyst", "wires", mode="lexical"))[0]["reason"] == "no_match"
    assert (await why(service, filled, "analyst", "fees", source_type="memo"))[0]["reason"] == "filtered"
    assert (await why(service, filled, "analyst", "fees", filters={"a": 1}))[0]["reason"] == "filtered"
    assert (await why(service, filled, "approver", "fees", collection="restricted"))[0]["reason"] == "filtered"
    before = (datetime.now(UTC) - timedelta(days=400)).isoformat()
    assert (await why(service, filled, "analyst", "fees", as_of=before))[0]["reason"] == "not_in_force"


async def test_an_unapproved_document_is_said_to_be_so(service: Service, filled: Tenant) -> None:
    await create_collection(service, filled, "reviewed")
    await ingest(service, filled, "draft", "A late payment fee may rise.", collection="reviewed")
    assert (await why(service, filled, "editor", "draft"))[0]["reason"] == "not_approved"
    hidden = await service.post("/retrieve/why", filled, "analyst", {"query": QUERY, "doc_id": "draft"})
    assert hidden.status_code == 404


async def test_of_what_the_caller_may_not_see_nothing_is_said(service: Service, filled: Tenant) -> None:
    hidden, absent = [
        await service.post("/retrieve/why", filled, "analyst", {"query": QUERY, "doc_id": doc_id})
        for doc_id in ("secret", "absent")
    ]
    assert hidden.status_code == absent.status_code == 404
    assert hidden.json()["detail"].replace("secret", "absent") == absent.json()["detail"]


async def test_an_administrator_asks_about_another_principal(service: Service, filled: Tenant) -> None:
    async with service.operator() as acting:
        await acting.grant(filled.id, "restricted", "read", principal_id=filled.users["admin"])
    assert (await why(service, filled, "admin", "secret", principal="analyst"))[0]["reason"] == "not_granted"
    assert (await why(service, filled, "admin", "secret", principal="approver"))[0]["reason"] == "returned"
    assert (await why(service, filled, "admin", "fees", principal="partner"))[0]["rank"] == 1
    event = (await service.events(filled, action="retrieval:explained"))[0]["event"]
    assert event["principal"]["id"] == str(filled.users["admin"])
    assert event["why"]["reasons"][0]["reason"] == "returned"
    assert "about" in event["why"]


async def test_only_who_manages_users_asks_about_others(service: Service, filled: Tenant) -> None:
    body = {"query": QUERY, "doc_id": "fees", "principal": "analyst"}
    assert (await service.post("/retrieve/why", filled, "approver", body)).status_code == 403
    assert (await service.post("/retrieve/why", filled, "admin", {**body, "principal": "nobody"})).status_code == 404
    assert (
        await service.post("/retrieve/why", filled, "compliance", {"query": QUERY, "doc_id": "fees"})
    ).status_code == 403
