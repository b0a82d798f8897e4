"""The control database: where the directory is written by the operator's commands, and read by every process."""

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg

from backend.cells.directory import Directory
from backend.cells.entries import NotTheDirectory
from backend.database import Connection, Queries
from backend.ledger.checkpoints import SigningKey

queries = Queries.beside(__file__)

CHANNEL = "affidavit_directory"


_PAGE = 10_000


async def catch_up(connection: Connection, directory: Directory) -> bool:
    """Lets a directory take what is new, and returns whether anything is; raises NotTheDirectory for an older or other one."""
    before = directory.size
    while True:
        known = directory.size
        rows = await connection.fetch(queries.since, max(known - 1, 0), _PAGE + 1)
        if known:
            if not rows:
                raise NotTheDirectory("the control database holds an older directory than is known")
            directory.confirm(rows[0]["note"])
            rows = rows[1:]
        if rows:
            directory.extend([row["entry"] for row in rows], rows[-1]["note"])
        if len(rows) < _PAGE:
            return directory.size > before


async def all_entries(connection: Connection, size: int) -> list[str]:
    """Returns the first entries, as many as a directory has."""
    return [row["entry"] for row in await connection.fetch(queries.since, 0, size)]


@asynccontextmanager
async def control(url: str) -> AsyncIterator[Connection]:
    """Connects as the control database's owner, and prepares it at first use."""
    connection = await asyncpg.connect(url, timeout=5)
    try:
        if not await connection.fetchval(queries.is_prepared):
            await connection.execute(Path(__file__).with_name("control.sql").read_text())
        yield connection
    finally:
        await connection.close()


async def add(connection: Connection, directory: Directory, key: SigningKey, entries: Sequence[str]) -> None:
    """Adds entries to the directory, which is brought up to date before; they are there when this returns.

    Raises NotTheDirectory, and what the database says; then nothing was added, unless its connection was lost.
    """
    async with connection.transaction():
        await connection.execute(queries.lock)
        await catch_up(connection, directory)
        first = directory.size
        notes = directory.append(entries, key, int(time.time() * 1000))
        for place, (entry, note) in enumerate(zip(entries, notes, strict=True), first):
            await connection.execute(queries.append, place, entry, note)
        await connection.execute(queries.tell)
