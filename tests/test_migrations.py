"""The schema has one description, one policy file a table, and row classes where services read whole rows; none of them drifts."""

import asyncio
import hashlib
import json
import re
import shutil
from pathlib import Path

import asyncpg
import pytest
from sqlalchemy.dialects import postgresql

from backend import embedded_postgres, manifest
from backend.documents import tables
from backend.embedded_postgres import EmbeddedPostgres, Passwords
from backend.migration import migrate
from backend.policies import SCHEMAS
from tests.scratch import new_folder
from tests.service import Database

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).resolve().parent.parent

COLUMNS = """
    select n.nspname || '.' || t.relname as table, a.attname as column, format_type(a.atttypid, a.atttypmod) as type,
      a.attnotnull as required, coalesce(a.attnum = any (i.indkey[:i.indnkeyatts - 1]), false) as key
    from pg_class t join pg_namespace n on n.oid = t.relnamespace
    join pg_attribute a on a.attrelid = t.oid and a.attnum > 0 and not a.attisdropped
    left join pg_index i on i.indisprimary and i.indrelid in (t.oid, to_regclass(n.nspname || '.' || t.relname || '_shared'))
    where t.relkind in ('r', 'p') and not t.relispartition
      and n.nspname not in ('pg_catalog', 'information_schema', 'migration')
"""


async def facts_of(database: Database) -> manifest.Facts:
    """Everything that the catalogue of a database says of its schema."""
    connection = await asyncpg.connect(database.runtime_url)
    try:
        return await manifest.found(connection)
    finally:
        await connection.close()


Column = tuple[str, str, str, bool, bool]


async def migrated(database: Database) -> set[Column]:
    """Every column that the migrations make: table, name, type, whether it is required, whether it is a key."""
    connection = await asyncpg.connect(database.superuser_url)
    try:
        return {tuple(row) for row in await connection.fetch(COLUMNS)}
    finally:
        await connection.close()


def declared() -> set[Column]:
    """Every column that a row class with `table=True` declares."""
    dialect = postgresql.dialect()
    return {
        (f"{table.schema}.{table.name}", column.name, column.type.compile(dialect).lower(), not column.nullable,
         column.primary_key)
        for table in tables.SQLModel.metadata.tables.values()
        for column in table.columns
    }  # fmt: skip


async def test_the_row_classes_of_tables_have_the_columns_that_the_migrations_make(database: Database) -> None:
    names = {table for table, *_ in declared()}
    assert declared() == {column for column in await migrated(database) if column[0] in names}
    assert names


async def test_the_place_of_a_chunk_is_of_columns_of_its_table(database: Database) -> None:
    columns = {column for table, column, *_ in await migrated(database) if table == "documents.chunk"}
    assert set(tables.ChunkSpan.model_fields) <= columns


async def test_every_table_has_its_policy_file_and_every_file_its_table(database: Database) -> None:
    tables = {column[0] for column in await migrated(database)}
    files = {path.name.removesuffix(".sql") for path in (ROOT / "policies" / "tables").glob("*.sql")}
    assert {name for name in files if not name.startswith("migration.")} == tables


def test_a_revision_never_changes_once_it_is_frozen() -> None:
    frozen = dict(line.split() for line in (ROOT / "migrations" / "FROZEN.txt").read_text().splitlines())
    revisions = (ROOT / "migrations" / "versions").glob("[0-9]*.py")
    assert {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in revisions} == frozen


def test_revisions_follow_each_other_by_their_numbers() -> None:
    """The newest is the one with the highest number: with that a database is compared."""
    revisions = sorted((ROOT / "migrations" / "versions").glob("[0-9]*.py"))
    said = [
        re.findall(r'^(?:down_)?revision = (?:"(\d{4})"|None)', path.read_text(), re.MULTILINE) for path in revisions
    ]
    numbers = [path.name[:4] for path in revisions]
    assert said == [[number, before] for before, number in zip(["", *numbers], numbers, strict=False)]


async def test_every_function_is_in_a_file_of_its_own_version(database: Database) -> None:
    connection = await asyncpg.connect(database.superuser_url)
    try:
        made = await connection.fetch(
            "select p.pronamespace::regnamespace || '.' || p.proname as name from pg_proc p"
            " where p.pronamespace::regnamespace::text = any ($1)", list(SCHEMAS)
        )  # fmt: skip
    finally:
        await connection.close()
    scripts = "".join(path.read_text() for path in (ROOT / "policies" / "functions").glob("*.sql"))
    assert {row["name"] for row in made} == set(re.findall(r"create or replace function ([\w.]+)\(", scripts))


async def test_the_shipped_manifest_is_what_a_fresh_migration_makes(
    database: Database, pytestconfig: pytest.Config
) -> None:
    facts = await facts_of(database)
    if pytestconfig.getoption("update_golden"):
        manifest.PATH.write_text(json.dumps(facts, indent=1, sort_keys=True, ensure_ascii=False) + "\n")
        manifest.expected.cache_clear()
    different = "\n".join(map(str, manifest.differences(facts, manifest.expected())))
    assert not different, f"review, then run pytest with --update-golden\n{different}"


async def test_migrating_again_changes_nothing(database: Database) -> None:
    before = await migrated(database)
    await asyncio.to_thread(migrate, database.owner_url)
    assert await migrated(database) == before


def test_an_older_server_has_the_same_schema(monkeypatch: pytest.MonkeyPatch) -> None:
    """PostgreSQL 16, the oldest that is supported, comes in the same package as the one that all other tests use."""
    sixteen = embedded_postgres.binaries().parent.parent / "pginstall" / "bin"
    monkeypatch.setattr(embedded_postgres, "binaries", lambda: sixteen)
    folder = new_folder()
    server = EmbeddedPostgres(folder / "data", Passwords.generate(), settings={"fsync": "off"})
    server.start()
    try:
        server.prepare_roles()
        assert migrate(server.urls()["owner_url"]) == []
        assert (folder / "data" / "PG_VERSION").read_text() == "16\n"
    finally:
        server.stop("immediate")
        shutil.rmtree(folder, ignore_errors=True)
