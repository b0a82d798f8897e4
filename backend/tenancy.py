"""The one place that tells PostgreSQL who is calling: a signed context, bound for one transaction.

Row-level security verifies the signature (`tenancy.context()` in migrations/), so SQL run as the runtime role cannot
name another tenant, principal, permission or collection than those signed here.
"""

import asyncio
import hashlib
import hmac
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import TypeAlias
from uuid import UUID

import asyncpg
import orjson

from backend.database import PINNED_COMMIT, Connection, Pool, reachable, transaction

LIFETIME_SECONDS = 60
# Behind a pooler the transaction may run on a connection that was not prepared by this process.
_BIND = f"select set_config('app.context', $1, true), {PINNED_COMMIT.format(local=True)}"
_BIND_AND_REUSE_PLANS = f"{_BIND}, set_config('plan_cache_mode', 'force_generic_plan', true)"
# Events of nobody's tenant, such as a failed login to one that does not exist.
PLATFORM_TENANT = UUID(int=0)

Renewal: TypeAlias = Callable[[], Awaitable[None]]
"""Signs the context of an open transaction anew, which otherwise expires while it writes a long document."""


@dataclass(frozen=True, slots=True)
class Claims:
    """What a transaction is bound to. `presented` holds credentials that are being checked, before anyone is a caller."""

    request_id: str
    tenant_id: UUID | None = None
    principal_id: UUID | None = None
    subject_id: UUID | None = None  # whose personal data this transaction records, where it is not the principal's
    kind: str = "anonymous"
    permissions: Collection[str] = ()
    readable: Collection[UUID] = ()
    writable: Collection[UUID] = ()
    moment: datetime | None = None
    known_at: datetime | None = None
    presented: Mapping[str, str] = field(default_factory=dict)


class ContextSigner:
    """Signs claims with HMAC-SHA-256 as `v1.<hex code>.<JSON>`, with nothing that PostgreSQL would have to decode."""

    def __init__(self, key: str) -> None:
        self._key = hashlib.sha256(key.encode()).digest()

    def sign(self, claims: Claims, backend: int) -> str:
        """Returns the context that `tenancy.context()` accepts for 60 seconds, in the server process `backend` only."""
        document = {
            "tenant": claims.tenant_id and str(claims.tenant_id),
            "principal": claims.principal_id and str(claims.principal_id),
            "subject": claims.subject_id and str(claims.subject_id),
            "kind": claims.kind,
            "permissions": sorted(claims.permissions),
            "readable": sorted(map(str, claims.readable)),
            "writable": sorted(map(str, claims.writable)),
            "request": claims.request_id,
            "moment": claims.moment,
            "known_at": claims.known_at,
            "presented": dict(claims.presented),
            "backend": backend,
            "expires": int(time.time()) + LIFETIME_SECONDS,
        }
        known = {name: value for name, value in document.items() if value is not None}
        claimed = orjson.dumps(known)
        code = hmac.new(self._key, b"v1." + claimed, hashlib.sha256).hexdigest()
        return f"v1.{code}.{claimed.decode()}"

    def padded_key(self) -> tuple[str, bytes, bytes]:
        """Returns id, inner and outer block of the key (RFC 2104), as the database stores it."""
        block = self._key.ljust(64, b"\0")
        identifier = hashlib.sha256(b"context key id" + self._key).hexdigest()[:16]
        return identifier, bytes(byte ^ 0x36 for byte in block), bytes(byte ^ 0x5C for byte in block)


class Tenancy:
    """Opens transactions that are bound to claims."""

    def __init__(self, pool: Pool, signer: ContextSigner, *, timeout: float) -> None:
        self._pool = pool
        self._signer = signer
        self._timeout = timeout

    @asynccontextmanager
    async def transaction(self, claims: Claims, *, reuse_plans: bool = False) -> AsyncIterator[Connection]:
        """Runs one transaction as the claims say; it has committed when the block ends without an exception.

        `reuse_plans` spares planning each statement anew, for statements whose best plan is the same for every tenant.
        """
        async with transaction(self._pool, timeout=self._timeout) as connection:
            await self.bind(connection, claims, _BIND_AND_REUSE_PLANS if reuse_plans else _BIND)
            yield connection

    async def ask(self, claims: Claims, statement: str, *arguments: object) -> asyncpg.Record | None:
        """Returns the row that a function answers which binds its own transaction, to the context as its first argument.

        One round trip in place of four. For what only reads: it has committed, whatever comes after.
        """
        async with reachable(self._pool, timeout=self._timeout) as connection:
            signed = self._signer.sign(claims, connection.get_server_pid())
            async with asyncio.timeout(self._timeout):
                return await connection.fetchrow(statement, signed, *arguments)

    def renewal(self, connection: Connection, claims: Claims) -> Renewal:
        """Returns what keeps an open transaction bound to these claims for longer than one signature holds."""
        return partial(self.bind, connection, claims)

    async def bind(self, connection: Connection, claims: Claims, statement: str = _BIND) -> None:
        """Binds the open transaction to claims, in place of those it had.

        The context travels as a bound parameter: other connections of the same role can read the text of a statement.
        """
        signed = self._signer.sign(claims, connection.get_server_pid())
        await connection.execute(statement, signed)
