"""Four eyes are two people, not two principals."""

import re
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import httpx
import pytest

from backend.answers import extractive
from backend.identity.callers.caller import Origin
from backend.identity.callers.permissions import Permission, Role
from backend.identity.joint_acts.service import JointAct
from tests.factories import GUIDANCE, approved, bearer, create_collection, create_key, decide, submit, versions
from tests.service import PASSWORD, Service, Tenant

pytestmark = pytest.mark.anyio

RELAXED = {"approval_required": False}


@pytest.fixture
async def bank(service: Service) -> Tenant:
    """A tenant with two people of each kind that is needed twice, and a collection that asks for approval."""
    tenant = await service.create_tenant()
    for username, role in (("admin2", Role.ADMIN), ("approver2", Role.APPROVER), ("compliance2", Role.COMPLIANCE)):
        await service.add_user(tenant, username, role)
    await create_collection(service, tenant)
    async with service.operator() as acting:
        await acting.grant(tenant.id, GUIDANCE, "read", role=Role.ADMIN)
    return tenant


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
    await sock(service, bank, "right-hand", "approver")
    submitted = await submit(service, bank, "both-hands", "Text of one person.", username="left-hand")
    for decision, body in (("approve", {}), ("reject", {"reason": "As I like."})):
        refused = await decide(service, bank, submitted, decision, "right-hand", **body)
        assert (refused.status_code, refused.json()["error"]) == (403, "forbidden")
    (denial, *_) = await service.events(bank, action="access:denied")
    assert denial["reason"] == "approval:same_person"
    own = {"old_password": PASSWORD, "new_password": "my own password now"}
    assert (await service.post("/auth/password", bank, "right-hand", own)).status_code == 204
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


# What injected SQL can do with one person's own context.


async def test_the_database_lets_nobody_switch_approval_off_or_retire_alone(service: Service, bank: Tenant) -> None:
    submitted = await approved(service, bank, "sql", "In force.")
    attempts = (
        ("admin", "update documents.collection set approval_required = false where slug = 'guidance'"),
        ("admin", "update documents.collection set approval_required = false, approvers = 9 where slug = 'guidance'"),
        ("approver", "update documents.version set status = 'retired', effective_to = now() where status = 'approved'"),
        ("admin", "insert into identity.joint_request (tenant_id, id, act, target, asked_by) values"
         " (tenancy.tenant_id(), gen_random_uuid(), 'collection:relax', gen_random_uuid(), gen_random_uuid())"),
        ("admin", "update identity.joint_request set asked_by = gen_random_uuid()"),
        ("admin", "update answers.policy set support_levels = null, changed_by = tenancy.principal_id()"),
        ("compliance", "update audit.hold set released_by = tenancy.principal_id(), released_at = now()"),
    )  # fmt: skip
    await service.post("/audit/holds", bank, "compliance", {"reason": "Subpoena 9"})
    quotes = {"support_levels": ["verbatim"]}
    await service.client.put("/answer/policy", json=quotes, headers=await service.as_user(bank, "admin"))
    for username, statement in attempts:
        caller = await service.services.resolver.resolve(await service.token(bank, username), Origin("attack"))
        async with service.services.tenancy.transaction(caller.claims()) as connection:
            if username == "admin":
                await connection.execute(
                    "select identity.ask_jointly('collection:relax', id, '{}', gen_random_uuid()),"
                    " identity.ask_jointly('collection:relax', id, '{}', gen_random_uuid()) from documents.collection"
                )
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                async with connection.transaction():
                    await connection.execute(statement)
    assert (await versions(service, bank, submitted))[1]["status"] == "approved"


async def bound(service: Service, tenant: Tenant, username: str) -> Any:
    """A transaction of somebody who speaks SQL in their own name."""
    caller = await service.services.resolver.resolve(await service.token(tenant, username), Origin("attack"))
    return service.services.tenancy.transaction(caller.claims())


async def asked(connection: Any, act: str, target: UUID, change: Any) -> str:
    row = await connection.fetchrow(
        "select state from identity.ask_jointly($1, $2, $3, gen_random_uuid())", act, target, change
    )
    return str(row["state"])


