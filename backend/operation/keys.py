"""What the operator does to the API keys of a tenant after their creation, as the database's owner."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from uuid_utils.compat import uuid7

from backend.audit.actions.keys import KeyChanged, KeyRevoked, KeyRotated
from backend.database import Connection, fetch_rows
from backend.identity.keys import api_keys
from backend.operation.service import OperatorError, queries
from backend.operation.tenants import COMMAND_LINE

_BOUNDS = (
    "name", "purpose", "expires_at", "networks", "per_minute", "per_day", "tokens_day", "tokens_month", "cost_day_micros",
    "cost_month_micros",
)  # fmt: skip
# What the API calls them, whose record it is too.
_CALLED = {
    "per_minute": "requests_per_minute", "per_day": "requests_per_day", "networks": "allowed_networks",
    "tokens_day": "budgets", "tokens_month": "budgets", "cost_day_micros": "budgets", "cost_month_micros": "budgets",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class LiveKey:
    """A key that has not ended, with what bounds it and the collections that it reads and writes."""

    id: UUID
    name: str
    purpose: str | None
    permissions: list[str]
    owner: str | None
    created_at: datetime
    expires_at: datetime | None
    suspended_at: datetime | None
    last_used_at: datetime | None
    networks: list[str]
    per_minute: int | None
    per_day: int | None
    tokens_day: int | None
    tokens_month: int | None
    cost_day_micros: int | None
    cost_month_micros: int | None
    signs_end_users: bool
    collections: list[str]
    writable: list[str]


async def listed(connection: Connection, tenant_id: UUID) -> list[LiveKey]:
    """Returns the keys of a tenant that have not ended, the oldest first."""
    return await fetch_rows(connection, LiveKey, queries.keys, tenant_id)


async def found(connection: Connection, tenant_id: UUID, named: str) -> LiveKey:
    """Returns the key of an id or name; raises OperatorError for none, and for a name that several have."""
    matching = [key for key in await listed(connection, tenant_id) if named in {str(key.id), key.name}]
    if len(matching) > 1:
        raise OperatorError(f"{len(matching)} keys are named {named!r}: give the id, which `affidavit key list` shows")
    if not matching:
        raise OperatorError(f"there is no live key {named!r}")
    return matching[0]


async def change(connection: Connection, tenant_id: UUID, named: str, bounds: Mapping[str, Any]) -> UUID:
    """Changes what bounds a key: what `bounds` names, of which None takes a bound away. The next request is held to it."""
    key = await found(connection, tenant_id, named)
    settled = [bounds.get(name, getattr(key, name)) for name in _BOUNDS]
    await connection.execute(queries.change_key, tenant_id, key.id, *settled)
    changed = KeyChanged(
        id=key.id, changed=sorted({_CALLED.get(name, name) for name in bounds}), networks=bounds.get("networks") or None,
        expires_at=bounds.get("expires_at"), requests_per_minute=bounds.get("per_minute"),
        requests_per_day=bounds.get("per_day"), tokens_day=bounds.get("tokens_day"), tokens_month=bounds.get("tokens_month"),
        cost_day_micros=bounds.get("cost_day_micros"), cost_month_micros=bounds.get("cost_month_micros"),
    )  # fmt: skip
    await COMMAND_LINE.record(connection, tenant_id, changed)
    return key.id


async def rotate(connection: Connection, tenant_id: UUID, named: str, overlap_seconds: int) -> tuple[UUID, str]:
    """Gives a key another secret and returns id and secret; the present one lives on for so many seconds."""
    key_id = (await found(connection, tenant_id, named)).id
    secret = api_keys.mint(tenant_id)
    await connection.execute(queries.end_key_secrets, tenant_id, key_id, overlap_seconds)
    await connection.execute(queries.add_key_secret, tenant_id, uuid7(), key_id, secret.lookup_id, secret.digest)
    await COMMAND_LINE.record(connection, tenant_id, KeyRotated(id=key_id, overlap_seconds=overlap_seconds))
    return key_id, secret.plaintext


async def revoke(connection: Connection, tenant_id: UUID, named: str) -> UUID:
    """Ends a key; its next request is refused."""
    key_id = (await found(connection, tenant_id, named)).id
    await connection.execute(queries.revoke_key, tenant_id, key_id)
    await COMMAND_LINE.record(connection, tenant_id, KeyRevoked(id=key_id))
    return key_id
