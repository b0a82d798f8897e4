"""Cells and tenants enter the directory, and a move finds out where it has to go on."""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Protocol
from uuid import UUID

from backend.cells import control
from backend.cells.directory import Directory
from backend.cells.entries import CellEntry, DomainEntry, GoneEntry, Home
from backend.database import Connection, Queries
from backend.ledger.checkpoints import SigningKey
from backend.operation.moving import copies, following
from backend.operation.moving.cells import OpenCell, open_cell, read_cell
from backend.operation.moving.mover import BeingMoved, Mover, alone
from backend.operation.moving.replication import Progress
from backend.operation.room import why_full
from backend.operation.service import OperatorError

queries = Queries.beside(__file__)


@dataclass(frozen=True, slots=True)
class Signing:
    """The directory as it is, what changes it, and where the settings of cells are."""

    control: Connection
    directory: Directory
    key: SigningKey
    cells_folder: Path | None

    async def opened(self, stack: AsyncExitStack, name: str, *, named: bool = True) -> OpenCell:
        """Opens a cell for as long as the stack."""
        return await stack.enter_async_context(open_cell(name, read_cell(self.cells_folder, name), named=named))

    async def add(self, entries: Sequence[str]) -> None:
        """Adds entries to the directory."""
        await control.add(self.control, self.directory, self.key, entries)


async def add_cell(signing: Signing, cell: OpenCell, entered: CellEntry) -> int:
    """Names a database as a cell, and enters it, the tenants at home there and their domains; returns how many tenants are new.

    Raises OperatorError for a database that has another name, and for a tenant whose name or domain another one has.
    """
    if await cell.database.fetchval(queries.name_cell, cell.name) is None:
        raise OperatorError(f"the database is another cell already: {await cell.database.fetchval(queries.cell_name)}")
    entries = []
    if signing.directory.cells.get(cell.name) != entered:
        entries.append(entered.entry())
    at_home = [Home(row["id"], row["slug"], cell.name, 1) for row in await cell.database.fetch(queries.tenants)]
    here = {row["domain"]: row["tenant_id"] for row in await cell.database.fetch(queries.domains)}
    purged = await _purged(signing, cell, [*(home.slug for home in at_home), *here])
    if purged:
        await signing.add([GoneEntry(tenant).entry() for tenant in purged])
    new = [home for home in at_home if home.tenant_id not in signing.directory.homes]
    for home in new:
        if signing.directory.named(home.slug) is not None:
            raise OperatorError(f"another cell has a tenant {home.slug}")
    changed = _changed_domains(signing.directory.domains(), here, {home.tenant_id for home in at_home})
    await signing.add([*entries, *(home.entry() for home in new), *(domain.entry() for domain in changed)])
    return len(new)


async def _purged(signing: Signing, cell: OpenCell, names: Collection[str]) -> list[UUID]:
    """Returns which tenants the directory has still although they were purged: of this cell, and whoever has one of the names.

    For the latter, the cell where such a tenant is at home is asked. Raises OperatorError when that cannot be opened.
    """
    directory = signing.directory
    having = [home for name in names if (home := directory.named(name)) is not None and home.cell != cell.name]
    of_this = list(directory.at_home(cell.name))
    asked: dict[str, set[UUID]] = {}
    for home in [*having, *of_this]:
        if not directory.is_gone(home.tenant_id):
            asked.setdefault(home.cell, set()).add(home.tenant_id)
    purged = []
    async with AsyncExitStack() as stack:
        for name, tenants in asked.items():
            opened = cell if name == cell.name else await signing.opened(stack, name)
            purged += [row["id"] for row in await opened.database.fetch(queries.purged, list(tenants))]
    return purged


def _changed_domains(
    known: Mapping[str, UUID], here: Mapping[str, UUID], at_home: Collection[UUID]
) -> list[DomainEntry]:
    """Returns what the directory does not know yet of the domains of a cell's tenants; raises OperatorError."""
    taken = [domain for domain, tenant in known.items() if tenant in at_home and here.get(domain) != tenant]
    given = {domain: tenant for domain, tenant in here.items() if known.get(domain) != tenant}
    for domain in given:
        if domain in known and domain not in taken:
            raise OperatorError(f"a tenant of another cell has the domain {domain}")
    return [*(DomainEntry(domain, None) for domain in taken), *(DomainEntry(*item) for item in given.items())]


