"""The directory as a process knows it: from its signed copy and the control database, and told of every change."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path

import asyncpg
import structlog
from pydantic import SecretStr

from backend.cells import control, copy, image
from backend.cells.directory import Directory
from backend.cells.entries import NotTheDirectory
from backend.database import UNREACHABLE, end_if_cancelled
from backend.ledger.checkpoints import VerifierKey
from backend.settings import Settings

log = structlog.get_logger()

_PATIENCE_SECONDS = 2.0
_LOAD_SECONDS = 300.0  # for a million tenants, where there is no copy of them
_REST_SECONDS = 1.0  # before a control database that was away is asked again
_RESTS_FOR = 20  # times as long as the copy took to be written, before it is written again


class DirectoryUnknown(RuntimeError):
    """There is neither a control database that answers nor a signed copy of its directory."""


class KnownDirectory:
    """A directory that is kept up to date; one for a process, whichever cells it serves."""

    def __init__(
        self, directory: Directory, *, url: str | None = None, file: Path | None = None, secret: str | None = None
    ) -> None:
        """`secret` is what vouches for images of the directory, which begin where a process starts; none are made without."""
        self.directory = directory
        self._secret = secret
        self._imaged = 0
        directory.keeps_lines = file is not None
        self._url = url
        self._file = file
        self._connection: asyncpg.Connection[asyncpg.Record] | None = None
        self._told = asyncio.Event()
        self._asking = asyncio.Lock()
        self._asked_at = 0.0
        self._rests_until = 0.0
        self._keeping = asyncio.Lock()
        self._keep_after = 0.0

    async def refresh(self, patience: float = _PATIENCE_SECONDS) -> None:
        """Takes what is new in the control database; what is forged, older or away changes nothing.

        Who comes while somebody asks gets what that brings. One that was away is left alone for a moment.
        """
        came = time.monotonic()
        if self._url is None or came < self._rests_until:
            return
        async with self._asking:
            if self._asked_at > came:
                return
            self._asked_at = time.monotonic()
            try:
                async with asyncio.timeout(patience):
                    await control.catch_up(await self._connected(), self.directory)
            except NotTheDirectory as error:
                log.critical("the control database's directory is refused", reason=str(error))
            except (asyncpg.PostgresError, *UNREACHABLE) as error:
                end_if_cancelled()
                log.warning("the control database is away", cause=type(error).__name__)
                self._rests_until = time.monotonic() + _REST_SECONDS
                await self._disconnect()
            await self._keep()

    async def load(self) -> None:
        """Reads the signed copy and asks the control database; raises DirectoryUnknown when neither gives a directory."""
        if self._file is not None:
            try:
                await asyncio.to_thread(self._read, self._file)
            except NotTheDirectory as error:
                log.critical("the copy of the directory is refused", reason=str(error))
            except OSError:
                log.info("there is no copy of the directory yet")
        await self.refresh(_LOAD_SECONDS)
        await self._keep_image()
        if not self.directory.size:
            raise DirectoryUnknown(
                "no directory: the control database does not answer, and there is no signed copy of it"
            )

    @asynccontextmanager
    async def watching(self, seconds: float) -> AsyncIterator[None]:
        """Learns of changes while the block runs: at once when told, and else every so many seconds."""
        watch = asyncio.create_task(self._watch(seconds))
        try:
            yield
        finally:
            watch.cancel()
            await asyncio.gather(watch, return_exceptions=True)
            await self._disconnect()

    def _read(self, file: Path) -> None:
        """Takes the image and what the copy has more, or else all of the copy."""
        if self._secret is not None:
            try:
                image.load(self.directory, image.path_of(file), self._secret)
            except image.NoImage as error:
                log.info("the directory is read entry by entry", cause=str(error))
            else:
                self._imaged = self.directory.size
                copy.load_rest(self.directory, file)
                return
        copy.load(self.directory, file)

    async def _keep_image(self) -> None:
        """Makes an image where that saves whoever starts next a moment."""
        if self._secret is None or self._file is None or self.directory.size - self._imaged < image.WORTH:
            return
        self._imaged, parts = self.directory.size, image.taken(self.directory)
        try:
            await asyncio.to_thread(image.write, parts, image.path_of(self._file), self._secret)
        except OSError as error:
            log.warning("the image of the directory is not kept", cause=str(error))

    async def _watch(self, seconds: float) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._told.wait()
            self._told.clear()
            await self.refresh()

    async def _connected(self) -> "asyncpg.Connection[asyncpg.Record]":
        if self._connection is None or self._connection.is_closed():
            self._connection = await asyncpg.connect(self._url, timeout=_PATIENCE_SECONDS)
            await self._connection.add_listener(control.CHANNEL, lambda *_: self._told.set())
        return self._connection

    async def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.terminate()

    async def _keep(self) -> None:
        """Brings the copy up to date, beside the event loop, and takes little of the time for a large one."""
        if self._file is None or not self.directory.lines or self._keeping.locked():
            return
        began = time.monotonic()
        if began < self._keep_after:
            return
        async with self._keeping:
            entries = copy.unsaved(self.directory)
            try:
                try:
                    await asyncio.to_thread(copy.write, entries, self._file)
                except copy.CopyFallsShort:  # somebody removed it
                    async with self._asking:
                        lines = await control.all_entries(await self._connected(), entries.size)
                    await asyncio.to_thread(copy.write, replace(entries, lines=lines), self._file)
                copy.forget(entries)
            except (asyncpg.PostgresError, *UNREACHABLE) as error:  # an OSError among them
                end_if_cancelled()
                log.warning("the copy of the directory is not kept", cause=str(error))
            await self._keep_image()
            self._keep_after = time.monotonic() + _RESTS_FOR * (time.monotonic() - began)


@asynccontextmanager
async def directory_from_settings(settings: Settings, secret: SecretStr | None) -> AsyncIterator[KnownDirectory]:
    """Opens the directory of a process that belongs to cells; `secret` is one that all who share its file have.

    Raises DirectoryUnknown.
    """
    keys = [VerifierKey.parse(line) for line in (settings.directory_public_key or "").split()]
    url = settings.directory_url.get_secret_value() if settings.directory_url else None
    known = KnownDirectory(
        Directory(keys), url=url, file=settings.directory_file, secret=secret.get_secret_value() if secret else None
    )
    await known.load()
    async with known.watching(settings.directory_seconds):
        yield known
