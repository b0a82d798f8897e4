"""The self-check, against a database that was weakened on purpose."""

import asyncpg
import pytest

from backend.self_check import check
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
