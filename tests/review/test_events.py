"""The log as its reviewers read it: every act with who, what, when and how it ended, and their reading among them."""

import secrets
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest

from backend.audit.canonical import MAX_ENVELOPE_BYTES, canonical_json
from tests.service import PASSWORD, Service, Tenant

pytestmark = pytest.mark.anyio

QUERY = "When do wires leave?"


def chunk(doc_id: str, text: str = "Wires leave before noon.", **changed: Any) -> dict[str, Any]:
    return {"doc_id": doc_id, "chunk_text": text, "source_type": "policy", **changed}


@pytest.fixture(scope="module", autouse=True)
async def documents(service: Service, tenant: Tenant) -> None:
    for number in range(3):
        body = chunk(f"wires-{number}", f"Wires of kind {number} leave before noon.")
        assert (await service.post("/ingest", tenant, "editor", body)).status_code == 201


async def events_of(service: Service, tenant: Tenant, answer: httpx.Response) -> list[dict[str, Any]]:
    """The events of one request, oldest first."""
    return (await service.events(tenant, request_id=answer.headers["x-request-id"]))[::-1]


async def reveal(service: Service, tenant: Tenant, event_id: str, reason: str = "complaint 12") -> dict[str, Any]:
    answer = await service.get(f"/audit/events/{event_id}", tenant, "compliance", reveal=True, reason=reason)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


async def test_every_act_is_one_event_that_names_its_actor(service: Service, tenant: Tenant) -> None:
    form = {"username": "analyst", "password": PASSWORD, "client_id": tenant.slug}
    acts = {
        ("auth:succeeded", "succeeded"): await service.client.post("/auth/token", data=form),
        ("auth:failed", "failed"): await service.client.post("/auth/token", data=form | {"password": "wrong password"}),
        ("retrieval:executed", "succeeded"): await service.post("/retrieve", tenant, "analyst", {"query": QUERY}),
        ("document:ingested", "succeeded"): await service.post("/ingest", tenant, "editor", chunk("acts")),
        ("access:denied", "denied"): await service.post("/ingest", tenant, "analyst", chunk("acts")),
        ("key:created", "succeeded"): await service.post(
            "/auth/keys", tenant, "admin", {"name": "n", "permissions": ["retrieval:query"]}
        ),
        ("audit:read", "succeeded"): await service.get("/audit/events", tenant, "compliance", limit=1),
    }
    actors = {"auth:failed": None, "document:ingested": "editor", "key:created": "admin", "audit:read": "compliance"}
    for (action, outcome), answer in acts.items():
        (event,) = await events_of(service, tenant, answer)
        envelope = event["event"]
        assert (event["action"], event["outcome"]) == (envelope["action"], envelope["outcome"]) == (action, outcome)
        assert envelope["tenant"] == str(tenant.id)
        assert envelope["request_id"] == answer.headers["x-request-id"]
        assert envelope["source"] == "127.0.0.1"
        assert datetime.now(UTC) - datetime.fromisoformat(envelope["time"]) < timedelta(minutes=5)
        actor = actors.get(action, "analyst")
        assert envelope["principal"].get("id") == (str(tenant.users[actor]) if actor else None), action
        if actor and action != "auth:succeeded":
            assert envelope["principal"]["roles"] == [actor]
            assert UUID(envelope["principal"]["session"])
    denied = (await events_of(service, tenant, acts["access:denied", "denied"]))[0]
    assert denied["reason"] == "permission:documents:write"


async def test_what_does_not_exist_is_a_denial_on_record(service: Service, tenant: Tenant) -> None:
    answer = await service.post("/retrieve", tenant, "analyst", {"query": QUERY, "collection": "restricted"})
    (event,) = await events_of(service, tenant, answer)
    assert (event["action"], event["reason"]) == ("access:denied", "collection:unknown")


async def test_a_partners_retrieval_names_its_key(service: Service, tenant: Tenant) -> None:
    answer = await service.post("/retrieve", tenant, "partner", {"query": QUERY})
    (event,) = await events_of(service, tenant, answer)
    assert event["principal_name"] == "partner"
    assert (event["event"]["principal"]["kind"], event["event"]["principal"]["roles"]) == ("key", [])


