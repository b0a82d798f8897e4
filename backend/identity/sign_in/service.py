"""The rules of signing in and refreshing."""

from dataclasses import dataclass, replace
from uuid import UUID, uuid4

from uuid_utils.compat import uuid7

from backend.audit.events import Action, Event, Outcome
from backend.audit.recorder import Recorder
from backend.database import Connection, Queries
from backend.errors import TooManyRequests, Unauthenticated
from backend.identity.callers.caller import Caller, Origin
from backend.identity.callers.permissions import Role, permissions_of
from backend.identity.sign_in import passwords, refresh_tokens, throttle
from backend.identity.sign_in.models import Me, TenantSummary, TokenPair
from backend.identity.sign_in.tokens import LIFETIME_SECONDS, AccessTokens
from backend.identity.users.names import presented as presented_name
from backend.tenancy import PLATFORM_TENANT, Claims, Tenancy

queries = Queries.beside(__file__)


@dataclass(frozen=True, slots=True)
class SignIn:
    """Signs users in with a password or a refresh token."""

    tenancy: Tenancy
    tokens: AccessTokens
    recorder: Recorder
    refresh_days: int
    reuse_seconds: int = 10

    async def with_password(self, tenant_slug: str, username: str, password: str, origin: Origin) -> TokenPair:
        """Opens a session; raises Unauthenticated, after the same time whatever was wrong, and TooManyRequests."""
        username = presented_name(username)
        tenant_id, user_id, stored_hash, reason = await self._candidate(tenant_slug, username, origin)
        if stored_hash is None:
            correct = await passwords.verify_against_nothing_async(password)
        else:
            correct = await passwords.verify_password_async(password, stored_hash)
        if not correct or user_id is None or reason is not None:
            reason = reason or "password:wrong"
            await self._record_failure(tenant_id, username, reason, origin)
            raise Unauthenticated(reason=reason, recorded=True)
        pair = await self.open_session(tenant_id, user_id, origin, method="password")
        async with self.tenancy.transaction(_platform(origin)) as connection:
            await throttle.forgive_attempt(connection, tenant_slug, username, origin.source_address)
        return pair

    async def with_refresh_token(self, presented: str, origin: Origin) -> TokenPair:
        """Exchanges a refresh token for the next pair; a token that comes twice ends its session for everyone.

        Within a few seconds it may: two tabs of a browser refresh at once. Not when what followed it was used already.
        """
        try:
            parsed = refresh_tokens.parse(presented)
        except refresh_tokens.MalformedRefreshToken as error:
            raise Unauthenticated(reason="refresh:malformed") from error
        claims = Claims(request_id=origin.request_id, presented={"digest": parsed.digest.hex()})
        async with self.tenancy.transaction(claims) as connection:
            token = await connection.fetchrow(queries.presented_refresh_token)
            if token is None:
                raise Unauthenticated(reason="refresh:unknown")
            tenant_id, session_id, user_id = token["tenant_id"], token["session_id"], token["user_id"]
            claims = replace(claims, tenant_id=tenant_id, principal_id=user_id, presented={})
            await self.tenancy.bind(connection, claims)
            pair = None
            used = await connection.fetchval(queries.use_refresh_token, tenant_id, token["id"]) is None
            if used and not await connection.fetchval(
                queries.may_come_again, tenant_id, token["id"], self.reuse_seconds
            ):
                await self._end_family(connection, tenant_id, user_id, session_id, origin)
            else:
                pair = await self._continue_session(connection, tenant_id, user_id, session_id, origin)
        if pair is None:  # only now, so that the end of the session is committed
            raise Unauthenticated(reason="refresh:refused", recorded=True)
        return pair

    async def _candidate(
        self, tenant_slug: str, username: str, origin: Origin
    ) -> tuple[UUID, UUID | None, str | None, str | None]:
        """Returns tenant, user, password hash and why signing in must fail; always with the same queries.

        The attempt is counted as soon as this has committed.
        """
        claims = replace(_platform(origin), presented={"tenant": tenant_slug})
        async with self.tenancy.transaction(claims) as connection:
            tenant = await connection.fetchrow(queries.presented_tenant)
            tenant_id = tenant["id"] if tenant else PLATFORM_TENANT
            try:
                await throttle.count_attempt(connection, tenant_slug, username, origin.source_address)
            except TooManyRequests as error:
                error.actor = Caller.nobody(
                    origin, tenant_id=tenant_id
                )  # so that the tenant sees who is being attacked
                raise
            claims = replace(claims, tenant_id=tenant_id, presented={"username": username})
            await self.tenancy.bind(connection, claims)
            user = await connection.fetchrow(queries.presented_user, tenant_id, username)
            user_id = user["id"] if user else None
            await self.tenancy.bind(connection, replace(claims, presented={"password_of": str(user_id or uuid4())}))
            stored_hash = await connection.fetchval(queries.password_hash)
        reason = None
        if tenant is None or tenant["status"] != "active":
            reason = "tenant:unknown" if tenant is None else "tenant:suspended"
        elif user is None or user["status"] != "active":
            reason = "user:unknown" if user is None else "user:disabled"
        return tenant_id, user_id, stored_hash, reason

    async def open_session(
        self, tenant_id: UUID, user_id: UUID, origin: Origin, *, method: str, second_factor: bool = False
    ) -> TokenPair:
        """Returns the first tokens of a new session of a user who has proved to be that user."""
        session_id = uuid7()
        claims = Claims(request_id=origin.request_id, tenant_id=tenant_id, principal_id=user_id, kind="user")
        async with self.tenancy.transaction(claims) as connection:
            await connection.execute(
                queries.open_session, tenant_id, session_id, user_id, self.refresh_days, method, second_factor,
                origin.source_address,
            )  # fmt: skip
            return await self._issue(connection, tenant_id, user_id, session_id, origin, method=method)

    async def _continue_session(
        self, connection: Connection, tenant_id: UUID, user_id: UUID, session_id: UUID, origin: Origin
    ) -> TokenPair | None:
        caller = await connection.fetchrow(queries.user_caller, None, session_id)
        if caller is None or not (caller["live"] and caller["session_live"] and caller["tenant_status"] == "active"):
            await self._record(
                connection, tenant_id, user_id, session_id, origin, Outcome.FAILED, "session:ended", "refresh"
            )
            return None
        return await self._issue(connection, tenant_id, user_id, session_id, origin, method="refresh")

    async def _issue(
        self, connection: Connection, tenant_id: UUID, user_id: UUID, session_id: UUID, origin: Origin, *, method: str
    ) -> TokenPair:
        row = await connection.fetchrow(queries.user_caller, None, session_id)
        assert row is not None
        refresh = refresh_tokens.mint()
        await connection.execute(queries.add_refresh_token, tenant_id, uuid7(), session_id, refresh.digest)
        await self._record(connection, tenant_id, user_id, session_id, origin, Outcome.SUCCEEDED, None, method)
        access = self.tokens.issue(
            subject=user_id, tenant_id=tenant_id, session_id=session_id,
            scope=permissions_of(Role(role) for role in row["roles"]),
        )  # fmt: skip
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
        action = Action.AUTH_SUCCEEDED if outcome is Outcome.SUCCEEDED else Action.AUTH_FAILED
        await self.recorder.record(connection, actor, Event(action, outcome, reason, details={"method": method}))

    async def _record_failure(self, tenant_id: UUID, username: str, reason: str, origin: Origin) -> None:
        nobody = Caller.nobody(origin, tenant_id=tenant_id)
        event = Event(
            Action.AUTH_FAILED, Outcome.FAILED, reason, details={"method": "password"}, payloads={"username": username}
        )
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
        roles=sorted(caller.roles), permissions=sorted(caller.permissions),
        readable_collections=[row["slug"] for row in rows if row["id"] in caller.readable],
        writable_collections=[row["slug"] for row in rows if row["id"] in caller.writable],
    )  # fmt: skip
