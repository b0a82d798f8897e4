"""The one place that tells PostgreSQL who is calling: a signed context, bound for one transaction.

Row-level security verifies the signature (`tenancy.context()` in migrations/), so SQL run as the runtime role cannot
name another tenant, principal, permission or collection than those signed here.
"""

import asyncio
import hashlib
import hmac
import string
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import partial
from typing import Protocol, TypeAlias
from uuid import UUID

import orjson

from backend.database import PINNED_COMMIT, Connection, Pool, Row, fetch_row, reachable, transaction
from backend.errors import Misdirected, NotAtHome
from backend.precedence import step

LIFETIME_SECONDS = 60
# Behind a pooler the transaction may run on a connection that was not prepared by this process.
_BIND = f"select set_config('app.context', $1, true), {PINNED_COMMIT.format(local=True)}"
_BIND_AND_REUSE_PLANS = f"{_BIND}, set_config('plan_cache_mode', 'force_generic_plan', true)"
# Events of nobody's tenant, such as a failed login to one that does not exist.
PLATFORM_TENANT = UUID(int=0)

TAG_LENGTH = 7  # 41 bits: among a million tenants, two alike are rare, and then nobody is sent on
_BASE62 = string.digits + string.ascii_uppercase + string.ascii_lowercase

Renewal: TypeAlias = Callable[[], Awaitable[None]]
"""Signs the context of an open transaction anew, which otherwise expires while it writes a long document."""


def tenant_tag(tenant_id: UUID) -> str:
    """Returns what the visible part of a tenant's secrets begins with. It tells which of them are one tenant's, and no more."""
    rest = int.from_bytes(hashlib.sha256(b"tenant tag" + tenant_id.bytes).digest())
    digits = []
    for _ in range(TAG_LENGTH):
        rest, digit = divmod(rest, len(_BASE62))
        digits.append(_BASE62[digit])
    return "".join(digits)


def tagged(tenant_id: UUID, secret: str) -> str:
    """Returns a secret of a tenant with its tag before it, for what is no secret of a form of its own: cookies and codes."""
    return f"{tenant_tag(tenant_id)}.{secret}"


def tag_before(secret: str) -> str:
    """Returns the tag that stands before a secret; empty where none does, as before any that is older than tags."""
    tag, dot, rest = secret.partition(".")
    return tag if dot and len(tag) == TAG_LENGTH and "." not in rest and tag.isascii() and tag.isalnum() else ""


class Purpose(StrEnum):
    """For what a transaction may see or do more than its caller, with what it presents for that.

    `tenancy.purposes()` in the database knows the same ones, and refuses to be asked for any other.
    """

    # Before anyone is a caller: what somebody shows to become one.
    TENANT = "tenant"  # a slug, or a domain of e-mail addresses
    USERNAME = "username"
    DIGEST = "digest"  # of a key, a refresh token or a one-time link
    BROWSER = "browser"  # the digest of a cookie
    ISSUER_OF = "issuer_of"  # a tenant's id
    PASSWORD_OF = "password_of"  # noqa: S105 - a user's id
    SECOND_FACTOR_OF = "second_factor_of"  # a user's id
    PROVED_SESSION = "proved_session"  # the id of a session whose user has just shown a second factor
    SETTING_PASSWORD_OF = "setting_password_of"  # noqa: S105 - a user's id
    # What the service does for a caller.
    READING = "reading"  # `lapsed`: versions that used to apply
    WRITING = "writing"  # `chunks`: of versions that nobody may read yet
    ERASING = "erasing"  # `documents`
    WITHDRAWING = "withdrawing"  # the id of a job whose upload became no version
    RETRYING = "retrying"  # a job's id
    LEASE = "lease"  # the id of a worker's lease on a job
    WORKER = "worker"  # the id of a worker's lease, for the queue of all tenants
    DELIVERING = "delivering"  # the id of a worker's lease on an endpoint of webhooks


@dataclass(frozen=True, slots=True)
class Claims:
    """What a transaction is bound to. `presented` holds what it presents beside its caller, if there is one."""

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
    presented: Mapping[Purpose, str] = field(default_factory=dict)
    tag: str | None = None  # of the tenant whose secret is presented; for this process, and in no context


class Homes(Protocol):
    """Knows in which cell tenants are at home, where there are several."""

    def epoch_of(self, claims: Claims) -> int | None:
        """Returns since which epoch the tenant of these claims is at home here, None if that is not known; raises Misdirected."""

    async def refresh(self) -> None:
        """Learns what is new, if whoever knows it answers."""


class OneCell:
    """All tenants are at home in the one database."""

    def epoch_of(self, _claims: Claims) -> int | None:
        """Returns None."""
        return None

    async def refresh(self) -> None:
        """Does nothing."""


