"""The bearers of tenants' providers for SCIM.

Only the owner makes them: whoever holds one says who signs in, and who reviews what administrators do.
"""

from dataclasses import dataclass
from datetime import datetime

import asyncpg
from uuid_utils.compat import uuid7

from backend.audit.actions.provisioning import ScimBearerChanged
from backend.database import Connection, Queries, fetch_rows
from backend.identity.provisioning import bearers
from backend.operation.service import OperatorError
from backend.operation.tenants import COMMAND_LINE, Tenants

queries = Queries.beside(__file__)


@dataclass(frozen=True, slots=True)
class BearerRow:
    """A bearer without its secret, and the provider that holds it."""

    tenant: str
    name: str
    issuer: str
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None


async def create(owner: Connection, slug: str, name: str, expires_at: datetime | None = None) -> str:
    """Returns a bearer of the provider that a tenant trusts, the only time that it is shown; raises OperatorError."""
    tenant_id = (await Tenants(owner).get(slug)).id
    secret, bearer_id = bearers.mint(tenant_id), uuid7()
    try:
        made = await owner.fetchval(
            queries.add_scim_bearer, tenant_id, bearer_id, name, secret.lookup_id, secret.digest, expires_at
        )
    except (asyncpg.UniqueViolationError, asyncpg.CheckViolationError):
        raise OperatorError(f"{name!r} is taken, or longer than 100 characters") from None
    if made is None:
        raise OperatorError(f"{slug} trusts no issuer, whose users these would be: affidavit issuer trust")
    created = ScimBearerChanged(id=bearer_id, change="created", name=name, expires_at=expires_at)
    await COMMAND_LINE.record(owner, tenant_id, created)
    return secret.plaintext


async def revoke(owner: Connection, slug: str, name: str) -> None:
    """Ends a bearer from the next request on; raises OperatorError."""
    tenant_id = (await Tenants(owner).get(slug)).id
    bearer_id = await owner.fetchval(queries.revoke_scim_bearer, tenant_id, name)
    if bearer_id is None:
        raise OperatorError(f"{slug} has no live bearer {name!r}")
    await COMMAND_LINE.record(owner, tenant_id, ScimBearerChanged(id=bearer_id, change="revoked", name=name))


async def listed(owner: Connection) -> list[BearerRow]:
    """Returns all bearers without their secrets, by tenant."""
    return await fetch_rows(owner, BearerRow, queries.scim_bearers)
