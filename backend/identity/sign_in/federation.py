"""Signing in with a tenant's own OpenID provider: with an ID token, or through the provider's page (code and PKCE).

A tenant trusts one issuer, set up by the operator, and an issuer's client belongs to one tenant. Users are found by issuer
and subject, never by a name or address, which a provider may give to somebody else. Roles follow the provider's groups at
each sign-in.
"""

import base64
import hashlib
import hmac
import re
import secrets
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

import orjson
from uuid_utils.compat import uuid7

from backend.audit.events import Action, Event
from backend.audit.recorder import Recorder
from backend.database import Connection, Queries
from backend.errors import NotFound, Unauthenticated
from backend.identity.callers.caller import Caller, Origin
from backend.identity.callers.permissions import Permission, Role
from backend.identity.sign_in import id_tokens, throttle
from backend.identity.sign_in.compact_jws import InvalidToken, Refusal
from backend.identity.sign_in.id_tokens import Expectation, Identity
from backend.identity.sign_in.models import TokenPair
from backend.identity.sign_in.provider_keys import ProviderKey, key_id_of
from backend.identity.sign_in.providers import Providers
from backend.identity.sign_in.seal import Seal
from backend.identity.sign_in.service import SignIn
from backend.identity.users import service as users
from backend.tenancy import PLATFORM_TENANT, Claims, Tenancy

queries = Queries.beside(__file__)

LOGIN_SECONDS = 600
_NO_NAME = re.compile(r"[^a-z0-9._@+-]+")


