"""Reviewers search, count and follow the log; what they read is on record, and texts are searched only by who may reveal."""

import random
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import asyncpg
import orjson
import pytest

from backend.audit.search_words import SearchWords
from backend.database import open_pool
from backend.identity.callers.permissions import Role
from backend.ledger.checkpoints import SigningKey
from backend.ledger.keyring import Keyring
from backend.ledger.sealer import Sealer
from tests.service import Database, Service, Tenant

pytestmark = pytest.mark.anyio

SEARCHED = {"q": "mortgages zebra", "reason": "complaint 17"}


@pytest.fixture(scope="module")
async def asked(service: Service, tenant: Tenant) -> Tenant:
    for path, body in (
        ("/retrieve", {"query": "The zebra clause of my mortgage"}),
        ("/answer", {"question": "Does a mortgage have a zebra clause?"}),
        ("/retrieve", {"query": "Wire fees"}),
    ):
        assert (await service.post(path, tenant, "analyst", body)).status_code == 200
    return tenant


@pytest.fixture
async def sealer(database: Database) -> AsyncIterator[Sealer]:
    pool = await open_pool(database.sealer_url, size=2, timeout=5)
    yield Sealer(pool, Keyring(SigningKey.generate("affidavit-test")))
    await pool.close()


async def seal(sealer: Sealer, database: Database) -> None:
    superuser = await asyncpg.connect(database.superuser_url)
    await superuser.execute("update audit.sealer set lease_until = '-infinity'")
    await superuser.close()
    epoch = await sealer.take_lead()
    assert epoch is not None
    while (await sealer.seal(epoch)).events:
        pass


async def test_texts_are_found_by_all_their_words_in_any_form(service: Service, asked: Tenant) -> None:
    found = await service.events(asked, **SEARCHED)
    assert {e["action"] for e in found} >= {"retrieval:executed", "prompt:submitted"}
    assert all(e["principal_id"] == str(asked.users["analyst"]) for e in found)
    assert await service.events(asked, q="zebra wire", reason="complaint 17") == []
    only = await service.events(asked, **SEARCHED, action="prompt:submitted", actor="analyst")
    assert [e["action"] for e in only] == ["prompt:submitted"]


async def test_pages_of_a_search_are_disjoint_and_complete(service: Service, asked: Tenant) -> None:
    whole = [event["id"] for event in await service.events(asked, **SEARCHED)]
    ids: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        page = (await service.get("/audit/events", asked, "compliance", **SEARCHED, limit=1, **cursor)).json()
        ids += [event["id"] for event in page["events"]]
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}
    assert ids == whole


async def test_filters_together_find_what_each_of_them_finds(service: Service) -> None:
    tenant = await service.create_tenant()
    chunks = [
        {"doc_id": name, "chunk_text": f"The {name} of a wire transfer is low.", "source_type": "policy"}
        for name in ("fee", "limit")
    ]
    assert (await service.post("/ingest/batch", tenant, "editor", {"chunks": chunks})).status_code == 201
    for user, path, body in (
        ("analyst", "/retrieve", {"query": "wire fee", "k": 1}),
        ("approver", "/retrieve", {"query": "wire limit", "k": 1}),
        ("approver", "/answer", {"question": "What is the fee of a wire transfer?"}),
        ("analyst", "/answer", {"question": "Who wrote the Iliad?"}),
    ):
        assert (await service.post(path, tenant, user, body)).status_code == 200
    until = {"to": datetime.now(UTC).isoformat()}
    every = await service.events(tenant, **until)
    choices = {
        "actor": ["analyst", "approver"], "action": ["retrieval:executed", "answer:returned"],
        "outcome": ["succeeded", "refused"], "document": ["fee", "limit"], "q": ["wire", "fees wires", "Iliad"],
        "request_id": [every[0]["request_id"], every[-1]["request_id"]],
    }  # fmt: skip
    reason = {"q": {"reason": "complaint 17"}}
    alone = {
        (name, value): {e["id"] for e in await service.events(tenant, **until, **{name: value}, **reason.get(name, {}))}
        for name, values in choices.items()
        for value in values
    }
    assert all(alone.values())
    draw = random.Random(5)
    for _ in range(60):
        asked = {name: draw.choice(choices[name]) for name in draw.sample(sorted(choices), draw.randint(2, 4))}
        found = await service.events(tenant, **until, **asked, **(reason["q"] if "q" in asked else {}))
        ids = [event["id"] for event in found]
        assert ids == sorted(set.intersection(*(alone[filter_] for filter_ in asked.items())), reverse=True), asked


