"""Principals without a credential: who a job runs as now, and what somebody could read at a past moment."""

from datetime import datetime
from typing import Any
from uuid import UUID

from backend.database import Connection, Queries
from backend.errors import Unauthenticated
from backend.identity.callers.caller import Caller
from backend.identity.callers.on_behalf_of import EndUser
from backend.identity.callers.permissions import Permission, Role, permissions_of, permissions_of_key
from backend.tenancy import Claims, Tenancy

queries = Queries.beside(__file__)


async def resolve_principal(
    tenancy: Tenancy, tenant_id: UUID, principal_id: UUID, request_id: str, on_behalf_of: dict[str, Any] | None = None
) -> Caller:
    """Returns the principal with its present rights; raises Unauthenticated for one that may no longer act.

    `request_id` is that of the request in which it asked, so that the log shows both together.
    """
    claims = Claims(request_id=request_id, tenant_id=tenant_id, principal_id=principal_id)
    async with tenancy.transaction(claims) as connection:
        caller = await _user(connection, tenant_id, principal_id, request_id)
        caller = caller or await _key(connection, tenant_id, principal_id, request_id, on_behalf_of)
    if caller is None:
        raise Unauthenticated(reason="principal:unknown")
    return caller


async def _user(connection: Connection, tenant_id: UUID, user_id: UUID, request_id: str) -> Caller | None:
    row = await connection.fetchrow(queries.user_principal, tenant_id, user_id)
    if row is None:
        return None
    if not row["live"] or row["tenant_status"] != "active":
        raise Unauthenticated(reason="user:disabled" if row["tenant_status"] == "active" else "tenant:suspended")
    roles = tuple(row["roles"])
    return Caller(
        tenant_id=tenant_id, tenant_slug=row["tenant_slug"], principal_id=user_id, kind="user", name=row["name"],
        request_id=request_id, roles=roles, permissions=permissions_of(Role(role) for role in roles),
        readable=frozenset(row["readable"]), writable=frozenset(row["writable"]),
    )  # fmt: skip


async def _key(
    connection: Connection, tenant_id: UUID, key_id: UUID, request_id: str, on_behalf_of: dict[str, Any] | None
) -> Caller | None:
    row = await connection.fetchrow(queries.own_key)
    if row is None:
        return None
    if not row["live"] or row["tenant_status"] != "active":
        raise Unauthenticated(reason="key:ended" if row["tenant_status"] == "active" else "tenant:suspended")
    return Caller(
        tenant_id=tenant_id, tenant_slug=row["tenant_slug"], principal_id=key_id, kind="key", name=row["name"],
        request_id=request_id,
        permissions=permissions_of_key(map(Permission, row["permissions"]), map(Role, row["owner_roles"])),
        readable=frozenset(row["readable"]), writable=frozenset(row["writable"]),
        owner_id=row["owner_id"], purpose=row["purpose"],
        on_behalf_of=EndUser(**on_behalf_of) if on_behalf_of else None,
    )  # fmt: skip


async def readable_at(
    connection: Connection, tenant_id: UUID, principal_id: UUID | None, moment: datetime
) -> frozenset[UUID]:
    """Returns the collections that a principal could read at a moment; the transaction must be bound to that principal."""
    return frozenset(
        row["collection_id"] for row in await connection.fetch(queries.readable_at, tenant_id, principal_id, moment)
    )
