"""The rules of signing in and refreshing."""

from dataclasses import dataclass, replace
from uuid import UUID, uuid4

from uuid_utils.compat import uuid7

from backend.audit.actions.sign_in import AuthFailed, AuthSucceeded
from backend.audit.events import Event, Outcome
from backend.audit.recorder import Recorder
from backend.database import Connection, Queries, fetch_row
from backend.errors import Misdirected, TooManyRequests, Unauthenticated
from backend.identity.callers import rows
from backend.identity.callers.caller import Caller, Origin
from backend.identity.callers.permissions import Permission
from backend.identity.callers.rows import SessionUserRow
from backend.identity.second_factor.service import SecondFactorRequired, SecondFactors
from backend.identity.sign_in import institutions, passwords, refresh_tokens, throttle
from backend.identity.sign_in.models import Me, TenantSummary, TokenPair
from backend.identity.sign_in.tokens import LIFETIME_SECONDS, AccessTokens
from backend.identity.users.names import presented as presented_name
from backend.tenancy import PLATFORM_TENANT, Claims, Purpose, Tenancy

queries = Queries.beside(__file__)


@dataclass(frozen=True, slots=True)
class SignInCandidate:
    """Whom somebody wants to sign in as, as far as there is such a user, and why that must fail."""

    account: throttle.Account
    tenant_id: UUID
    user_id: UUID | None
    stored_hash: str | None
    reason: str | None


