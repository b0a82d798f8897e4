"""Opens what a process of several cells has: each cell's own for itself, and once what all of them share."""

import asyncio
from contextlib import AsyncExitStack

from backend.cells.known import directory_from_settings
from backend.cells.served import served_cells
from backend.front.passing import passing
from backend.front.several import ServedCells
from backend.health import ProcessReadiness
from backend.retrieval.embedding import choice as embedders
from backend.services import Services, SharedByCells, admission_of, open_services
from backend.settings import Settings


async def open_cells(settings: Settings, cells: ServedCells, stack: AsyncExitStack) -> list[Services]:
    """Opens what a process of several cells has, each cell's own for itself; raises MissingSettingError, DirectoryUnknown."""
    of_cells = {settings.cell: settings} if settings.cell else served_cells(settings)
    secret = next(iter(of_cells.values())).context_key
    known = await stack.enter_async_context(directory_from_settings(settings, secret))
    local = None
    if settings.embeddings_url is None:
        local = await asyncio.to_thread(embedders.from_settings, settings)
    shared = SharedByCells(
        known=known, admission=admission_of(settings), readiness=ProcessReadiness(), local_embedder=local
    )
    opened = {
        name: await stack.enter_async_context(open_services(own, shared)) for name, own in of_cells.items()
    }  # fmt: skip
    passed_on = None
    if settings.cell_pass_on:
        passed_on = await stack.enter_async_context(passing(settings.max_running_requests * 8))
    cells.begin(opened, known.directory, passed_on)
    return list(opened.values())
