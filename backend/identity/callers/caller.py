"""Who is calling: a bearer token becomes one frozen Caller, resolved against the database at every request.

Nothing is cached, so disabling a user, key or grant works on the very next request.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from uuid import UUID, uuid5

from backend.audit.events import DoorKind
from backend.errors import Forbidden, ServiceError, Unauthenticated
from backend.identity.bearer_secrets import MalformedSecret
from backend.identity.callers import on_behalf_of
from backend.identity.callers.addresses import is_within
from backend.identity.callers.limits import DAY, MINUTE, Limit, enforce
from backend.identity.callers.on_behalf_of import EndUser
from backend.identity.callers.permissions import PROVIDER_PERMISSIONS, Permission
from backend.identity.callers.rows import KeyRow, ProviderRow, SessionUserRow, UserRow, queries
from backend.identity.keys import api_keys
from backend.identity.provisioning import bearers
from backend.identity.sign_in.tokens import AccessClaims, AccessTokens, InvalidToken, Refusal
from backend.tenancy import PLATFORM_TENANT, Claims, Purpose, Tenancy


class SecondFactorMissing(Forbidden):
    """The tenant asks for a second factor, and the caller has none yet."""

    code = "second_factor_missing"
    detail = "Your institution asks for a second factor: set one up first."


@dataclass(frozen=True, slots=True)
class Door:
    """By which protocol a request came, and what its client says it is."""

    kind: DoorKind = DoorKind.HTTP
    client: str | None = None
    tool: str | None = None


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a request comes from, before it is known from whom."""

    request_id: str
    source_address: str | None = None
    on_behalf_of: str | None = None  # as the client wrote it; only an API key may
    door: Door = Door()


@dataclass(frozen=True, slots=True)
class Caller:
    """A principal of one tenant and what it may do now. `readable` and `writable` are collection ids."""

    tenant_id: UUID
    tenant_slug: str
    principal_id: UUID | None
    kind: str
    name: str
    request_id: str
    roles: tuple[str, ...] = ()
    permissions: frozenset[Permission] = frozenset()
    readable: frozenset[UUID] = frozenset()
    writable: frozenset[UUID] = frozenset()
    session_id: UUID | None = None
    source_address: str | None = None
    on_behalf_of: EndUser | None = None
    door: Door | None = None
    may_assert_end_users: bool = False  # a key whose end users need no signature
    owner_id: UUID | None = None  # the person whose key it is
    purpose: str | None = None  # for which the key was made
    stated_purpose: str | None = None  # of this request, as the client says
    lacks_second_factor: bool = False  # the tenant asks for one; until then the caller may do nothing
    token_expires_at: int | None = None  # seconds since the epoch
    key_digest: str | None = field(default=None, repr=False)  # of the secret by which a key calls

    @classmethod
    def nobody(cls, origin: Origin, *, tenant_id: UUID = PLATFORM_TENANT) -> "Caller":
        """Returns the actor of an event that happens before anyone is known to be calling."""
        return cls(
            tenant_id=tenant_id, tenant_slug="", principal_id=None, kind="anonymous", name="",
            request_id=origin.request_id, source_address=origin.source_address, door=origin.door,
        )  # fmt: skip

    def claims(self, *, moment: datetime | None = None, presented: Mapping[Purpose, str] | None = None) -> Claims:
        """Returns what a transaction of this caller is bound to; `moment` is the time it asks about."""
        return Claims(
            request_id=self.request_id, tenant_id=self.tenant_id, principal_id=self.principal_id,
            subject_id=self.subject_id, kind=self.kind,
            permissions=self.permissions, readable=self.readable, writable=self.writable,
            moment=moment, presented=presented or {},
        )  # fmt: skip

    @property
    def subject_id(self) -> UUID:
        """Whose personal data this caller's requests hold, and under whose key they are recorded."""
        if self.on_behalf_of is not None:
            return self.subject_named(self.on_behalf_of.subject)
        return self.principal_id or self.tenant_id

    def subject_named(self, end_user: str) -> UUID:
        """Returns the id of an end user that partners name: the same for the same name, in one tenant only (RFC 9562, v5)."""
        return uuid5(self.tenant_id, end_user)

    def require(self, permission: Permission) -> None:
        """Raises Forbidden unless the caller has the permission."""
        if self.lacks_second_factor:
            raise SecondFactorMissing(reason="second_factor:missing")
        if permission not in self.permissions:
            raise Forbidden(f"This needs the permission {permission}.", reason=f"permission:{permission}")


