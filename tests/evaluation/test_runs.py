"""Sets and runs: who writes and approves them, what becomes of each question, and what differs from the approved run."""

from typing import Any

import httpx
import pytest

from backend.identity.callers.permissions import Role
from tests import factories
from tests.service import Service, Tenant

pytestmark = pytest.mark.anyio

FEE = "What does an outgoing domestic wire cost?"
LIMIT = "What is the daily limit for card purchases?"
REFUSED = "Who won the football match on Saturday?"
QUESTIONS: list[dict[str, Any]] = [
    {"question": FEE, "expected": "quote", "value": "outgoing domestic wire costs $25"},
    {"question": LIMIT, "expected": "document", "value": "cards", "owner": "Card operations"},
    {"question": REFUSED, "expected": "refusal"},
]


@pytest.fixture(scope="module")
async def bank(service: Service) -> Tenant:
    """A tenant with two reviewers, two administrators and two policies."""
    tenant = await service.create_tenant()
    await service.add_user(tenant, "approver2", Role.APPROVER)
    await service.add_user(tenant, "admin2", Role.ADMIN)
    await factories.ingest(service, tenant, "wires", "An outgoing domestic wire costs $25 for each transfer.")
    await factories.ingest(service, tenant, "cards", "The daily limit for card purchases is $5,000.")
    return tenant


async def write(service: Service, tenant: Tenant, name: str, questions: Any, by: str = "approver") -> httpx.Response:
    return await service.post(f"/evaluations/sets/{name}/versions", tenant, by, {"questions": questions})


async def approve_set(
    service: Service, tenant: Tenant, name: str, version: int, by: str = "approver2"
) -> httpx.Response:
    return await service.post(f"/evaluations/sets/{name}/versions/{version}/approve", tenant, by, {})


async def approved_set(service: Service, tenant: Tenant, name: str, questions: Any = QUESTIONS) -> None:
    written = await write(service, tenant, name, questions)
    assert written.status_code == 201, written.text
    answer = await approve_set(service, tenant, name, written.json()["version"])
    assert answer.status_code == 200, answer.text


async def run(service: Service, tenant: Tenant, name: str, **more: Any) -> dict[str, Any]:
    """Starts a run as the approver, makes it, and returns what it came to."""
    started = await service.post("/evaluations/runs", tenant, "approver", {"name": name, **more})
    assert started.status_code == 202, started.text
    assert started.json()["status"] == "running"
    return await factories.evaluated(service, tenant, started.json())


async def approve_run(service: Service, tenant: Tenant, made: dict[str, Any], by: str = "approver2") -> httpx.Response:
    return await service.post(f"/evaluations/runs/{made['id']}/approve", tenant, by, {})


async def test_a_version_counts_once_another_person_has_approved_it(service: Service, bank: Tenant) -> None:
    assert (await write(service, bank, "fees", QUESTIONS)).status_code == 201
    own = await approve_set(service, bank, "fees", 1, by="approver")
    assert (own.status_code, own.json()["error"]) == (403, "forbidden")
    assert (await approve_set(service, bank, "fees", 1)).status_code == 200
    assert (await approve_set(service, bank, "fees", 1)).status_code == 409
    assert (await write(service, bank, "fees", QUESTIONS[:1])).json()["version"] == 2
    counting = (await service.get("/evaluations/sets/fees", bank, "approver")).json()
    assert (counting["version"], len(counting["questions"])) == (1, 3)
    assert [question["owner"] for question in counting["questions"]] == ["approver", "Card operations", "approver"]
    listed = (await service.get("/evaluations/sets", bank, "admin")).json()["sets"]
    (fees,) = [one for one in listed if one["name"] == "fees"]
    assert (fees["newest_version"], fees["approved_version"], fees["questions"]) == (2, 1, 1)
    changes = [
        event["event"]["evaluation_set"]["change"] for event in await events(service, bank, "evaluation_set:changed")
    ]
    assert changes[:3] == ["written", "approved", "written"]


async def events(service: Service, tenant: Tenant, action: str) -> list[dict[str, Any]]:
    return await service.events(tenant, action=action)


