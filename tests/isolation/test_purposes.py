"""For what a transaction may present something is said twice, in Python and in SQL, and misspelt in neither."""

import re

import asyncpg
import pytest

from backend.tenancy import Claims, ContextSigner, Purpose
from tests.service import Database

pytestmark = pytest.mark.anyio

NAMED = re.compile(r"presented\('(\w+)'|'presented'(?:::text)?\)? ->> '(\w+)'")


async def fetchval(database: Database, query: str, *arguments: object) -> object:
    connection = await asyncpg.connect(database.superuser_url)
    try:
        return await connection.fetchval(query, *arguments)
    finally:
        await connection.close()


async def test_code_and_database_know_the_same_purposes(database: Database) -> None:
    assert await fetchval(database, "select tenancy.purposes()") == [purpose.value for purpose in Purpose]


async def test_policies_and_functions_ask_for_every_purpose_and_for_no_other(database: Database) -> None:
    text = await fetchval(
        database,
        "select (select string_agg(concat_ws(' ', qual, with_check), ' ') from pg_policies) || ' '"
        " || (select string_agg(pg_get_functiondef(p.oid), ' ') from pg_proc p join pg_namespace n on n.oid = pronamespace"
        "     where prokind = 'f' and n.nspname !~ '^(pg_|information_schema)' and p.probin is null)",
    )
    asked = {first or second for first, second in NAMED.findall(str(text))}
    assert asked == {purpose.value for purpose in Purpose}


async def test_the_database_refuses_to_be_asked_for_a_misspelt_purpose(database: Database) -> None:
    with pytest.raises(asyncpg.InvalidParameterValueError, match="withdrawin"):
        await fetchval(database, "select tenancy.presented('withdrawin')")


async def test_a_context_with_a_misspelt_purpose_is_not_signed() -> None:
    with pytest.raises(ValueError, match="withdrawin"):
        ContextSigner("k").sign(Claims("r", presented={"withdrawin": "x"}), 1)  # type: ignore[dict-item]
