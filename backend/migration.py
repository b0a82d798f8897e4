"""Brings a database to this version's schema and policies, as its owner."""

from pathlib import Path

import asyncpg
from alembic import command
from alembic.config import Config

from backend.tenancy import ContextSigner

ROOT = Path(__file__).resolve().parent.parent


def migrate(owner_url: str) -> None:
    """Applies revisions and policies in one transaction; blocks, and must not be called from a running event loop."""
    config = Config()
    config.set_main_option("script_location", str(ROOT / "migrations").replace("%", "%%"))
    config.attributes["owner_url"] = owner_url
    command.upgrade(config, "head")


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