async def test_an_analyst_sees_no_sets_and_writes_none(service: Service, bank: Tenant) -> None:
    await approved_set(service, bank, "hidden")
    assert (await write(service, bank, "hidden", QUESTIONS, by="analyst")).status_code == 403
    assert (await service.get("/evaluations/sets", bank, "analyst")).json() == {"sets": []}
    assert (await service.get("/evaluations/sets/hidden", bank, "analyst")).status_code == 404


async def test_a_key_approves_nothing(service: Service, bank: Tenant) -> None:
    await write(service, bank, "by-key", QUESTIONS)
    await service.add_user(bank, "both", Role.ADMIN, Role.APPROVER)
    rights = ("documents:review", "answers:create", "retrieval:query")
    key = await factories.create_key(service, bank, *rights, by="both", collections=["default"])
    path = "/evaluations/sets/by-key/versions/1/approve"
    answer = await service.client.post(path, json={}, headers=factories.bearer(key))
    assert (answer.status_code, "a key is none" in answer.text) == (403, True), answer.text
    body = {"name": "by-key"}
    started = await service.client.post("/evaluations/runs", json=body, headers=factories.bearer(key))
    assert (await factories.evaluated(service, bank, started.json()))["passed"] == 3
    own = await approve_run(service, bank, started.json(), by="both")
    assert own.status_code == 409, "its set is not approved"
    assert (await approve_set(service, bank, "by-key", 1)).status_code == 200
    assert (await approve_run(service, bank, started.json(), by="both")).status_code == 403, "the key is its own"
    assert (await approve_run(service, bank, started.json())).status_code == 200


@pytest.mark.parametrize("wrong", [
    {"expected": "refusal", "value": "cards"}, {"expected": "document"}, {"expected": "document", "value": ""},
    {"expected": "else", "value": "x"}, {"expected": "refusal", "question": " "},
])  # fmt: skip
async def test_a_question_that_expects_nothing_definite_is_refused(
    service: Service, bank: Tenant, wrong: dict[str, Any]
) -> None:
    answer = await write(service, bank, "wrong", [{"question": FEE, **wrong}])
    assert answer.status_code == 422, answer.text


async def test_a_run_says_of_each_question_whether_it_passed(service: Service, bank: Tenant) -> None:
    failing = [
        {"question": FEE, "expected": "document", "value": "cards"},
        {"question": FEE, "expected": "quote", "value": "costs $30"},
        {"question": FEE, "expected": "refusal"},
        {"question": REFUSED, "expected": "document", "value": "cards"},
        {"question": FEE, "expected": "document", "value": "wires", "collection": "nowhere"},
    ]
    await approved_set(service, bank, "mixed", [*QUESTIONS, *failing])
    made = await run(service, bank, "mixed")
    assert made["status"] == "finished", made
    why = [result["why"] for result in made["results"]]
    assert why == [None, None, None, "other_document", "other_words", "answered", "refused", "not_asked"]
    assert (made["passed"], made["questions"], made["compared"]) == (3, 8, None)
    assert made["progress"] == {"done": 8, "total": 8}
    pins = made["pins"]
    assert pins["models"] == ["extractive-v8"]
    assert pins["embedder"] == service.services.embedder.model
    assert (pins["prompt"], pins["chunking"], pins["reranker"]) == ("v1", "180/250/0", None)
    assert pins["code"].startswith("0.")
    assert pins["versions"] >= 2
    turn = made["results"][0]["turn"]
    (answered,) = await service.events(bank, turn=turn, action="answer:returned")
    assert answered["event"]["answer"]["evaluation"] == {"trial": made["id"]}
    assert answered["principal_id"] == str(bank.users["approver"])


async def test_what_a_run_asks_is_in_no_conversation(service: Service, bank: Tenant) -> None:
    await approved_set(service, bank, "quiet")
    await run(service, bank, "quiet")
    assert (await service.get("/conversations", bank, "approver")).json()["conversations"] == []


