"""Applies the revisions, and then policies/ where it differs, in one transaction, as the owner role."""

import asyncio
import os

import asyncpg
from alembic import context
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.util import await_only

from backend.database_url import connection_url
from backend.migration import SHORTEST_WAIT_MS, finish, prepare


def migrate(connection: Connection) -> None:
    driver = connection.connection.driver_connection
    assert driver is not None
    context.configure(connection=connection, transactional_ddl=True, version_table_schema="migration")
    with context.begin_transaction():
        connection.execute(
            text("select 1")
        )  # SQLAlchemy begins with its first statement, and knows none of the driver's
        fresh = await_only(prepare(driver, context.config.attributes.get("wait_ms", SHORTEST_WAIT_MS)))
        context.run_migrations()
        context.config.attributes["differences"] = await_only(finish(driver, everything=fresh))


async def main() -> None:
    url = context.config.attributes.get("owner_url") or os.environ["AFFIDAVIT_DATABASE_URL"]
    # The driver reads the address: SQLAlchemy would take its parameters for the driver's own arguments.
    engine = create_async_engine("postgresql+asyncpg://", async_creator=lambda: asyncpg.connect(connection_url(url)))
    try:
        async with engine.connect() as connection:
            await connection.run_sync(migrate)
            await connection.commit()
    finally:
        await engine.dispose()


asyncio.run(main())
