"""What the operator asks of all cells at once. A cell that does not answer is told as such, and keeps no other from answering."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import asyncpg

from backend.cells.entries import CellEntry
from backend.database import Queries
from backend.operation import deployment_state
from backend.operation.moving.adding import Signing
from backend.operation.moving.cells import OpenCell, open_cell, read_cell
from backend.operation.moving.planning import MeasuredCell, MeasuredTenant, MovePlan, plan
from backend.operation.service import OperatorError
from backend.operation.tenants import Tenants
from backend.self_check import CheckResult
from backend.settings import Settings

queries = Queries(Path(__file__).with_suffix(".sql"))

PATIENCE_SECONDS = 10.0
_MEASURING_SECONDS = 300.0
_AT_ONCE = 32

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class CellAnswer(Generic[T]):
    """What a cell answered, or why it did not."""

    cell: CellEntry
    answer: T | None = None
    problem: str | None = None


async def ask(
    signing: Signing, question: Callable[[OpenCell], Awaitable[T]], patience: float = PATIENCE_SECONDS
) -> list[CellAnswer[T]]:
    """Asks every cell of the directory something that changes nothing; returns the answers in the directory's order."""
    turn = asyncio.Semaphore(_AT_ONCE)

    async def one(cell: CellEntry) -> CellAnswer[T]:
        try:
            async with (
                turn,
                asyncio.timeout(patience),
                open_cell(cell.name, read_cell(signing.cells_folder, cell.name)) as opened,
                opened.database.transaction(readonly=True),
            ):
                return CellAnswer(cell, await question(opened))
        except (OperatorError, OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            return CellAnswer(cell, problem=why(error))

    return await asyncio.gather(*(one(cell) for cell in signing.directory.present.values()))


def why(error: Exception) -> str:
    """Returns what a cell's failure is told as."""
    if isinstance(error, OperatorError):
        return str(error)
    return f"its database does not answer: {str(error) or type(error).__name__}"


async def states(signing: Signing) -> list[dict[str, Any]]:
    """Returns of each cell what the directory says, and what its database does: size, revision, and how work goes there."""
    at_home = signing.directory.tenants_by_cell()
    return [
        {
            "name": asked.cell.name, "region": asked.cell.region, "address": asked.cell.address, "state": asked.cell.state,
            "tenants": at_home[asked.cell.name], "answers": asked.problem is None, "problem": asked.problem,
            **(asked.answer or dict.fromkeys(_STATE)),
        }
        for asked in [*await ask(signing, _state), *_lost(signing)]
    ]  # fmt: skip


def _lost(signing: Signing) -> list[CellAnswer[Any]]:
    """Returns the cells that are asked for nothing any more, each with its reason."""
    return [CellAnswer(cell, problem=f"lost: {cell.reason}") for cell in signing.directory.lost.values()]


_STATE = ("revision", "bytes", "old_copies", "jobs", "unsealed", "oldest_unsealed_seconds", "checkpoint_seconds")


async def _state(cell: OpenCell) -> dict[str, Any]:
    known = await cell.database.fetchrow(queries.cell_state)
    assert known is not None
    state = await deployment_state.state(cell.database)
    waiting = Counter[str]()
    for job in state.jobs:
        waiting[job.status] += job.number
    return {
        "revision": known["revision"], "bytes": known["bytes"], "old_copies": known["old_copies"], "jobs": dict(waiting),
        "unsealed": state.sealing.waiting, "oldest_unsealed_seconds": state.sealing.oldest_seconds,
        "checkpoint_seconds": state.sealing.checkpoint_seconds,
    }  # fmt: skip


async def tenants(signing: Signing) -> list[CellAnswer[list[dict[str, Any]]]]:
    """Returns each cell's tenants that are at home there."""

    async def of(cell: OpenCell) -> list[dict[str, Any]]:
        here = {row["id"] for row in await cell.database.fetch(queries.at_home)}
        return [{"cell": cell.name, **row.told()} for row in await Tenants(cell.database).list() if row.id in here]

    return await ask(signing, of)


async def measure(signing: Signing) -> list[CellAnswer[list[MeasuredTenant]]]:
    """Returns of each cell how large its tenants are, how they grow, and how much they do."""

    async def of(cell: OpenCell) -> list[MeasuredTenant]:
        rows = await cell.database.fetch(queries.measured)
        return [
            MeasuredTenant(row["slug"], cell.name, row["chunks"], row["chunks_per_day"], row["events_per_day"]) for row in rows
        ]  # fmt: skip

    return await ask(signing, of, _MEASURING_SECONDS)


def proposed(
    answers: Sequence[CellAnswer[list[MeasuredTenant]]], most_moves: int, draining: str | None = None
) -> MovePlan:
    """Returns what is proposed between the cells that answered, or only the moves out of one that is emptied."""
    cells = [
        MeasuredCell(
            asked.cell.name,
            asked.cell.region,
            asked.cell.state == "draining" or asked.cell.name == draining,
            None if asked.cell.most_tenants is None else asked.cell.most_tenants - len(asked.answer or ()),
        )
        for asked in answers
        if asked.problem is None
    ]
    tenants = [tenant for asked in answers for tenant in asked.answer or ()]
    return plan(cells, tenants, most_moves)


@dataclass(frozen=True, slots=True)
class HomesCheck:
    """Whether a cell and the directory are of one mind, and what the operator may want to do."""

    result: CheckResult
    advice: Sequence[str]


async def check_homes(signing: Signing) -> list[CellAnswer[HomesCheck]]:
    """Checks of each cell whether it answers for the tenants that the directory has there."""
    directory = signing.directory

    async def of(cell: OpenCell) -> HomesCheck:
        here = await cell.database.fetch(queries.at_home)
        residences = {row["tenant_id"]: row for row in await cell.database.fetch(queries.residences)}
        denied = [
            home.slug for home in directory.at_home(cell.name) if _denies(residences.get(home.tenant_id), home.epoch)
        ]
        unknown = [row["slug"] for row in here if row["id"] not in directory.homes]
        told = f"the directory says that {', '.join(sorted(denied))} are at home here, and the cell does not"
        result = CheckResult("homes", told if denied else None)
        return HomesCheck(result, _advice(cell.name, directory.homes, residences, unknown))

    return await ask(signing, of)


def _denies(residence: asyncpg.Record | None, epoch: int) -> bool:
    """Tells whether a cell is of another mind than the directory; one that is only about to answer is not."""
    if residence is None:
        return epoch > 1
    return residence["state"] == "departed" or bool(residence["epoch"] != epoch)


def _advice(name: str, homes: Mapping[Any, Any], residences: Mapping[Any, Any], unknown: Sequence[str]) -> list[str]:
    between = [tenant for tenant, row in residences.items() if row["state"] in {"arriving", "leaving"}]
    moving = sorted(homes[tenant].slug for tenant in between if tenant in homes)
    overdue = sum(row["overdue"] for row in residences.values())
    return [
        *([f"{', '.join(moving)} did not come to the end of a move; give it again, or --abort"] if moving else []),
        *([f"{overdue} old copies may go; run `affidavit cell purge {name}`"] if overdue else []),
        *([f"the directory does not know {', '.join(unknown)}; run `affidavit cell add {name}`"] if unknown else []),
    ]


@dataclass(frozen=True, slots=True)
class CellToMigrate:
    """A cell's name, its owner's address, and its context key where its file has it."""

    name: str
    owner_url: str
    context_key: str | None


def to_migrate(signing: Signing) -> list[CellToMigrate]:
    """Returns all cells in the directory's order; raises OperatorError unless each has what is needed, before any is begun."""
    found, missing = [], []
    for name in signing.directory.present:
        settings = read_cell(signing.cells_folder, name)
        if settings.database_url is None:
            missing.append(name)
            continue
        key = settings.context_key
        found.append(
            CellToMigrate(name, settings.database_url.get_secret_value(), key.get_secret_value() if key else None)
        )
    if missing:
        raise OperatorError(f"the settings of these cells have no database_url, the owner's: {', '.join(missing)}")
    return found


async def refuse_other(cell: CellToMigrate) -> None:
    """Raises OperatorError for a database that is not this cell's."""
    connection = await asyncpg.connect(cell.owner_url, timeout=PATIENCE_SECONDS)
    try:
        called = await connection.fetchval(queries.name_of_cell)
    finally:
        await connection.close()
    if called != cell.name:
        raise OperatorError(f"the database of the cell {cell.name} says that it is {called or 'no cell'}")


def runtime_url(signing: Signing, name: str) -> tuple[Settings, str]:
    """Returns a cell's settings and the address of its runtime role; raises OperatorError."""
    settings = read_cell(signing.cells_folder, name)
    if settings.runtime_database_url is None:
        raise OperatorError(f"the settings of the cell {name} have no runtime_database_url")
    return settings, settings.runtime_database_url.get_secret_value()
