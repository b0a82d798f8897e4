"""Filters narrow a search: by value, by range, by existence, and never beyond what the caller may read."""

from typing import Any

import pytest

from tests.service import Service, Tenant

pytestmark = pytest.mark.anyio

DOCUMENTS: dict[str, dict[str, Any]] = {
    "us-2023": {
        "jurisdiction": "US",
        "approved": "2023-06-30",
        "limit": 500,
        "products": ["card", "loan"],
        "year": 2023,
    },
    "us-2024": {
        "jurisdiction": "US",
        "approved": "2024-02-01T09:00:00Z",
        "limit": 1500.5,
        "superseded_by": None,
        "year": "2024",
    },
    "ca-2024": {"jurisdiction": "CA", "approved": "2024-02-02", "limit": "none", "products": ["card"]},
    "gb-none": {"jurisdiction": "GB", "approved": "last year", "products": "card"},
}


@pytest.fixture(scope="module")
async def filled(service: Service, tenant: Tenant) -> Tenant:
    chunks = [
        {
            "doc_id": doc_id, "chunk_text": f"Card disputes are filed within {n + 30} days.", "metadata": metadata,
            "source_type": "policy" if n < 2 else "memo", "collection": "restricted" if doc_id == "gb-none" else "default",
        }
        for n, (doc_id, metadata) in enumerate(DOCUMENTS.items())
    ]  # fmt: skip
    assert (await service.post("/ingest/batch", tenant, "editor", {"chunks": chunks})).status_code == 201
    return tenant


async def found(service: Service, tenant: Tenant, user: str = "approver", **narrowed: Any) -> set[str]:
    answer = await service.post("/retrieve", tenant, user, {"query": "filing card disputes", "k": 50, **narrowed})
    assert answer.status_code == 200, answer.text
    return {context["doc_id"] for context in answer.json()["contexts"]}


CASES: dict[str, tuple[dict[str, Any], set[str]]] = {
    "a value": ({"jurisdiction": "US"}, {"us-2023", "us-2024"}),
    "one of several values": ({"jurisdiction": ["CA", "GB"]}, {"ca-2024", "gb-none"}),
    "an item of a metadata list, or the value itself": ({"products": "card"}, {"us-2023", "ca-2024", "gb-none"}),
    "all filters at once": ({"jurisdiction": "US", "products": "card"}, {"us-2023"}),
    "a number of another spelling": ({"limit": 1500.50}, {"us-2024"}),
    "a number that is text in the metadata, and the reverse": ({"year": ["2023", 2024]}, {"us-2023", "us-2024"}),
    "a number with a leading zero, which is a name": ({"year": "02023"}, set()),
    "null, which is not absence": ({"superseded_by": None}, {"us-2024"}),
    "numbers from a bound": ({"limit": {"gte": 500}}, {"us-2023", "us-2024"}),
    "numbers above a bound": ({"limit": {"gt": 500, "lt": 2000}}, {"us-2024"}),
    "dates from a day, whatever their spelling": ({"approved": {"gte": "2024-01-01"}}, {"us-2024", "ca-2024"}),
    "dates before a moment": ({"approved": {"lt": "2024-02-01T09:00:01Z"}}, {"us-2023", "us-2024"}),
    "dates within a zone": ({"approved": {"lte": "2024-02-01T10:00:00+01:00"}}, {"us-2023", "us-2024"}),
    "existence": ({"limit": {"exists": True}}, {"us-2023", "us-2024", "ca-2024"}),
    "absence": ({"limit": {"exists": False}}, {"gb-none"}),
    "one of several under conditions": ({"limit": {"in": [500, "none"], "exists": True}}, {"us-2023", "ca-2024"}),
    "not a value, nor absent": ({"jurisdiction": {"ne": "US"}}, {"ca-2024", "gb-none"}),
    "not a value, or absent": ({"limit": {"ne": 500}}, {"us-2024", "ca-2024", "gb-none"}),
    "not null": ({"superseded_by": {"ne": None}}, {"us-2023", "ca-2024", "gb-none"}),
    "none of several, in a list or alone": ({"products": {"nin": ["card", "lease"]}}, {"us-2024"}),
    "none of several, and there": ({"limit": {"nin": [500], "exists": True}}, {"us-2024", "ca-2024"}),
    "one of two conditions": ({"or": [{"jurisdiction": "CA"}, {"limit": {"lt": 1000}}]}, {"ca-2024", "us-2023"}),
    "one of two, and another": (
        {"products": "card", "or": [{"jurisdiction": "GB"}, {"jurisdiction": "US", "limit": 500}]}, {"gb-none", "us-2023"},
    ),
    "a key that nobody has": ({"no such key": 1}, set()),
    "SQL as a key": ({"x') is null or true --": {"exists": True}}, set()),
}  # fmt: skip


