"""Empties cells, one tenant at a time, and takes empty ones out of the directory."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from datetime import timedelta

import asyncpg

from backend.cells import control
from backend.cells.entries import CellEntry, NotTheDirectory
from backend.operation import every_cell
from backend.operation.every_cell import queries
from backend.operation.moving.adding import Signing, add_cell, mover
from backend.operation.moving.planning import ProposedMove
from backend.operation.service import OperatorError

# Told of each move: how far it is. Then of what became of it: None, or why the tenant stays.
MoveProgress = Callable[[ProposedMove, str, int, int], None]
MoveEnded = Callable[[ProposedMove, str | None], None]


async def drain(
    signing: Signing, name: str, grace: timedelta, progress: MoveProgress, ended: MoveEnded, to: str | None = None
) -> list[str]:
    """Lets no tenant move to a cell any more, and moves those away that are at home there, each when the one before has arrived.

    What it did is in the directory, so a command that was ended goes on when it is given again. Returns who is still there.
    """
    async with _only_one(signing, name):
        await control.catch_up(signing.control, signing.directory)
        cell = _present(signing, name)
        targets = [
            each for each in signing.directory.present.values() if _may_take(each, cell) and to in {None, each.name}
        ]
        if not targets:
            raise OperatorError(f"no other cell of the region {cell.region} takes tenants{f': not {to}' if to else ''}")
        async with AsyncExitStack() as stack:  # tenants that were made since
            await add_cell(signing, await signing.opened(stack, name), replace(cell, state="draining"))
        answers = await every_cell.measure(signing)
        asked = [each for each in answers if each.cell.name == name or each.cell in targets]
        if silent := [each for each in asked if each.problem]:
            raise OperatorError("; ".join(f"{each.cell.name}: {each.problem}" for each in silent))
        moves = [move for move in every_cell.proposed(asked, 10**9, name).moves if move.source == name]
        for move in moves:
            await _move(signing, move, grace, progress, ended)
        return sorted(home.slug for home in signing.directory.at_home(name))


async def _move(
    signing: Signing, move: ProposedMove, grace: timedelta, progress: MoveProgress, ended: MoveEnded
) -> None:
    try:
        async with (
            AsyncExitStack() as stack,
            mover(signing, stack, move.tenant, move.target, grace, lambda *step: progress(move, *step)) as moving,
        ):
            await moving.move()
    except (OperatorError, TimeoutError, OSError, asyncpg.PostgresError) as error:
        if signing.control.is_closed():
            raise
        ended(move, every_cell.why(error))  # it works on where it was, and the others need not wait for it
    else:
        ended(move, None)


async def remove(signing: Signing, name: str) -> None:
    """Takes a cell out of the directory; raises OperatorError while anything of a tenant is there."""
    await control.catch_up(signing.control, signing.directory)
    cell = _present(signing, name)
    async with AsyncExitStack() as stack:
        opened = await signing.opened(stack, name)
        here = [f"{row['slug']} ({row['state']})" for row in await opened.database.fetch(queries.left_here)]
        here += [home.slug for home in signing.directory.at_home(name)]
        if here:
            raise OperatorError(
                f"{name} is not empty: {', '.join(here[:20])}{' and more' if len(here) > 20 else ''}. "
                f"`affidavit cell drain {name}` moves who is at home there, `affidavit cell purge {name}` removes old copies"
            )
    try:
        await signing.add([replace(cell, state="removed").entry()])
    except NotTheDirectory as error:
        raise OperatorError(str(error)) from None


async def remove_lost(signing: Signing, name: str, reason: str) -> list[str]:
    """Signs that the servers of a cell are gone for good; returns who was at home there.

    Raises OperatorError for one that answers.
    """
    await control.catch_up(signing.control, signing.directory)
    cell = _present(signing, name)
    if not reason.strip() or not reason.isprintable():
        raise OperatorError("say in a sentence why the servers are gone for good")
    try:
        async with asyncio.timeout(every_cell.PATIENCE_SECONDS), AsyncExitStack() as stack:
            await signing.opened(stack, name)
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
        pass
    else:
        raise OperatorError(f"the database of {name} answers: `affidavit cell drain {name}` moves its tenants")
    await signing.add([replace(cell, state="lost", reason=reason).entry()])
    return sorted(home.slug for home in signing.directory.at_home(name))


def _present(signing: Signing, name: str) -> CellEntry:
    cell = signing.directory.present.get(name)
    if cell is None:
        raise OperatorError(f"there is no cell {name}")
    return cell


def _may_take(other: CellEntry, cell: CellEntry) -> bool:
    return other.name != cell.name and other.region == cell.region and other.state == "serving"


@asynccontextmanager
async def _only_one(signing: Signing, name: str) -> AsyncIterator[None]:
    """Keeps another command from emptying the same cell meanwhile."""
    lock = f"drain {name}"
    if not await signing.control.fetchval("select pg_try_advisory_lock(hashtextextended($1, 0))", lock):
        raise OperatorError("another command empties this cell already")
    try:
        yield
    finally:
        if not signing.control.is_closed():
            await signing.control.fetchval("select pg_advisory_unlock(hashtextextended($1, 0))", lock)
