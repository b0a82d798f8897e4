"""With diversity, what repeats the chunks before it stands behind what is new."""

from typing import Any

import numpy as np
import pytest

from backend.retrieval.ranking.diversity import marginal_order
from tests.service import Service, Tenant

pytestmark = pytest.mark.anyio

EAST, NORTH = np.array([1, 0], dtype=np.float32), np.array([0, 1], dtype=np.float32)
NORTHEAST = np.array([0.6, 0.8], dtype=np.float32)
SCORES = [0.9, 0.8, 0.5, 0.4]  # relevance 1, 0.8, 0.2, 0
VECTORS = [EAST, EAST, NORTHEAST, NORTH]


@pytest.mark.parametrize(
    ("diversity", "order"),
    [
        (0.0, [0, 1, 2, 3]),
        (0.1, [0, 1, 2, 3]),  # 0.9 * 0.2 - 0.1 * 0.6 = 0.12 against 0
        (0.4, [0, 1, 3, 2]),  # 0.6 * 0.8 - 0.4 = 0.08, then 0 against 0.6 * 0.2 - 0.4 * 0.6 = -0.12
        (0.5, [0, 3, 1, 2]),  # 0.4 - 0.5 = -0.1 and 0.1 - 0.3 = -0.2 against 0
        (1.0, [0, 3, 2, 1]),
    ],
)
def test_the_order_is_that_of_marginal_relevance(diversity: float, order: list[int]) -> None:
    assert marginal_order(SCORES, VECTORS, diversity) == order


def test_without_a_vector_nothing_is_held_to_be_alike() -> None:
    assert marginal_order(SCORES, [EAST, EAST, None, None], 0.6) == [0, 2, 3, 1]
    assert marginal_order([0.5, 0.5], [None, None], 1.0) == [0, 1]
    assert marginal_order([], [], 1.0) == []


TEXTS = {
    "fee-2024": "The late payment fee of the gold card is $29 in the year 2024.",
    "fee-2025": "The late payment fee of the gold card is $29 in the year 2025.",
    "fee-2026": "The late payment fee of the gold card is $29 in the year 2026.",
    "waiver": "Members of the armed forces pay no late payment fee.",
    "wires": "Wire transfers leave before five.",
}
ASKED = {"query": "What is the late payment fee of the gold card?", "k": 2}


@pytest.fixture(scope="module")
async def filled(service: Service, tenant: Tenant) -> Tenant:
    chunks = [{"doc_id": doc_id, "chunk_text": text, "source_type": "policy"} for doc_id, text in TEXTS.items()]
    assert (await service.post("/ingest/batch", tenant, "editor", {"chunks": chunks})).status_code == 201
    return tenant


async def found(service: Service, tenant: Tenant, **asked: Any) -> dict[str, Any]:
    answer = await service.post("/retrieve", tenant, "approver", {**ASKED, **asked})
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


@pytest.mark.parametrize("mode", ["hybrid", "semantic", "lexical"])
async def test_near_identical_chunks_give_way_to_others(service: Service, filled: Tenant, mode: str) -> None:
    plain = [c["doc_id"] for c in (await found(service, filled, mode=mode))["contexts"]]
    diverse = [c["doc_id"] for c in (await found(service, filled, mode=mode, diversity=0.8))["contexts"]]
    assert all(doc_id.startswith("fee") for doc_id in plain)
    assert diverse[0] == plain[0]
    assert not diverse[1].startswith("fee")
    assert len((await found(service, filled, diversity=1, k=100, mode="hybrid"))["contexts"]) == len(TEXTS)


async def test_explanation_why_record_and_replay_tell_of_it(service: Service, filled: Tenant) -> None:
    body = await found(service, filled, diversity=0.6, explain=True)
    ranks = [context["explanation"]["search_rank"] for context in body["contexts"]]
    assert ranks[0] == 1
    assert ranks[1] > 3
    asked = {**ASKED, "diversity": 0.6}
    second = {**asked, "doc_id": body["contexts"][1]["doc_id"]}
    (returned,) = (await service.post("/retrieve/why", filled, "approver", second)).json()["documents"]
    assert (returned["reason"], returned["rank"]) == ("returned", 2)
    pushed = next(doc_id for doc_id in TEXTS if doc_id.startswith("fee") and doc_id != body["contexts"][0]["doc_id"])
    answer = await service.post("/retrieve/why", filled, "approver", {**asked, "doc_id": pushed})
    (outranked,) = answer.json()["documents"]
    assert (outranked["reason"], outranked["rank"] > 2) == ("outranked", True)
    event = (await service.get(f"/audit/events/{body['audit_event_id']}", filled, "compliance")).json()["event"]
    assert event["retrieval"]["diversity_micros"] == 600_000
    path = f"/audit/events/{body['audit_event_id']}/replay"
    assert (await service.post(path, filled, "compliance", {"reason": "Complaint 118"})).json()["outcome"] == "equal"


@pytest.mark.parametrize("diversity", [-0.1, 1.1, "0.5", True, None])
async def test_only_a_fraction_is_a_diversity(service: Service, filled: Tenant, diversity: object) -> None:
    answer = await service.post("/retrieve", filled, "analyst", {**ASKED, "diversity": diversity})
    assert answer.status_code == 422
