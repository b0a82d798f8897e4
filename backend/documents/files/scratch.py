"""Decrypted files, for as long as a parser reads them, each in a folder of its process alone."""

import os
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from shutil import rmtree
from uuid import UUID

from anyio import to_thread

from backend.storage.service import FileVault, TenantKey

_SCRATCH = "affidavit-scratch-"


@asynccontextmanager
async def plain_file(vault: FileVault, key: TenantKey, file_id: UUID, sha256: bytes) -> AsyncIterator[Path]:
    """Gives a decrypted file a path while the context is open; raises ObjectMissing and DamagedObject."""
    with tempfile.TemporaryDirectory(prefix=f"{_SCRATCH}{os.getpid()}-") as folder:
        path = Path(folder) / "file"
        with path.open("wb") as plain:
            async for piece in vault.read(key, file_id, sha256):
                await to_thread.run_sync(plain.write, piece)
        yield path


def sweep_scratch() -> None:
    """Removes decrypted files of processes that were killed while they parsed."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_SCRATCH}*"):
        owner = int(folder.name.removeprefix(_SCRATCH).split("-")[0])
        try:
            os.kill(owner, 0)
        except ProcessLookupError:
            rmtree(folder, ignore_errors=True)
        except PermissionError:
            continue  # somebody else's
