"""Databases as an earlier release left them: its frozen revisions, its policies and rows that it made."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import asyncpg

from backend.embedded_postgres import ROLES_SCRIPT, EmbeddedPostgres, run_psql
from tests.service import Database

FOLDER = Path(__file__).resolve().parent
VERSIONS = FOLDER.parent.parent / "migrations" / "versions"
PAYLOAD_KEY = "payload key of the database of release 0.1.0, for tests"
CHECKPOINT_KEY = "affidavit-test+e58662c8+AWG8VdolvzEw8Hdt+ANqVHYbLAM00rz6damZpIV5g5Pf"
TENANT = "first-bank"

# What the function was for a day, with the same revision: whoever may not read the log could keep others waiting by it.
WITHOUT_THE_MENDED_FUNCTION = """
create or replace function audit.index_own_events() returns bigint
language sql security definer set search_path = pg_catalog, pg_temp
as $$
  select audit.index_events(array_agg(tenant_id), array_agg(event_id))
  from (select tenant_id, event_id from audit.unindexed where tenant_id = (select tenancy.tenant_id())
    order by event_id for update) as own
$$
"""


@asynccontextmanager
async def old_database(postgres: EmbeddedPostgres, name: str) -> AsyncIterator[Database]:
    """A database of release 0.1.0 with rows in every table; dropped afterwards."""
    admin_url = postgres.url("postgres", postgres.passwords.superuser, "postgres")
    asked = set(re.findall(r"AFFIDAVIT_(\w+)_PASSWORD", ROLES_SCRIPT.read_text()))
    passwords = {f"AFFIDAVIT_{role}_PASSWORD": getattr(postgres.passwords, role.lower()) for role in asked}
    run_psql(["--file", str(ROLES_SCRIPT), admin_url], passwords | {"AFFIDAVIT_DATABASE_NAME": name})
    database = Database(**postgres.urls(name))
    try:
        await _migrate(database.owner_url)
        run_psql(["--file", str(FOLDER / "0.1.0.data.sql"), database.superuser_url], {})
        yield database
    finally:
        admin = await asyncpg.connect(admin_url)
        await admin.execute(f"drop database if exists {name} with (force)")
        await admin.close()


async def _migrate(owner_url: str) -> None:
    owner = await asyncpg.connect(owner_url)
    try:
        async with owner.transaction():
            await owner.execute(
                "create schema migration; create table migration.alembic_version"
                " (version_num varchar(32) not null, constraint alembic_version_pkc primary key (version_num));"
                " insert into migration.alembic_version values ('0006')"
            )
            for path in sorted(VERSIONS.glob("000[1-6]_*.py")):
                spec = spec_from_file_location(path.stem, path)
                assert spec is not None
                assert spec.loader is not None
                revision = module_from_spec(spec)
                spec.loader.exec_module(revision)
                for statement in revision.STATEMENTS:
                    await owner.execute(statement)
            await owner.execute((FOLDER / "0.1.0.policies.sql").read_text())
            await owner.execute("select audit.create_partition('2026-11-01')")  # of the rows, whenever that is
    finally:
        await owner.close()
