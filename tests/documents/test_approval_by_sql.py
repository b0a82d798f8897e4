"""What the database itself keeps whoever speaks SQL as the runtime role from: approving, putting in force, forging history."""

from typing import Any
from uuid import UUID

import asyncpg
import pytest

from backend.identity.callers.permissions import Role
from backend.tenancy import Claims, ContextSigner
from tests.factories import approved, create_collection, decide, submit, versions
from tests.service import Secrets, Service, Tenant

pytestmark = pytest.mark.anyio

BOTH = "both"  # a user who writes and reviews


@pytest.fixture(scope="module", autouse=True)
async def guidance(service: Service, tenant: Tenant) -> None:
    await create_collection(service, tenant)
    await create_collection(service, tenant, "two-eyes-more", approvers=2)
    await service.add_user(tenant, BOTH, Role.EDITOR, Role.APPROVER)
    await service.add_user(tenant, "second", Role.APPROVER)


@pytest.fixture
async def runtime(service: Service) -> Any:
    connection = await asyncpg.connect(service.database.runtime_url)
    yield connection
    await connection.close()


async def bind(
    connection: asyncpg.Connection,
    service: Service,
    tenant: Tenant,
    username: str,
    run_secrets: Secrets,
    **presented: str,
) -> None:
    me = (await service.get("/auth/me", tenant, username)).json()
    rows = (await service.get("/collections", tenant, "admin")).json()["collections"]
    ids = {row["slug"]: UUID(row["id"]) for row in rows}
    claims = Claims(
        request_id="injected", tenant_id=tenant.id, principal_id=UUID(me["id"]), kind="user", permissions=me["permissions"],
        readable=[ids[slug] for slug in me["readable_collections"]],
        writable=[ids[slug] for slug in me["writable_collections"]], presented=presented,
    )  # fmt: skip
    signed = ContextSigner(run_secrets.context_key).sign(claims, connection.get_server_pid())
    await connection.execute("select set_config('app.context', $1, false)", signed)


PUT_IN_FORCE = (
    "update documents.version set status = 'approved', effective_from = now() - interval '1 day' where id = $1"
)
APPROVE = """
insert into documents.approval (tenant_id, version_id, approver_id, collection_id, author_id, content_sha256, decision)
select tenant_id, id, $2, collection_id, {author}, content_sha256, 'approved' from documents.version where id = $1
"""


async def version_id(service: Service, submitted: dict[str, Any]) -> UUID:
    owner = await asyncpg.connect(service.database.superuser_url)
    try:
        found: UUID = await owner.fetchval(
            "select id from documents.version where document_id = $1 and number = $2",
            UUID(submitted["document_id"]), submitted["document_version"],
        )  # fmt: skip
    finally:
        await owner.close()
    return found


async def test_the_database_lets_no_author_approve_their_own_version(
    service: Service, tenant: Tenant, runtime: asyncpg.Connection, run_secrets: Secrets
) -> None:
    identifier = await version_id(service, await submit(service, tenant, "sql-own", "SQL by me.", username=BOTH))
    await bind(runtime, service, tenant, BOTH, run_secrets)
    with pytest.raises(asyncpg.PostgresError) as refused:
        await runtime.execute(APPROVE.format(author="author_id"), identifier, tenant.users[BOTH])
    assert isinstance(refused.value, asyncpg.InsufficientPrivilegeError | asyncpg.CheckViolationError)
    with pytest.raises(asyncpg.PostgresError):  # nor by naming another author
        await runtime.execute(APPROVE.format(author=f"'{tenant.users['editor']}'"), identifier, tenant.users[BOTH])
    with pytest.raises(asyncpg.InsufficientPrivilegeError):  # nor in another's name
        await runtime.execute(APPROVE.format(author="author_id"), identifier, tenant.users["approver"])
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await runtime.execute(PUT_IN_FORCE, identifier)