def caller_of(row: UserRow | KeyRow, tenant_id: UUID, principal_id: UUID, origin: Origin) -> Caller:
    """Returns a principal with the rights that its row tells; none while its tenant waits for its second factor."""
    lacking = isinstance(row, SessionUserRow) and row.lacks_second_factor
    readable = frozenset[UUID]() if lacking else frozenset(row.readable)
    caller = Caller(
        tenant_id=tenant_id, tenant_slug=row.tenant_slug, principal_id=principal_id, kind="user", name=row.name,
        request_id=origin.request_id, source_address=origin.source_address, door=origin.door,
        permissions=frozenset() if lacking else row.allowed, readable=readable,
        # As far as it may be read: a writer must see what is there already.
        writable=readable & frozenset(row.writable), lacks_second_factor=lacking,
    )  # fmt: skip
    if isinstance(row, KeyRow):
        return replace(caller, kind="key", owner_id=row.owner_id, purpose=row.purpose)
    return replace(caller, roles=tuple(row.roles))


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A user by the sign-in that a session belongs to; `scope` only narrows its rights."""

    subject: UUID
    tenant_id: UUID
    session_id: UUID
    scope: frozenset[Permission] = frozenset(Permission)
    expires_at: int | None = None  # its cookie holds as long as the sign-in


def user_claims(token: "AccessClaims | SignedIn", origin: Origin) -> Claims:
    """Returns what a transaction is bound to that asks who a user is."""
    return Claims(request_id=origin.request_id, tenant_id=token.tenant_id, principal_id=token.subject)


@dataclass(frozen=True, slots=True)
class Resolver:
    """Turns bearer credentials into callers."""

    tenancy: Tenancy
    tokens: AccessTokens

    async def resolve(self, credential: str, origin: Origin, verified: AccessClaims | None = None) -> Caller:
        """Returns the caller of a JWT, an API key or a provider's bearer; raises Unauthenticated with a reason for the log.

        `verified` is what this very token was found to say a moment ago, which need not be found twice.
        """
        if api_keys.looks_like_api_key(credential):
            return await self._resolve_key(credential, origin)
        if bearers.looks_like_bearer(credential):
            return await self._resolve_provider(credential, origin)
        try:
            claims = verified or self.tokens.verify(credential)
        except InvalidToken as error:
            raise Unauthenticated(reason=error.reason) from error
        if not self.tokens.opens(claims.audience, origin.door.kind):
            refused = Unauthenticated(reason=Refusal.WRONG_AUDIENCE)
            refused.actor = Caller.nobody(origin, tenant_id=claims.tenant_id)
            raise refused
        return await self.resolve_user(claims, origin)

    async def resolve_user(self, token: "AccessClaims | SignedIn", origin: Origin) -> Caller:
        """Returns the user who signed in, with its present rights; raises Unauthenticated."""
        if origin.on_behalf_of is not None:
            raise Forbidden(
                "X-On-Behalf-Of is for API keys; a user acts for nobody else.", reason="on_behalf_of:not_a_key"
            )
        row = await self.tenancy.ask(user_claims(token, origin), SessionUserRow, queries.user_caller, token.session_id)
        if row is None:
            raise Unauthenticated(reason="user:unknown")
        return await self.admit_user(row, token, origin)

    async def admit_user(self, row: SessionUserRow, token: "AccessClaims | SignedIn", origin: Origin) -> Caller:
        """Returns a user as a caller; raises when its session has ended, or it asks too often."""
        caller = caller_of(row, token.tenant_id, token.subject, origin)
        caller = replace(
            caller, permissions=caller.permissions & token.scope, session_id=token.session_id,
            token_expires_at=token.expires_at,
        )  # fmt: skip
        with _known_to_its_tenant(caller):
            _refuse_ended_session(row)
            await self._enforce(caller, _shared_limits(caller, row))
        return caller

    async def _resolve_key(self, credential: str, origin: Origin) -> Caller:
        try:
            parsed = api_keys.parse(credential)
        except api_keys.MalformedKey as error:
            raise Unauthenticated(reason="key:malformed") from error
        presented = Claims(
            request_id=origin.request_id, presented={Purpose.DIGEST: parsed.digest.hex()}, tag=parsed.tag
        )
        row = await self.tenancy.ask(presented, KeyRow, queries.presented_key)
        if row is None:
            raise Unauthenticated(reason="key:unknown")
        key = replace(
            caller_of(row, row.tenant_id, row.key_id, origin), may_assert_end_users=row.assertion_key is None,
            key_digest=parsed.digest.hex(),
        )  # fmt: skip
        with _known_to_its_tenant(key):
            return await self._admit_key(key, row, origin)

    async def _resolve_provider(self, credential: str, origin: Origin) -> Caller:
        """Returns the tenant's provider as a caller, at the one door that its bearers open."""
        try:
            parsed = bearers.parse(credential)
        except MalformedSecret as error:
            raise Unauthenticated(reason="scim_bearer:malformed") from error
        presented = Claims(
            request_id=origin.request_id, presented={Purpose.DIGEST: parsed.digest.hex()}, tag=parsed.tag
        )
        row = await self.tenancy.ask(presented, ProviderRow, queries.presented_scim_bearer)
        if row is None:
            raise Unauthenticated(reason="scim_bearer:unknown")
        provider = Caller(
            tenant_id=row.tenant_id, tenant_slug=row.tenant_slug, principal_id=row.issuer_id, kind="issuer",
            name=row.issuer, request_id=origin.request_id, source_address=origin.source_address, door=origin.door,
            permissions=PROVIDER_PERMISSIONS, purpose=row.name,
        )  # fmt: skip
        with _known_to_its_tenant(provider):
            if origin.door.kind is not DoorKind.SCIM:
                raise Unauthenticated(reason="scim_bearer:door")
            if not row.live:
                raise Unauthenticated(reason="scim_bearer:ended")
            if row.tenant_status != "active":
                raise Unauthenticated(reason="tenant:suspended")
            if origin.on_behalf_of is not None:
                raise Forbidden("X-On-Behalf-Of is for API keys.", reason="on_behalf_of:not_a_key")
            await self._enforce(provider, _shared_limits(provider, row))
            if not row.use_noted:
                async with self.tenancy.transaction(provider.claims()) as connection:
                    await connection.execute(queries.note_bearer_use, row.bearer_id)
        return provider

    async def _admit_key(self, key: Caller, row: KeyRow, origin: Origin) -> Caller:
        """Returns the key as a caller; raises when it has ended, comes from elsewhere, too often, or for nobody it may name."""
        if not row.live:
            raise Unauthenticated(reason="key:ended")
        if row.tenant_status != "active":
            raise Unauthenticated(reason="tenant:suspended")
        if row.allowed_networks and not is_within(origin.source_address, row.allowed_networks):
            raise Unauthenticated(reason="key:network")
        end_user = self._end_user(origin.on_behalf_of, row.assertion_key)
        subject = f"key:{key.principal_id}"
        own = [Limit(subject, MINUTE, row.requests_per_minute), Limit(subject, DAY, row.requests_per_day)]
        await self._enforce(key, [*own, *_shared_limits(key, row)])
        if not row.use_noted:
            async with self.tenancy.transaction(key.claims()) as connection:
                await connection.execute(queries.note_key_use)
        return replace(key, on_behalf_of=end_user)

    async def _enforce(self, caller: Caller, limits: Sequence[Limit]) -> None:
        """Counts the request, in a transaction of its own and only where somebody set a limit; raises TooManyRequests."""
        if any(limit.requests is not None for limit in limits):
            async with self.tenancy.transaction(caller.claims()) as connection:
                await enforce(connection, limits)

    def _end_user(self, named: str | None, assertion_key: str | None) -> EndUser | None:
        if named is None:
            return None
        try:
            if assertion_key is None:
                return on_behalf_of.asserted(named)
            return on_behalf_of.signed(named, assertion_key, audience=self.tokens.audience)
        except InvalidToken as error:
            raise Unauthenticated(reason=f"on_behalf_of:{error.reason}") from error


@contextmanager
def _known_to_its_tenant(caller: Caller) -> Iterator[None]:
    """Names the caller in whatever refuses it, so that its tenant finds the attempt in its own log."""
    try:
        yield
    except ServiceError as error:
        error.actor = caller
        raise


def _shared_limits(caller: Caller, row: SessionUserRow | KeyRow | ProviderRow) -> list[Limit]:
    """Returns the limits that the operator sets for a tenant and for each of its principals."""
    return [
        Limit(f"principal:{caller.principal_id}", MINUTE, row.principal_requests_per_minute),
        Limit("tenant", MINUTE, row.tenant_requests_per_minute),
    ]


def _refuse_ended_session(row: SessionUserRow) -> None:
    if row.tenant_status != "active":
        raise Unauthenticated(reason="tenant:suspended")
    if not row.live:
        raise Unauthenticated(reason="user:disabled")
    if not row.session_live:
        raise Unauthenticated(reason="session:ended")
