"""Brings a database to this version's schema and policies, as its owner."""

import random
import time

import asyncpg
from alembic import command
from alembic.config import Config
from sqlalchemy.exc import DBAPIError

from backend import manifest
from backend.database import Connection
from backend.manifest import SchemaDifference
from backend.policies import OWNER, SCHEMAS, reapply
from backend.shipped import last_release, newest_revision, shipped
from backend.tenancy import ContextSigner

PATIENCE_SECONDS = 120
_LOST_A_RACE = {"40P01", "55P03"}  # deadlock_detected, lock_not_available: a service goes on serving meanwhile

# Every request that needs a table which the upgrade waits for waits behind it, so the first attempts give up early.
SHORTEST_WAIT_MS = 250.0
# Shorter than the second after which PostgreSQL looks for a deadlock and ends whoever looks first: the upgrade gives way.
_LONGEST_WAIT_MS = 900.0
_WAIT_GROWS_BY = 1.1
_LIMITS = "set local lock_timeout = {wait_ms}; set local statement_timeout = '15min'"

_RELEASE = """
create table migration.release (
  singleton boolean primary key default true check (singleton),
  revision text not null,
  oldest text not null,
  format text not null,
  facts jsonb not null
)
"""


def migrate(owner_url: str) -> list[SchemaDifference]:
    """Applies revisions and policies in one transaction, and again while somebody who reads or writes is in the way.

    Returns what is not as shipped all the same. Blocks, and must not be called from a running event loop.
    Raises the database's error when somebody is in the way for PATIENCE_SECONDS.
    """
    config = Config()
    config.set_main_option("script_location", str(shipped("migrations")).replace("%", "%%"))
    config.attributes["owner_url"] = owner_url
    give_up = time.monotonic() + PATIENCE_SECONDS
    wait_ms = SHORTEST_WAIT_MS
    while True:
        config.attributes["wait_ms"] = wait_ms
        try:
            command.upgrade(config, "head")
        except (DBAPIError, asyncpg.PostgresError) as error:
            if time.monotonic() > give_up or _sqlstate(error) not in _LOST_A_RACE:
                raise
            time.sleep(random.uniform(0.1, 0.5))  # noqa: S311 - no secret
            wait_ms = min(wait_ms * _WAIT_GROWS_BY, _LONGEST_WAIT_MS)
        else:
            differences: list[SchemaDifference] = config.attributes["differences"]
            return differences


def _sqlstate(error: DBAPIError | asyncpg.PostgresError) -> object:
    return getattr(error.orig if isinstance(error, DBAPIError) else error, "sqlstate", None)


async def prepare(connection: Connection, wait_ms: float = SHORTEST_WAIT_MS) -> bool:
    """Begins an upgrade in the open transaction, when no other is under way; returns whether the database is new.

    Raises ReadOnlySQLTransactionError on a standby, also where there would be nothing to do: whoever asks means another server.
    """
    if await connection.fetchval("select pg_is_in_recovery()"):
        raise asyncpg.ReadOnlySQLTransactionError("the database is a standby")
    await connection.execute("select pg_advisory_xact_lock(hashtext('affidavit migrate'))")
    await connection.execute(_LIMITS.format(wait_ms=int(wait_ms)))
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


async def finish(connection: Connection, *, everything: bool) -> list[SchemaDifference]:
    """Gives what differs its policies anew, and keeps what the database was brought to; returns what still differs."""
    differences = await reapply(connection, everything=everything)
    made = manifest.Release(newest_revision(), last_release(), manifest.FORMAT, manifest.expected())
    if await manifest.release(connection) != made:
        await manifest.record(connection, made)
    return differences


class OtherContextKey(Exception):
    """The database verifies contexts of another key, which processes may be signing with."""


async def store_context_key(owner_url: str, signer: ContextSigner) -> None:
    """Makes this key one that contexts are verified with, unless the database has others; raises OtherContextKey then."""
    key_id, inner_pad, outer_pad = signer.padded_key()
    connection = await asyncpg.connect(owner_url)
    try:
        async with connection.transaction():
            live = await connection.fetch("select id from tenancy.context_key where retired_at is null")
            if key_id in {row["id"] for row in live}:
                return
            if live:
                raise OtherContextKey
            await connection.execute(
                "insert into tenancy.context_key (id, inner_pad, outer_pad) values ($1, $2, $3)"
                " on conflict (id) do update set retired_at = null",
                key_id, inner_pad, outer_pad,
            )  # fmt: skip
    finally:
        await connection.close()
