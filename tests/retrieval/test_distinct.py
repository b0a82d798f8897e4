"""Of identical texts only the best is returned when that is asked for, and the list is filled up with others."""

from typing import Any

import pytest

from tests.service import Service, Tenant

pytestmark = pytest.mark.anyio

QUERY = "When is the late fee waived for members of the armed forces?"
SAME = "The late fee is waived for deployed members of the armed forces."
OTHERS = {
    "hardship": "The late fee is waived in hardship.",
    "wires": "Wires leave at five.",
    "boxes": "Boxes have keys.",
}


@pytest.fixture(scope="module")
async def filled(service: Service, tenant: Tenant) -> Tenant:
    chunks = [{"doc_id": f"same-{number}", "chunk_text": SAME, "source_type": "policy"} for number in range(4)]
    chunks += [{"doc_id": doc_id, "chunk_text": text, "source_type": "policy"} for doc_id, text in OTHERS.items()]
    hidden = {"doc_id": "hidden", "chunk_text": OTHERS["hardship"], "source_type": "policy", "collection": "restricted"}
    answer = await service.post("/ingest/batch", tenant, "editor", {"chunks": [*chunks, hidden]})
    assert answer.status_code == 201, answer.text
    return tenant


async def found(service: Service, tenant: Tenant, user: str = "analyst", **asked: Any) -> dict[str, Any]:
    answer = await service.post("/retrieve", tenant, user, {"query": QUERY, "distinct": True, **asked})
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def doc_ids(body: dict[str, Any]) -> list[str]:
    return [context["doc_id"] for context in body["contexts"]]


async def test_identical_texts_are_all_returned_unless_distinct_ones_are_asked_for(
    service: Service, filled: Tenant
) -> None:
    assert {doc_id.partition("-")[0] for doc_id in doc_ids(await found(service, filled, k=4, distinct=False))} == {
        "same"
    }


@pytest.mark.parametrize("mode", ["hybrid", "semantic"])
async def test_of_identical_texts_one_is_returned_and_the_rest_is_filled_up(
    service: Service, filled: Tenant, mode: str
) -> None:
    for k in (1, 2, 4, 100):
        body = await found(service, filled, k=k, mode=mode)
        texts = [context["chunk_text"] for context in body["contexts"]]
        assert len(texts) == len(set(texts)) == min(k, 4)
        assert texts[0] == SAME


async def test_a_text_that_the_caller_may_not_read_takes_no_place(service: Service, filled: Tenant) -> None:
    assert "hardship" in doc_ids(await found(service, filled, k=4))
    assert {"hardship", "hidden"} & set(doc_ids(await found(service, filled, user="approver", k=4)))


async def test_why_names_a_duplicate_and_the_record_is_replayed_alike(service: Service, filled: Tenant) -> None:
    body = await found(service, filled, k=3)
    shown = next(doc_id for doc_id in doc_ids(body) if doc_id.startswith("same"))
    reasons = {}
    for doc_id in ("same-0", "same-1", "same-2", "same-3", "hardship"):
        asked = {"query": QUERY, "distinct": True, "k": 3, "doc_id": doc_id}
        (document,) = (await service.post("/retrieve/why", filled, "analyst", asked)).json()["documents"]
        reasons[doc_id] = document["reason"]
    assert reasons == {f"same-{n}": "duplicate" for n in range(4)} | {shown: "returned", "hardship": "returned"}
    event = (await service.get(f"/audit/events/{body['audit_event_id']}", filled, "compliance")).json()["event"]
    assert event["retrieval"]["distinct"] is True
    path = f"/audit/events/{body['audit_event_id']}/replay"
    replay = await service.post(path, filled, "compliance", {"reason": "Complaint 118"})
    assert replay.json()["outcome"] == "equal"
