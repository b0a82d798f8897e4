"""Changes: proposed where a tenant wants that, tried by a run, in effect once another person approves it; and what records say."""

from contextlib import nullcontext
from dataclasses import replace
from typing import Any
from uuid import UUID

import asyncpg
import httpx
import pytest

from backend.identity.callers.caller import Origin
from backend.identity.callers.permissions import Role
from backend.retrieval.weights import Weights
from tests import factories
from tests.evaluation.test_runs import FEE, QUESTIONS, approve_run, approved_set, run, write
from tests.service import Service, Tenant

pytestmark = pytest.mark.anyio

REPORT = """
    insert into evaluation.candidate (tenant_id, turn, answer_event, key_id, ciphertext, reported_by)
    select t.tenant_id, t.id, t.answer_event, coalesce($4, p.key_id), p.ciphertext, $3
    from answers.turn t join audit.payload p on p.tenant_id = t.tenant_id and p.event_id = t.answer_event and p.name = 'question'
    where t.tenant_id = $1 and t.id = $2
"""


@pytest.fixture
async def bank(service: Service) -> Tenant:
    """A tenant with two reviewers, two administrators, a policy and a set."""
    tenant = await service.create_tenant()
    await service.add_user(tenant, "approver2", Role.APPROVER)
    await service.add_user(tenant, "admin2", Role.ADMIN)
    await factories.ingest(service, tenant, "wires", "An outgoing domestic wire costs $25 for each transfer.")
    await approved_set(service, tenant, "fees", [QUESTIONS[0], QUESTIONS[2]])
    return tenant


async def put(service: Service, tenant: Tenant, path: str, body: Any, by: str = "admin") -> httpx.Response:
    return await service.client.put(path, json=body, headers=await service.as_user(tenant, by))


async def ask_for(service: Service, tenant: Tenant, by: str = "admin", **rule: Any) -> httpx.Response:
    return await put(service, tenant, "/evaluations/rule", rule, by)


async def propose(service: Service, tenant: Tenant) -> str:
    """Proposes that only quotes are shown, and returns the change."""
    assert (await ask_for(service, tenant, changes_need_approval=True)).status_code == 200
    answer = await put(service, tenant, "/answer/policy", {"support_levels": ["verbatim"]})
    assert (answer.status_code, answer.json()["state"]) == (202, "proposed"), answer.text
    return str(answer.json()["change"])


async def shown_levels(service: Service, tenant: Tenant) -> Any:
    return (await service.get("/answer/policy", tenant, "analyst")).json()["support_levels"]


async def state_of(service: Service, tenant: Tenant, change: str) -> str:
    changes = (await service.get("/changes", tenant, "compliance")).json()["changes"]
    return str(next(one["state"] for one in changes if one["id"] == change))


async def recorded(service: Service, tenant: Tenant, status: int = 200) -> Any:
    """Asks, and returns what the record of the answer says of evaluation."""
    answer = await service.post("/answer", tenant, "analyst", {"question": FEE})
    assert answer.status_code == status, answer.text
    if status != 200:
        return answer.json()["detail"]
    events = await service.events(tenant, turn=answer.json()["turn"], action="answer:returned")
    return events[0]["event"]["answer"].get("evaluation")


async def test_nothing_waits_unless_the_tenant_wants_it(service: Service, bank: Tenant) -> None:
    rule = (await service.get("/evaluations/rule", bank, "analyst")).json()
    assert (rule["changes_need_approval"], rule["unapproved"], rule["approved_run"]) == (False, "tell", None)
    assert (await put(service, bank, "/answer/policy", {"support_levels": ["verbatim"]})).status_code == 200
    assert await shown_levels(service, bank) == ["verbatim"]
    assert await recorded(service, bank) is None


async def test_a_change_takes_effect_when_another_person_approves_its_run(service: Service, bank: Tenant) -> None:
    change = await propose(service, bank)
    assert await shown_levels(service, bank) is None
    assert await state_of(service, bank, change) == "proposed"
    made = await run(service, bank, "fees", change=change)
    assert (made["change"], made["pins"]["support_levels"]) == (change, ["verbatim"])
    assert await state_of(service, bank, change) == "tried"
    events = await service.events(bank, turn=made["results"][0]["turn"], action="prompt:submitted")
    assert events[0]["event"]["prompt"]["support_levels"] == ["verbatim"], "the run asks as the change would have it"
    assert (await approve_run(service, bank, made, by="approver")).status_code == 403
    assert await shown_levels(service, bank) is None
    assert (await approve_run(service, bank, made)).status_code == 200
    assert await shown_levels(service, bank) == ["verbatim"]
    assert await state_of(service, bank, change) == "in_effect"
    assert await recorded(service, bank) == {"run": made["id"]}
    again = await service.post("/evaluations/runs", bank, "approver", {"name": "fees", "change": change})
    assert again.status_code == 409


async def test_who_proposed_a_change_does_not_approve_its_run(service: Service, bank: Tenant) -> None:
    await service.add_user(bank, "both", Role.ADMIN, Role.APPROVER)
    assert (await ask_for(service, bank, changes_need_approval=True)).status_code == 200
    proposed = await put(service, bank, "/answer/policy", {"support_levels": ["verbatim"]}, by="both")
    made = await run(service, bank, "fees", change=proposed.json()["change"])
    assert (await approve_run(service, bank, made, by="both")).status_code == 403
    assert (await approve_run(service, bank, made)).status_code == 200


