"""Who could read what at a past moment, from the grants and roles of today and those that have ended."""

from datetime import datetime
from uuid import UUID

from backend.database import Connection, Queries

queries = Queries.beside(__file__)


async def readable_at(
    connection: Connection, tenant_id: UUID, principal_id: UUID | None, moment: datetime
) -> frozenset[UUID]:
    """Returns the collections that a principal could read at a moment; the transaction must be bound to that principal."""
    return frozenset(
        row["collection_id"] for row in await connection.fetch(queries.readable_at, tenant_id, principal_id, moment)
    )