@dataclass(frozen=True, slots=True)
class Issuer:
    """The provider that a tenant trusts, and what its groups mean there."""

    tenant_id: UUID
    id: UUID
    issuer: str
    client_id: str
    client_secret: str | None
    scopes: str
    groups_claim: str
    role_of_group: Mapping[str, str]
    creates_users: bool

    def roles(self, identity: Identity) -> list[Role]:
        """Returns the roles that the groups of an identity stand for."""
        groups = identity.groups(self.groups_claim)
        return sorted({Role(role) for group, role in self.role_of_group.items() if group in groups})

    def caller(self, origin: Origin) -> Caller:
        """Returns the issuer as who manages its own users; that is how the tenant's log names it."""
        return Caller(
            tenant_id=self.tenant_id, tenant_slug="", principal_id=self.id, kind="issuer", name=self.issuer,
            request_id=origin.request_id, source_address=origin.source_address,
            permissions=frozenset({Permission.USERS_MANAGE}),
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Login:
    """One attempt to sign in at a provider's page, kept in an encrypted cookie of the browser that began it."""

    tenant: str
    state: str
    nonce: str
    verifier: str


@dataclass(frozen=True, slots=True)
class Federation:
    """Signs users in whom a tenant's provider vouches for."""

    tenancy: Tenancy
    recorder: Recorder
    sign_in: SignIn
    providers: Providers
    callback_url: str
    cookie: Seal
    client_secrets: Seal

    async def with_id_token(self, tenant_slug: str, token: str, origin: Origin) -> TokenPair:
        """Opens a session for an ID token (RFC 7523); raises Unauthenticated, and Unavailable without the provider."""
        await self._count(origin)
        issuer = await self._trusted(tenant_slug, origin)
        with _in_log_of(issuer.tenant_id, origin):
            return await self._open(issuer, token, None, origin)

    async def begin(self, tenant_slug: str, origin: Origin) -> tuple[str, str]:
        """Returns the provider's address to send a browser to, and the cookie to keep there; raises NotFound, Unavailable."""
        await self._count(origin, begins=True)
        try:
            issuer = await self._trusted(tenant_slug, origin)
        except Unauthenticated as error:
            raise NotFound(reason=error.reason) from error
        login = Login(tenant_slug, *(secrets.token_urlsafe(32) for _ in range(3)))
        published = await self.providers.published(issuer.issuer)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(login.verifier.encode()).digest()).rstrip(b"=").decode()
        query = {
            "response_type": "code", "client_id": issuer.client_id, "redirect_uri": self.callback_url,
            "scope": issuer.scopes, "state": login.state, "nonce": login.nonce,
            "code_challenge": challenge, "code_challenge_method": "S256",
        }  # fmt: skip
        separator = "&" if "?" in published.authorization_endpoint else "?"
        address = f"{published.authorization_endpoint}{separator}{urlencode(query)}"
        document = {"tenant": login.tenant, "state": login.state, "nonce": login.nonce, "verifier": login.verifier}
        return address, self.cookie.close(orjson.dumps(document))

    async def finish(self, cookie: str, answer: Mapping[str, str], origin: Origin) -> TokenPair:
        """Opens a session for what the provider sent the browser back with; raises Unauthenticated, Unavailable."""
        await self._count(origin)
        login = Login(**orjson.loads(self.cookie.open(cookie, max_age=LOGIN_SECONDS)))
        issuer = await self._trusted(login.tenant, origin)
        with _in_log_of(issuer.tenant_id, origin):
            _check_answer(issuer, login, answer)
            token = await self._redeem(issuer, login, answer)
            return await self._open(issuer, token, login.nonce, origin)

    async def _count(self, origin: Origin, *, begins: bool = False) -> None:
        """Counts an attempt before anything is looked up or the provider is asked; raises TooManyRequests."""
        async with self.tenancy.transaction(Claims(origin.request_id, PLATFORM_TENANT)) as connection:
            await throttle.count_exchange(connection, origin.source_address, begins=begins)

    async def _redeem(self, issuer: Issuer, login: Login, answer: Mapping[str, str]) -> str:
        if "code" not in answer:
            raise Unauthenticated(reason="oidc:denied")
        form = {
            "grant_type": "authorization_code", "code": answer["code"], "redirect_uri": self.callback_url,
            "code_verifier": login.verifier, "client_id": issuer.client_id,
        }  # fmt: skip
        secret = None
        if issuer.client_secret is not None:
            secret = (issuer.client_id, self.client_secrets.open(issuer.client_secret).decode())
        token = await self.providers.exchange_code(issuer.issuer, form, secret)
        if token is None:
            raise Unauthenticated(reason="oidc:code")
        return token

    async def _open(self, issuer: Issuer, token: str, nonce: str | None, origin: Origin) -> TokenPair:
        identity = await self._verified(issuer, token, nonce)
        caller = issuer.caller(origin)
        async with self.tenancy.transaction(caller.claims()) as connection:
            user_id = await self._user(connection, caller, issuer, identity)
        if user_id is None:  # only now, so that roles that were taken away stay away
            raise Unauthenticated(reason="user:no_role")
        pair = await self.sign_in.open_session(issuer.tenant_id, user_id, origin, method="oidc")
        async with self.tenancy.transaction(Claims(origin.request_id, PLATFORM_TENANT)) as connection:
            await throttle.forgive_exchange(connection, origin.source_address)
        return pair

    async def _verified(self, issuer: Issuer, token: str, nonce: str | None) -> Identity:
        """Looks at what the token says before the provider is asked for a key: strangers do not make us call it."""
        expected = Expectation(issuer.issuer, issuer.client_id, nonce)
        try:
            kid = key_id_of(token)
            identity = id_tokens.read(token, expected, now=time.time())
            (await self._key(issuer, kid)).verify(token)
        except InvalidToken as error:
            raise Unauthenticated(reason=f"oidc:{error.reason}") from error
        return identity

    async def _key(self, issuer: Issuer, kid: str) -> ProviderKey:
        key = await self.providers.key(issuer.issuer, kid)
        if key is None:
            raise InvalidToken(Refusal.UNKNOWN_KEY)
        return key

    async def _trusted(self, tenant_slug: str, origin: Origin) -> Issuer:
        """Returns the issuer that a tenant trusts; raises Unauthenticated when there is no such tenant, or no issuer."""
        claims = Claims(request_id=origin.request_id, presented={"tenant": tenant_slug})
        async with self.tenancy.transaction(claims) as connection:
            tenant = await connection.fetchrow(queries.presented_tenant)
            if tenant is None:
                raise Unauthenticated(reason="tenant:unknown")
            tenant_id: UUID = tenant["id"]
            presented = {"issuer_of": str(tenant_id)}
            await self.tenancy.bind(connection, replace(claims, tenant_id=tenant_id, presented=presented))
            row = await connection.fetchrow(queries.presented_issuer)
        with _in_log_of(tenant_id, origin):
            if row is None or tenant["status"] != "active":
                raise Unauthenticated(reason="issuer:none" if row is None else "tenant:suspended")
        return Issuer(tenant_id=tenant_id, **dict(row))

    async def _user(self, connection: Connection, caller: Caller, issuer: Issuer, identity: Identity) -> UUID | None:
        """Returns the user of an identity, with the roles of today; None when these are none.

        The user is made at the first sign-in if the tenant wants that.
        """
        roles = issuer.roles(identity)
        user_id: UUID | None = await connection.fetchval(
            queries.external_user, issuer.tenant_id, issuer.id, identity.subject
        )
        if user_id is None:
            if not issuer.creates_users:
                raise Unauthenticated(reason="user:unknown")
            if not roles:
                raise Unauthenticated(reason="user:no_role")
            user_id = await self._create(connection, caller, issuer, identity)
        user = await users.get_user(connection, caller, user_id)
        if set(user.roles) != set(roles):
            await users.set_roles(connection, caller, self.recorder, user_id, roles)
        if user.status != "active":
            raise Unauthenticated(reason="user:disabled")
        return user_id if roles else None

    async def _create(self, connection: Connection, caller: Caller, issuer: Issuer, identity: Identity) -> UUID:
        user_id, username = uuid7(), _username(issuer, identity.claims, identity.subject)
        if await connection.fetchval(queries.presented_user, issuer.tenant_id, username) is not None:
            username = _unique_name(issuer, identity.subject)
        display_name = identity.claims.get("name")
        shown = display_name[:200] if isinstance(display_name, str) and display_name.isprintable() else username
        await connection.execute(queries.add_user, issuer.tenant_id, user_id, username, shown)
        await connection.execute(queries.add_external_identity, issuer.tenant_id, issuer.id, identity.subject, user_id)
        details = {"user": {"id": str(user_id), "change": "created", "roles": []}}
        await self.recorder.record(connection, caller, Event(Action.USER_CHANGED, details=details))
        return user_id


