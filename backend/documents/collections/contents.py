"""Counts what the caller sees in each collection. It is counted anew each time, so that no counter can be wrong."""

from collections.abc import Collection
from dataclasses import dataclass
from uuid import UUID

from backend.database import Connection, Queries
from backend.identity.callers.caller import Caller

queries = Queries.beside(__file__)


@dataclass(frozen=True, slots=True)
class Contents:
    """Documents with a version, the bytes of their files, and how many of the caller's uploads of a day became none."""

    documents: int
    bytes: int
    in_progress: int
    failed: int
    cancelled: int


async def contents(connection: Connection, caller: Caller, collections: Collection[UUID]) -> dict[UUID, Contents]:
    """Returns what each of the collections holds."""
    rows = await connection.fetch(queries.contents, caller.tenant_id, list(collections))
    return {row["id"]: Contents(**{name: row[name] for name in Contents.__slots__}) for row in rows}


async def version_sizes(
    connection: Connection, caller: Caller, documents: Collection[UUID]
) -> dict[tuple[UUID, int], int]:
    """Returns the bytes of the files that versions of the documents were made of, by document and number."""
    rows = await connection.fetch(queries.version_sizes, caller.tenant_id, list(documents))
    return {(row["document_id"], row["number"]): row["bytes"] for row in rows}