@asynccontextmanager
async def mover(
    signing: Signing, stack: AsyncExitStack, slug: str, to: str, grace: timedelta, progress: Progress
) -> AsyncIterator[Mover]:
    """Opens what moves a tenant to a cell, or goes on with that; raises OperatorError.

    Where the tenant is at home is looked up once nobody else moves it: another command may just have ended.
    """
    async with alone(signing.control, _known(signing, slug).tenant_id):
        await control.catch_up(signing.control, signing.directory)
        home = _known(signing, slug)
        cell = signing.directory.present.get(to)
        if cell is None:
            raise OperatorError(f"there is no cell {to}")
        if cell.state == "draining" and home.cell != to:
            raise OperatorError(f"{to} is being emptied: nothing moves there until `affidavit cell add` is given again")
        if home.cell in signing.directory.lost:
            raise OperatorError(
                f"{slug} is at home in {home.cell}, which was lost: restore it, and give `affidavit cell add`"
            )
        target = await signing.opened(stack, to)
        if home.cell != to:
            await _refuse_full(signing, cell, target, home.tenant_id)
        source_name = home.cell
        if home.cell == to:
            came = await target.database.fetchrow(queries.residence, home.tenant_id)
            if came is None:
                raise OperatorError(f"{slug} is at home in {to} already")
            source_name = came["other_cell"]
        source = await signing.opened(stack, source_name)
        yield Mover(signing.control, signing.directory, signing.key, source, target, home, grace, progress)


async def _refuse_full(signing: Signing, cell: CellEntry, target: OpenCell, tenant_id: UUID) -> None:
    """Raises OperatorError for a cell that takes nobody more; whoever is on the way there already may come."""
    if await target.database.fetchrow(queries.residence, tenant_id) is not None:
        return
    tenants = signing.directory.tenants_by_cell()[cell.name]
    if (why := why_full(cell, tenants, await target.database.fetchval(queries.size))) is not None:
        raise OperatorError(why)


def _known(signing: Signing, slug: str) -> Home:
    home = signing.directory.named(slug)
    if home is None:
        raise OperatorError(f"the directory has no tenant {slug}; `affidavit cell add` enters those of a cell")
    return home


class OldCopyProgress(Protocol):
    """Is told of an old copy from which rows went: its tenant, how many, and whether the rest stays."""

    def __call__(self, slug: str, rows: int, *, kept: bool) -> None:
        """Takes it."""


async def purge_copies(signing: Signing, stack: AsyncExitStack, name: str, done: OldCopyProgress) -> None:
    """Removes the old copies in a cell whose time of grace is over, and from the others what was erased where they are at home.

    Those of tenants that are being moved are left alone. Raises OperatorError.
    """
    cell = await signing.opened(stack, name)
    for row in await cell.database.fetch(queries.old_copies):
        with suppress(BeingMoved):
            async with alone(signing.control, row["tenant_id"]):
                await _purge_copy(signing, stack, cell, row["tenant_id"], done)


async def _purge_copy(
    signing: Signing, stack: AsyncExitStack, cell: OpenCell, tenant_id: UUID, done: OldCopyProgress
) -> None:
    """Does that to one, unless the tenant has come back or is not settled since the list was made."""
    await control.catch_up(signing.control, signing.directory)
    old = await cell.database.fetchrow(queries.residence, tenant_id)
    if old is None or old["state"] != "departed":
        return
    home = signing.directory.homes.get(tenant_id)
    if home is None or home.cell == cell.name or home.epoch <= old["epoch"]:
        raise OperatorError(f"the directory does not say that {tenant_id} has left {cell.name}; nothing was removed")
    at = await signing.opened(stack, home.cell)
    there = await at.database.fetchrow(queries.residence, tenant_id)
    if there is None or (there["state"], there["epoch"]) != ("home", home.epoch):
        return
    over = await cell.database.fetchval(queries.has_left, tenant_id)
    remove = copies.purge if over else following.follow
    if rows := await remove(cell, at, tenant_id, home.slug, old["epoch"]):
        done(home.slug, rows, kept=not over)
