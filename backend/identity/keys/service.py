"""The rules of API keys: what they may be given, how they are rotated, and how they end."""

from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID

from uuid_utils.compat import uuid7

from backend.audit.events import Action, Event, without_nulls
from backend.audit.recorder import Recorder
from backend.database import Connection, Queries
from backend.errors import Forbidden, InvalidInput, NotFound
from backend.identity.callers import on_behalf_of
from backend.identity.callers.caller import Caller
from backend.identity.callers.permissions import ROLE_PERMISSIONS, Permission, Role
from backend.identity.keys import api_keys
from backend.identity.keys.models import CreatedKey, KeyList, KeySummary, NewKeyRequest, RotatedKey

queries = Queries.beside(__file__)

# A key may do what its creator may, and `keys:manage` includes handing out what partners get.
DELEGABLE = ROLE_PERMISSIONS[Role.PARTNER]
DEFAULT_COLLECTIONS = ("default",)


async def create_key(connection: Connection, caller: Caller, recorder: Recorder, request: NewKeyRequest) -> CreatedKey:
    """Creates an API key; raises Forbidden for a permission that the creator cannot hand out."""
    asked = frozenset(request.permissions)
    if excess := asked - caller.permissions - DELEGABLE:
        raise Forbidden(
            f"You cannot give a key what you may not do yourself: {', '.join(sorted(excess))}.",
            reason="key:excess_permission",
        )
    if request.expires_at is not None and request.expires_at <= datetime.now(UTC):
        raise InvalidInput("expires_at: must be in the future")
    if request.assertion_key is not None:
        _check_assertion_key(request.assertion_key)
    slugs = sorted(set(DEFAULT_COLLECTIONS if request.collections is None else request.collections))
    readable = await _readable(connection, caller, slugs)
    key_id, permissions = uuid7(), sorted(Permission(p) for p in asked)
    await connection.execute(
        queries.add_key, caller.tenant_id, key_id, request.name, permissions, caller.principal_id, request.expires_at,
        request.allowed_networks, request.requests_per_minute, request.requests_per_day, request.assertion_key,
    )  # fmt: skip
    secret = await _add_secret(connection, caller, key_id)
    for collection_id in readable:
        await connection.execute(queries.grant_read, caller.tenant_id, uuid7(), collection_id, key_id)
    details = without_nulls(
        {
            "id": str(key_id), "permissions": permissions, "collections": slugs,
            "networks": sorted(map(str, request.allowed_networks)) or None,
            "requests_per_minute": request.requests_per_minute, "requests_per_day": request.requests_per_day,
        }
    )  # fmt: skip
    await recorder.record(connection, caller, Event(Action.KEY_CREATED, details={"key": details}))
    return CreatedKey(
        id=key_id,
        name=request.name,
        key=secret,
        permissions=permissions,
        collections=slugs,
        expires_at=request.expires_at,
    )


async def rotate_key(
    connection: Connection, caller: Caller, recorder: Recorder, key_id: UUID, overlap_seconds: int
) -> RotatedKey:
    """Gives a key another secret, and lets the present one live on for the overlap; older ones end at once.

    Raises NotFound when the tenant has no such live key, and Forbidden unless the caller created it: a key can hold
    what another manager may not do.
    """
    row = await connection.fetchrow(queries.rotated_key, caller.tenant_id, key_id)
    if row is None:
        raise NotFound(reason="key:unknown")
    if row["created_by"] != caller.principal_id:
        raise Forbidden("Only who created a key can rotate it; create another instead.", reason="key:not_creator")
    await connection.execute(queries.end_key_secrets, caller.tenant_id, key_id, overlap_seconds)
    secret = await _add_secret(connection, caller, key_id)
    details = {"key": {"id": str(key_id), "overlap_seconds": overlap_seconds}}
    await recorder.record(connection, caller, Event(Action.KEY_ROTATED, details=details))
    return RotatedKey(id=key_id, name=row["name"], key=secret, overlap_seconds=overlap_seconds)


async def list_keys(connection: Connection, caller: Caller) -> KeyList:
    """Returns the tenant's API keys, newest first."""
    rows = await connection.fetch(queries.list_keys, caller.tenant_id)
    return KeyList(keys=[KeySummary(**dict(row)) for row in rows])


async def revoke_key(connection: Connection, caller: Caller, recorder: Recorder, key_id: UUID) -> None:
    """Ends an API key; raises NotFound when the tenant has no such live key."""
    if await connection.fetchval(queries.revoke_key, caller.tenant_id, key_id) is None:
        raise NotFound(reason="key:unknown")
    await recorder.record(connection, caller, Event(Action.KEY_REVOKED, details={"key": {"id": str(key_id)}}))


async def _readable(connection: Connection, caller: Caller, slugs: Sequence[str]) -> list[UUID]:
    found = await connection.fetch(queries.collections_by_slug, caller.tenant_id, slugs)
    readable = {row["slug"]: row["id"] for row in found if row["id"] in caller.readable}
    if missing := [slug for slug in slugs if slug not in readable]:
        raise NotFound(f"There is no collection {missing[0]!r} that you may read.", reason="collection:unknown")
    return list(readable.values())


async def _add_secret(connection: Connection, caller: Caller, key_id: UUID) -> str:
    secret = api_keys.mint()
    await connection.execute(queries.add_key_secret, caller.tenant_id, uuid7(), key_id, secret.lookup_id, secret.digest)
    return secret.plaintext


def _check_assertion_key(pem: str) -> None:
    try:
        on_behalf_of.load_public_key(pem)
    except ValueError as error:
        raise InvalidInput("assertion_key: must be the PEM of a public key on the curve P-256") from error
