"""Replaying recorded retrievals."""

from dataclasses import dataclass, replace
from typing import Any
from uuid import uuid4

import pytest

from backend.retrieval.embedding.embedder import Embedder
from tests.factories import approved, create_collection, retired
from tests.service import Service, Tenant

pytestmark = pytest.mark.anyio

QUESTION = {"query": "When are safe deposit boxes drilled open?", "collection": "guidance"}
REASON = {"reason": "A complaint."}


@pytest.fixture
async def tenant(service: Service) -> Tenant:
    """A tenant of its own for each test, with two approved documents."""
    created = await service.create_tenant()
    await create_collection(service, created)
    await approved(service, created, "boxes", "Safe deposit boxes are drilled open after three years.")
    await approved(service, created, "keys", "Lost keys of safe deposit boxes cost $150.")
    return created


async def ask(service: Service, tenant: Tenant, **more: Any) -> str:
    answer = await service.post("/retrieve", tenant, "analyst", {**QUESTION, **more})
    assert answer.status_code == 200, answer.text
    event_id: str = answer.json()["audit_event_id"]
    return event_id


async def replayed(service: Service, tenant: Tenant, event_id: str, **how: Any) -> dict[str, Any]:
    answer = await service.post(f"/audit/events/{event_id}/replay", tenant, "compliance", {**REASON, **how})
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


async def test_a_retrieval_replayed_at_its_own_moment_is_equal_whatever_came_since(
    service: Service, tenant: Tenant
) -> None:
    event_id = await ask(service, tenant, k=3, filters={})
    first = await replayed(service, tenant, event_id)
    assert (first["outcome"], first["differences"], first["changed_since"]) == ("equal", [], [])
    assert [chunk["doc_id"] for chunk in first["then"]] == ["boxes", "keys"]
    await approved(service, tenant, "boxes", "Safe deposit boxes are drilled open after five years.")
    again = await replayed(service, tenant, event_id)
    assert (again["outcome"], again["then"], again["now"]) == ("equal", first["then"], first["then"])
    assert again["changed_since"] == ["version_superseded"]


async def test_later_documents_move_no_rank_of_an_earlier_question(service: Service, tenant: Tenant) -> None:
    await approved(service, tenant, "quorum", "A quorum is needed.")
    for number in range(2):
        await approved(service, tenant, f"ballast-{number}", f"Ballast weighs {number} tons.")
    body = {"query": "quorum ballast", "mode": "lexical", "k": 3, "collection": "guidance"}
    answer = (await service.post("/retrieve", tenant, "analyst", body)).json()
    assert answer["contexts"][0]["doc_id"] == "quorum"  # the rarer word
    for number in range(6):
        await approved(service, tenant, f"quorum-{number}", f"Quorum number {number}.")
    today = (await service.post("/retrieve", tenant, "analyst", body)).json()
    assert today["contexts"][0]["doc_id"] != "quorum"
    assert (await replayed(service, tenant, answer["audit_event_id"]))["outcome"] == "equal"


async def test_with_todays_knowledge_a_withdrawn_version_is_named_as_the_reason(
    service: Service, tenant: Tenant
) -> None:
    submitted = await approved(service, tenant, "gone", "Safe deposit boxes are drilled open on Mondays.")
    event_id = await ask(service, tenant, as_of="2999-01-01T00:00:00Z")
    assert (await retired(service, tenant, submitted, reason="Never on Mondays.")).status_code == 200
    assert (await replayed(service, tenant, event_id))["outcome"] == "equal"
    today = await replayed(service, tenant, event_id, knowledge="now")
    assert (today["outcome"], today["reasons"]) == ("differs", sorted(["version_withdrawn", "ranking_changed"]))
    (missing,) = [difference for difference in today["differences"] if difference["rank_now"] is None]
    assert (missing["doc_id"], missing["why"]) == ("gone", "version_withdrawn")


async def test_a_withdrawn_grant_is_named_as_the_reason(service: Service, tenant: Tenant) -> None:
    event_id = await ask(service, tenant)
    grants = (await service.get("/collections/guidance/grants", tenant, "admin")).json()["grants"]
    (grant,) = [grant["id"] for grant in grants if grant["role"] == "analyst"]
    headers = await service.as_user(tenant, "admin")
    await service.client.delete(f"/collections/guidance/grants/{grant}", headers=headers)
    then = await replayed(service, tenant, event_id)
    assert (then["outcome"], then["changed_since"]) == ("equal", ["grant_changed"])
    today = await replayed(service, tenant, event_id, as_caller_then=False)
    assert (today["outcome"], today["reasons"], today["now"]) == ("differs", ["grant_changed"], [])


@dataclass
class Renamed:
    """The embedder under another model's name."""

    embedder: Embedder
    model: str = "another-model"

    def __getattr__(self, name: str) -> Any:
        return getattr(self.embedder, name)


async def test_another_embedding_model_is_named_as_the_reason(service: Service, tenant: Tenant) -> None:
    event_id = await ask(service, tenant, mode="semantic")
    replaying, retrieval = service.services.replaying, service.services.retrieval
    service.exchange(replaying=replace(replaying, retrieval=replace(retrieval, embedder=Renamed(retrieval.embedder))))
    try:
        other = await replayed(service, tenant, event_id)
    finally:
        service.exchange(replaying=replaying)
    assert (other["outcome"], other["reasons"], other["changed_since"]) == (
        "differs",
        ["model_changed"],
        ["model_changed"],
    )


async def test_a_replay_is_on_record_with_its_reason_and_outcome(service: Service, tenant: Tenant) -> None:
    event_id = await ask(service, tenant)
    await replayed(service, tenant, event_id)
    (event,) = await service.events(tenant, action="retrieval:replayed")
    assert event["event"]["replay"] == {
        "event": event_id, "outcome": "equal", "reasons": [], "as_caller_then": True, "knowledge": "then"
    }  # fmt: skip


async def test_only_a_retrieval_of_ones_own_tenant_is_replayed_and_only_by_who_may_reveal(
    service: Service, tenant: Tenant, other_tenant: Tenant
) -> None:
    event_id = await ask(service, tenant)
    path = f"/audit/events/{event_id}/replay"
    assert (await service.post(path, tenant, "admin", REASON)).status_code == 403
    assert (await service.post(path, tenant, "approver", REASON)).status_code == 403
    assert (await service.post(path, tenant, "compliance", {})).status_code == 422
    for unknown in (path, f"/audit/events/{uuid4()}/replay"):
        refused = await service.post(unknown, other_tenant, "compliance", REASON)
        assert (refused.status_code, refused.json()["error"]) == (404, "not_found")
    (approval, *_) = await service.events(tenant, action="document:approved")
    assert (
        await service.post(f"/audit/events/{approval['id']}/replay", tenant, "compliance", REASON)
    ).status_code == 409
