"""Brings a database to this version's schema and policies, as its owner."""

import time
from pathlib import Path

import asyncpg
from alembic import command
from alembic.config import Config
from sqlalchemy.exc import DBAPIError

from backend.tenancy import ContextSigner

ROOT = Path(__file__).resolve().parent.parent
_ATTEMPTS = 5
_LOST_A_RACE = {"40P01", "55P03"}  # deadlock_detected, lock_not_available: a service goes on serving meanwhile


def migrate(owner_url: str) -> None:
    """Applies revisions and policies in one transaction, again when somebody who reads or writes was in the way.

    Blocks, and must not be called from a running event loop.
    """
    config = Config()
    config.set_main_option("script_location", str(ROOT / "migrations").replace("%", "%%"))
    config.attributes["owner_url"] = owner_url
    for attempt in range(_ATTEMPTS):
        try:
            command.upgrade(config, "head")
        except DBAPIError as error:
            if attempt == _ATTEMPTS - 1 or getattr(error.orig, "sqlstate", None) not in _LOST_A_RACE:
                raise
            time.sleep(0.2 * 2**attempt)
        else:
            return


async def store_context_key(owner_url: str, signer: ContextSigner) -> None:
    """Makes this key the one that contexts are signed with; older ones still verify for five minutes."""
    key_id, inner_pad, outer_pad = signer.padded_key()
    connection = await asyncpg.connect(owner_url)
    try:
        async with connection.transaction():
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