async def refused_all(connection: Any, *statements: tuple[str, *tuple[Any, ...]]) -> None:
    for statement, *arguments in statements:
        attempt = connection.transaction()
        await attempt.start()
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(statement, *arguments)
        await attempt.rollback()


async def collection_id(service: Service, tenant: Tenant, slug: str) -> UUID:
    return UUID((await service.get(f"/collections/{slug}", tenant, "admin")).json()["id"])


async def test_who_joins_that_personal_data_is_masked_does_that_and_nothing_else(
    service: Service, bank: Tenant
) -> None:
    await create_collection(service, bank, "strict", approvers=2, personal_data="refuse")
    strict = await collection_id(service, bank, "strict")
    assert (await patch(service, bank, "/collections/strict", {"personal_data": "mask"}, "admin")).status_code == 202
    (waiting,) = (await service.get("/joint-requests", bank, "admin2")).json()["requests"]
    change = "update documents.collection set {} where id = $1"
    async with await bound(service, bank, "admin2") as connection:
        assert await asked(connection, "collection:relax", strict, waiting["change"]) == "joined"
        await refused_all(
            connection,
            (change.format("approval_required = false, approvers = 1, personal_data = 'tell'"), strict),
            (change.format("approval_required = false, personal_data = 'mask'"), strict),
            (change.format("approvers = 1, personal_data = 'mask'"), strict),
            (change.format("approvers = 1"), strict),
            (change.format("approval_required = false"), strict),
            (change.format("personal_data = 'tell'"), strict),
        )
        await connection.execute(change.format("approvers = 3, personal_data = 'mask'"), strict)
    shown = (await service.get("/collections/strict", bank, "admin")).json()
    assert (shown["approval_required"], shown["approvers"], shown["personal_data"]) == (True, 3, "mask")


async def test_a_version_is_retired_when_both_want_it_and_at_no_other_moment(service: Service, bank: Tenant) -> None:
    submitted = await approved(service, bank, "until-2099", "In force until then.")
    later = {"reason": "At the end.", "effective_to": "2099-01-01T00:00:00Z"}
    assert (await decide(service, bank, submitted, "retire", "approver2", **later)).status_code == 202
    (waiting,) = (await service.get("/joint-requests", bank, "approver")).json()["requests"]
    version, change = UUID(waiting["target"]), waiting["change"]
    ended = "update documents.version set status = 'retired', planned_to = {0}, effective_to = {0} where id = $1"
    async with await bound(service, bank, "approver") as connection:
        transaction = connection.transaction()
        await transaction.start()
        assert await asked(connection, "version:retire", version, change) == "joined"
        await refused_all(
            connection,
            *(
                (ended.format(moment), version)
                for moment in ("now()", "timestamptz '2098-12-31'", "timestamptz '2100-01-01'")
            ),
            ("update documents.version set planned_to = now() where id = $1", version),
            ("update documents.version set status = 'retired' where id = $1", version),
        )
        await transaction.rollback()
    assert (await versions(service, bank, submitted))[1]["effective_to"] is None
    assert (await decide(service, bank, submitted, "retire", "approver", **later)).status_code == 200
    assert (await versions(service, bank, submitted))[1]["effective_to"] == "2099-01-01T00:00:00Z"
    assert (await decide(service, bank, submitted, "retire", "approver2", reason="Now.")).status_code == 202
    async with await bound(service, bank, "approver") as connection:
        assert await asked(connection, "version:retire", version, {"effective_to": None}) == "joined"
        set_end = "update documents.version set planned_to = {} where id = $1"
        await refused_all(
            connection,
            *(
                (set_end.format(moment), version)
                for moment in ("effective_from", "now() - interval '1 s'", "'2098-01-01'", "null")
            ),
        )