async def test_a_search_in_texts_needs_reveal_and_a_reason_which_is_recorded_and_the_words_stay_encrypted(
    service: Service, asked: Tenant
) -> None:
    assert (await service.get("/audit/events", asked, "privacy", **SEARCHED)).status_code == 403
    assert (await service.get("/audit/events", asked, "admin", **SEARCHED)).status_code == 403
    unreasoned = await service.get("/audit/events", asked, "compliance", q="zebra")
    assert unreasoned.status_code == 422
    assert "reason" in unreasoned.json()["detail"]
    await service.events(asked, **SEARCHED)
    record = next(e for e in await service.events(asked, action="audit:read") if "searched_texts" in e["event"]["read"])
    assert "zebra" not in orjson.dumps(record).decode()
    path = f"/audit/events/{record['id']}"
    revealed = (await service.get(path, asked, "compliance", reveal=True, reason="checking")).json()["payloads"]
    assert revealed == {"searched": "mortgages zebra", "reason": "complaint 17"}


async def test_no_two_tenants_share_a_hash_and_none_finds_the_others_texts(
    service: Service, asked: Tenant, other_tenant: Tenant, database: Database
) -> None:
    query = {"query": "The zebra clause of my mortgage"}
    assert (await service.post("/retrieve", other_tenant, "analyst", query)).status_code == 200
    found = await service.events(other_tenant, **SEARCHED)
    assert len(found) == 1
    superuser = await asyncpg.connect(database.superuser_url)
    shared = await superuser.fetchval(
        "select count(*) from audit.payload_term a join audit.payload_term b using (term) where a.tenant_id < b.tenant_id"
    )
    await superuser.close()
    assert shared == 0
    words: SearchWords = service.services.words
    assert words.hashes(asked.id, "zebra") == words.hashes(asked.id, "Zebras")
    assert words.hashes(asked.id, "zebra") != words.hashes(other_tenant.id, "zebra")


async def test_erased_texts_are_not_found_and_their_words_are_gone(service: Service, database: Database) -> None:
    tenant = await service.create_tenant()
    await service.add_user(tenant, "privacy2", Role.PRIVACY)
    await service.post("/retrieve", tenant, "analyst", {"query": "zebra mortgage"})
    assert len(await service.events(tenant, **SEARCHED)) == 1
    wanted = {"subject": "analyst", "legal_basis": "GDPR article 17(1)(b)"}
    erasure = (await service.post("/audit/erasures", tenant, "privacy", wanted)).json()["id"]
    assert (await service.post(f"/audit/erasures/{erasure}/approval", tenant, "privacy2", None)).status_code == 200
    assert await service.events(tenant, **SEARCHED) == []
    superuser = await asyncpg.connect(database.superuser_url)
    left = await superuser.fetchval("select count(*) from audit.payload_term where tenant_id = $1", tenant.id)
    await superuser.close()
    assert left == 0


@pytest.mark.parametrize("dimension", ["action", "actor", "outcome", "model"])
async def test_counts_over_time_add_up_to_the_events(service: Service, asked: Tenant, dimension: str) -> None:
    answer = await service.get("/audit/statistics", asked, "compliance", by=dimension)
    counted: dict[str, int] = {}
    for bucket in answer.json()["buckets"]:
        for value, count in bucket["counts"].items():
            counted[value] = counted.get(value, 0) + count
    events = (await service.events(asked, limit=500, to=answer.json()["to"]))[::-1]
    member = {"action": "action", "outcome": "outcome", "actor": "principal_id"}
    values = [
        e["event"].get("answer", {}).get("model_served") if dimension == "model" else e[member[dimension]]
        for e in events
    ]
    assert counted == {value: values.count(value) for value in set(values) if value is not None}


async def test_a_timeline_tells_a_turn_in_order(service: Service, asked: Tenant) -> None:
    prompt = (await service.events(asked, action="prompt:submitted"))[0]
    turn = (await service.get("/audit/timeline", asked, "compliance", turn=prompt["event"]["turn"])).json()["events"]
    assert [e["action"].partition(":")[0] for e in turn] == ["prompt", "answer"]
    mine = (await service.get("/audit/timeline", asked, "compliance", actor="analyst", limit=2)).json()
    later = await service.get("/audit/timeline", asked, "compliance", actor="analyst", cursor=mine["next_cursor"])
    ids = [e["id"] for e in mine["events"] + later.json()["events"]]
    assert ids == sorted(e["id"] for e in await service.events(asked, actor="analyst"))


