"""What a process that belongs to a cell knows of the others: it answers for tenants that are at home in its cell only."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from backend.cells.directory import Directory
from backend.cells.entries import Home
from backend.cells.known import KnownDirectory, directory_from_settings
from backend.errors import CellLost, Misdirected
from backend.settings import Settings
from backend.tenancy import Claims, Homes, OneCell, Purpose


def home_of(directory: Directory, claims: Claims) -> Home | None:
    """Returns the home of the tenant that claims name, None where they name none that is known."""
    if named := claims.presented.get(Purpose.TENANT):  # of who signs in, on behalf of nobody's tenant
        return directory.named(named)
    if claims.tenant_id is not None:
        home: Home | None = directory.homes.get(claims.tenant_id)
        return home
    return directory.tagged(claims.tag or "")


class CellHomes:
    """Where tenants are at home, for what belongs to one cell."""

    def __init__(self, cell: str, known: KnownDirectory, *, redirect: bool = False) -> None:
        self.cell = cell
        self.known = known
        self._redirect = redirect

    def epoch_of(self, claims: Claims) -> int | None:
        """Returns since when the tenant is at home here; raises Misdirected for one that is not. One not listed is new.

        Raises CellLost for one that is at home nowhere that answers.
        """
        home = home_of(self.known.directory, claims)
        if home is None:
            return None
        if home.cell != self.cell:
            cell = self.known.directory.cells[home.cell]
            if cell.state == "lost":
                raise CellLost(cell=cell.name)
            raise Misdirected(cell.address, cell=cell.name, redirect=self._redirect)
        return home.epoch if claims.tenant_id == home.tenant_id else None

    async def refresh(self) -> None:
        """Learns what is new, if whoever knows it answers."""
        await self.known.refresh()


@asynccontextmanager
async def homes_from_settings(settings: Settings) -> AsyncIterator[Homes]:
    """Opens what knows where tenants are at home; raises DirectoryUnknown."""
    if settings.cell is None:
        yield OneCell()
        return
    async with directory_from_settings(settings, settings.context_key) as known:
        yield CellHomes(settings.cell, known, redirect=settings.cell_redirect)
