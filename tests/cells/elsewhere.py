"""A process of a cell that a tenant is not at home in, as its copy of the signed directory says."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg

from backend.cells import copy
from backend.cells.directory import Directory
from backend.cells.entries import CellEntry, Home
from backend.ledger.checkpoints import SigningKey
from tests.service import Database, Secrets, Service, Tenant, running, settings_for

KEY = SigningKey.generate("affidavit-test")
HERE, THERE = CellEntry("eu-1", "eu", "https://eu.example"), CellEntry("us-1", "us", "https://us.example")


@asynccontextmanager
async def served_elsewhere(
    database: Database, run_secrets: Secrets, home: Path, folder: Path, tenant: Tenant, **changed: Any
) -> AsyncIterator[Service]:
    """The service of cell `eu-1`, whose directory has the tenant in `us-1`; the database has that name until the block ends."""
    directory = Directory([KEY.verifier_key])
    directory.append([HERE.entry(), THERE.entry(), Home(tenant.id, tenant.slug, THERE.name, 1).entry()], KEY, 1)
    copy.save(directory, folder / "directory")
    settings = settings_for(
        database, run_secrets, home, cell=HERE.name, directory_file=folder / "directory",
        directory_public_key=str(KEY.verifier_key), **changed,
    )  # fmt: skip
    owner = await asyncpg.connect(database.owner_url)
    await owner.execute("insert into tenancy.cell (name) values ($1)", HERE.name)
    try:
        async with running(settings, database) as service:
            yield service
    finally:
        await owner.execute("delete from tenancy.cell")
        await owner.close()
