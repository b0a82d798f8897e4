"""Review: who may decide, and what is in force when."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from backend.identity.callers.permissions import Role
from tests.factories import (
    approved,
    bearer,
    create_collection,
    create_key,
    decide,
    retired,
    retrieved,
    submission,
    submit,
    versions,
)
from tests.service import Service, Tenant

pytestmark = pytest.mark.anyio

OLD, NEW = "The overdraft fee is $34 for each item.", "The overdraft fee is $20 for each item."
QUESTION = "How much is the overdraft fee for an item?"
BOTH = "both"  # a user who writes and reviews


def in_days(days: float) -> str:
    return (datetime.now(UTC) + timedelta(days=days)).isoformat()


@pytest.fixture(scope="module", autouse=True)
async def guidance(service: Service, tenant: Tenant) -> None:
    await create_collection(service, tenant)
    await create_collection(service, tenant, "two-eyes-more", approvers=2)
    await service.add_user(tenant, BOTH, Role.EDITOR, Role.APPROVER)
    await service.add_user(tenant, "second", Role.APPROVER)


async def test_nothing_is_retrieved_before_it_is_approved(service: Service, tenant: Tenant) -> None:
    submitted = await submit(service, tenant, "fees", OLD)
    assert submitted["status"] == "in_review"
    for username in ("analyst", "editor", "approver"):
        assert await retrieved(service, tenant, QUESTION, username) == []
    assert await retrieved(service, tenant, QUESTION, as_of=in_days(365)) == []
    assert (await decide(service, tenant, submitted)).json()["status"] == "approved"
    assert await retrieved(service, tenant, QUESTION) == [("fees", 1)]
    before = await retrieved(service, tenant, QUESTION, as_of=in_days(-1))
    assert before == []


async def test_the_record_of_an_approval_names_the_content_that_was_approved(service: Service, tenant: Tenant) -> None:
    submitted = await approved(service, tenant, "recorded", "A text on record.")
    (event,) = await service.events(tenant, action="document:approved", document="recorded")
    assert event["event"]["version"]["content_sha256"] == submitted["content_sha256"]
    assert event["principal_id"] == str(tenant.users["approver"])
    version = (await versions(service, tenant, submitted))[1]
    assert [d["content_sha256"] for d in version["decisions"]] == [submitted["content_sha256"]]


async def test_whoever_reads_what_applies_is_told_who_approved_it(service: Service, tenant: Tenant) -> None:
    submitted = await approved(service, tenant, "told", "A text whose approver is told.")
    for username in ("analyst", "editor", "approver", "compliance"):
        answer = await service.get(f"/documents/{submitted['document_id']}/versions/1", tenant, username)
        assert [d["approver_name"] for d in answer.json()["decisions"]] == ["approver"], username
        assert (await service.get("/users", tenant, username)).status_code == 403, "and not who else is there"


async def test_an_author_cannot_review_their_own_version_even_as_approver(service: Service, tenant: Tenant) -> None:
    submitted = await submit(service, tenant, "own", "My own text.", username=BOTH)
    for decision, body in (("approve", {}), ("reject", {"reason": "I know better."})):
        refused = await decide(service, tenant, submitted, decision, BOTH, **body)
        assert (refused.status_code, refused.json()["error"]) == (403, "forbidden")
    assert (await decide(service, tenant, submitted)).status_code == 200
    (denial, *_) = await service.events(tenant, action="access:denied")
    assert denial["reason"] == "approval:own_version"


async def test_who_submits_through_a_key_cannot_approve_as_themselves(service: Service, tenant: Tenant) -> None:
    await service.add_user(tenant, "all", Role.ADMIN, Role.EDITOR, Role.APPROVER)
    wanted = ("documents:write", "documents:review")
    key = await create_key(service, tenant, *wanted, by="all", collections=["guidance"])
    write = {"principal_id": key["id"], "access": "write"}
    assert (await service.post("/collections/guidance/grants", tenant, "admin", write)).status_code == 201
    headers = bearer(key)
    body = {"doc_id": "by-key", "collection": "guidance", "source_type": "policy", "chunks": [{"text": "By key."}]}
    submitted = (await service.client.post("/documents/versions", json=body, headers=headers)).json()
    assert (await decide(service, tenant, submitted, username="all")).status_code == 403
    path = f"/documents/{submitted['document_id']}/versions/1/approve"
    assert (await service.client.post(path, json={}, headers=headers)).status_code == 403
    assert (await decide(service, tenant, submitted)).status_code == 200


async def test_as_many_people_must_approve_as_the_collection_says(service: Service, tenant: Tenant) -> None:
    submitted = await submit(service, tenant, "four", "Four eyes saw this.", collection="two-eyes-more")
    assert (await decide(service, tenant, submitted)).json()["status"] == "in_review"
    assert (await decide(service, tenant, submitted)).status_code == 409
    assert await retrieved(service, tenant, "What did four eyes see?", collection="two-eyes-more") == []
    assert (await decide(service, tenant, submitted, username="second")).json()["status"] == "approved"
    assert await retrieved(service, tenant, "What did four eyes see?", collection="two-eyes-more") == [("four", 1)]


async def test_two_approvals_at_the_same_time_are_both_counted(service: Service, tenant: Tenant) -> None:
    submitted = await submit(service, tenant, "race", "Both at once.", collection="two-eyes-more")
    answers = await asyncio.gather(
        decide(service, tenant, submitted), decide(service, tenant, submitted, username="second")
    )
    assert [answer.status_code for answer in answers] == [200, 200]
    assert (await versions(service, tenant, submitted))[1]["status"] == "approved"


async def test_only_content_that_was_read_is_approved(service: Service, tenant: Tenant) -> None:
    submitted = await submit(service, tenant, "read", "What is here.")
    assert (await decide(service, tenant, submitted, content_sha256="0" * 64)).status_code == 409
    assert (await decide(service, tenant, submitted, content_sha256=submitted["content_sha256"])).status_code == 200


async def test_a_rejected_version_keeps_its_reason_and_is_never_in_force(service: Service, tenant: Tenant) -> None:
    submitted = await submit(service, tenant, "bad", "A wrong number: 17.")
    assert (await decide(service, tenant, submitted, "reject", reason="17 is wrong.")).status_code == 200
    version = (await versions(service, tenant, submitted))[1]
    assert (version["status"], version["reason"]) == ("rejected", "17 is wrong.")
    assert (await decide(service, tenant, submitted)).status_code == 409
    assert (await decide(service, tenant, submitted, "retire", reason="At last.")).status_code == 409


async def test_a_scheduled_version_takes_over_at_its_date_without_anyone_acting(
    service: Service, tenant: Tenant
) -> None:
    moment = datetime.now(UTC) + timedelta(seconds=10)  # before which a busy machine does all that follows
    first = await approved(service, tenant, "soon", "The limit is $100 for now.", effective_from="2025-01-01T00:00:00Z")
    await approved(service, tenant, "soon", "The limit is $200 from then on.", effective_from=moment.isoformat())
    query = {"query": "What is the limit?", "collection": "guidance", "filters": {}}
    known = await versions(service, tenant, first)
    assert [(known[n]["status"], known[n]["in_force"]) for n in (1, 2)] == [("approved", True), ("approved", False)]
    assert ("soon", 1) in await retrieved(service, tenant, **query)
    assert ("soon", 2) in await retrieved(service, tenant, **query, as_of=in_days(1))
    assert ("soon", 1) in await retrieved(service, tenant, **query, as_of="2025-06-01T00:00:00Z")
    assert ("soon", 1) not in await retrieved(service, tenant, **query, as_of="2024-12-31T00:00:00Z")
    await asyncio.sleep((moment - datetime.now(UTC)).total_seconds())
    assert [hit for hit in await retrieved(service, tenant, **query) if hit[0] == "soon"] == [("soon", 2)]
    known = await versions(service, tenant, first)
    assert [(known[n]["status"], known[n]["in_force"]) for n in (1, 2)] == [("superseded", False), ("approved", True)]


async def test_a_retired_version_is_found_no_more_and_a_scheduled_one_that_is_retired_ends_none(
    service: Service, tenant: Tenant
) -> None:
    first = await approved(service, tenant, "kept", "Marbles are kept in jars.")
    second = await approved(service, tenant, "kept", "Marbles are kept in tins.", effective_from=in_days(10))
    assert (await versions(service, tenant, first))[1]["effective_to"] is not None
    assert (await retired(service, tenant, second, reason="Tins rust.")).status_code == 200
    assert (await versions(service, tenant, first))[1]["effective_to"] is None
    query = {"query": "Where are marbles kept?", "collection": "guidance"}
    assert ("kept", 1) in await retrieved(service, tenant, **query, as_of=in_days(20))
    assert (await retired(service, tenant, first, reason="No more marbles.")).json()["status"] == "retired"
    assert "kept" not in dict(await retrieved(service, tenant, **query))
    assert (await decide(service, tenant, first, "retire", reason="Once more.")).status_code == 409


async def test_an_earlier_version_cannot_be_approved_after_a_later_one_took_over(
    service: Service, tenant: Tenant
) -> None:
    first = await submit(service, tenant, "order", "First.")
    await approved(service, tenant, "order", "Second.")
    assert (await decide(service, tenant, first)).status_code == 409


async def test_concurrent_retrievals_never_find_both_versions_nor_neither(service: Service, tenant: Tenant) -> None:
    """Ten times a next version takes over while others ask without pause."""
    text = "Zebra crossings are repainted every {} months."
    await approved(service, tenant, "zebra", text.format(1))
    found: list[list[tuple[str, int]]] = []
    done = asyncio.Event()

    async def ask() -> None:
        while not done.is_set():
            hits = await retrieved(service, tenant, "How often are zebra crossings repainted?", collection="guidance")
            found.append([hit for hit in hits if hit[0] == "zebra"])

    asking = [asyncio.create_task(ask()) for _ in range(4)]
    for months in range(2, 12):
        await approved(service, tenant, "zebra", text.format(months))
    done.set()
    await asyncio.gather(*asking)
    assert {len(hits) for hits in found} == {1}
    assert len({hits[0] for hits in found}) > 5
    assert [hit for hit in await retrieved(service, tenant, "zebra crossings") if hit[0] == "zebra"] == [("zebra", 11)]


async def test_two_submissions_at_once_become_two_versions_or_one_is_refused(service: Service, tenant: Tenant) -> None:
    answers = await asyncio.gather(*(submission(service, tenant, "twice", f"Text {n}.") for n in range(4)))
    created = [answer.json()["document_version"] for answer in answers if answer.status_code == 201]
    assert {answer.status_code for answer in answers} <= {201, 409}
    assert sorted(created) == list(range(1, len(created) + 1))


# What injected SQL can do, as the runtime role with the signed context of a caller.


async def test_a_document_that_was_never_approved_is_shown_only_to_who_writes_there_and_who_reviews(
    service: Service, tenant: Tenant
) -> None:
    """Not its title either, which can say all; and not to somebody who only writes elsewhere."""
    board = {"slug": "board", "name": "Board", "approval_required": True}
    assert (await service.post("/collections", tenant, "admin", board)).status_code == 201
    readers = [{"role": role, "access": "read"} for role in ("editor", "approver", "analyst", "compliance")]
    for grant in [*readers, {"principal_id": str(tenant.users[BOTH]), "access": "write"}]:
        assert (await service.post("/collections/board/grants", tenant, "admin", grant)).status_code == 201
    new = {"username": BOTH, "collection": "board"}
    submitted = await submit(service, tenant, "nightingale", "We buy Harbor.", title="Nightingale buys Harbor", **new)
    path, why = f"/documents/{submitted['document_id']}", {"query": "Who buys whom?", "doc_id": "nightingale"}

    async def shown(username: str) -> tuple[bool, int, int]:
        listed = await service.get("/documents", tenant, username, limit=100)
        assert listed.status_code == 200, listed.text
        explained = await service.post("/retrieve/why", tenant, username, why)
        return (
            "ightingale" in listed.text,
            (await service.get(path, tenant, username)).status_code,
            explained.status_code,
        )

    hidden, visible = (False, 404, 404), (True, 200, 200)
    assert [await shown(username) for username in (BOTH, "approver")] == [visible] * 2
    assert [await shown(username) for username in ("editor", "analyst")] == [hidden] * 2
    assert (await shown("compliance"))[:2] == hidden[:2]
    assert (await decide(service, tenant, submitted, "reject", reason="Not yet.")).status_code == 200
    assert await shown("analyst") == hidden
    again = await submit(service, tenant, "nightingale", "We bought Harbor.", **new)
    assert (await decide(service, tenant, again)).status_code == 200
    assert await shown("analyst") == visible


async def test_a_reviewer_puts_a_version_off_within_what_the_author_proposed(service: Service, tenant: Tenant) -> None:
    proposal = {"effective_from": in_days(10), "effective_to": in_days(30)}
    submitted = await submit(service, tenant, "put-off", "A fee from later on.", collection="two-eyes-more", **proposal)
    for outside in (in_days(5), in_days(-5), in_days(30.1), in_days(400)):
        refused = await decide(service, tenant, submitted, effective_from=outside)
        assert (refused.status_code, refused.json()["error"]) == (422, "invalid_input"), refused.text
    assert (await versions(service, tenant, submitted))[1]["decisions"] == []
    wanted = in_days(20)
    first = await decide(service, tenant, submitted, effective_from=wanted)
    assert datetime.fromisoformat(first.json()["planned_from"]) == datetime.fromisoformat(wanted)
    brought_forward = await decide(service, tenant, submitted, username="second", effective_from=in_days(15))
    assert brought_forward.status_code == 422
    last = (await decide(service, tenant, submitted, username="second")).json()
    assert last["status"] == "approved"
    assert datetime.fromisoformat(last["effective_from"]) == datetime.fromisoformat(wanted)
    newer, older = await service.events(tenant, action="document:approved", document="put-off")
    assert "put_off_to" not in newer["event"]["version"]
    put_off = datetime.fromisoformat(older["event"]["version"]["put_off_to"])
    assert put_off == datetime.fromisoformat(wanted)


async def test_what_applies_from_its_approval_can_be_put_off_too(service: Service, tenant: Tenant) -> None:
    submitted = await submit(service, tenant, "put-off-at-once", "Umbrellas are lent for a day.")
    assert (await decide(service, tenant, submitted, effective_from=in_days(-1))).status_code == 422
    assert (await decide(service, tenant, submitted, effective_from=in_days(3))).status_code == 200
    query = {"query": "How long are umbrellas lent for?"}
    assert ("put-off-at-once", 1) not in await retrieved(service, tenant, **query)
    assert ("put-off-at-once", 1) in await retrieved(service, tenant, **query, as_of=in_days(4))
