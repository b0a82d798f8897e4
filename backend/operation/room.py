"""Whether a cell has room for one more tenant, by the limits that the directory says."""

from pathlib import Path

from backend.cells.entries import CellEntry
from backend.cells.homes import CellHomes
from backend.cells.known import DirectoryUnknown, directory_from_settings
from backend.database import Connection, Queries
from backend.errors import Conflict
from backend.ledger.checkpoints import SigningKey
from backend.operation.service import OperatorError
from backend.settings import Settings
from backend.tenancy import Homes

queries = Queries(Path(__file__).with_suffix(".sql"))


def why_full(cell: CellEntry, tenants: int, size: int) -> str | None:
    """Says why a cell with so many tenants and bytes takes nobody more; None where it does."""
    if cell.most_tenants is not None and tenants >= cell.most_tenants:
        return f"{cell.name} is full: {tenants} tenants are at home there, of at most {cell.most_tenants}"
    if cell.most_bytes is not None and size >= cell.most_bytes:
        return f"{cell.name} is full: its database has {size / 1e9:.1f} GB, of at most {cell.most_bytes / 1e9:.1f}"
    return None


async def refuse_full(connection: Connection, cell: CellEntry | None) -> None:
    """Raises Conflict when nobody may be made at home in a cell; others who ask wait until this transaction ends."""
    if cell is None:
        return
    await connection.execute(queries.take_turns)
    tenants = await connection.fetchval(queries.at_home)
    size = await connection.fetchval(queries.size)
    if (why := why_full(cell, tenants, size)) is not None:
        raise Conflict(why, reason="cell:full")


def own_cell(homes: Homes) -> CellEntry | None:
    """Returns the cell of a process, as the directory has it; None where all tenants are in one database."""
    return homes.known.directory.cells.get(homes.cell) if isinstance(homes, CellHomes) else None


async def cell_of_database(owner: Connection, settings: Settings) -> CellEntry | None:
    """Returns the cell that a database is, as the directory has it; raises OperatorError where that cannot be known."""
    name = await owner.fetchval("select tenancy.cell_name()")
    if name is None:
        return None
    if settings.directory_public_key is None and settings.directory_key is not None:
        key = SigningKey.load(settings.directory_key_name, settings.directory_key.get_secret_value().encode())
        settings = settings.model_copy(update={"directory_public_key": str(key.verifier_key)})
    if settings.directory_public_key is None:
        raise OperatorError(
            f"the database is the cell {name}, whose limits the directory has:"
            " set AFFIDAVIT_DIRECTORY_URL and AFFIDAVIT_DIRECTORY_PUBLIC_KEY"
        )
    try:
        async with directory_from_settings(settings, settings.context_key) as known:
            return known.directory.cells.get(name)
    except DirectoryUnknown as error:
        raise OperatorError(str(error)) from None
