"""Principals without a credential: who a job runs as now, and what somebody could read at a past moment."""

from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

from backend.database import Connection, fetch_row
from backend.errors import Unauthenticated
from backend.identity.callers.caller import Caller, Origin, caller_of
from backend.identity.callers.on_behalf_of import EndUser
from backend.identity.callers.permissions import SOURCE_PERMISSIONS
from backend.identity.callers.rows import KeyRow, SourceRow, UserRow, queries
from backend.tenancy import Claims, Tenancy


async def resolve_principal(
    tenancy: Tenancy, tenant_id: UUID, principal_id: UUID, request_id: str, on_behalf_of: dict[str, Any] | None = None
) -> Caller:
    """Returns the principal with its present rights; raises Unauthenticated for one that may no longer act.

    `request_id` is that of the request in which it asked, so that the log shows both together.
    """
    claims = Claims(request_id=request_id, tenant_id=tenant_id, principal_id=principal_id)
    async with tenancy.transaction(claims) as connection:
        row: UserRow | KeyRow | SourceRow | None = await fetch_row(
            connection, UserRow, queries.user_principal, tenant_id, principal_id
        )
        if row is None:
            row = await fetch_row(connection, KeyRow, queries.own_key)
        if row is None:
            row = await fetch_row(connection, SourceRow, queries.own_source)
    if row is None:
        raise Unauthenticated(reason="principal:unknown")
    origin = Origin(request_id)
    if isinstance(row, SourceRow):
        caller = source_caller(row, tenant_id, principal_id, origin)
    else:
        caller = caller_of(row, tenant_id, principal_id, origin)
    if row.tenant_status != "active":
        raise Unauthenticated(reason="tenant:suspended")
    if not row.live:
        raise Unauthenticated(reason="user:disabled" if caller.kind == "user" else f"{caller.kind}:ended")
    return replace(caller, door=None, on_behalf_of=EndUser(**on_behalf_of) if on_behalf_of else None)


def source_caller(row: SourceRow, tenant_id: UUID, source_id: UUID, origin: Origin) -> Caller:
    """Returns a source as a caller, which writes to its one collection and does nothing else."""
    own = frozenset({row.collection_id})
    return Caller(
        tenant_id=tenant_id, tenant_slug=row.tenant_slug, principal_id=source_id, kind="source", name=row.name,
        request_id=origin.request_id, permissions=SOURCE_PERMISSIONS, readable=own, writable=own,
        owner_id=row.responsible_id,
    )  # fmt: skip


async def readable_at(
    connection: Connection, tenant_id: UUID, principal_id: UUID | None, moment: datetime
) -> frozenset[UUID]:
    """Returns the collections that a principal could read at a moment; the transaction must be bound to that principal."""
    return frozenset(
        row["collection_id"] for row in await connection.fetch(queries.readable_at, tenant_id, principal_id, moment)
    )