async def test_a_retrieval_names_its_parameters_and_every_chunk(service: Service, tenant: Tenant) -> None:
    body = {"query": QUERY, "k": 2, "source_type": "policy", "filters": {}, "mode": "hybrid"}
    answer = await service.post("/retrieve", tenant, "analyst", body)
    (event,) = await events_of(service, tenant, answer)
    recorded = event["event"]["retrieval"]
    assert (recorded["k"], recorded["mode"], recorded["source_type"], recorded["chunk_count"]) == (
        2,
        "hybrid",
        "policy",
        2,
    )
    assert recorded["embedding_model"]
    assert recorded["index"]
    contexts = answer.json()["contexts"]
    assert [(c["id"], c["doc_id"], c["version"], c["rank"]) for c in recorded["chunks"]] == [
        (c["chunk_id"], c["doc_id"], c["document_version"], c["rank"]) for c in contexts
    ]
    assert all(len(c["sha256"]) == 64 and isinstance(c["score_micros"], int) and c["used"] for c in recorded["chunks"])
    payloads = (await reveal(service, tenant, event["id"]))["payloads"]
    assert payloads["query"] == QUERY
    assert all(context["chunk_text"] in payloads["contexts"] for context in contexts)


async def test_no_envelope_holds_what_was_asked(service: Service, tenant: Tenant) -> None:
    question = f"Is {secrets.token_hex(8)} a customer?"
    await service.post("/retrieve", tenant, "analyst", {"query": question})
    await service.post("/answer", tenant, "analyst", {"question": question})
    answer = await service.get("/audit/events", tenant, "compliance", limit=500)
    assert question not in answer.text
    assert "leave before noon" not in answer.text


async def test_texts_are_revealed_for_a_reason_and_that_is_on_record(service: Service, tenant: Tenant) -> None:
    answer = await service.post("/retrieve", tenant, "analyst", {"query": QUERY})
    event_id = answer.json()["audit_event_id"]
    plain = await service.get(f"/audit/events/{event_id}", tenant, "compliance")
    assert plain.json()["payloads"] is None
    assert (await service.get(f"/audit/events/{event_id}", tenant, "compliance", reveal=True)).status_code == 422
    shown = await service.get(f"/audit/events/{event_id}", tenant, "compliance", reveal=True, reason="complaint 4711")
    (recorded,) = await events_of(service, tenant, shown)
    assert (recorded["action"], recorded["event"]["read"]["event"]) == ("audit:revealed", event_id)
    assert (await reveal(service, tenant, recorded["id"]))["payloads"]["reason"] == "complaint 4711"


@pytest.mark.parametrize("user", ["admin", "editor", "approver", "analyst", "partner"])
async def test_nobody_else_reads_the_log(service: Service, tenant: Tenant, user: str) -> None:
    for path in ("/audit/events", "/audit/documents/wires-0/readers"):
        assert (await service.get(path, tenant, user)).status_code == 403


async def test_another_tenants_events_do_not_exist(service: Service, tenant: Tenant, other_tenant: Tenant) -> None:
    answer = await service.post("/retrieve", tenant, "analyst", {"query": QUERY})
    foreign = await service.get(f"/audit/events/{answer.json()['audit_event_id']}", other_tenant, "compliance")
    assert foreign.status_code == 404
    assert await service.events(other_tenant, request_id=answer.headers["x-request-id"]) == []
    assert await service.events(other_tenant, document="wires-0") == []


