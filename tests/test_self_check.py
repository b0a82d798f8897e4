"""The self-check, against a database that was weakened on purpose."""

import asyncpg
import pytest

from backend.self_check import check, check_conditions, check_server
from tests.service import Database

pytestmark = pytest.mark.anyio


async def _problems(database: Database) -> list[str]:
    connection = await asyncpg.connect(database.runtime_url)
    try:
        return [finding.check for finding in await check(connection) if finding.problem]
    finally:
        await connection.close()


@pytest.mark.parametrize("weakened", ["disable", "enable replica", "enable"])
async def test_a_guard_of_definitions_that_is_not_always_on_is_found(database: Database, weakened: str) -> None:
    assert await _problems(database) == []
    superuser = await asyncpg.connect(database.superuser_url)
    try:
        await superuser.execute(f"alter event trigger refuse_definitions {weakened}")
        assert await _problems(database) == ["definitions guard"]
    finally:
        await superuser.execute("alter event trigger refuse_definitions enable always")
        await superuser.close()


DRIFT = {
    "grant execute on function audit.create_partition(date) to public":
        "function audit.create_partition(date), rights of public: is not part of this release",
    "grant execute on function retrieval.create_private_partition(uuid) to affidavit_runtime":
        "function retrieval.create_private_partition(uuid), rights of affidavit_runtime: is not part of this release",
    "grant select on tenancy.context_key to public": "table tenancy.context_key, rights of public: is not part of this release",
    "grant select (digest) on identity.api_key_secret to affidavit_runtime":
        "table identity.api_key_secret, rights of affidavit_runtime of digest: is not as shipped",
    "grant update on documents.document to affidavit_operator":
        "table documents.document, rights of affidavit_operator: is not part of this release",
    "revoke select on audit.hold from affidavit_runtime": "table audit.hold, rights of affidavit_runtime: is",
    "grant update on audit.event to affidavit_owner": "table audit.event, rights of affidavit_owner: is not as shipped",
    "create policy open on documents.chunk for select to public using (true)": "table documents.chunk, policy open: is not part of this release",
    "alter policy visible on documents.chunk using (true)": "table documents.chunk, policy visible: is not as shipped",
    "drop policy wall on documents.chunk": "table documents.chunk, policy wall: is missing",
    "alter table documents.chunk no force row level security": "table documents.chunk, row-level security: is not as shipped",
    "create function jobs.all_of_them() returns setof jobs.job language sql security definer as 'select * from jobs.job'":
        "function jobs.all_of_them(), definition: is not part of this release",
    "alter function tenancy.own_tenant() reset search_path": "function tenancy.own_tenant(), definition: is not as shipped",
    "alter function tenancy.own_tenant() owner to postgres": "function tenancy.own_tenant(), owner: is not as shipped",
    "create or replace function tenancy.tenant_id() returns uuid language sql stable as 'select null::uuid'":
        "function tenancy.tenant_id(), definition: is not as shipped",
    "alter table audit.event disable trigger no_change": "missing, or not always on: audit.event",
    "alter table audit.event disable trigger await_sealing": "missing, or not always on: audit.event",
    "alter table audit.leaf enable trigger no_truncate": "table audit.leaf, trigger no_truncate: is not as shipped",
    "create trigger more before insert on jobs.job for each row execute function audit.refuse_change()":
        "table jobs.job, trigger more: is not part of this release",
    "create rule more as on insert to jobs.job do also select 1": "table jobs.job, rule more: is not part of this release",
    "alter table audit.hold alter reason drop not null": "table audit.hold, column reason: is not as shipped",
    "alter table audit.hold alter placed_at set default '-infinity'": "table audit.hold, column placed_at: is not as shipped",
    "alter table audit.hold alter reason set statistics 100": "table audit.hold, statistics of reason: is not part of this release",
    "alter table documents.approval drop constraint approver_is_not_the_author":
        "table documents.approval, constraint approver_is_not_the_author: is missing",
    "drop index documents.chunk_in_force": "table documents.chunk, index chunk_in_force: is missing",
    "create table jobs.more (tenant_id uuid)": "table jobs.more, kind: is not part of this release",
    "create view jobs.all_of_them as select * from jobs.job": "table jobs.all_of_them, kind: is not part of this release",
    "alter default privileges for role affidavit_owner grant select on tables to affidavit_runtime":
        "default rights of affidavit_owner, on r: is not part of this release",
    "alter role affidavit_sealer bypassrls": "role affidavit_sealer, powers: is not as shipped; run infra/roles.sql",
    "grant affidavit_owner to affidavit_sealer": "role affidavit_sealer, member of affidavit_owner: is not part of this release",
    "grant temporary on database {database} to public": "everybody may temporary in the database",
    "grant usage on language plpgsql to affidavit_runtime": "affidavit_runtime may use the language plpgsql",
}  # fmt: skip


