"""Four eyes are two people, not two principals."""

import re
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest

from backend.answers import extractive
from backend.identity.callers.permissions import Permission, Role
from backend.identity.joint_acts.service import JointAct
from tests.factories import GUIDANCE, approved, bearer, create_collection, create_key, decide, submit, versions, vouch
from tests.service import PASSWORD, Service, Tenant

pytestmark = pytest.mark.anyio

RELAXED = {"approval_required": False}


async def sock(service: Service, tenant: Tenant, username: str, *roles: str) -> str:
    """A user whose password an administrator chose."""
    answer = await service.post("/users", tenant, "admin", {"username": username, "password": PASSWORD, "roles": roles})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


async def patch(service: Service, tenant: Tenant, path: str, body: Any, by: str) -> httpx.Response:
    return await service.client.patch(path, json=body, headers=await service.as_user(tenant, by))


async def test_an_administrator_publishes_nothing_as_an_editor_and_an_approver_of_its_making(
    service: Service, bank: Tenant
) -> None:
    await sock(service, bank, "left-hand", "editor")
    right_hand = await sock(service, bank, "right-hand", "approver")
    submitted = await submit(service, bank, "both-hands", "Text of one person.", username="left-hand")
    for decision, body in (("approve", {}), ("reject", {"reason": "As I like."})):
        refused = await decide(service, bank, submitted, decision, "right-hand", **body)
        assert (refused.status_code, refused.json()["error"]) == (403, "forbidden")
    (denial, *_) = await service.events(bank, action="access:denied")
    assert denial["reason"] == "approval:same_person"
    own = {"old_password": PASSWORD, "new_password": "my own password now"}
    assert (await service.post("/auth/password", bank, "right-hand", own)).status_code == 204
    assert (await decide(service, bank, submitted, "approve", "right-hand")).status_code == 403
    await vouch(service, bank, right_hand, "admin2")
    assert (await decide(service, bank, submitted, "approve", "right-hand")).status_code == 200


async def test_two_approvals_of_one_person_are_one(service: Service, bank: Tenant) -> None:
    await create_collection(service, bank, "twice", approvers=2)
    async with service.operator() as acting:
        await acting.grant(bank.id, "twice", "read", role=Role.ADMIN)
    for name in ("first-sock", "second-sock"):
        await sock(service, bank, name, "approver")
    submitted = await submit(service, bank, "twice", "Needs two.", collection="twice")
    assert (await decide(service, bank, submitted, "approve", "first-sock")).json()["status"] == "in_review"
    assert (await decide(service, bank, submitted, "approve", "second-sock")).status_code == 403
    assert (await decide(service, bank, submitted)).json()["status"] == "approved"


async def test_no_key_retires_and_no_person_alone_does(service: Service, bank: Tenant) -> None:
    submitted = await approved(service, bank, "in-force", "What is in force.")
    async with service.operator() as acting:
        wanted = [Permission.DOCUMENTS_REVIEW, Permission.DOCUMENTS_READ]
        key = await acting.create_key(bank.id, "reviewer", wanted, [GUIDANCE], owner="approver2")
    path = f"/documents/{submitted['document_id']}/versions/1/retire"
    headers = {"Authorization": f"Bearer {key}"}
    assert (await service.client.post(path, json={"reason": "By key."}, headers=headers)).status_code == 403
    for _ in range(2):
        assert (await decide(service, bank, submitted, "retire", reason="Alone.")).status_code == 202
    assert (await versions(service, bank, submitted))[1]["status"] == "approved"
    waiting = (await service.get("/joint-requests", bank, "approver2")).json()["requests"]
    assert [(r["act"], r["state"], r["asked_by"]) for r in waiting] == [
        ("version:retire", "waiting", str(bank.users["approver"]))
    ]
    other = {"reason": "At another time.", "effective_to": "2099-01-01T00:00:00Z"}
    assert (await decide(service, bank, submitted, "retire", "approver2", **other)).status_code == 202, "not the same"
    assert (await decide(service, bank, submitted, "retire", "approver2", reason="So do I.")).json()[
        "status"
    ] == "retired"
    actions = [event["action"] for event in await service.events(bank, document="in-force")]
    assert "document:retired" in actions
    assert {"act:asked", "act:joined"} <= {event["action"] for event in await service.events(bank)}


async def test_approval_is_switched_off_by_two_administrators_only(service: Service, bank: Tenant) -> None:
    path = f"/collections/{GUIDANCE}"
    await sock(service, bank, "puppet", "admin")
    for by in ("admin", "admin", "puppet"):
        assert (await patch(service, bank, path, RELAXED, by)).status_code == 202
    assert (await service.get(path, bank, "admin")).json()["approval_required"] is True
    headers = bearer(await create_key(service, bank, "collections:manage"))
    refused = await service.client.patch(path, json=RELAXED, headers=headers)
    assert refused.status_code == 403
    assert (await patch(service, bank, path, {"name": "Renamed", **RELAXED}, "admin2")).status_code == 202, (
        "not the same"
    )
    assert (await patch(service, bank, path, RELAXED, "admin2")).json()["approval_required"] is False
    assert (await patch(service, bank, path, {"approval_required": True}, "admin")).status_code == 200, "to ask is free"


async def test_fewer_approvals_need_two_administrators_as_well(service: Service, bank: Tenant) -> None:
    path = f"/collections/{GUIDANCE}"
    assert (await patch(service, bank, path, {"approvers": 2}, "admin")).status_code == 200
    assert (await patch(service, bank, path, {"approvers": 1}, "admin")).status_code == 202
    assert (await patch(service, bank, path, {"approvers": 1}, "admin2")).json()["approvers"] == 1