@pytest.mark.parametrize(("filters", "expected"), CASES.values(), ids=CASES.keys())
async def test_a_metadata_filter_selects(
    service: Service, filled: Tenant, filters: dict[str, Any], expected: set[str]
) -> None:
    assert await found(service, filled, filters=filters) == expected


async def test_source_types_collections_and_languages_narrow_as_one_or_several(
    service: Service, filled: Tenant
) -> None:
    assert await found(service, filled, source_type="policy") == {"us-2023", "us-2024"}
    assert await found(service, filled, source_type=["memo", "policy"]) == set(DOCUMENTS)
    assert await found(service, filled, collection=["restricted"]) == {"gb-none"}
    assert await found(service, filled, collection=["restricted", "default"]) == set(DOCUMENTS)
    assert await found(service, filled, language="english") == set(DOCUMENTS)
    assert await found(service, filled, language=["german"]) == set()


async def test_the_date_of_coming_into_force_narrows(service: Service, filled: Tenant) -> None:
    assert await found(service, filled, effective_from={"gte": "2020-01-01", "lt": "2999-01-01"}) == set(DOCUMENTS)
    assert await found(service, filled, effective_from={"lt": "2020-01-01"}) == set()


@pytest.mark.parametrize(
    "narrowed",
    [
        {"filters": {"a": {}}},
        {"filters": {"a": {"near": 1}}},
        {"filters": {"a": {"gt": "soon"}}},
        {"filters": {"a": {"gt": True}}},
        {"filters": {"a": {"gt": 1, "lt": "2024-01-01"}}},
        {"filters": {"a": []}},
        {"filters": {"a": [["nested"]]}},
        {"filters": {"a": [{"b": 1}]}},
        {"filters": {"or": ["b", "c"]}},
        {"filters": {"a": {"gt": "0001-01-01"}}},
        {"effective_from": {"gt": 5}},
        {"collection": []},
        {"source_type": ["policy", ""]},
    ],
)
async def test_a_filter_that_makes_no_sense_is_refused(service: Service, filled: Tenant, narrowed: Any) -> None:
    answer = await service.post("/retrieve", filled, "analyst", {"query": "q", **narrowed})
    assert answer.status_code == 422, answer.text


async def test_no_filter_reaches_a_collection_that_the_caller_may_not_read(service: Service, filled: Tenant) -> None:
    for filters in ({"jurisdiction": "GB"}, {"limit": {"exists": False}}, {"products": ["card"]}):
        assert "gb-none" in await found(service, filled, filters=filters)
        assert "gb-none" not in await found(service, filled, "analyst", filters=filters)
    refused = await service.post(
        "/retrieve", filled, "analyst", {"query": "q", "collection": ["default", "restricted"]}
    )
    assert refused.status_code == 404
    unknown = await service.post("/retrieve", filled, "analyst", {"query": "q", "collection": ["default", "no-such"]})
    assert unknown.json()["detail"].replace("no-such", "") == refused.json()["detail"].replace("restricted", "")


async def test_there_are_k_results_whenever_k_permitted_chunks_pass(service: Service, filled: Tenant) -> None:
    for k in (1, 2, 3):
        answer = await service.post(
            "/retrieve", filled, "analyst", {"query": "zebra", "k": k, "filters": {"jurisdiction": {"exists": True}}}
        )
        assert len(answer.json()["contexts"]) == k