class ContextSigner:
    """Signs claims with HMAC-SHA-256 as `v1.<hex code>.<JSON>`, with nothing that PostgreSQL would have to decode."""

    def __init__(self, key: str, cell: str | None = None) -> None:
        """`cell` is the name of the only database that accepts what is signed; None where there is one."""
        self._key = hashlib.sha256(key.encode()).digest()
        self._cell = cell

    def sign(self, claims: Claims, backend: int, epoch: int | None = None) -> str:
        """Returns the context that `tenancy.context()` accepts for 60 seconds, in the server process `backend` only.

        With an epoch it is accepted only while the tenant is at home there since then.
        """
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
            "presented": {Purpose(purpose).value: shown for purpose, shown in claims.presented.items()},
            "backend": backend,
            "epoch": epoch,
            "cell": self._cell,
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

    def __init__(
        self, pool: Pool, signer: ContextSigner, *, timeout: float, behind_pooler: bool = False, homes: Homes | None = None
    ) -> None:  # fmt: skip
        self._pool = pool
        self.homes = homes or OneCell()
        self._behind_pooler = behind_pooler
        self._signer = signer
        self._timeout = timeout

    @asynccontextmanager
    async def transaction(self, claims: Claims, *, reuse_plans: bool = False) -> AsyncIterator[Connection]:
        """Runs one transaction as the claims say; it has committed when the block ends without an exception.

        `reuse_plans` spares planning each statement anew, for statements whose best plan is the same for every tenant.
        Raises Misdirected for a tenant of another cell, before anything is asked of the database.
        """
        self.homes.epoch_of(claims)
        async with step(), transaction(self._pool, timeout=self._timeout) as connection:
            await self.bind(connection, claims, _BIND_AND_REUSE_PLANS if reuse_plans else _BIND)
            yield connection

    async def ask(
        self, claims: Claims, row: Callable[..., Row], statement: str, *arguments: object, then: Claims | None = None
    ) -> Row | None:
        """Returns the row that a function answers which binds its own transaction, to the context as its first argument.

        One round trip in place of four. For what only reads: it has committed, whatever comes after. Every caller is found so,
        and what refuses a tenant that has moved may know better than this process: then it asks once more. `then` is to what a
        second function of the statement binds it, to the context as the second argument.
        """
        asked = [claims] if then is None else [claims, then]
        try:
            return await self._ask(asked, row, statement, *arguments)
        except NotAtHome:
            await self.homes.refresh()
            return await self._ask(asked, row, statement, *arguments)

    async def _ask(
        self, asked: Sequence[Claims], row: Callable[..., Row], statement: str, *arguments: object
    ) -> Row | None:
        homes = [(claims, self.homes.epoch_of(claims)) for claims in asked]

        def signed(server_process: int) -> list[str]:
            return [self._signer.sign(claims, server_process, epoch) for claims, epoch in homes]

        if self._behind_pooler:
            async with step(), transaction(self._pool, timeout=self._timeout) as connection:
                contexts = signed(await self._server_process(connection))
                return await fetch_row(connection, row, statement, *contexts, *arguments)
        async with step(), reachable(self._pool, timeout=self._timeout) as connection:
            contexts = signed(connection.get_server_pid())
            async with asyncio.timeout(self._timeout):
                return await fetch_row(connection, row, statement, *contexts, *arguments)

    def refuse_elsewhere(self, tag: str, request_id: str) -> None:
        """Raises Misdirected for a secret of a tenant of another cell, whose keys this one need not have."""
        self.homes.epoch_of(Claims(request_id, tag=tag))

    def is_elsewhere(self, claims: Claims) -> bool:
        """Tells whether the tenant of these claims is at home in another cell, as far as this process knows."""
        try:
            self.homes.epoch_of(claims)
        except Misdirected:
            return True
        return False

    def renewal(self, connection: Connection, claims: Claims) -> Renewal:
        """Returns what keeps an open transaction bound to these claims for longer than one signature holds."""
        return partial(self.bind, connection, claims)

    async def bind(self, connection: Connection, claims: Claims, statement: str = _BIND) -> None:
        """Binds the open transaction to claims, in place of those it had.

        The context travels as a bound parameter: other connections of the same role can read the text of a statement.
        """
        epoch = self.homes.epoch_of(claims)
        signed = self._signer.sign(claims, await self._server_process(connection), epoch)
        await connection.execute(statement, signed)

    async def _server_process(self, connection: Connection) -> int:
        """Returns which server process the open transaction runs in: what a pooler told the driver is its own invention."""
        if self._behind_pooler:
            number: int = await connection.fetchval("select pg_backend_pid()")
            return number
        return connection.get_server_pid()
