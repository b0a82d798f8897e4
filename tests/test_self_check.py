"""The self-check, against a database that was weakened on purpose."""

import asyncpg
import pytest

from backend.self_check import check, check_conditions, check_server
from tests.conftest import Database

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
    "grant execute on function audit.create_partition(date) to public": "public may execute on audit.create_partition(date): is new",
    "grant execute on function retrieval.create_private_partition(uuid) to affidavit_runtime":
        "affidavit_runtime may execute on retrieval.create_private_partition(uuid): is new",
    "grant select on tenancy.context_key to public": "public may select on tenancy.context_key: is new",
    "grant select (digest) on identity.api_key_secret to affidavit_runtime":
        "affidavit_runtime may select on identity.api_key_secret (digest): is new",
    "grant update on documents.document to affidavit_operator": "affidavit_operator may update on documents.document: is new",
    "revoke select on audit.hold from affidavit_runtime": "affidavit_runtime may select on audit.hold: is gone",
    "create policy open on documents.chunk for select to public using (true)": "policy open on documents.chunk: is new",
    "alter policy visible on documents.chunk using (true)": "policy visible on documents.chunk: was changed since",
    "drop policy wall on documents.chunk": "policy wall on documents.chunk: is gone",
    "create function jobs.all_of_them() returns setof jobs.job language sql security definer as 'select * from jobs.job'":
        "function jobs.all_of_them(): is new",
    "alter function tenancy.own_tenant() reset search_path": "function tenancy.own_tenant(): was changed since",
    "create or replace function tenancy.tenant_id() returns uuid language sql stable as 'select null::uuid'":
        "function tenancy.tenant_id(): was changed since",
    "alter table audit.event disable trigger no_change": "missing, or not always on: audit.event",
    "alter table audit.leaf enable trigger no_truncate": "missing, or not always on: audit.leaf",
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
        assert DRIFT[drift] in problems
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
