"""Brings a database to this version's schema and policies, as its owner."""

import random
import time

import asyncpg
from alembic import command
from alembic.config import Config
from sqlalchemy.exc import DBAPIError

from backend import manifest
from backend.database import Connection
from backend.manifest import Difference
from backend.policies import OWNER, SCHEMAS, reapply
from backend.shipped import last_release, newest_revision, shipped
from backend.tenancy import ContextSigner

PATIENCE_SECONDS = 120
_LOST_A_RACE = {"40P01", "55P03"}  # deadlock_detected, lock_not_available: a service goes on serving meanwhile

# Shorter than the second after which PostgreSQL looks for a deadlock and ends whoever looks first: the upgrade gives way.
_LIMITS = "set local lock_timeout = '250ms'; set local statement_timeout = '15min'"

_RELEASE = """
create table migration.release (
  singleton boolean primary key default true check (singleton),
  revision text not null,
  oldest text not null,
  format text not null,
  facts jsonb not null
)
"""


def migrate(owner_url: str) -> list[Difference]:
    """Applies revisions and policies in one transaction, and again while somebody who reads or writes is in the way.

    Returns what is not as shipped all the same. Blocks, and must not be called from a running event loop.
    """
    config = Config()
    config.set_main_option("script_location", str(shipped("migrations")).replace("%", "%%"))
    config.attributes["owner_url"] = owner_url
    give_up = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            command.upgrade(config, "head")
        except (DBAPIError, asyncpg.PostgresError) as error:
            if time.monotonic() > give_up or _sqlstate(error) not in _LOST_A_RACE:
                raise
            time.sleep(random.uniform(0.1, 0.5))  # noqa: S311 - no secret
        else:
            differences: list[Difference] = config.attributes["differences"]
            return differences


def _sqlstate(error: DBAPIError | asyncpg.PostgresError) -> object:
    return getattr(error.orig if isinstance(error, DBAPIError) else error, "sqlstate", None)


async def prepare(connection: Connection) -> bool:
    """Begins an upgrade in the open transaction, when no other is under way; returns whether the database is new."""
    await connection.execute("select pg_advisory_xact_lock(hashtext('affidavit migrate'))")
    await connection.execute(_LIMITS)
    if await connection.fetchval("select to_regnamespace('migration') is null"):
        await connection.execute("create schema migration")
    if await connection.fetchval("select to_regclass('migration.privilege') is not null"):
        await connection.execute("drop table migration.privilege")
    if await connection.fetchval("select to_regclass('migration.release') is null"):
        await connection.execute(_RELEASE)
    if await connection.fetchval("select to_regclass('migration.alembic_version') is null"):
        return True
    if await connection.fetchval("select version_num from migration.alembic_version") != newest_revision():
        # The owner gave rights to its own tables away that revisions need; its policies take them away again.
        for schema in SCHEMAS:
            if await connection.fetchval("select to_regnamespace($1) is not null", schema):  # later releases have more
                await connection.execute(f"grant all on all tables in schema {schema} to {OWNER}")
    return False


async def finish(connection: Connection, *, everything: bool) -> list[Difference]:
    """Gives what differs its policies anew, and keeps what the database was brought to; returns what still differs."""
    differences = await reapply(connection, everything=everything)
    made = manifest.Release(newest_revision(), last_release(), manifest.FORMAT, manifest.expected())
    if await manifest.release(connection) != made:
        await manifest.record(connection, made)
    return differences


async def store_context_key(owner_url: str, signer: ContextSigner) -> None:
    """Makes this key the one that contexts are signed with; older ones still verify for five minutes."""
    key_id, inner_pad, outer_pad = signer.padded_key()
    connection = await asyncpg.connect(owner_url)
    try:
        async with connection.transaction():
            live = await connection.fetch("select id from tenancy.context_key where retired_at is null")
            if [row["id"] for row in live] == [key_id]:
                return
            await connection.execute(
                "update tenancy.context_key set retired_at = now() + interval '5 minutes' where id <> $1 and retired_at is null",
                key_id,
            )
            await connection.execute(
                "insert into tenancy.context_key (id, inner_pad, outer_pad) values ($1, $2, $3)"
                " on conflict (id) do update set retired_at = null",
                key_id, inner_pad, outer_pad,
            )  # fmt: skip
    finally:
        await connection.close()
