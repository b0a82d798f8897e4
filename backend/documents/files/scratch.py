"""Decrypted files, for as long as a parser reads them, each in a folder that its process holds a lock on.

A lock ends with its process, however that ends. The process's number says less: it means another process to each container
on a machine, and later another one to the same.
"""

import fcntl
import os
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from shutil import rmtree
from uuid import UUID

from anyio import to_thread

from backend.storage.service import FileVault, TenantKey

_SCRATCH = "affidavit-scratch-"


@asynccontextmanager
async def plain_file(vault: FileVault, key: TenantKey, file_id: UUID, sha256: bytes) -> AsyncIterator[Path]:
    """Gives a decrypted file a path while the context is open; raises ObjectMissing and DamagedObject."""
    with _own_folder() as folder:
        path = folder / "file"
        with path.open("wb") as plain:
            async for piece in vault.read(key, file_id, sha256):
                await to_thread.run_sync(plain.write, piece)
        yield path


def sweep_scratch() -> None:
    """Removes decrypted files of processes that were killed while they parsed."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_SCRATCH}*"):
        with _locked(folder) as ours:
            if ours:
                rmtree(folder, ignore_errors=True)


@contextmanager
def _own_folder() -> Iterator[Path]:
    """Makes a folder that nobody sweeps while the context is open."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=_SCRATCH))
        with _locked(folder) as ours:
            if not ours or not folder.exists():  # swept before it was locked
                continue
            try:
                yield folder
            finally:
                rmtree(folder, ignore_errors=True)
            return


@contextmanager
def _locked(folder: Path) -> Iterator[bool]:
    """Locks a folder, and says whether that was possible: not where another process has it, or where it is another user's."""
    try:
        opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        yield False
        return
    try:
        try:
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
        else:
            yield True
    finally:
        os.close(opened)