async def test_less_certain_sentences_are_shown_again_by_two_administrators_only(
    service: Service, bank: Tenant
) -> None:
    async def choose(by: str, **wanted: Any) -> httpx.Response:
        return await service.client.put("/answer/policy", json=wanted, headers=await service.as_user(bank, by))

    quotes = {"support_levels": ["verbatim"]}
    assert (await choose("admin", **quotes)).status_code == 200, "to show less is free"
    assert (await choose("admin", models=[extractive.NAME], **quotes)).status_code == 200, "and so is another model"
    await sock(service, bank, "puppet", "admin")
    for by, wanted in (("admin", None), ("puppet", None), ("admin", ["verbatim", "close"])):
        waits = await choose(by, support_levels=wanted)
        assert (waits.status_code, waits.json()["act"]) == (202, "support:relax")
    key = bearer(await create_key(service, bank, "collections:manage"))
    assert (await service.client.put("/answer/policy", json={}, headers=key)).status_code == 403
    assert (await choose("admin2", support_levels=None, models=[extractive.NAME])).status_code == 202, "not the same"
    assert (await service.get("/answer/policy", bank, "analyst")).json()["support_levels"] == ["verbatim"]
    assert (await choose("admin2", support_levels=["verbatim", "close"])).json()["support_levels"] == [
        "verbatim",
        "close",
    ]
    assert {"act:asked", "act:joined", "answer_policy:changed"} <= {
        event["action"] for event in await service.events(bank)
    }


async def test_a_request_is_taken_back_by_who_made_it(service: Service, bank: Tenant) -> None:
    path = f"/collections/{GUIDANCE}"
    request = (await patch(service, bank, path, RELAXED, "admin")).json()["request"]
    others = await service.as_user(bank, "admin2")
    assert (await service.client.delete(f"/joint-requests/{request}", headers=others)).status_code == 404
    own = await service.as_user(bank, "admin")
    assert (await service.client.delete(f"/joint-requests/{request}", headers=own)).status_code == 204
    assert (await patch(service, bank, path, RELAXED, "admin2")).status_code == 202
    assert (await service.get(path, bank, "admin")).json()["approval_required"] is True


async def test_one_person_with_two_roles_and_a_key_erases_nothing(service: Service, bank: Tenant) -> None:
    await service.add_user(bank, "mighty", Role.ADMIN, Role.PRIVACY)
    asked = {"subject": "analyst", "legal_basis": "GDPR article 17(1)(b)"}
    erasure = (await service.post("/audit/erasures", bank, "mighty", asked)).json()
    wanted = {"name": "eraser", "permissions": ["erasure:execute", "audit:read"]}
    assert (await service.post("/auth/keys", bank, "mighty", wanted)).status_code == 403
    path = f"/audit/erasures/{erasure['id']}/approval"
    assert (await service.post(path, bank, "mighty", None)).status_code == 403
    assert (await service.post(path, bank, "privacy", None)).status_code == 200


async def test_no_key_places_or_releases_a_hold(service: Service, bank: Tenant) -> None:
    async with service.operator() as acting:
        wanted = [Permission.AUDIT_EXPORT, Permission.AUDIT_READ]
        key = await acting.create_key(bank.id, "siem", wanted, [], owner="compliance")
    headers = {"Authorization": f"Bearer {key}"}
    placed = await service.client.post("/audit/holds", json={"reason": "By key."}, headers=headers)
    assert placed.status_code == 403
    hold = (await service.post("/audit/holds", bank, "compliance", {"reason": "Subpoena 9"})).json()
    for credential in (headers, await service.as_user(bank, "compliance")):
        answer = await service.client.delete(f"/audit/holds/{hold['id']}", headers=credential)
        assert answer.status_code in {202, 403}
    assert (await service.get("/audit/holds", bank, "compliance")).json()["holds"][0]["released_at"] is None


async def test_who_knew_the_password_of_a_deleted_user_still_counts_as_that_user(
    service: Service, bank: Tenant
) -> None:
    await service.add_user(bank, "mighty", Role.ADMIN, Role.APPROVER)

    async def hire(username: str, role: str) -> str:
        wanted = {"username": username, "password": PASSWORD, "roles": [role]}
        return str((await service.post("/users", bank, "mighty", wanted)).json()["id"])

    async def delete(user: str) -> int:
        headers = await service.as_user(bank, "mighty")
        return (await service.client.delete(f"/users/{user}", headers=headers)).status_code

    writer, asker = await hire("writer", "editor"), await hire("asker", "admin")
    submitted = await submit(service, bank, "washed", "Text of one person.", username="writer")
    path = f"/collections/{GUIDANCE}"
    assert (await patch(service, bank, path, RELAXED, "asker")).status_code == 202
    assert (await delete(writer), await delete(asker)) == (204, 204)
    assert (await decide(service, bank, submitted, "approve", "mighty")).status_code == 403
    assert (await patch(service, bank, path, RELAXED, "mighty")).status_code == 202
    assert (await service.get(path, bank, "admin")).json()["approval_required"] is True
    assert (await decide(service, bank, submitted)).status_code == 200, "another person may"


async def test_the_table_of_acts_is_what_the_database_and_the_service_ask_for(service: Service) -> None:
    superuser = await asyncpg.connect(service.database.superuser_url)
    known = {row["act"] for row in await superuser.fetch("select act from identity.joint_act")}
    await superuser.close()
    files = [path.read_text() for path in Path("policies").glob("*/*.sql")]
    asked = re.findall(r"(?:is_second_person|has_joined|joined_changes)\(\s*'([a-z_:]+)'", "".join(files))
    decided = re.findall(
        r"is_second_person\(case approval.decision when 'approved' then '([a-z:]+)' else '([a-z:]+)' end",
        "".join(files),
    )
    assert known == {*asked, *decided[0], *JointAct}
