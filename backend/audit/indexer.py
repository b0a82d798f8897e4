"""Enters events into the index by documents and words. It runs beside the sealer, so that no request waits for it.

Whoever searches the index first enters what is left of its tenant, so nothing is ever missed.
"""

import asyncio
from pathlib import Path

import asyncpg
import structlog

from backend.database import UNREACHABLE, Connection, Pool, Queries, end_if_cancelled

queries = Queries(Path(__file__).with_name("indexing.sql"))
log = structlog.get_logger()

INTERVAL_SECONDS = 0.5
BATCH_EVENTS = 1_000


async def index_own_events(connection: Connection) -> None:
    """Has the index know every event of the caller's tenant."""
    await connection.execute(queries.index_own_events)


class Indexer:
    """One of possibly several processes that index; each passes over what another has at hand."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def run(self) -> None:
        """Indexes until cancelled, whatever becomes of the database."""
        while True:
            try:
                while await self.index() == BATCH_EVENTS:
                    pass
            except (asyncpg.PostgresError, *UNREACHABLE) as error:
                end_if_cancelled()
                log.warning("indexing paused", cause=type(error).__name__)
            await asyncio.sleep(INTERVAL_SECONDS)

    async def index(self) -> int:
        """Indexes one batch and returns how many events it had."""
        async with self._pool.acquire() as connection:
            indexed: int = await connection.fetchval(queries.index_oldest_events, BATCH_EVENTS)
            return indexed
