"""Who may do what on every object of the database, derived from pg_catalog and compared with privileges.txt."""

from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest

from backend.database import Queries
from tests.isolation.attacks import ATTACKS
from tests.isolation.golden import assert_golden
from tests.service import Database

pytestmark = pytest.mark.anyio

queries = Queries(Path(__file__).with_name("privileges.sql"))


@pytest.fixture(scope="module")
async def catalog(database: Database) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(database.superuser_url)
    yield connection
    await connection.close()


async def _lines(catalog: asyncpg.Connection) -> list[str]:
    lines = [row[0] for query in (queries.roles, queries.database) for row in await catalog.fetch(query)]
    for relation in await catalog.fetch(queries.relations):
        walls = "forced" if relation["forced"] and relation["enabled"] else "NOT FORCED"
        security = f", row-level security {walls}" if relation["kind"] == "table" else ""
        lines += ["", f"{relation['kind']} {relation['name']} of {relation['owner']}{security}"]
        lines += [f"  policy {policy}" for policy in relation["policies"]]
        lines += [f"  {grant}" for grant in relation["grants"]] or ["  nobody else may do anything"]
    return [*lines, "", *(row["line"] for row in await catalog.fetch(queries.functions))]


async def test_who_may_do_what_on_every_object_is_as_reviewed(
    catalog: asyncpg.Connection, request: pytest.FixtureRequest
) -> None:
    assert_golden(request.config, "privileges.txt", await _lines(catalog))


async def test_every_table_is_walled_and_a_granted_one_has_a_policy_for_who_it_is_granted_to(
    catalog: asyncpg.Connection,
) -> None:
    for relation in await catalog.fetch(queries.relations):
        if relation["kind"] != "table" or relation["name"].startswith("migration."):
            continue
        assert relation["enabled"], relation["name"]
        assert relation["forced"], relation["name"]
        for grant in relation["grants"]:
            grantee = grant.split(" may ")[0]
            assert any(grantee in policy and "restrictive" not in policy for policy in relation["policies"]), (
                f"{relation['name']}: {grant}"
            )


async def test_a_table_without_a_policy_is_noticed(catalog: asyncpg.Connection, request: pytest.FixtureRequest) -> None:
    transaction = catalog.transaction()
    await transaction.start()
    try:
        await catalog.execute(
            "create table documents.forgotten (tenant_id uuid); grant select on documents.forgotten to affidavit_runtime"
        )
        with pytest.raises(AssertionError, match="forgotten"):
            await test_every_table_is_walled_and_a_granted_one_has_a_policy_for_who_it_is_granted_to(catalog)
        if not request.config.getoption("update_golden"):
            with pytest.raises(AssertionError, match="forgotten"):
                assert_golden(request.config, "privileges.txt", await _lines(catalog))
    finally:
        await transaction.rollback()


async def test_public_may_do_nothing_and_nothing_is_a_view_or_a_sequence(catalog: asyncpg.Connection) -> None:
    """A view would run with its owner's rights, and a sequence tells how much others insert."""
    lines = await _lines(catalog)
    assert not [line for line in lines if "public may" in line and not line.startswith("language sql")]
    assert not [line for line in lines if line.startswith(("view", "sequence", "materialized", "foreign"))]
    assert not [
        line
        for line in lines
        if line.startswith("function") and "public" in line.rsplit(": ", 1)[1] and "guard." not in line
    ]


async def test_every_definer_function_has_a_fixed_search_path_that_ends_in_pg_temp(catalog: asyncpg.Connection) -> None:
    definers = [row for row in await catalog.fetch(queries.functions) if row["definer"]]
    assert len(definers) >= 6
    for row in definers:
        assert row["settings"].startswith("search_path=pg_catalog, pg_temp"), row["line"]


async def test_every_function_that_the_runtime_role_may_run_is_attacked(catalog: asyncpg.Connection) -> None:
    """But for those that only compute from what they are given."""
    callable_ones = [row for row in await catalog.fetch(queries.callable_functions) if not row["computes_only"]]
    attacked = "\n".join(statement for attack in ATTACKS for statement in attack.statements)
    assert len([row for row in callable_ones if row["definer"]]) >= 13
    assert [row["name"] for row in callable_ones if f"{row['name']}(" not in attacked] == []
