"""Opens the directory of cells for the operator's commands."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from backend.command_output import CommandFailed
from backend.operation.command_line import needed
from backend.settings import Settings

if TYPE_CHECKING:
    from backend.operation.moving.adding import Signing


@asynccontextmanager
async def signing_from(settings: Settings) -> AsyncIterator["Signing"]:
    """Opens the directory to change it; exits when it is not the operator's, or older than this machine has seen it.

    Else a control database that was put back would have the operator sign another history over it.
    """
    from backend.cells import control, copy  # noqa: PLC0415 - loads what --help does not need
    from backend.cells.directory import Directory  # noqa: PLC0415
    from backend.cells.entries import NotTheDirectory  # noqa: PLC0415
    from backend.ledger.checkpoints import SigningKey  # noqa: PLC0415
    from backend.operation.moving.adding import Signing  # noqa: PLC0415

    url, pem = needed(settings, "directory_url", "directory_key")
    key = SigningKey.load(settings.directory_key_name, pem.encode())
    directory, seen = Directory([key.verifier_key]), settings.directory_file or settings.home_folder / "directory"
    async with control.control(url) as connection:
        try:
            if seen.exists():
                copy.load(directory, seen)
            await control.catch_up(connection, directory)
            yield Signing(connection, directory, key, settings.cells_folder)
            seen.parent.mkdir(parents=True, exist_ok=True)
            copy.save(directory, seen)
        except NotTheDirectory as error:
            raise CommandFailed(str(error)) from None
