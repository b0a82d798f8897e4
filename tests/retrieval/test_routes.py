"""Retrieval over HTTP: what is found, for whom, narrowed by what."""

from typing import Any

import pytest

from tests.service import Service, Tenant

pytestmark = pytest.mark.anyio

CHUNKS = [
    ("fees", "A domestic wire transfer costs 25 USD.", "policy", {"jurisdiction": "US", "line": "payments", "tier": 1}),
    ("fees-eu", "A SEPA transfer is free of charge.", "policy", {"jurisdiction": "EU", "line": "payments", "tier": 2}),
    ("kyc", "Opening an account needs a passport or a driving licence.", "procedure", {"jurisdiction": "US", "line": "accounts"}),
    ("disputes", "Disputes must be filed within 60 days.", "procedure", {"jurisdiction": "CA", "line": "cards"}),
    ("code", "Return reason code R0429 means a stale authorization.", "reference", {"jurisdiction": "US", "retired": None}),
]  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
async def documents(service: Service, tenant: Tenant) -> None:
    chunks: list[dict[str, Any]] = [
        {"doc_id": doc_id, "chunk_text": text, "source_type": source_type, "metadata": metadata}
        for doc_id, text, source_type, metadata in CHUNKS
    ]
    chunks.append({**chunks[0], "doc_id": "secret-fees", "collection": "restricted"})
    assert (await service.post("/ingest/batch", tenant, "editor", {"chunks": chunks})).status_code == 201


async def retrieved(service: Service, tenant: Tenant, query: str, user: str = "analyst", **changed: Any) -> list[str]:
    answer = await service.post("/retrieve", tenant, user, {"query": query, **changed})
    assert answer.status_code == 200, answer.text
    contexts = answer.json()["contexts"]
    assert [context["rank"] for context in contexts] == list(range(1, len(contexts) + 1))
    scores = [context["score"] for context in contexts]
    assert scores == sorted(scores, reverse=True)
    return [context["doc_id"] for context in contexts]


async def test_the_response_has_the_shape_of_the_contract(service: Service, tenant: Tenant) -> None:
    answer = await service.post("/retrieve", tenant, "analyst", {"query": "wire transfer", "k": 1})
    body = answer.json()
    assert body.keys() == {"query", "contexts", "audit_event_id"}
    (context,) = body["contexts"]
    assert context.keys() >= {
        "doc_id", "chunk_id", "chunk_text", "metadata", "source_type", "collection", "document_version", "score", "rank",
    }  # fmt: skip
    assert (body["query"], context["doc_id"], context["document_version"]) == ("wire transfer", "fees", 1)


@pytest.mark.parametrize("mode", ["hybrid", "semantic", "lexical"])
async def test_every_mode_finds_the_words_of_the_question(service: Service, tenant: Tenant, mode: str) -> None:
    assert (await retrieved(service, tenant, "What does a domestic wire transfer cost?", mode=mode))[0] == "fees"


async def test_meaning_finds_what_shares_no_word_and_words_do_not(service: Service, tenant: Tenant) -> None:
    query = "Which identity papers are required for new customers?"
    assert (await retrieved(service, tenant, query, mode="semantic"))[0] == "kyc"
    assert "kyc" not in await retrieved(service, tenant, query, mode="lexical")


async def test_words_find_the_code_that_has_no_meaning(service: Service, tenant: Tenant) -> None:
    assert await retrieved(service, tenant, "R0429", mode="lexical") == ["code"]
    assert (await retrieved(service, tenant, "R0429"))[0] == "code"


async def test_words_that_nobody_wrote_find_nothing_lexically(service: Service, tenant: Tenant) -> None:
    assert await retrieved(service, tenant, "zyzzyva", mode="lexical") == []


@pytest.mark.parametrize(
    ("narrowed", "expected"),
    [
        ({"source_type": "procedure"}, {"kyc", "disputes"}),
        ({"source_type": "nonesuch"}, set()),
        ({"filters": {"jurisdiction": "US"}}, {"fees", "kyc", "code"}),
        ({"filters": {"jurisdiction": ["US", "EU"]}}, {"fees", "fees-eu", "kyc", "code"}),
        ({"filters": {"jurisdiction": "US", "line": "payments"}}, {"fees"}),
        ({"filters": {"tier": 2}}, {"fees-eu"}),
        ({"filters": {"tier": [1, 2]}}, {"fees", "fees-eu"}),
        ({"filters": {"tier": "2"}}, {"fees-eu"}),  # systems disagree whether a number is one
        ({"filters": {"nonesuch": 1}}, set()),
        ({"filters": {"x') or true --": 1}}, set()),
        ({"filters": {"jurisdiction": "US"}, "source_type": "procedure"}, {"kyc"}),
        ({"collection": "default"}, {"fees", "fees-eu", "kyc", "disputes", "code"}),
    ],
)
async def test_filters_narrow_what_is_found(
    service: Service, tenant: Tenant, narrowed: dict[str, Any], expected: set[str]
) -> None:
    for mode in ("hybrid", "semantic"):
        assert set(await retrieved(service, tenant, "transfer", k=100, mode=mode, **narrowed)) == expected


async def test_k_bounds_the_result_and_is_five_by_default(service: Service, tenant: Tenant) -> None:
    for k in (1, 3, 5):
        assert len(await retrieved(service, tenant, "transfer", k=k)) == k
    assert len(await retrieved(service, tenant, "transfer", "editor", k=100)) == 6
    assert len(await retrieved(service, tenant, "transfer", "editor")) == 5


async def test_what_is_not_granted_is_not_found_by_anyone_else(service: Service, tenant: Tenant) -> None:
    assert "secret-fees" in await retrieved(service, tenant, "wire", "editor", k=100)
    for user in ("analyst", "partner"):
        assert "secret-fees" not in await retrieved(service, tenant, "wire", user, k=100)
        hidden = await service.post("/retrieve", tenant, user, {"query": "wire", "collection": "restricted"})
        assert hidden.status_code == 404


async def test_before_it_was_ingested_nothing_was_in_force(service: Service, tenant: Tenant) -> None:
    assert await retrieved(service, tenant, "wire", as_of="2020-01-01T00:00:00Z") == []
    assert await retrieved(service, tenant, "wire", as_of="2999-01-01T00:00:00Z") != []


@pytest.mark.parametrize("user", ["admin", "compliance"])
async def test_who_may_not_retrieve_is_refused(service: Service, tenant: Tenant, user: str) -> None:
    assert (await service.post("/retrieve", tenant, user, {"query": "wire"})).status_code == 403
