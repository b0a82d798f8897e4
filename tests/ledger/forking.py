"""A sealer that finds its database behind what was kept of it, as after a backup was put back."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID

import asyncpg

from backend.embedded_postgres import EmbeddedPostgres
from backend.ledger.sinks import CheckpointFolder
from tests.ledger.sealed_log import KEY
from tests.ledger.test_sealer import new_event
from tests.service import Database, cloned_database, sealing_to


@asynccontextmanager
async def forked(postgres: EmbeddedPostgres, database: Database, kept: Path) -> AsyncIterator[None]:
    """While the block runs, a sealer has stopped: under its key, `kept` holds a later checkpoint than the database knows.

    Another copy of the database, as it was when it was new, has gone on and has kept what it signed there.
    """
    async with cloned_database(postgres) as ahead, sealing_to(ahead, KEY, CheckpointFolder(kept)):
        owner = await asyncpg.connect(ahead.owner_url)
        await owner.execute("insert into audit.event (id, envelope) values ($1, $2)", *new_event(UUID(int=7)))
        await owner.close()
        await _until(
            ahead, "select count(*) > 0 from audit.leaf where tenant_id = '00000000-0000-0000-0000-000000000007'"
        )
        async with asyncio.timeout(60):
            while not any(str(UUID(int=7)) in path.read_text() for path in kept.rglob("*") if path.is_file()):
                await asyncio.sleep(0.05)
    superuser = await asyncpg.connect(database.superuser_url)
    await superuser.execute("update audit.sealer set lease_until = '-infinity'")  # of a sealer that ended before
    await superuser.close()
    async with sealing_to(database, KEY, CheckpointFolder(kept)):
        await _until(database, "select halted is not null from audit.sealer")
        yield


async def _until(database: Database, question: str) -> None:
    watching = await asyncpg.connect(database.superuser_url)
    try:
        async with asyncio.timeout(60):
            while not await watching.fetchval(question):
                await asyncio.sleep(0.05)
    finally:
        await watching.close()