async def test_the_constraint_alone_refuses_an_author_also_without_any_policy(service: Service, tenant: Tenant) -> None:
    identifier = await version_id(service, await submit(service, tenant, "su-own", "Mine.", username=BOTH))
    superuser = await asyncpg.connect(service.database.superuser_url)
    try:
        with pytest.raises(asyncpg.CheckViolationError, match="approver_is_not_the_author"):
            await superuser.execute(APPROVE.format(author="author_id"), identifier, tenant.users[BOTH])
        other = f"'{tenant.users['editor']}'"
        with pytest.raises(asyncpg.ForeignKeyViolationError):
            await superuser.execute(APPROVE.format(author=other), identifier, tenant.users[BOTH])
    finally:
        await superuser.close()


async def test_the_database_puts_nothing_in_force_without_the_approvals_it_needs(
    service: Service, tenant: Tenant, runtime: asyncpg.Connection, run_secrets: Secrets
) -> None:
    submitted = await submit(service, tenant, "sql-two", "Needs two.", collection="two-eyes-more")
    await decide(service, tenant, submitted)
    identifier = await version_id(service, submitted)
    await bind(runtime, service, tenant, "second", run_secrets)
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await runtime.execute(PUT_IN_FORCE, identifier)
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await runtime.execute("update documents.chunk set effective_from = now() where version_id = $1", identifier)
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await runtime.execute("update documents.version set approvals_needed = 1 where id = $1", identifier)


async def test_the_database_keeps_writers_from_validity_and_approved_text(
    service: Service, tenant: Tenant, runtime: asyncpg.Connection, run_secrets: Secrets
) -> None:
    identifier = await version_id(service, await approved(service, tenant, "sql-text", "Approved text."))
    await bind(runtime, service, tenant, "editor", run_secrets, writing="chunks")
    for table, key in (("version", "id"), ("chunk", "version_id")):
        ended = f"update documents.{table} set effective_to = now() where {key} = $1"
        assert await runtime.execute(ended, identifier) == "UPDATE 0"
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await runtime.execute("update documents.chunk set text = 'Forged.' where version_id = $1", identifier)
    with pytest.raises(asyncpg.PostgresError):
        await runtime.execute(
            """
            insert into documents.chunk (tenant_id, id, collection_id, document_id, version_id, ordinal, effective_from,
              source_type, text, sha256, embedding_model, dense, sparse)
            select tenant_id, gen_random_uuid(), collection_id, document_id, version_id, 99, effective_from,
              source_type, 'Forged.', sha256, embedding_model, dense, sparse from documents.chunk where version_id = $1
            """,
            identifier,
        )


async def test_the_database_names_nobody_who_decided_only_where_the_caller_may_not_read(
    service: Service, tenant: Tenant, runtime: asyncpg.Connection, run_secrets: Secrets
) -> None:
    vault = {"slug": "vault", "name": "Vault", "approval_required": True}
    assert (await service.post("/collections", tenant, "admin", vault)).status_code == 201
    for role, access in (("editor", "read"), ("editor", "write"), ("approver", "read")):
        granted = await service.post("/collections/vault/grants", tenant, "admin", {"role": role, "access": access})
        assert granted.status_code == 201
    unseen = await service.add_user(tenant, "unseen", Role.APPROVER)
    submitted = await submit(service, tenant, "kept", "Kept in the vault.", collection="vault")
    assert (await decide(service, tenant, submitted, username="unseen")).status_code == 200
    for username, name in (("analyst", None), ("approver", "unseen")):
        await bind(runtime, service, tenant, username, run_secrets)
        assert await runtime.fetchval("select documents.decider_name($1)", unseen) == name


async def test_the_database_forges_no_history(
    service: Service, tenant: Tenant, runtime: asyncpg.Connection, run_secrets: Secrets
) -> None:
    identifier = await version_id(service, await approved(service, tenant, "sql-past", "The past."))
    await bind(runtime, service, tenant, "approver", run_secrets)
    forge = """
        insert into documents.version_history (tenant_id, id, collection_id, document_id, version_id, status,
          effective_from, effective_to)
        select tenant_id, gen_random_uuid(), collection_id, document_id, id, 'retired', effective_from, now()
        from documents.version where id = $1
    """
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await runtime.execute(forge, identifier)
    for change in ("update documents.version_history set recorded_at = now()", "delete from documents.approval"):
        try:
            assert await runtime.execute(change) in {"UPDATE 0", "DELETE 0"}
        except asyncpg.InsufficientPrivilegeError:
            continue