@pytest.mark.parametrize("drift", DRIFT)
async def test_a_right_that_no_migration_gave_or_took_is_found(database: Database, drift: str) -> None:
    superuser = await asyncpg.connect(database.superuser_url)
    transaction = superuser.transaction()
    await transaction.start()
    try:
        name = await superuser.fetchval("select current_database()")
        await superuser.execute(drift.format(database=name))
        await superuser.execute("set local search_path = pg_catalog, public; set local role affidavit_runtime")
        problems = "; ".join(finding.problem for finding in await check(superuser) if finding.problem)
        assert DRIFT[drift].split("; ")[0] in problems
        assert DRIFT[drift].split("; ")[-1] in problems
    finally:
        await transaction.rollback()
        await superuser.close()


async def test_a_function_of_the_server_by_which_others_can_be_watched_is_found(database: Database) -> None:
    superuser = await asyncpg.connect(database.superuser_url)
    transaction = superuser.transaction()
    await transaction.start()
    try:
        await superuser.execute("set local role affidavit_runtime")
        assert (await check_server(superuser)).problem is None
        await superuser.execute(
            "reset role; grant execute on function pg_lock_status() to public; set local role affidavit_runtime"
        )
        assert "pg_lock_status()" in str((await check_server(superuser)).problem)
    finally:
        await transaction.rollback()
        await superuser.close()


@pytest.mark.parametrize(
    "cheap",
    [
        "alter function texteq(text, text) cost 1",
        "alter function macaddr_in(cstring) cost 19",
        "create function public.of_an_upgraded_extension(text) returns text language internal cost 1 as 'textin'",
        "alter type jsonb set (subscript = jsonb_subscript_handler)",
    ],
)
async def test_a_condition_that_could_be_asked_before_a_policy_is_found(database: Database, cheap: str) -> None:
    superuser = await asyncpg.connect(database.superuser_url)
    transaction = superuser.transaction()
    await transaction.start()
    try:
        await superuser.execute("set local role affidavit_runtime")
        assert (await check_conditions(superuser)).problem is None
        await superuser.execute(f"reset role; {cheap}; set local role affidavit_runtime")
        assert "run infra/roles.sql as superuser" in str((await check_conditions(superuser)).problem)
    finally:
        await transaction.rollback()
        await superuser.close()


async def test_a_partition_that_the_sealer_makes_later_is_as_a_migration_makes_it(database: Database) -> None:
    """Migrations make two years of partitions; a deployment that is not migrated for longer stays ready all the same."""
    superuser = await asyncpg.connect(database.superuser_url)
    transaction = superuser.transaction()
    await transaction.start()
    try:
        await superuser.execute("set local role affidavit_owner; select audit.create_partition('2090-01-01')")
        await superuser.execute("set local search_path = pg_catalog, public; set local role affidavit_runtime")
        assert [finding for finding in await check(superuser) if finding.problem] == []
    finally:
        await transaction.rollback()
        await superuser.close()
