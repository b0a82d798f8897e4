"""Whether a legal hold keeps texts from being erased; holds are placed and released in review/."""

from uuid import UUID

from backend.database import Connection, Queries

queries = Queries.beside(__file__)


async def is_held(connection: Connection, tenant_id: UUID, subject: UUID) -> bool:
    """Tells whether a hold applies to a data subject, or to everyone; needs a context with `audit:read`."""
    return bool(await connection.fetchval(queries.holds_on, tenant_id, subject))
