"""The lock on a document. Whoever changes its versions, their validity, its chunks or its statistics takes this lock first.

It comes before anything about the document is read, and after it only term statistics are waited for, in an order of their
own: so writers queue, and neither deadlock nor act on what is no longer so.
"""

from collections.abc import Sequence
from uuid import UUID

from backend.database import Connection, Queries

queries = Queries.beside(__file__)


async def lock_documents(connection: Connection, tenant_id: UUID, documents: Sequence[UUID]) -> set[UUID]:
    """Waits until nobody else changes these documents, until the transaction ends; returns those that are still there."""
    return {row["id"] for row in await connection.fetch(queries.lock_documents, tenant_id, documents)}