async def test_a_change_that_was_taken_back_never_takes_effect(service: Service, bank: Tenant) -> None:
    change = await propose(service, bank)
    made = await run(service, bank, "fees", change=change)
    path, headers = f"/changes/{change}", await service.as_user(bank, "admin")
    assert (await service.client.delete(path, headers=await service.as_user(bank, "approver"))).status_code == 403
    assert (await service.client.delete(path, headers=headers)).status_code == 204
    assert (await service.client.delete(path, headers=headers)).status_code == 409
    assert (await approve_run(service, bank, made)).status_code == 409
    assert await shown_levels(service, bank) is None


async def test_a_change_in_effect_is_not_taken_back(service: Service, bank: Tenant) -> None:
    change = await propose(service, bank)
    assert (await approve_run(service, bank, await run(service, bank, "fees", change=change))).status_code == 200
    headers = await service.as_user(bank, "admin")
    assert (await service.client.delete(f"/changes/{change}", headers=headers)).status_code == 409


async def test_to_ask_less_of_changes_takes_a_second_person(service: Service, bank: Tenant) -> None:
    await ask_for(service, bank, changes_need_approval=True)
    for _ in range(2):
        alone = await ask_for(service, bank, changes_need_approval=False)
        assert (alone.status_code, alone.json()["act"]) == (202, "evaluation:relax")
    assert (await service.get("/evaluations/rule", bank, "admin")).json()["changes_need_approval"]
    waiting = (await service.get("/joint-requests", bank, "admin2")).json()["requests"]
    assert [request["act"] for request in waiting] == ["evaluation:relax"]
    second = await ask_for(service, bank, by="admin2", changes_need_approval=False)
    assert (second.status_code, second.json()["changes_need_approval"]) == (200, False)
    assert (await put(service, bank, "/answer/policy", {})).status_code == 200


async def test_records_say_what_differs_from_the_approved_run(service: Service, bank: Tenant) -> None:
    made = await run(service, bank, "fees")
    assert (await approve_run(service, bank, made)).status_code == 200
    assert await recorded(service, bank) == {"run": made["id"]}
    kept = service.services.answering
    try:
        other = replace(kept, retrieval=replace(kept.retrieval, weights=Weights(0.5)), chunking="90/90/0")
        service.exchange(answering=other)
        assert await recorded(service, bank) == {"run": made["id"], "differs": ["weights", "chunking"]}
        rule = (await service.get("/evaluations/rule", bank, "admin")).json()
        assert (rule["approved_run"], rule["differs"]) == (made["id"], ["weights", "chunking"])
        later = await run(service, bank, "fees")
        assert later["compared"]["differs"] == ["weights", "chunking"]
        assert (await approve_run(service, bank, later)).status_code == 200
        assert await recorded(service, bank) == {"run": later["id"]}
    finally:
        service.exchange(answering=kept)


async def test_a_tenant_refuses_what_was_not_approved(service: Service, bank: Tenant) -> None:
    early = await ask_for(service, bank, unapproved="refuse")
    assert (early.status_code, early.json()["error"]) == (409, "conflict")
    assert (await approve_run(service, bank, await run(service, bank, "fees"))).status_code == 200
    assert (await ask_for(service, bank, unapproved="refuse")).status_code == 200
    assert (await recorded(service, bank)).keys() == {"run"}
    kept = service.services.answering
    try:
        service.exchange(answering=replace(kept, chunking="90/90/0"))
        assert "not what your institution approved" in await recorded(service, bank, status=503)
        assert (await ask_for(service, bank, unapproved="tell")).status_code == 202
        tried = await run(service, bank, "fees")
        assert tried["passed"] == 2, "what is not approved can be tried"
        assert (await approve_run(service, bank, tried)).status_code == 200
        assert await recorded(service, bank) == {"run": tried["id"]}
    finally:
        service.exchange(answering=kept)


async def test_a_question_whose_answer_was_reported_becomes_a_candidate(service: Service, bank: Tenant) -> None:
    answer = (await service.post("/answer", bank, "analyst", {"question": FEE})).json()
    for rating in ("good", "wrong", "wrong"):
        rated = await service.post(f"/turns/{answer['turn']}/feedback", bank, "analyst", {"rating": rating})
        assert rated.status_code == 201, rated.text
    assert (await service.get("/evaluations/candidates", bank, "analyst")).status_code == 403
    listed = (await service.get("/evaluations/candidates", bank, "approver")).json()["candidates"]
    assert [(one["turn"], one["question"]) for one in listed] == [(answer["turn"], FEE)]
    (read,) = await service.events(bank, action="evaluation_candidates:read")
    assert read["event"]["evaluation_candidates"]["turns"] == [answer["turn"]]
    taken = {"question": FEE, "expected": "document", "value": "wires", "reported_turn": answer["turn"]}
    assert (await write(service, bank, "reported", [taken])).status_code == 201
    assert (await service.get("/evaluations/candidates", bank, "approver")).json() == {"candidates": []}


async def test_a_report_holds_the_question_on_record_and_nobody_elses_key(service: Service, bank: Tenant) -> None:
    """As SQL of who got the answer: the key that is named is given out to who reviews documents."""
    own = (await service.post("/answer", bank, "analyst", {"question": FEE})).json()
    assert (await service.post("/answer", bank, "editor", {"question": FEE})).status_code == 200
    superuser = await asyncpg.connect(service.database.superuser_url)
    others = await superuser.fetchval(
        "select id from audit.data_key where tenant_id = $1 and subject_id <> $2", bank.id, bank.users["analyst"]
    )
    await superuser.close()
    caller = await service.services.resolver.resolve(await service.token(bank, "analyst"), Origin("report"))
    assert others is not None
    for key in (others, None):
        with pytest.raises(asyncpg.InsufficientPrivilegeError) if key else nullcontext():
            async with service.services.tenancy.transaction(caller.claims()) as connection:
                await connection.execute(REPORT, bank.id, UUID(own["turn"]), caller.principal_id, key)