async def in_one_transaction(connection: asyncpg.Connection, statements: list[tuple[str, UUID]]) -> list[str]:
    async with connection.transaction():
        return [await connection.execute(statement, version) for statement, version in statements]


END = "update documents.version set effective_to = now() where id = $1"
FOREVER = "update documents.version set effective_to = 'infinity' where id = $1"
FOLLOW = """
update documents.chunk c set effective_from = v.effective_from, effective_to = v.effective_to
from documents.version v where v.id = c.version_id and v.id = $1
"""
UNAPPROVE = """
update documents.version set status = 'draft', effective_from = 'infinity', effective_to = 'infinity' where id = $1
"""
CHANGES = """
update documents.version set planned_to = now() where id = $1
update documents.version set effective_from = now() - interval '1 year' where id = $1
update documents.version set effective_from = 'infinity', effective_to = 'infinity' where id = $1
update documents.version set planned_to = now(), effective_to = now() where id = $1
update documents.version set status = 'retired', effective_to = now() where id = $1
"""


async def test_no_reviewer_alone_ends_what_is_in_force_nor_brings_back_what_was(
    service: Service, tenant: Tenant, runtime: asyncpg.Connection, run_secrets: Secrets
) -> None:
    first = await version_id(service, await approved(service, tenant, "sql-end", "The old text."))
    submitted = await approved(service, tenant, "sql-end", "The new text.")
    second = await version_id(service, submitted)
    await bind(runtime, service, tenant, "approver", run_secrets)
    attempts = [
        [(END, second), (FOLLOW, second)],
        [(END, second), (FOLLOW, second), (FOREVER, second)],  # its passages alone
        [(END, second), (FOLLOW, second), (FOREVER, first), (FOLLOW, first)],
        [(UNAPPROVE, second), (FOREVER, first)],
        [("update documents.version set status = 'approved' where id = $1", first)],
        [("update documents.version set effective_to = effective_to + interval '1 s' where id = $1", first)],
        *([(change, second)] for change in CHANGES.strip().splitlines()),
    ]
    for statements in attempts:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await in_one_transaction(runtime, statements)
    seen = await versions(service, tenant, submitted)
    assert {number: version["status"] for number, version in seen.items()} == {1: "superseded", 2: "approved"}
    assert (seen[1]["effective_to"], seen[2]["effective_to"]) == (seen[2]["effective_from"], None)


async def test_no_author_takes_back_that_its_version_was_approved(
    service: Service, tenant: Tenant, runtime: asyncpg.Connection, run_secrets: Secrets
) -> None:
    submitted = await approved(service, tenant, "sql-back", "Approved text.")
    await bind(runtime, service, tenant, "editor", run_secrets)
    assert await runtime.execute(UNAPPROVE, await version_id(service, submitted)) == "UPDATE 0"
    assert (await versions(service, tenant, submitted))[1]["status"] == "approved"


OTHERWISE = """
update documents.version set status = 'approved', effective_from = now() - interval '1 day', effective_to = 'infinity' where id = $1
update documents.version set planned_from = now() - interval '1 day' where id = $1
update documents.version set planned_to = '2999-01-01' where id = $1
update documents.version set planned_from = '2999-01-01' where id = $1
"""


@pytest.mark.parametrize(
    "asked", [{}, {"effective_from": "2090-01-01T00:00:00Z"}], ids=["with its approval", "in 2090"]
)
@pytest.mark.parametrize("change", OTHERWISE.strip().splitlines(), ids=["begun", "planned", "ended", "too late"])
async def test_who_approves_gives_no_earlier_beginning_and_no_other_end_than_were_asked_for(
    service: Service,
    tenant: Tenant,
    runtime: asyncpg.Connection,
    run_secrets: Secrets,
    change: str,
    asked: dict[str, str],
) -> None:
    ends = {"effective_to": "2098-01-01T00:00:00Z"}
    submitted = await submit(service, tenant, "sql-begins", f"Text, {change[-40:]}, {asked}.", **asked, **ends)
    identifier = await version_id(service, submitted)
    await bind(runtime, service, tenant, "approver", run_secrets)
    deciding = runtime.transaction()
    await deciding.start()
    await runtime.execute(APPROVE.format(author="author_id"), identifier, tenant.users["approver"])
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="another person"):
        await runtime.execute(change, identifier)
    await deciding.rollback()
    assert (await versions(service, tenant, submitted))[submitted["document_version"]]["status"] == "in_review"