async def test_filters_select_what_they_say(service: Service) -> None:
    fresh = await service.create_tenant()
    await service.post("/ingest", fresh, "editor", chunk("a"))
    before = datetime.now(UTC)
    first = await service.post("/retrieve", fresh, "analyst", {"query": QUERY})
    await service.post("/retrieve", fresh, "partner", {"query": QUERY})
    await service.post("/ingest", fresh, "analyst", chunk("b"))
    await service.post("/ingest", fresh, "editor", chunk("b"))

    async def actions(**filters: Any) -> list[str]:
        return [event["action"] for event in await service.events(fresh, **filters)]

    assert await actions(action="retrieval:executed") == ["retrieval:executed"] * 2
    assert await actions(outcome="denied") == ["access:denied"]
    assert await actions(actor="partner") == ["retrieval:executed"]
    assert await actions(actor=str(fresh.users["editor"]), action="document:ingested") == ["document:ingested"] * 2
    assert await actions(actor="nobody") == []
    assert await actions(document="b") == ["document:ingested"]
    assert await actions(document="a") == ["retrieval:executed"] * 2 + ["document:ingested"]
    assert await actions(request_id=first.headers["x-request-id"]) == ["retrieval:executed"]
    bounds = {"from": before.isoformat(), "action": "document:ingested"}
    assert await actions(**bounds) == ["document:ingested"]
    assert await actions(to=before.isoformat(), action="document:ingested") == ["document:ingested"]
    assert await actions(**bounds, to=before.isoformat()) == []


async def test_pages_stay_whole_while_events_arrive(service: Service, tenant: Tenant) -> None:
    expected = [event["id"] for event in await service.events(tenant, limit=30)]
    seen: list[str] = []
    cursor: dict[str, Any] = {}
    while len(seen) < len(expected):
        page = (await service.get("/audit/events", tenant, "compliance", limit=7, **cursor)).json()
        seen += [event["id"] for event in page["events"]]
        await service.post("/retrieve", tenant, "analyst", {"query": QUERY})  # arrives meanwhile
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}
    # The first listing is an event itself, so it comes before what it listed.
    assert seen[1 : len(expected)] == expected[: len(expected) - 1]
    assert len(set(seen)) == len(seen)


async def test_the_last_page_has_no_cursor(service: Service) -> None:
    fresh = await service.create_tenant()
    page = (await service.get("/audit/events", fresh, "compliance", limit=500)).json()
    assert page["next_cursor"] is None
    assert page["events"]


async def test_the_readers_of_a_document_are_known(service: Service, tenant: Tenant) -> None:
    await service.post("/ingest", tenant, "editor", chunk("read-me", "Safe deposit boxes are in the basement."))
    retrieved = await service.post("/retrieve", tenant, "partner", {"query": "safe deposit boxes", "k": 1})
    answered = await service.post("/answer", tenant, "analyst", {"question": "Where are the safe deposit boxes?"})
    readers = (await service.get("/audit/documents/read-me/readers", tenant, "compliance")).json()["readers"]
    assert ("partner", retrieved.json()["audit_event_id"]) in {(r["principal_name"], r["event_id"]) for r in readers}
    assert answered.json()["audit_event_id"] in {reader["event_id"] for reader in readers}
    assert {reader["principal_name"] for reader in readers} == {"partner", "analyst"}


async def test_an_envelope_stays_within_its_bound_whatever_the_names(service: Service) -> None:
    fresh = await service.create_tenant()
    names = [f"{number:03}" + "\U0001f4c4" * 200 for number in range(100)]
    chunks = [chunk(name, f"Wires of kind {name[:3]} leave before noon.") for name in names]
    stored = await service.post("/ingest/batch", fresh, "editor", {"chunks": chunks})
    assert stored.status_code == 201, stored.text
    found = await service.post("/retrieve", fresh, "analyst", {"query": QUERY, "k": 100})
    assert len(found.json()["contexts"]) == 100
    for answer, kind, listed in ((stored, "ingestion", "documents"), (found, "retrieval", "chunks")):
        (event,) = await events_of(service, fresh, answer)
        assert len(canonical_json(event["event"]).encode()) <= MAX_ENVELOPE_BYTES
        assert 0 < len(event["event"][kind][listed]) < 100
        whole = (await reveal(service, fresh, event["id"]))["payloads"][listed]
        assert all(f'"{name}"' in whole for name in names)
    assert len(await service.events(fresh, document=names[99])) == 2