def _username(issuer: Issuer, claims: Mapping[str, Any], subject: str) -> str:
    """Returns a readable name for a new user; it identifies nobody to the provider."""
    for claim in ("preferred_username", "email"):
        value = claims.get(claim)
        name = _NO_NAME.sub("-", value.lower()).strip("-._@+")[:128] if isinstance(value, str) else ""
        if name:
            return name
    return _unique_name(issuer, subject)


def _unique_name(issuer: Issuer, subject: str) -> str:
    return f"oidc-{hashlib.sha256(f'{issuer.issuer} {subject}'.encode()).hexdigest()[:20]}"


def _check_answer(issuer: Issuer, login: Login, answer: Mapping[str, str]) -> None:
    if not hmac.compare_digest(answer.get("state", "").encode(), login.state.encode()):
        raise Unauthenticated(reason="oidc:state")
    if answer.get("iss", issuer.issuer) != issuer.issuer:  # RFC 9207: another provider's answer
        raise Unauthenticated(reason="oidc:mixed_up")


@contextmanager
def _in_log_of(tenant_id: UUID, origin: Origin) -> Iterator[None]:
    """Has a refusal recorded where the tenant finds it, although nobody is known to be calling."""
    try:
        yield
    except Unauthenticated as error:
        error.actor = Caller.nobody(origin, tenant_id=tenant_id)
        raise
