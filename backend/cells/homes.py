"""What a process that belongs to a cell knows of the others: it answers for tenants that are at home in its cell only."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path

import asyncpg
import structlog

from backend.cells import control, copy
from backend.cells.directory import Directory, Home, NotTheDirectory
from backend.database import UNREACHABLE, end_if_cancelled
from backend.errors import Misdirected
from backend.ledger.checkpoints import VerifierKey
from backend.settings import Settings
from backend.tenancy import Claims, Homes, OneCell, Purpose

log = structlog.get_logger()

_PATIENCE_SECONDS = 2.0
_LOAD_SECONDS = 300.0  # for a million tenants, where there is no copy of them
_REST_SECONDS = 1.0  # before a control database that was away is asked again
_RESTS_FOR = 20  # times as long as the copy took to be written, before it is written again


class DirectoryUnknown(RuntimeError):
    """There is neither a control database that answers nor a signed copy of its directory."""


class CellHomes:
    """Where tenants are at home, for the processes of one cell."""

    def __init__(self, cell: str, directory: Directory, *, redirect: bool, url: str | None, file: Path | None) -> None:
        self._cell = cell
        self._directory = directory
        directory.keeps_lines = file is not None
        self._redirect = redirect
        self._url = url
        self._file = file
        self._connection: asyncpg.Connection[asyncpg.Record] | None = None
        self._told = asyncio.Event()
        self._asking = asyncio.Lock()
        self._asked_at = 0.0
        self._rests_until = 0.0
        self._keeping = asyncio.Lock()
        self._keep_after = 0.0

    def epoch_of(self, claims: Claims) -> int | None:
        """Returns since when the tenant is at home here; raises Misdirected for one that is not. One not listed is new."""
        if named := claims.presented.get(Purpose.TENANT):  # of who signs in, on behalf of nobody's tenant
            home = self._directory.named(named)
        elif claims.tenant_id is not None:
            home = self._directory.homes.get(claims.tenant_id)
        else:
            home = self._directory.tagged(claims.tag or "")
        if home is None:
            return None
        if home.cell != self._cell:
            raise self._elsewhere(home)
        return home.epoch if claims.tenant_id == home.tenant_id else None

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
                    await control.catch_up(await self._connected(), self._directory)
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
                await asyncio.to_thread(copy.load, self._directory, self._file)
            except NotTheDirectory as error:
                log.critical("the copy of the directory is refused", reason=str(error))
            except OSError:
                log.info("there is no copy of the directory yet")
        await self.refresh(_LOAD_SECONDS)
        if not self._directory.size:
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

    def _elsewhere(self, home: Home) -> Misdirected:
        return Misdirected(self._directory.cells[home.cell].address, cell=home.cell, redirect=self._redirect)

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
        if self._file is None or not self._directory.lines or self._keeping.locked():
            return
        began = time.monotonic()
        if began < self._keep_after:
            return
        async with self._keeping:
            entries = copy.unsaved(self._directory)
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
            self._keep_after = time.monotonic() + _RESTS_FOR * (time.monotonic() - began)


@asynccontextmanager
async def homes_from_settings(settings: Settings) -> AsyncIterator[Homes]:
    """Opens what knows where tenants are at home; raises DirectoryUnknown."""
    if settings.cell is None:
        yield OneCell()
        return
    keys = [VerifierKey.parse(line) for line in (settings.directory_public_key or "").split()]
    url = settings.directory_url.get_secret_value() if settings.directory_url else None
    homes = CellHomes(
        settings.cell, Directory(keys), redirect=settings.cell_redirect, url=url, file=settings.directory_file
    )
    await homes.load()
    async with homes.watching(settings.directory_seconds):
        yield homes