async def test_a_timeline_tells_what_was_asked_for_an_end_user_and_in_a_conversation(
    service: Service, asked: Tenant, other_tenant: Tenant
) -> None:
    conversation = str(uuid4())
    headers = {**await service.as_user(asked, "partner"), "X-On-Behalf-Of": "customer-17"}
    body = {"query": "Wire fees", "conversation": conversation}
    for_customer = await service.client.post("/retrieve", json=body, headers=headers)
    assert for_customer.status_code == 200, for_customer.text
    question = {"question": "Are there wire fees?", "conversation": conversation}
    assert (await service.post("/answer", asked, "analyst", question)).status_code == 200

    async def actions(tenant: Tenant, **wanted: str) -> list[str]:
        answer = await service.get("/audit/timeline", tenant, "compliance", **wanted)
        assert answer.status_code == 200, answer.text
        return [event["action"].partition(":")[0] for event in answer.json()["events"]]

    assert await actions(asked, end_user="customer-17") == ["retrieval"]
    assert await actions(asked, end_user="customer-18") == []
    assert await actions(asked, conversation=conversation) == ["retrieval", "retrieval", "prompt", "answer"]
    assert await actions(other_tenant, conversation=conversation) == []
    assert await actions(other_tenant, end_user="customer-17") == []
    both = {"end_user": "customer-17", "conversation": conversation}
    assert (await service.get("/audit/timeline", asked, "compliance", **both)).status_code == 422
    assert (await service.post("/answer", asked, "analyst", {**question, "conversation": "x"})).status_code == 422


async def streamed(service: Service, tenant: Tenant, **params: Any) -> list[dict[str, Any]]:
    answer = await service.get("/audit/stream", tenant, "compliance", **params)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/x-ndjson"
    return [orjson.loads(line) for line in answer.text.splitlines()]


async def test_a_stream_resumes_after_a_leaf_and_leaves_out_nothing_sealed(
    service: Service, asked: Tenant, sealer: Sealer, database: Database
) -> None:
    known = {event["id"] for event in await service.events(asked, limit=500)}
    assert known
    await seal(sealer, database)
    first = await streamed(service, asked)
    assert known <= {line["event"]["id"] for line in first}
    assert [line["leaf"] for line in first] == list(range(len(first)))
    await seal(sealer, database)
    rest = await streamed(service, asked, after=first[3]["leaf"])
    assert rest[: len(first) - 4] == first[4:]
    newest = rest[-1]["event"]
    assert newest["read"] == {"streamed_after": -1, "sealed": len(first), "follow": False, "format": "native"}


