"""Brings what gives policies their meaning to what this version ships: functions, policies, grants and walls."""

import re
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import asyncpg

from backend import manifest
from backend.database import Connection
from backend.manifest import Facts, SchemaDifference
from backend.shipped import shipped

POLICIES = shipped("policies")

# In the order in which requests come to them: whoever takes locks in that order meets a request at one place only.
SCHEMAS = (
    "migration",
    "tenancy",
    "identity",
    "documents",
    "retrieval",
    "storage",
    "jobs",
    "answers",
    "evaluation",
    "webhooks",
    "sources",
    "audit",
)
TABLE, FUNCTION, SCHEMA = "table ", "function ", "schema "
OWNER = "affidavit_owner"

# With the place of its row, which moves when the function is made anew.
_FUNCTIONS = "select oid::regprocedure::text, ctid::text from pg_proc where pronamespace::regnamespace::text = any ($1)"
_RIGHTS = re.compile(r'rights of ("(?:[^"]|"")+"|\S+)')


async def reapply(connection: Connection, *, everything: bool = False) -> list[SchemaDifference]:
    """Gives each object that is not as shipped its policies and rights anew; returns what still differs.

    Does nothing, and takes no lock, where all is as shipped. Must run in a transaction.
    """
    there = await manifest.found(connection)
    names = {difference.object for difference in manifest.differences(there, manifest.expected())}
    names |= set(there) if everything else set()
    if not names:
        return []
    tables = [name for name in in_order(_of_kind(names, TABLE)) if TABLE + name in there]
    if tables:
        # All of them first, so that an attempt that has to wait is given up before it did anything; and by one statement, since
        # a request that comes between two locks may hold one table and wait for the other, against the upgrade.
        named = ", ".join(f"only {table}" for table in tables)
        await connection.execute(f"lock table {named} in access exclusive mode")
    await _reapply_schemas(connection, there)
    left_over = await _reapply_functions(connection, there) if any(_of_kind(names, FUNCTION)) else []
    for table in tables:
        await _reapply_table(connection, table, there)
    for function in left_over:  # unless something still uses it, which the self-check then names
        with suppress(asyncpg.DependentObjectsStillExistError):
            async with connection.transaction():
                await connection.execute(f"drop routine {function}")
    return list(manifest.differences(await manifest.found(connection), manifest.expected()))


def in_order(names: Iterable[str]) -> list[str]:
    """Returns names `schema.subject`, schema by schema."""
    return sorted(names, key=lambda name: (SCHEMAS.index(name.split(".", maxsplit=1)[0]), name))


def scripts(folder: str) -> list[Path]:
    """Returns the SQL files of a folder of policies/, each named `schema.subject.sql`, schema by schema."""
    files = {path.name: path for path in (POLICIES / folder).glob("*.sql")}
    return [files[name] for name in in_order(files)]


def _of_kind(names: Iterable[str], kind: str) -> list[str]:
    return [name.removeprefix(kind) for name in sorted(names) if name.startswith(kind)]


async def _reapply_schemas(connection: Connection, there: Facts) -> None:
    for schema in _of_kind(there, SCHEMA):
        await _revoke(connection, SCHEMA + schema, there)
    await connection.execute((POLICIES / "schemas.sql").read_text())


async def _reapply_functions(connection: Connection, there: Facts) -> list[str]:
    """Makes all functions anew where one differs, which locks no table; returns those that no file makes any more."""
    for function in _of_kind(there, FUNCTION):
        await _revoke(connection, FUNCTION + function, there)
    before = {*map(tuple, await connection.fetch(_FUNCTIONS, list(SCHEMAS)))}
    for path in scripts("functions"):
        await connection.execute(path.read_text())
    untouched = before & {*map(tuple, await connection.fetch(_FUNCTIONS, list(SCHEMAS)))}
    return sorted(function for function, _ in untouched)


async def _reapply_table(connection: Connection, table: str, there: Facts) -> None:
    """Takes every policy and right of a table away and gives those of its file: what that no longer says is gone."""
    parts = there[TABLE + table]
    for policy in _of_kind(parts, "policy "):
        name = await connection.fetchval("select quote_ident($1)", policy)
        await connection.execute(f"drop policy {name} on {table}")
    await _revoke(connection, TABLE + table, there)
    script = POLICIES / "tables" / (table.replace('"', "") + ".sql")
    if script.exists():
        await connection.execute(f"grant all on table {table} to affidavit_owner")
        await connection.execute(script.read_text())
    await connection.execute("select set_config('policies.table', $1, true)", table)
    await connection.execute((POLICIES / "walls.sql").read_text())


async def _revoke(connection: Connection, target: str, there: Facts) -> None:
    """Takes every right to an object away from everybody but its owner; a table's include those to its columns."""
    for role in {match[1] for part in there[target] if (match := _RIGHTS.match(part))} - {OWNER}:
        await connection.execute(f"revoke all on {target} from {role} cascade")
