"""The rules of API keys: what they may be given, how they are rotated and handed over, and how they end."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import TypeVar
from uuid import UUID

import asyncpg
from uuid_utils.compat import uuid7

from backend.audit.actions.keys import KeyBounded, KeyChanged, KeyCreated, KeyHandedOver, KeyRevoked, KeyRotated
from backend.audit.events import Event
from backend.audit.recorder import Recorder
from backend.database import Connection, Queries
from backend.errors import Forbidden, InvalidInput, NotFound
from backend.identity.callers import on_behalf_of
from backend.identity.callers.caller import Caller
from backend.identity.callers.permissions import DELEGABLE, NOT_FOR_KEYS, Permission
from backend.identity.keys import api_keys
from backend.identity.keys.models import (
    Budgets,
    CreatedKey,
    KeyChange,
    KeyList,
    KeySummary,
    NewKeyRequest,
    RotatedKey,
)

queries = Queries.beside(__file__)

DEFAULT_COLLECTIONS = ("default",)
MICROS = 1_000_000
_B = TypeVar("_B", bound=KeyBounded)
_BUDGETS = ("tokens_per_day", "tokens_per_month", "cost_per_day_micros", "cost_per_month_micros")
_BOUNDS = ("name", "purpose", "expires_at", "allowed_networks", "requests_per_minute", "requests_per_day")


async def create_key(connection: Connection, caller: Caller, recorder: Recorder, request: NewKeyRequest) -> CreatedKey:
    """Creates an API key; raises Forbidden for a permission that the creator cannot hand out."""
    asked = frozenset(request.permissions)
    if excess := (asked - caller.permissions - DELEGABLE) | (asked & NOT_FOR_KEYS):
        raise Forbidden(
            f"You cannot give a key what you may not do yourself, nor what only a person does: {', '.join(sorted(excess))}.",
            reason="key:excess_permission",
        )
    _check_expiry(request.expires_at)
    if request.assertion_key is not None:
        _check_assertion_key(request.assertion_key)
    slugs = sorted(set(DEFAULT_COLLECTIONS if request.collections is None else request.collections))
    readable = await _readable(connection, caller, slugs)
    key_id, permissions, owner = uuid7(), sorted(Permission(p) for p in asked), _person(caller)
    await connection.execute(
        queries.add_key, caller.tenant_id, key_id, request.name, permissions, caller.principal_id, request.expires_at,
        request.allowed_networks, request.requests_per_minute, request.requests_per_day, request.assertion_key,
        owner, request.purpose, *_stored(request.budgets),
    )  # fmt: skip
    secret = await _add_secret(connection, caller, key_id)
    for collection_id in readable:
        await connection.execute(queries.grant_read, caller.tenant_id, uuid7(), collection_id, key_id, owner)
    created = KeyCreated(id=key_id, permissions=permissions, collections=slugs, owner=owner, purpose=request.purpose)
    await recorder.record(connection, caller, Event(_bounded(created, request)))
    return CreatedKey(
        id=key_id, name=request.name, key=secret, permissions=permissions, collections=slugs, owner=owner,
        purpose=request.purpose, expires_at=request.expires_at,
    )  # fmt: skip


async def change_key(
    connection: Connection, caller: Caller, recorder: Recorder, key_id: UUID, change: KeyChange
) -> KeySummary:
    """Changes what bounds a key, and whose it is; raises NotFound for none that is live, and Forbidden to hand over one's own.

    What is handed over opens nothing until its new owner rotates it.
    """
    current = await connection.fetchrow(queries.live_key, caller.tenant_id, key_id)
    if current is None:
        raise NotFound(reason="key:unknown")
    named = {name: getattr(change, name) for name in change.model_fields_set - {"owner", "budgets"}}
    if "name" in named and named["name"] is None:
        raise InvalidInput("name: cannot be taken away")
    _check_expiry(named.get("expires_at"))
    if named or "budgets" in change.model_fields_set:
        settled = [named.get(name, current[name]) for name in _BOUNDS]
        known = tuple(current[column] for column in _BUDGETS)
        budgets = _stored(change.budgets) if "budgets" in change.model_fields_set else known
        await connection.execute(queries.change_key, caller.tenant_id, key_id, *settled, *budgets)
        changed = KeyChanged(id=key_id, changed=sorted(change.model_fields_set - {"owner"}))
        await recorder.record(connection, caller, Event(_bounded(changed, change)))
    if change.owner is not None:
        await _hand_over(connection, caller, recorder, key_id, current["owner_id"], change.owner)
    return await _summary(connection, caller, key_id)


async def rotate_key(
    connection: Connection, caller: Caller, recorder: Recorder, key_id: UUID, overlap_seconds: int
) -> RotatedKey:
    """Gives a key another secret, and lets the present one live on for the overlap; older ones end at once.

    Raises NotFound when the tenant has no such live key, and Forbidden unless the caller owns it: a key can hold
    what another manager may not do.
    """
    row = await connection.fetchrow(queries.rotated_key, caller.tenant_id, key_id)
    if row is None:
        raise NotFound(reason="key:unknown")
    if row["owner_id"] != _person(caller):
        raise Forbidden("Only who owns a key can rotate it; create another instead.", reason="key:not_owner")
    await connection.execute(queries.end_key_secrets, caller.tenant_id, key_id, overlap_seconds)
    secret = await _add_secret(connection, caller, key_id)
    await recorder.record(connection, caller, Event(KeyRotated(id=key_id, overlap_seconds=overlap_seconds)))
    return RotatedKey(id=key_id, name=row["name"], key=secret, overlap_seconds=overlap_seconds)


async def list_keys(connection: Connection, caller: Caller) -> KeyList:
    """Returns the tenant's API keys, newest first."""
    rows = await connection.fetch(queries.list_keys, caller.tenant_id)
    return KeyList(keys=[_view(row) for row in rows])