DETOURS = {
    "by a draft": "draft",
    "by a rejection": "rejected",
    "by a draft that is submitted again": "draft in_review",
    "by being superseded": "superseded",
}
BEGIN_A_YEAR_AGO = """
update documents.version set status = 'approved', planned_from = null, effective_from = now() - interval '1 year' where id = $1
"""


@pytest.mark.parametrize("states", DETOURS.values(), ids=DETOURS)
async def test_no_approver_leads_a_version_around_what_was_asked_for(
    service: Service, tenant: Tenant, runtime: asyncpg.Connection, run_secrets: Secrets, states: str
) -> None:
    submitted = await submit(service, tenant, "sql-detour", f"Text by {states}.", effective_from="2090-01-01T00:00:00Z")
    identifier = await version_id(service, submitted)
    await bind(runtime, service, tenant, "approver", run_secrets)
    approve = (APPROVE.format(author="author_id").replace("$2", f"'{tenant.users['approver']}'"), identifier)
    steps = [(f"update documents.version set status = '{state}' where id = $1", identifier) for state in states.split()]
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="another person"):
        await in_one_transaction(runtime, [approve, *steps, (BEGIN_A_YEAR_AGO, identifier)])
    assert (await versions(service, tenant, submitted))[submitted["document_version"]]["status"] == "in_review"


async def test_an_author_changes_no_plan_after_the_first_of_two_has_approved_it(
    service: Service, tenant: Tenant, runtime: asyncpg.Connection, run_secrets: Secrets
) -> None:
    submitted = await submit(
        service,
        tenant,
        "sql-late",
        "Two approve this.",
        collection="two-eyes-more",
        effective_from="2090-01-01T00:00:00Z",
    )
    assert (await decide(service, tenant, submitted)).status_code == 200
    identifier = await version_id(service, submitted)
    await bind(runtime, service, tenant, "editor", run_secrets)
    for change in ("status = 'draft'", "planned_from = now()", "takes_chunks = true"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await runtime.execute(f"update documents.version set {change} where id = $1", identifier)


async def test_what_was_rejected_stays_so(
    service: Service, tenant: Tenant, runtime: asyncpg.Connection, run_secrets: Secrets
) -> None:
    submitted = await submit(service, tenant, "sql-rejected", "Rejected by one.")
    refused = await decide(service, tenant, submitted, "reject", reason="It names the wrong fee.")
    assert refused.status_code == 200, refused.text
    identifier = await version_id(service, submitted)
    for username in ("second", "editor"):
        await bind(runtime, service, tenant, username, run_secrets)
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await runtime.execute("update documents.version set status = 'in_review' where id = $1", identifier)


async def test_a_draft_of_before_the_rule_needs_somebody_who_approves_it(
    service: Service, tenant: Tenant, runtime: asyncpg.Connection, run_secrets: Secrets
) -> None:
    await create_collection(service, tenant, "late-rule", approval_required=False)
    planted = await submit(
        service,
        tenant,
        "planted",
        "Planted.",
        username=BOTH,
        collection="late-rule",
        effective_from="2090-01-01T00:00:00Z",
    )
    identifier = await version_id(service, planted)
    await bind(runtime, service, tenant, BOTH, run_secrets, writing="chunks")
    open_again = "update documents.{} set effective_from = 'infinity', effective_to = 'infinity'{} where {} = $1"
    await in_one_transaction(runtime, [
        (open_again.format("version", ", status = 'draft'", "id"), identifier),
        (open_again.format("chunk", "", "version_id"), identifier),
    ])  # fmt: skip
    admin = await service.as_user(tenant, "admin")
    tightened = await service.client.patch("/collections/late-rule", json={"approval_required": True}, headers=admin)
    assert tightened.status_code == 200, tightened.text
    await bind(runtime, service, tenant, BOTH, run_secrets)
    for start in ("draft", "in_review"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await in_one_transaction(runtime, [
                (f"update documents.version set status = '{start}' where id = $1", identifier), (BEGIN_A_YEAR_AGO, identifier),
            ])  # fmt: skip