async def test_a_caller_of_five_hundred_collections_is_served_and_recorded(service: Service) -> None:
    fresh = await service.create_tenant()
    async with service.operator() as acting:
        for number in range(500):
            await acting.create_collection(fresh.id, f"collection-{number}", "One of many")
        await acting.connection.execute(
            """
            insert into identity.collection_grant (tenant_id, id, collection_id, principal_id, access)
            select tenant_id, gen_random_uuid(), id, $2, 'read' from documents.collection
            where tenant_id = $1 and slug like 'collection-%'
            """,
            fresh.id, fresh.users["analyst"],
        )  # fmt: skip
    for path, body in (("/retrieve", {"query": QUERY}), ("/answer", {"question": QUERY}), ("/ingest", chunk("x"))):
        answer = await service.post(path, fresh, "analyst", body)
        assert answer.status_code == (403 if path == "/ingest" else 200), answer.text
        event = (await events_of(service, fresh, answer))[0]
        principal = event["event"]["principal"]
        assert principal["collection_count"] == 501
        assert len(principal["collections"]) < 501
        listed = (await reveal(service, fresh, event["id"]))["payloads"]["collections"]
        assert listed.count(",") == 500


async def test_events_are_found_by_turn_end_user_door_and_reason(service: Service, tenant: Tenant) -> None:
    asked = (await service.post("/answer", tenant, "analyst", {"question": QUERY})).json()
    for customer in ("customer-41", "customer-42"):
        headers = await service.as_user(tenant, "partner") | {"X-On-Behalf-Of": customer}
        await service.client.post("/retrieve", json={"query": QUERY}, headers=headers)
    await service.post("/ingest", tenant, "analyst", chunk("refused"))
    found = {
        name: await service.events(tenant, **{name: value})
        for name, value in {
            "turn": asked["turn"], "end_user": "customer-41", "door": "openai", "reason": "permission:documents:write",
        }.items()
    }  # fmt: skip
    assert {event["action"] for event in found["turn"]} == {"prompt:submitted", "answer:returned"}
    assert [event["action"] for event in found["end_user"]] == ["retrieval:executed"]
    assert found["door"] == []
    assert {event["action"] for event in found["reason"]} == {"access:denied"}
    about = await service.events(tenant, document="wires-0", end_user="customer-42")
    assert [event["event"]["principal"]["on_behalf_of"]["subject"] for event in about] == ["customer-42"]


async def test_facets_count_all_that_the_filters_find(service: Service, tenant: Tenant) -> None:
    await service.post("/ingest", tenant, "analyst", chunk("refused"))
    asked = {"facets": "action,actor,outcome,model,door", "outcome": "denied"}
    events = await service.events(tenant, outcome="denied", limit=500)
    page = (await service.get("/audit/events", tenant, "compliance", limit=1, **asked)).json()
    facets = {name: {c["value"]: c["count"] for c in counts} for name, counts in page["facets"].items()}
    assert facets["outcome"] == {"denied": len(events)}
    assert facets["action"] == Counter(event["action"] for event in events)
    assert facets["actor"] == Counter(e["principal_id"] for e in events if e["principal_id"])
    assert facets["door"] == {"http": len(events)}
    assert facets["model"] == {}
    assert "analyst" in {counted["label"] for counted in page["facets"]["actor"]}
    second = await service.get("/audit/events", tenant, "compliance", limit=1, cursor=page["next_cursor"], **asked)
    assert second.json()["facets"]["outcome"] == page["facets"]["outcome"]
    plain = await service.get("/audit/events", tenant, "compliance", limit=1)
    assert plain.json()["facets"] is None


async def test_a_document_that_never_was_has_no_readers(service: Service, tenant: Tenant, other_tenant: Tenant) -> None:
    assert (await service.get("/audit/documents/wires-0/readers", tenant, "compliance")).status_code == 200
    for who, doc_id in ((tenant, "wires-99"), (other_tenant, "wires-0")):
        assert (await service.get(f"/audit/documents/{doc_id}/readers", who, "compliance")).status_code == 404