async def test_changes_are_asked_less_of_only_as_two_people_asked(service: Service, bank: Tenant) -> None:
    superuser = await asyncpg.connect(service.database.superuser_url)
    await superuser.execute(
        "insert into evaluation.rule (tenant_id, changes_need_approval, unapproved, changed_by) values ($1, true, 'refuse', $2)",
        bank.id, bank.users["admin"],
    )  # fmt: skip
    await superuser.close()
    wanted = {"changes_need_approval": True, "unapproved": "tell"}
    headers = await service.as_user(bank, "admin")
    assert (await service.client.put("/evaluations/rule", json=wanted, headers=headers)).status_code == 202
    rule = "update evaluation.rule set changes_need_approval = $1, unapproved = $2, changed_by = tenancy.principal_id()"
    async with await bound(service, bank, "admin2") as connection:
        assert await asked(connection, "evaluation:relax", bank.id, wanted) == "joined"
        await refused_all(connection, (rule, False, "tell"), (rule, False, "refuse"))
        await connection.execute(rule, *wanted.values())


async def test_no_more_sentences_are_shown_than_two_people_asked_for(service: Service, bank: Tenant) -> None:
    async def choose(by: str, levels: list[str]) -> int:
        headers = await service.as_user(bank, by)
        return (
            await service.client.put("/answer/policy", json={"support_levels": levels}, headers=headers)
        ).status_code

    assert await choose("admin", ["verbatim"]) == 200
    assert await choose("admin", ["verbatim", "close"]) == 202
    (waiting,) = (await service.get("/joint-requests", bank, "admin2")).json()["requests"]
    shown = "update answers.policy set support_levels = $1, changed_by = tenancy.principal_id()"
    async with await bound(service, bank, "admin2") as connection:
        assert await asked(connection, "support:relax", bank.id, waiting["change"]) == "joined"
        await refused_all(connection, (shown, None), (shown, ["verbatim", "close", "inferred"]), (shown, ["close"]))
        await connection.execute(shown, ["verbatim", "close"])


async def test_nobody_asks_another_to_join_what_they_may_not_do_themselves(service: Service, bank: Tenant) -> None:
    submitted = await approved(service, bank, "asked-for", "In force.")
    await create_collection(service, bank, "elsewhere")
    superuser = await asyncpg.connect(service.database.superuser_url)
    version = await superuser.fetchval(
        "select id from documents.version where document_id = $1", UUID(submitted["document_id"])
    )
    await superuser.close()
    targets = dict.fromkeys(JointAct, bank.id) | {JointAct.VERSION_RETIRE: version}
    allowed: dict[str, set[str]] = {act: set() for act in (*JointAct, "version:approve", "erasure:approve")}
    for username in ("admin", "approver", "editor", "analyst", "compliance", "privacy"):
        for act, who in allowed.items():
            async with await bound(service, bank, username) as connection:
                try:
                    async with connection.transaction():
                        await asked(
                            connection, act, targets.get(JointAct(act), bank.id) if act in targets else version, {}
                        )
                        who.add(username)
                except asyncpg.InsufficientPrivilegeError:
                    continue
    assert allowed == {
        "version:retire": {"approver", "editor"},
        "hold:release": {"compliance"},
        "collection:relax": {"admin"},
        "evaluation:relax": {"admin"},
        "support:relax": {"admin"},
        "second_factor:remove": {"admin"},
        "second_factor:waive": {"admin"},
        "version:approve": set(),
        "erasure:approve": set(),
    }


async def test_the_table_of_acts_is_what_the_database_and_the_service_ask_for(service: Service) -> None:
    superuser = await asyncpg.connect(service.database.superuser_url)
    known = {row["act"] for row in await superuser.fetch("select act from identity.joint_act")}
    await superuser.close()
    files = [path.read_text() for path in Path("policies").glob("*/*.sql")]
    asked = re.findall(r"(?:is_second_person|has_joined|joined_changes)\(\s*'([a-z_:]+)'", "".join(files))
    decided = re.findall(
        r"is_second_person\(case decision when 'approved' then '([a-z:]+)' else '([a-z:]+)' end", "".join(files)
    )
    assert known == {*asked, *decided[0], *JointAct}
