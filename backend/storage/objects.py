"""Where encrypted files are kept: one small interface, and the local folder that is its default."""

import os
import re
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Protocol, TypeVar, TypeVarTuple, Unpack
from uuid import uuid4

from anyio import to_thread

from backend.errors import Unavailable

_KEY = re.compile(r"[a-z0-9-]+(/[a-z0-9-]+)+")
_READ_BYTES = 256 * 1024
_Result = TypeVar("_Result")
_Arguments = TypeVarTuple("_Arguments")


class ObjectMissing(Exception):
    """There is no object under this key."""


class ObjectStore(Protocol):
    """Keeps bytes under keys like `<tenant>/<id>`; an object is there whole or not at all."""

    async def write(self, key: str, content: AsyncIterator[bytes]) -> None:
        """Stores an object; raises what `content` raises and then stores nothing, and Unavailable."""

    def read(self, key: str) -> AsyncIterator[bytes]:
        """Yields an object piece by piece; raises ObjectMissing and Unavailable."""

    async def delete(self, key: str) -> None:
        """Removes an object; one that is not there is removed already."""


class LocalStore:
    """Keeps objects as files of one folder, readable by the service's own account only."""

    def __init__(self, folder: Path) -> None:
        """The folder is made at the first write."""
        self._folder = folder

    async def write(self, key: str, content: AsyncIterator[bytes]) -> None:
        """Stores an object under a name of its own first, so that nobody finds a part of it."""
        path = self._path(key)
        partial = path.with_name(f"{path.name}.{uuid4().hex}.partial")
        descriptor = await _on_disk(_create, partial)
        try:
            try:
                async for piece in content:
                    await _on_disk(_write_all, descriptor, piece)
                await _on_disk(os.fsync, descriptor)
            finally:
                os.close(descriptor)
            await _on_disk(partial.replace, path)
            await _on_disk(_sync_folder, path.parent)
        finally:
            partial.unlink(missing_ok=True)

    async def read(self, key: str) -> AsyncIterator[bytes]:
        """Yields an object in pieces of 256 KiB."""
        try:
            file = await _on_disk(self._path(key).open, "rb")
        except FileNotFoundError as error:
            raise ObjectMissing(key) from error
        with file:
            while piece := await _on_disk(file.read, _READ_BYTES):
                yield piece

    async def delete(self, key: str) -> None:
        """Removes the file."""
        self._path(key).unlink(missing_ok=True)

    def _path(self, key: str) -> Path:
        return self._folder / checked(key)


def checked(key: str) -> str:
    """Returns the key; raises ValueError for one that could leave the store or its tenant."""
    if not _KEY.fullmatch(key):
        raise ValueError(f"no key of an object: {key!r}")
    return key


async def _on_disk(act: Callable[[Unpack[_Arguments]], _Result], *arguments: *_Arguments) -> _Result:
    try:
        return await to_thread.run_sync(act, *arguments)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise Unavailable("The file store does not work.", reason=f"storage:{type(error).__name__}") from error


def _create(path: Path) -> int:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)


def _write_all(descriptor: int, piece: bytes) -> None:
    view = memoryview(piece)
    while view:
        view = view[os.write(descriptor, view) :]


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