async def test_a_run_asks_with_the_rights_of_who_started_it(service: Service) -> None:
    tenant = await service.create_tenant()
    await service.add_user(tenant, "approver2", Role.APPROVER)
    await factories.ingest(service, tenant, "wires", "An outgoing domestic wire costs $25.", collection="restricted")
    await approved_set(service, tenant, "rights", QUESTIONS[:1])
    assert (await run(service, tenant, "rights"))["passed"] == 1
    headers = await service.as_user(tenant, "admin")
    grants = (await service.client.get("/collections/restricted/grants", headers=headers)).json()["grants"]
    (grant,) = [one["id"] for one in grants if one["role"] == "approver"]
    assert (await service.client.delete(f"/collections/restricted/grants/{grant}", headers=headers)).status_code == 204
    assert [result["why"] for result in (await run(service, tenant, "rights"))["results"]] == ["refused"]


async def test_a_run_is_compared_with_the_one_that_was_approved_before(service: Service) -> None:
    tenant = await service.create_tenant()
    await service.add_user(tenant, "approver2", Role.APPROVER)
    await factories.ingest(service, tenant, "wires", "An outgoing domestic wire costs $25 for each transfer.")
    await approved_set(service, tenant, "compared")
    first = await run(service, tenant, "compared")
    assert [result["passed"] for result in first["results"]] == [True, False, True]
    own = await approve_run(service, tenant, first, by="approver")
    assert own.status_code == 403
    assert (await approve_run(service, tenant, first)).status_code == 200
    assert (await approve_run(service, tenant, first)).status_code == 409
    await factories.ingest(service, tenant, "cards", "The daily limit for card purchases is $5,000.")
    new = {"question": "May a wire be recalled?", "expected": "refusal"}
    changed = [QUESTIONS[1], {**QUESTIONS[0], "value": "costs $25 for each transfer"}, new]
    await approved_set(service, tenant, "compared", changed)
    second = await run(service, tenant, "compared")
    assert second["compared"] == {
        "run": first["id"], "worse": False, "newly_failed": [], "newly_passed": [1], "new_questions": 2, "differs": ["index"],
    }  # fmt: skip
    assert (await approve_run(service, tenant, second)).status_code == 200
    headers = await service.as_user(tenant, "editor")
    body = {"chunks": [{"chunk_text": "Cards are white."}], "source_type": "policy"}
    replaced = await service.client.put("/documents/by-doc-id/cards/chunks", json=body, headers=headers)
    assert replaced.is_success, replaced.text
    third = await run(service, tenant, "compared")
    assert (third["compared"]["run"], third["compared"]["worse"]) == (second["id"], True)
    assert third["compared"]["newly_failed"] == [1]


async def test_a_run_of_a_version_that_nobody_approved_is_made_and_not_approved(service: Service, bank: Tenant) -> None:
    await write(service, bank, "draft", QUESTIONS)
    made = await run(service, bank, "draft")
    assert made["passed"] == 3
    answer = await approve_run(service, bank, made)
    assert (answer.status_code, answer.json()["error"]) == (409, "conflict")


async def test_a_cancelled_run_says_so_and_is_not_approved(service: Service, bank: Tenant) -> None:
    await approved_set(service, bank, "cancelled")
    started = (await service.post("/evaluations/runs", bank, "approver", {"name": "cancelled"})).json()
    assert (await service.post(f"/jobs/{started['id']}/cancel", bank, "approver", {})).status_code == 200
    made = await factories.evaluated(service, bank, started)
    assert (made["status"], made["failure"], made["results"]) == ("failed", "job:cancelled", [])
    assert (await approve_run(service, bank, made)).status_code == 409


async def test_a_run_of_who_may_no_longer_review_fails(service: Service) -> None:
    tenant = await service.create_tenant()
    await service.add_user(tenant, "approver2", Role.APPROVER)
    await approved_set(service, tenant, "ended")
    started = (await service.post("/evaluations/runs", tenant, "approver2", {"name": "ended"})).json()
    path = f"/users/{tenant.users['approver2']}/roles"
    headers = await service.as_user(tenant, "admin")
    assert (await service.client.put(path, json={"roles": ["analyst"]}, headers=headers)).status_code == 200
    made = await factories.evaluated(service, tenant, started)
    assert (made["status"], made["failure"]) == ("failed", "forbidden")
