"""Old copies of tenants that have moved: taken away when their time of grace is over, or before the tenant comes back."""

from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID

from backend.audit.actions.operation import Moved, TenantChanged
from backend.database import Queries
from backend.operation.moving.cells import OpenCell
from backend.operation.moving.files import delete_files, share_files
from backend.operation.moving.tables import MovedTable, moved_tables
from backend.operation.service import OperatorError
from backend.operation.tenants import COMMAND_LINE
from backend.tenancy import PLATFORM_TENANT

queries = Queries.beside(__file__)

# The cell's log of all checkpoints vouches for these; they hold sizes, hashes and signatures.
_KEPT = "audit.checkpoint"
LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


async def purge(cell: OpenCell, home: OpenCell, tenant_id: UUID, slug: str, epoch: int) -> int:
    """Removes a tenant's old copy, rows and files, and puts that on record in both cells; returns the number of rows."""
    if not await share_files(cell, home, tenant_id):
        await delete_files(cell, tenant_id)
    done = Moved(step="purged", source=cell.name, target=home.name, epoch=epoch)
    tables = [table for table in await moved_tables(cell.database, cell.database) if table.name != _KEPT]
    async with cell.database.transaction():
        rows = await _delete(cell, tables, tenant_id)
        if rows:  # else it was done before
            purged = TenantChanged(moved=done, slug=slug, rows=rows)
            await COMMAND_LINE.record(cell.database, PLATFORM_TENANT, purged)
            await COMMAND_LINE.record(home.database, tenant_id, purged)
    return rows


async def clear(cell: OpenCell, home: OpenCell, tenant_id: UUID, epoch: int) -> None:
    """Removes whatever a cell holds of a tenant that is not at home there, before it comes, and fences it.

    Raises OperatorError, and removes nothing, where the cell answers for the tenant.
    """
    there = await cell.database.fetchrow(queries.residence, tenant_id)
    if there is not None and there["state"] in {"home", "leaving"}:
        raise OperatorError(f"{cell.name} answers for the tenant: nothing of it was removed there")
    if not await share_files(cell, home, tenant_id):
        await delete_files(cell, tenant_id)
    async with cell.database.transaction():
        await cell.database.execute(queries.reside, tenant_id, epoch, "departed", home.name, LONG_AGO)
        await _delete(cell, await moved_tables(cell.database, cell.database), tenant_id)
        await cell.database.execute(queries.reside, tenant_id, epoch, "arriving", home.name, None)


async def _delete(cell: OpenCell, tables: Sequence[MovedTable], tenant_id: UUID) -> int:
    """Deletes rows of all tables, in whatever order: as in replication, what refers to what is not looked at meanwhile."""
    await cell.database.execute("set local session_replication_role = replica")
    rows = 0
    for table in tables:
        done = await cell.database.execute(f"delete from {table.name} where {table.column} = $1", tenant_id)  # noqa: S608 - names of the catalogue
        rows += int(done.rpartition(" ")[2])
    await cell.database.execute("set local session_replication_role = origin")
    return rows
