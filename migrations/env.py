"""Applies the revisions and then policies/, in one transaction, as the owner role."""

import asyncio
import os
from functools import partial

from alembic import context
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.util import await_only

from backend.policies import reapply
from backend.self_check import KEEP_PRIVILEGES


def run_script(connection: Connection, script: str) -> None:
    """Runs several statements at once in the open transaction; asyncpg's prepared statements take only one."""
    driver = connection.connection.driver_connection
    assert driver is not None
    await_only(driver.execute(script))


def migrate(connection: Connection) -> None:
    connection.execute(text("create schema if not exists migration"))
    connection.execute(
        text("create table if not exists migration.privilege (what text, how text, primary key (what, how))")
    )
    context.configure(connection=connection, transactional_ddl=True, version_table_schema="migration")
    with context.begin_transaction():
        connection.execute(text("set local lock_timeout = '5s'"))
        connection.execute(text("set local statement_timeout = '15min'"))
        connection.execute(text("select pg_advisory_xact_lock(hashtext('affidavit migrate'))"))
        context.run_migrations()
        reapply(connection, partial(run_script, connection))
        run_script(connection, KEEP_PRIVILEGES)


async def main() -> None:
    url = context.config.attributes.get("owner_url") or os.environ["AFFIDAVIT_DATABASE_URL"]
    engine = create_async_engine(url.replace("postgresql://", "postgresql+asyncpg://", 1))
    async with engine.connect() as connection:
        await connection.run_sync(migrate)
        await connection.commit()
    await engine.dispose()


asyncio.run(main())
