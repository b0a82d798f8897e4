"""Credentials of the operator's systems, `afo_<lookup id>_<secret>_<checksum>`: apart from every tenant's, and good for none."""

from uuid import UUID

import asyncpg
from uuid_utils.compat import uuid7

from backend.database import Connection, Pool, Queries, transaction
from backend.errors import Unauthenticated
from backend.identity.bearer_secrets import MalformedSecret, SecretFormat
from backend.operation.service import OperatorError
from backend.operation.tenants import OperatorActor

queries = Queries.beside(__file__)

_FORMAT = SecretFormat("afo")

# For secret scanners: \bafo_[0-9A-Za-z]{12}_[0-9A-Za-z]{33}_[0-9A-Za-z]{6}\b
SCANNER_PATTERN = _FORMAT.scanner_pattern


async def create(owner: Connection, name: str) -> str:
    """Creates a key and returns it, the only time that it is shown; raises OperatorError."""
    secret = _FORMAT.mint()
    try:
        await owner.execute(queries.add_operator_key, uuid7(), name, secret.digest)
    except (asyncpg.UniqueViolationError, asyncpg.CheckViolationError):
        raise OperatorError(f"{name!r} is taken, or longer than 100 characters") from None
    return secret.plaintext


async def revoke(owner: Connection, name: str) -> None:
    """Ends a key from the next request on; raises OperatorError."""
    if await owner.fetchval(queries.revoke_operator_key, name) is None:
        raise OperatorError(f"there is no live operator key {name!r}")


async def listed(owner: Connection) -> list[asyncpg.Record]:
    """Returns all keys without their secrets, newest first."""
    return await owner.fetch(queries.operator_keys)


async def presented(owner: Connection, credential: str) -> asyncpg.Record:
    """Returns id and name of the live key that somebody presents at the command line; raises Unauthenticated."""
    try:
        parsed = _FORMAT.parse(credential)
    except MalformedSecret as error:
        raise Unauthenticated(reason="operator:malformed") from error
    row = await owner.fetchrow(queries.operator_key, parsed.digest)
    if row is None:
        raise Unauthenticated(reason="operator:unknown")
    return row


async def resolve(pool: Pool, credential: str, source_address: str | None, *, timeout: float) -> OperatorActor:  # noqa: ASYNC109 - of a connection
    """Returns who presents a key; raises Unauthenticated."""
    try:
        parsed = _FORMAT.parse(credential)
    except MalformedSecret as error:
        raise Unauthenticated(reason="operator:malformed") from error
    async with transaction(pool, timeout=timeout) as connection:
        row = await connection.fetchrow(queries.operator_key, parsed.digest)
    if row is None:
        raise Unauthenticated(reason="operator:unknown")
    key_id: UUID = row["id"]
    return OperatorActor(row["name"], key_id, source_address)
