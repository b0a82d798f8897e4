"""Credentials of the operator's systems, `afo_<lookup id>_<secret>_<checksum>`: apart from every tenant's, and good for none."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg
from uuid_utils.compat import uuid7

from backend.database import Connection, Pool, Queries, fetch_row, fetch_rows, transaction
from backend.errors import Unauthenticated
from backend.identity.bearer_secrets import MalformedSecret, SecretFormat
from backend.operation.service import OperatorError
from backend.operation.tenants import OperatorActor

queries = Queries.beside(__file__)

_FORMAT = SecretFormat("afo")

# For secret scanners: \bafo_[0-9A-Za-z]{12}_[0-9A-Za-z]{33}_[0-9A-Za-z]{6}\b
SCANNER_PATTERN = _FORMAT.scanner_pattern


@dataclass(frozen=True, slots=True)
class PresentedKey:
    """The live key that somebody presents."""

    id: UUID
    name: str


@dataclass(frozen=True, slots=True)
class ListedKey:
    """A key without its secrets."""

    name: str
    created_at: datetime
    rotated_at: datetime | None
    earlier_until: datetime | None
    revoked_at: datetime | None


async def create(owner: Connection, name: str) -> str:
    """Creates a key and returns it, the only time that it is shown; raises OperatorError."""
    secret = _FORMAT.mint()
    try:
        await owner.execute(queries.add_operator_key, uuid7(), name, secret.digest)
    except (asyncpg.UniqueViolationError, asyncpg.CheckViolationError):
        raise OperatorError(f"{name!r} is taken, or longer than 100 characters") from None
    return secret.plaintext


async def rotate(owner: Connection, name: str, overlap_seconds: int) -> str:
    """Gives a key another secret and returns it; the present one holds for so many seconds more. Raises OperatorError.

    It stays one key: two secrets of it are not two people.
    """
    secret = _FORMAT.mint()
    if await owner.fetchval(queries.rotate_operator_key, name, secret.digest, overlap_seconds) is None:
        raise OperatorError(f"there is no live operator key {name!r}")
    return secret.plaintext


async def revoke(owner: Connection, name: str) -> None:
    """Ends a key from the next request on; raises OperatorError."""
    if await owner.fetchval(queries.revoke_operator_key, name) is None:
        raise OperatorError(f"there is no live operator key {name!r}")


async def listed(owner: Connection) -> list[ListedKey]:
    """Returns all keys without their secrets, newest first."""
    return await fetch_rows(owner, ListedKey, queries.operator_keys)


async def presented(owner: Connection, credential: str) -> PresentedKey:
    """Returns the live key that somebody presents; raises Unauthenticated."""
    try:
        parsed = _FORMAT.parse(credential)
    except MalformedSecret as error:
        raise Unauthenticated(reason="operator:malformed") from error
    row = await fetch_row(owner, PresentedKey, queries.operator_key, parsed.digest)
    if row is None:
        raise Unauthenticated(reason="operator:unknown")
    return row


async def resolve(pool: Pool, credential: str, source_address: str | None, *, timeout: float) -> OperatorActor:  # noqa: ASYNC109 - of a connection
    """Returns who presents a key; raises Unauthenticated."""
    async with transaction(pool, timeout=timeout) as connection:
        key = await presented(connection, credential)
    return OperatorActor(key.name, key.id, source_address)


async def known(pool: Pool, key_id: UUID, source_address: str | None, *, timeout: float) -> OperatorActor:  # noqa: ASYNC109 - of a connection
    """Returns who presented a key before, as long as it is live; raises Unauthenticated."""
    async with transaction(pool, timeout=timeout) as connection:
        key = await fetch_row(connection, PresentedKey, queries.operator_key_by_id, key_id)
    if key is None:
        raise Unauthenticated(reason="operator:unknown")
    return OperatorActor(key.name, key.id, source_address)
