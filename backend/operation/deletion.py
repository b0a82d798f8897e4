"""Deletes every row of a tenant whose time of grace is over, table by table as PostgreSQL's catalog lists them.

The audit log stays: its events are sealed, triggers refuse to delete them, and they hold identifiers, hashes and
commitments but none of the tenant's texts. With it stay the queue of events still to be sealed, without which the last
ones never would be, and declarations of what was lost. The texts, and the keys that decrypt them, are deleted when their
retention is over; while a hold applies nothing is. Uploaded files end with the key that they are encrypted under.
"""

from dataclasses import dataclass, replace
from graphlib import TopologicalSorter
from pathlib import Path
from uuid import UUID

from backend.audit.actions.operation import TenantChanged
from backend.database import Connection, Queries
from backend.errors import Conflict
from backend.operation import placement
from backend.operation.tenants import COMMAND_LINE
from backend.tenancy import PLATFORM_TENANT

queries = Queries(Path(__file__).with_name("deletion.sql"))

# Texts that must be kept, the keys that open them, and what says why they are kept.
_KEPT_WITH_TEXTS = {
    "audit.payload",
    "audit.payload_term",
    "audit.data_key",
    "audit.retention",
    "audit.hold",
    "audit.erasure",
}


async def purgeable(owner: Connection) -> list[tuple[UUID, str]]:
    """Returns id and slug of every tenant whose deletion can no longer be taken back."""
    return [(row["id"], row["slug"]) for row in await owner.fetch(queries.purgeable)]


@dataclass(frozen=True, slots=True)
class Purged:
    """How many rows are gone, and how many texts stay until their retention is over."""

    rows: int
    retained: int


async def purge(owner_url: str, owner: Connection, tenant_id: UUID, slug: str) -> Purged:
    """Deletes a tenant, as far as no text must be kept; to be repeated until none is, or when it was interrupted.

    Raises Conflict when its time of grace is not over, or a hold applies.
    """
    if tenant_id not in {purged for purged, _ in await purgeable(owner)}:
        raise Conflict("The tenant can still be resumed, or a hold applies.", reason="tenant:grace")
    rows = await _delete(owner, "documents.chunk", tenant_id)
    if await owner.fetchval(queries.has_own_partition, tenant_id):
        await placement.demote(owner_url, tenant_id, lambda *_: None)
    async with owner.transaction():
        await owner.execute(queries.index_events, tenant_id)  # texts that stay are still searched
        rows += _count(await owner.execute(queries.delete_payloads, tenant_id))
        retained = await owner.fetchval(queries.retained_payloads, tenant_id)
        for table in await deletion_order(owner):
            if not (retained and table in _KEPT_WITH_TEXTS):
                rows += await _delete(owner, table, tenant_id)
        if not retained:
            await owner.execute(queries.delete_tenant, tenant_id)
        status = "deleting" if retained else "deleted"
        purged = TenantChanged(tenant_status=status, slug=slug, rows=rows, retained=retained)
        await COMMAND_LINE.record(owner, tenant_id, purged)
        await COMMAND_LINE.record(owner, PLATFORM_TENANT, replace(purged, deleted=tenant_id))
    return Purged(rows, retained)


async def deletion_order(owner: Connection) -> list[str]:
    """Returns the tables with rows of tenants that are deleted with them, referencing ones before referenced ones."""
    references: dict[str, list[str]] = {}
    for row in await owner.fetch(queries.tenant_tables):
        references[row["table"]] = row["referenced"]
    return [table for table in reversed(list(TopologicalSorter(references).static_order())) if table in references]


async def _delete(owner: Connection, table: str, tenant_id: UUID) -> int:
    # The name comes from the catalog, quoted by it.
    done = await owner.execute(
        f"delete from {table} where tenant_id = $1 and tenant_id in (select tenancy.purgeable_tenants())",  # noqa: S608
        tenant_id,
    )
    return _count(done)


def _count(done: str) -> int:
    """Returns the number of rows in a command's tag."""
    return int(done.rpartition(" ")[2])
