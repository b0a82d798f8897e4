"""Cells as the operator's commands reach them: their settings in a folder, and a superuser's connection to each database."""

import tomllib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg
from pydantic import ValidationError

from backend.cells.served import CellSettingsFile
from backend.database import Connection, Queries
from backend.operation.service import OperatorError
from backend.settings import Settings
from backend.storage.objects import ObjectStore
from backend.storage.service import store_from_settings

queries = Queries.beside(__file__)


@dataclass(frozen=True, slots=True)
class OpenCell:
    """A cell while a command works on it."""

    name: str
    settings: Settings
    database: Connection
    store: ObjectStore
    url: str


def read_cell(folder: Path | None, name: str) -> Settings:
    """Returns the settings of a cell, `NAME.toml` with their names in lower case; raises OperatorError."""
    if folder is None:
        raise OperatorError("AFFIDAVIT_CELLS_FOLDER is not set")
    path = folder / f"{name}.toml"
    try:
        return CellSettingsFile(**tomllib.loads(path.read_text(encoding="utf-8")))
    except OSError:
        raise OperatorError(f"there are no settings of the cell {name}: {path}") from None
    except (tomllib.TOMLDecodeError, ValidationError):
        raise OperatorError(f"{path} does not hold settings") from None


@asynccontextmanager
async def open_cell(name: str, settings: Settings, *, named: bool = True) -> AsyncIterator[OpenCell]:
    """Connects to a cell's database; raises OperatorError for one that has another name."""
    if settings.replication_url is None:
        raise OperatorError(f"the settings of the cell {name} have no replication_url")
    url = settings.replication_url.get_secret_value()
    connection = await asyncpg.connect(url, timeout=10)
    try:
        if named and (called := await connection.fetchval(queries.cell_name)) != name:
            raise OperatorError(f"the database of the cell {name} says that it is {called or 'no cell'}")
        yield OpenCell(name, settings, connection, store_from_settings(settings), url)
    finally:
        await connection.close()