async def revoke_key(connection: Connection, caller: Caller, recorder: Recorder, key_id: UUID) -> None:
    """Ends an API key; raises NotFound when the tenant has no such live key."""
    if await connection.fetchval(queries.revoke_key, caller.tenant_id, key_id) is None:
        raise NotFound(reason="key:unknown")
    await recorder.record(connection, caller, Event(KeyRevoked(id=key_id)))


async def _hand_over(
    connection: Connection, caller: Caller, recorder: Recorder, key_id: UUID, owner_before: UUID, owner: UUID
) -> None:
    if not await connection.fetchval(queries.hand_over_key, key_id, owner):
        detail = "Another person than a key's owner hands it over, and to an active user of the tenant."
        raise Forbidden(detail, reason="key:hand_over")
    handed_over = KeyHandedOver(id=key_id, owner=owner, owner_before=owner_before)
    await recorder.record(connection, caller, Event(handed_over))


async def _summary(connection: Connection, caller: Caller, key_id: UUID) -> KeySummary:
    return next(key for key in (await list_keys(connection, caller)).keys if key.id == key_id)


def _view(row: asyncpg.Record) -> KeySummary:
    known = dict(row)
    tokens_day, tokens_month, cost_day, cost_month = (known.pop(column) for column in _BUDGETS)
    budgets = Budgets(
        tokens_day=tokens_day, tokens_month=tokens_month, cost_day=None if cost_day is None else cost_day / MICROS,
        cost_month=None if cost_month is None else cost_month / MICROS,
    )  # fmt: skip
    return KeySummary(**known, budgets=budgets)


def _person(caller: Caller) -> UUID:
    """Returns the user who acts: the caller, or who owns the key that calls."""
    person = caller.owner_id or caller.principal_id
    assert person is not None
    return person


def _stored(budgets: Budgets) -> tuple[int | None, ...]:
    """Returns budgets in the order of `_BUDGETS`."""
    costs = (None if cost is None else round(cost * MICROS) for cost in (budgets.cost_day, budgets.cost_month))
    return (budgets.tokens_day, budgets.tokens_month, *costs)


def _bounded(event: _B, bounds: NewKeyRequest | KeyChange) -> _B:
    """Returns the record with the bounds that are set; what was taken away is only named as changed."""
    tokens_day, tokens_month, cost_day_micros, cost_month_micros = _stored(bounds.budgets)
    return replace(
        event, networks=sorted(map(str, bounds.allowed_networks)) or None, requests_per_minute=bounds.requests_per_minute,
        requests_per_day=bounds.requests_per_day, tokens_day=tokens_day, tokens_month=tokens_month,
        cost_day_micros=cost_day_micros, cost_month_micros=cost_month_micros, expires_at=bounds.expires_at,
    )  # fmt: skip


async def _readable(connection: Connection, caller: Caller, slugs: Sequence[str]) -> list[UUID]:
    found = await connection.fetch(queries.collections_by_slug, caller.tenant_id, slugs)
    readable = {row["slug"]: row["id"] for row in found if row["id"] in caller.readable}
    if missing := [slug for slug in slugs if slug not in readable]:
        raise NotFound(f"There is no collection {missing[0]!r} that you may read.", reason="collection:unknown")
    return list(readable.values())


async def _add_secret(connection: Connection, caller: Caller, key_id: UUID) -> str:
    secret = api_keys.mint(caller.tenant_id)
    await connection.execute(
        queries.add_key_secret, caller.tenant_id, uuid7(), key_id, secret.lookup_id, secret.digest, _person(caller)
    )
    return secret.plaintext


def _check_expiry(expires_at: datetime | None) -> None:
    if expires_at is not None and expires_at <= datetime.now(UTC):
        raise InvalidInput("expires_at: must be in the future")


def _check_assertion_key(pem: str) -> None:
    try:
        on_behalf_of.load_public_key(pem)
    except ValueError as error:
        raise InvalidInput("assertion_key: must be the PEM of a public key on the curve P-256") from error
