"""What is erased where a tenant is at home is erased in its old copy too, for as long as that waits for its purge.

All erasures, deletions and ends of retention delete rows. So whatever row of an old copy is at home no longer, by its key, goes;
no list of what an erasure touches has to be kept. What was written at home since is not copied back.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from backend.audit.actions.operation import Moved, TenantChanged
from backend.database import Queries
from backend.operation.moving.cells import OpenCell
from backend.operation.moving.files import delete_missing_files, share_files
from backend.operation.moving.tables import TENANTS, moved_tables
from backend.operation.tenants import COMMAND_LINE
from backend.tenancy import PLATFORM_TENANT

queries = Queries.beside(__file__)

_PAGE = 10_000


@dataclass(frozen=True, slots=True)
class KeyedTable:
    """A table of an old copy, what it is part of, and the columns of its key beside the tenant, with their types."""

    name: str
    whole: str
    columns: Sequence[str]
    types: Sequence[str]

    def keys(self) -> str:
        """Returns the statement that lists a tenant's keys as texts."""
        return f"select {', '.join(f'{c}::text' for c in self.columns)} from {self.name} where tenant_id = $1"  # noqa: S608 - names of the catalogue

    def missing(self) -> str:
        """Returns the statement that tells which of these keys, by number, are not there."""
        return f"""
            select k.number from unnest({self._given()}) with ordinality as k ({self._numbered()}, number)
            where not exists (select from {self.whole} t where t.tenant_id = $1 and {self._equal()})
        """  # noqa: S608 - names of the catalogue

    def deletion(self) -> str:
        """Returns the statement that deletes these keys."""
        return (
            f"delete from {self.name} t using unnest({self._given()}) as k ({self._numbered()})"  # noqa: S608 - names of the catalogue
            f" where t.tenant_id = $1 and {self._equal()}"
        )

    def _given(self) -> str:
        return ", ".join(f"${number}::text[]::{kind}[]" for number, kind in enumerate(self.types, 2))

    def _numbered(self) -> str:
        return ", ".join(f"c{number}" for number, _ in enumerate(self.columns))

    def _equal(self) -> str:
        return " and ".join(f"t.{column} = k.c{number}" for number, column in enumerate(self.columns))


async def follow(cell: OpenCell, home: OpenCell, tenant_id: UUID, slug: str, epoch: int) -> int:
    """Deletes from an old copy what is at home no longer, rows and files; returns how many rows, and puts that on record."""
    if not await share_files(cell, home, tenant_id):
        await delete_missing_files(cell, home, tenant_id)
    rows = 0
    async with cell.database.transaction():
        await cell.database.execute("set local session_replication_role = replica")
        for table in await _tables(cell, home):
            rows += await _follow(cell, home, table, tenant_id)
        await cell.database.execute("set local session_replication_role = origin")
        if rows:
            done = Moved(step="followed", source=cell.name, target=home.name, epoch=epoch)
            followed = TenantChanged(moved=done, slug=slug, rows=rows)
            await COMMAND_LINE.record(cell.database, PLATFORM_TENANT, followed)
            await COMMAND_LINE.record(home.database, tenant_id, followed)
    return rows


async def _follow(cell: OpenCell, home: OpenCell, table: KeyedTable, tenant_id: UUID) -> int:
    rows = 0
    page: list[Any] = []
    keys = cell.database.cursor(table.keys(), tenant_id, prefetch=_PAGE)
    async for key in keys:
        page.append(tuple(key))
        if len(page) == _PAGE:
            rows += await _delete_missing(cell, home, table, tenant_id, page)
            page = []
    return rows + (await _delete_missing(cell, home, table, tenant_id, page) if page else 0)


async def _delete_missing(
    cell: OpenCell, home: OpenCell, table: KeyedTable, tenant_id: UUID, page: Sequence[tuple[str, ...]]
) -> int:
    found = await home.database.fetch(table.missing(), tenant_id, *map(list, zip(*page, strict=True)))
    gone = [page[row["number"] - 1] for row in found]
    if gone:
        await cell.database.execute(table.deletion(), tenant_id, *map(list, zip(*gone, strict=True)))
    return len(gone)


async def _tables(cell: OpenCell, home: OpenCell) -> list[KeyedTable]:
    """Returns all tables that move but those of the log itself, which hold no texts, and from which nothing is deleted."""
    names = [table.name for table in await moved_tables(cell.database, cell.database) if table.name != TENANTS]
    there = {row["name"] for row in await home.database.fetch(queries.keyed_tables, names)}
    return [
        KeyedTable(row["name"], row["whole"], row["columns"], row["types"])
        for row in await cell.database.fetch(queries.keyed_tables, names)
        if row["whole"] != row["name"] or row["name"] in there
    ]