async def test_a_follower_gets_server_sent_events_with_leaf_indexes_as_ids(
    service: Service, asked: Tenant, sealer: Sealer, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backend.review.analysis.stream.FOLLOW_SECONDS", 0.5)
    await service.events(asked)
    await seal(sealer, database)
    size = len(await streamed(service, asked))
    headers = {
        **await service.as_user(asked, "compliance"),
        "Accept": "text/event-stream",
        "Last-Event-ID": f"{size - 3}",
    }
    answer = await service.client.get("/audit/stream", headers=headers)
    assert [line for line in answer.text.splitlines() if line.startswith("id: ")] == [
        f"id: {size - 2}",
        f"id: {size - 1}",
    ]
    bad = await service.client.get("/audit/stream", headers={**headers, "Last-Event-ID": "x"})
    assert bad.status_code == 422


async def test_the_stream_speaks_ocsf(service: Service, asked: Tenant, sealer: Sealer, database: Database) -> None:
    assert (await service.get("/audit/events", asked, "admin")).status_code == 403
    await seal(sealer, database)
    native = await streamed(service, asked)
    spelt = await streamed(service, asked, format="ocsf")
    for line, event in zip(native, spelt, strict=False):
        assert event["unmapped"] == line["event"]
        assert event["metadata"]["sequence"] == line["leaf"]
        assert event["type_uid"] == event["class_uid"] * 100 + event["activity_id"]
    by_action = {event["metadata"]["event_code"]: event for event in spelt}
    assert by_action["auth:succeeded"]["class_uid"] == 3002
    assert by_action["auth:succeeded"]["user"]["uid"] == by_action["auth:succeeded"]["unmapped"]["principal"]["id"]
    assert by_action["retrieval:executed"]["type_uid"] == 600302
    assert by_action["access:denied"]["status"] == "Failure"


async def test_saved_searches_are_their_owners_and_their_filters_are_those_of_the_log(
    service: Service, asked: Tenant, other_tenant: Tenant
) -> None:
    wanted = {"name": "Questions", "filters": {"actor": "analyst", "action": "prompt:submitted"}}
    saved = await service.post("/audit/searches", asked, "compliance", wanted)
    assert saved.status_code == 201, saved.text
    assert (await service.post("/audit/searches", asked, "compliance", wanted)).status_code == 409
    (listed,) = (await service.get("/audit/searches", asked, "compliance")).json()["searches"]
    assert listed == saved.json()
    found = await service.events(asked, **listed["filters"])
    assert {event["action"] for event in found} == {"prompt:submitted"}
    path = f"/audit/searches/{listed['id']}"
    run = await service.get(f"{path}/events", asked, "compliance", limit=500, facets="action")
    assert [event["id"] for event in run.json()["events"]] == [event["id"] for event in found]
    assert [counted["value"] for counted in run.json()["facets"]["action"]] == ["prompt:submitted"]
    for tenant, name in ((asked, "privacy"), (other_tenant, "compliance")):
        assert (await service.get("/audit/searches", tenant, name)).json() == {"searches": []}
        refused = await service.client.delete(path, headers=await service.as_user(tenant, name))
        assert refused.status_code == 404
        assert (await service.get(f"{path}/events", tenant, name)).status_code == 404
    for body, field in (({"name": ""}, "name"), ({"name": "x", "filters": {"q": "zebra"}}, "q")):
        bad = await service.post("/audit/searches", asked, "compliance", body)
        assert (bad.status_code, field in bad.json()["detail"]) == (422, True)
    deleted = await service.client.delete(path, headers=await service.as_user(asked, "compliance"))
    assert deleted.status_code == 204
    assert (await service.get("/audit/searches", asked, "compliance")).json() == {"searches": []}


YEARS = {"from": datetime(2000, 1, 1, tzinfo=UTC).isoformat(), "to": datetime.now(UTC).isoformat()}


@pytest.mark.parametrize(
    ("path", "params", "field"),
    [
        ("/audit/events", {"q": "the of", "reason": "because"}, "q"),
        ("/audit/events", {"cursor": "???"}, "cursor"),
        ("/audit/events", {"action": "nothing"}, "action"),
        ("/audit/events", {"facets": "action,colour"}, "facets"),
        ("/audit/events", {"door": "window"}, "door"),
        ("/audit/events", {"turn": "x"}, "turn"),
        ("/audit/events", {"from": "yesterday"}, "from"),
        ("/audit/statistics", {}, "by"),
        ("/audit/statistics", {"by": "action", "interval": "hour", **YEARS}, "from"),
        ("/audit/statistics", {"by": "action", "from": YEARS["to"], "to": YEARS["from"]}, "from"),
        ("/audit/statistics", {"by": "colour"}, "by"),
        ("/audit/timeline", {}, "turn"),
        ("/audit/timeline", {"actor": "analyst", "request_id": "x"}, "actor"),
        ("/audit/timeline", {"turn": "x"}, "turn"),
        ("/audit/stream", {"after": -2}, "after"),
        ("/audit/stream", {"after": 2**64}, "after"),
        ("/audit/stream", {"format": "xml"}, "format"),
    ],
)
async def test_bad_input_is_refused_by_the_name_of_its_field(
    service: Service, asked: Tenant, path: str, params: dict[str, Any], field: str
) -> None:
    answer = await service.get(path, asked, "compliance", **params)
    assert answer.status_code == 422, answer.text
    assert field in answer.json()["detail"]


async def test_every_reading_is_on_record(service: Service, asked: Tenant) -> None:
    before = len(await service.events(asked, action="audit:read", limit=500))
    since = (datetime.now(UTC) - timedelta(days=1)).isoformat()
    for path, params in (
        ("/audit/statistics", {"by": "action", "from": since}),
        ("/audit/timeline", {"actor": "analyst"}),
        ("/audit/stream", {}),
    ):
        assert (await service.get(path, asked, "compliance", **params)).status_code == 200
        for role in ("admin", "analyst", "partner"):
            assert (await service.get(path, asked, role, **params)).status_code == 403
    assert len(await service.events(asked, action="audit:read", limit=500)) == before + 3 + 1