@dataclass(frozen=True, slots=True)
class SignIn:
    """Signs users in with a password or a refresh token."""

    tenancy: Tenancy
    tokens: AccessTokens
    recorder: Recorder
    refresh_days: int
    second_factors: SecondFactors
    reuse_seconds: int = 10

    async def with_password(
        self, institution: str, username: str, password: str, origin: Origin, *, code: str | None = None
    ) -> TokenPair:
        """Opens a session; raises Unauthenticated, after the same time whatever was wrong, TooManyRequests, and Misdirected.

        An institution is named by its slug, by a domain of its e-mail addresses, or by one of these. `code` is of the second
        factor. Who shows the right password without one that is needed gets SecondFactorRequired.
        """
        username = presented_name(username)
        try:
            candidate = await self._candidate(institutions.presented(institution), username, origin)
        except Misdirected:  # nothing is counted yet: unlimited requests would list the institutions of other cells
            async with self.tenancy.transaction(_platform(origin)) as connection:
                await throttle.count_address(connection, origin.source_address)
            raise
        account, tenant_id, user_id = candidate.account, candidate.tenant_id, candidate.user_id
        if candidate.stored_hash is None:
            correct = await passwords.verify_against_nothing_async(password)
        else:
            correct = await passwords.verify_password_async(password, candidate.stored_hash)
        if not correct or user_id is None or candidate.reason is not None:
            reason = candidate.reason or "password:wrong"
            await self._record_failure(tenant_id, username, reason, origin)
            raise Unauthenticated(reason=reason, recorded=True)
        try:
            proved = await self.second_factors.prove(account, tenant_id, user_id, code, origin)
        except SecondFactorRequired as error:
            await self._record_failure(tenant_id, username, error.reason, origin)
            error.recorded = True
            if code is None:
                await self._forgive(account, origin)
            raise
        async with self.tenancy.transaction(_platform(origin)) as connection:
            pair = await self.open_session(
                connection, tenant_id, user_id, origin, method="password", second_factor=proved
            )
        await self._forgive(account, origin)
        return pair

    async def _forgive(self, account: throttle.Account, origin: Origin) -> None:
        async with self.tenancy.transaction(_platform(origin)) as connection:
            await throttle.forgive_attempt(connection, account, origin.source_address)

    async def with_refresh_token(self, presented: str, origin: Origin, *, client_id: str | None = None) -> TokenPair:
        """Exchanges a refresh token for the next pair; a token that comes twice ends its session for everyone.

        Within a few seconds it may: two tabs of a browser refresh at once. Not when what followed it was used already.
        A token that a client was given is taken from that client only.
        """
        try:
            parsed = refresh_tokens.parse(presented)
        except refresh_tokens.MalformedRefreshToken as error:
            raise Unauthenticated(reason="refresh:malformed") from error
        claims = Claims(request_id=origin.request_id, presented={Purpose.DIGEST: parsed.digest.hex()}, tag=parsed.tag)
        async with self.tenancy.transaction(claims) as connection:
            token = await connection.fetchrow(queries.presented_refresh_token)
            if token is None:
                raise Unauthenticated(reason="refresh:unknown")
            tenant_id, session_id, user_id = token["tenant_id"], token["session_id"], token["user_id"]
            claims = replace(claims, tenant_id=tenant_id, principal_id=user_id, presented={})
            await self.tenancy.bind(connection, claims)
            if await connection.fetchval(queries.client_of_session, tenant_id, session_id) != client_id:
                refused = Unauthenticated(reason="refresh:other_client")
                refused.actor = Caller.nobody(origin, tenant_id=tenant_id)
                raise refused
            pair = None
            used = await connection.fetchval(queries.use_refresh_token, tenant_id, token["id"]) is None
            if used and not await connection.fetchval(
                queries.may_come_again, tenant_id, token["id"], self.reuse_seconds
            ):
                await self._end_family(connection, tenant_id, user_id, session_id, origin)
            else:
                pair = await self.continue_session(connection, tenant_id, user_id, session_id, origin)
        if pair is None:  # only now, so that the end of the session is committed
            raise Unauthenticated(reason="refresh:refused", recorded=True)
        return pair

    async def _candidate(self, named: str, username: str, origin: Origin) -> SignInCandidate:
        """Returns who is meant, always with the same queries. The attempt is counted as soon as this has committed."""
        claims = replace(_platform(origin), presented={Purpose.TENANT: named})
        async with self.tenancy.transaction(claims) as connection:
            tenant = await institutions.find(self.tenancy, connection, claims)
            tenant_id = tenant.id if tenant else PLATFORM_TENANT
            account = throttle.Account(tenant.slug if tenant else named, username, named)
            try:
                hidden = await throttle.count_attempt(connection, account, origin.source_address)
            except TooManyRequests as error:
                error.actor = Caller.nobody(
                    origin, tenant_id=tenant_id
                )  # so that the tenant sees who is being attacked
                raise
            claims = replace(claims, tenant_id=tenant_id, presented={Purpose.USERNAME: username})
            await self.tenancy.bind(connection, claims)
            user = await connection.fetchrow(queries.presented_user, tenant_id, username)
            user_id = user["id"] if user else None
            await self.tenancy.bind(
                connection, replace(claims, presented={Purpose.PASSWORD_OF: str(user_id or uuid4())})
            )
            stored_hash = await connection.fetchval(queries.password_hash)
        reason = None
        if tenant is None or tenant.status != "active":
            reason = "tenant:unknown" if tenant is None else "tenant:suspended"
        elif user is None or user["status"] != "active":
            reason = "user:unknown" if user is None else "user:disabled"
        elif hidden is not None:  # a password that is right is refused as a wrong one is: throttle.py says why
            reason = hidden.reason
        return SignInCandidate(account, tenant_id, user_id, stored_hash, reason)

    async def open_session(
        self, connection: Connection, tenant_id: UUID, user_id: UUID, origin: Origin, *, method: str,
        second_factor: bool = False,
    ) -> TokenPair:  # fmt: skip
        """Returns the first tokens of a new session of a user who has proved to be that user; binds the transaction to it."""
        session_id = uuid7()
        claims = Claims(request_id=origin.request_id, tenant_id=tenant_id, principal_id=user_id, kind="user")
        await self.tenancy.bind(connection, claims)
        await connection.execute(
            queries.open_session, tenant_id, session_id, user_id, self.refresh_days, method, second_factor,
            origin.source_address,
        )  # fmt: skip
        return await self._issue(connection, tenant_id, user_id, session_id, origin, method=method)

    async def session_of(self, presented: str, origin: Origin) -> tuple[UUID, UUID, UUID] | None:
        """Returns tenant, user and session of a refresh token, None for what is none."""
        try:
            parsed = refresh_tokens.parse(presented)
        except refresh_tokens.MalformedRefreshToken:
            return None
        claims = Claims(request_id=origin.request_id, presented={Purpose.DIGEST: parsed.digest.hex()}, tag=parsed.tag)
        async with self.tenancy.transaction(claims) as connection:
            token = await connection.fetchrow(queries.presented_refresh_token)
        return None if token is None else (token["tenant_id"], token["user_id"], token["session_id"])

    async def continue_session(
        self, connection: Connection, tenant_id: UUID, user_id: UUID, session_id: UUID, origin: Origin,
        *, method: str = "refresh",
    ) -> TokenPair | None:  # fmt: skip
        """Returns the next tokens of a session, None when it or its user has ended, which is recorded."""
        user = await fetch_row(connection, SessionUserRow, rows.queries.user_caller, None, session_id)
        if user is None or not user.is_let_in:
            await self._record(
                connection, tenant_id, user_id, session_id, origin, Outcome.FAILED, "session:ended", method
            )
            return None
        return await self._issue(connection, tenant_id, user_id, session_id, origin, method=method)

    async def _issue(
        self, connection: Connection, tenant_id: UUID, user_id: UUID, session_id: UUID, origin: Origin, *, method: str
    ) -> TokenPair:
        user = await fetch_row(connection, SessionUserRow, rows.queries.user_caller, None, session_id)
        assert user is not None
        refresh = refresh_tokens.mint(tenant_id)
        await connection.execute(queries.add_refresh_token, tenant_id, uuid7(), session_id, refresh.digest)
        await self._record(connection, tenant_id, user_id, session_id, origin, Outcome.SUCCEEDED, None, method)
        session = await connection.fetchrow(queries.given_to_client, tenant_id, session_id)
        assert session is not None
        scope = user.allowed
        if session["scope"] is not None:
            scope &= frozenset(map(Permission, session["scope"]))
        access = self.tokens.issue(
            subject=user_id, tenant_id=tenant_id, session_id=session_id, scope=scope, audience=session["audience"]
        )
        return TokenPair(access_token=access, expires_in=LIFETIME_SECONDS, refresh_token=refresh.plaintext)

    async def _end_family(
        self, connection: Connection, tenant_id: UUID, user_id: UUID, session_id: UUID, origin: Origin
    ) -> None:
        await connection.execute(queries.revoke_session, tenant_id, session_id, "refresh token reused")
        await self._record(
            connection, tenant_id, user_id, session_id, origin, Outcome.FAILED, "refresh:reused", "refresh"
        )

    async def _record(
        self, connection: Connection, tenant_id: UUID, user_id: UUID, session_id: UUID, origin: Origin,
        outcome: Outcome, reason: str | None, method: str,
    ) -> None:  # fmt: skip
        actor = replace(
            Caller.nobody(origin, tenant_id=tenant_id), principal_id=user_id, kind="user", session_id=session_id
        )
        kind = AuthSucceeded if outcome is Outcome.SUCCEEDED else AuthFailed
        await self.recorder.record(connection, actor, Event(kind(method=method), outcome, reason))

    async def _record_failure(self, tenant_id: UUID, username: str, reason: str, origin: Origin) -> None:
        nobody = Caller.nobody(origin, tenant_id=tenant_id)
        failed = AuthFailed(method="password")
        event = Event(failed, Outcome.FAILED, reason, payloads={"username": username})
        async with self.tenancy.transaction(nobody.claims()) as connection:
            await self.recorder.record(connection, nobody, event)


def _platform(origin: Origin) -> Claims:
    return Claims(request_id=origin.request_id, tenant_id=PLATFORM_TENANT)


async def describe(connection: Connection, caller: Caller) -> Me:
    """Returns what the caller may know about itself."""
    rows = await connection.fetch(queries.collections_by_id, caller.tenant_id, list(caller.readable | caller.writable))
    assert caller.principal_id is not None
    return Me(
        id=caller.principal_id, kind="user" if caller.kind == "user" else "key", name=caller.name,
        tenant=TenantSummary(id=caller.tenant_id, slug=caller.tenant_slug),
        roles=sorted(caller.roles), permissions=sorted(caller.permissions), lacks_second_factor=caller.lacks_second_factor,
        readable_collections=[row["slug"] for row in rows if row["id"] in caller.readable],
        writable_collections=[row["slug"] for row in rows if row["id"] in caller.writable],
    )  # fmt: skip
