"""What somebody who injects SQL can do with one person's own context: nothing that needs two people."""

from typing import Any
from uuid import UUID

import asyncpg
import pytest

from backend.identity.callers.caller import Origin
from backend.identity.joint_acts.service import JointAct
from tests.factories import approved, create_collection, decide, versions
from tests.service import Service, Tenant

pytestmark = pytest.mark.anyio


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
    path, headers = "/collections/strict", await service.as_user(bank, "admin")
    assert (await service.client.patch(path, json={"personal_data": "mask"}, headers=headers)).status_code == 202
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
