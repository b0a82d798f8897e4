"""Signing in with a tenant's own OpenID provider: with an ID token, or through the provider's page (code and PKCE).

A tenant trusts one issuer, set up by the operator, and an issuer's client belongs to one tenant. An attempt at the provider's
page works once, and so does an ID token, for some minutes and unless a newer one of its subject came before it.
"""

import base64
import hashlib
import hmac
import secrets
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from urllib.parse import urlencode
from uuid import UUID

import orjson

from backend.audit.recorder import Recorder
from backend.database import Queries
from backend.errors import NotFound, Unauthenticated
from backend.identity.callers.caller import Caller, Origin
from backend.identity.sign_in import id_tokens, institutions, provider_users, throttle
from backend.identity.sign_in.compact_jws import InvalidToken, Refusal
from backend.identity.sign_in.foreign_jws import ForeignKey
from backend.identity.sign_in.id_tokens import Expectation, Identity
from backend.identity.sign_in.models import TokenPair
from backend.identity.sign_in.provider_keys import key_id_of
from backend.identity.sign_in.provider_users import Issuer
from backend.identity.sign_in.providers import Providers
from backend.identity.sign_in.seal import Seal
from backend.identity.sign_in.service import SignIn
from backend.tenancy import PLATFORM_TENANT, Claims, Purpose, Tenancy, tag_before, tagged

queries = Queries.beside(__file__)

LOGIN_SECONDS = 600
CALLBACK = "/auth/oidc/callback"


@dataclass(frozen=True, slots=True)
class Login:
    """One attempt to sign in at a provider's page, kept in an encrypted cookie of the browser that began it."""

    tenant: str  # its slug
    state: str
    nonce: str
    verifier: str
    back_to: str  # the path to which the provider sends the browser back


@dataclass(frozen=True, slots=True)
class Vouched:
    """A session that a provider vouched for."""

    pair: TokenPair
    seconds_since_proof: int | None  # since the user last proved to the provider who it is; None where that is not said


@dataclass(frozen=True, slots=True)
class Federation:
    """Signs users in whom a tenant's provider vouches for."""

    tenancy: Tenancy
    recorder: Recorder
    sign_in: SignIn
    providers: Providers
    public_url: str
    cookie: Seal
    client_secrets: Seal

    async def with_id_token(self, institution: str, token: str, origin: Origin) -> TokenPair:
        """Opens a session for an ID token (RFC 7523); raises Unauthenticated, and Unavailable without the provider."""
        await self._count(origin)
        issuer = await self._trusted(institution, origin)
        with _in_log_of(issuer.tenant_id, origin):
            return (await self._open(issuer, token, None, origin)).pair

    async def begin(
        self, institution: str, origin: Origin, *, back_to: str = CALLBACK, anew: bool = False
    ) -> tuple[str, str]:
        """Returns the provider's address to send a browser to, and the cookie to keep there; raises NotFound, Unavailable.

        `anew` asks the provider to have the user prove who it is, also where it knows the browser.
        """
        await self._count(origin, begins=True)
        try:
            issuer = await self._trusted(institution, origin)
        except Unauthenticated as error:
            raise NotFound(reason=error.reason) from error
        async with self.tenancy.transaction(Claims(origin.request_id, PLATFORM_TENANT)) as connection:
            await throttle.forgive_name(connection, origin.source_address)
        state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
        login = Login(issuer.tenant_slug, state, nonce, verifier, back_to)
        published = await self.providers.published(issuer.issuer)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(login.verifier.encode()).digest()).rstrip(b"=").decode()
        query = {
            "response_type": "code", "client_id": issuer.client_id, "redirect_uri": self.public_url + back_to,
            "scope": issuer.scopes, "state": login.state, "nonce": login.nonce,
            "code_challenge": challenge, "code_challenge_method": "S256",
        } | ({"prompt": "login", "max_age": "0"} if anew else {})  # fmt: skip
        separator = "&" if "?" in published.authorization_endpoint else "?"
        address = f"{published.authorization_endpoint}{separator}{urlencode(query)}"
        return address, tagged(issuer.tenant_id, self.cookie.close(orjson.dumps(login)))

    async def finish(
        self, cookie: str, answer: Mapping[str, str], origin: Origin, *, back_to: str = CALLBACK
    ) -> Vouched:
        """Opens a session for what the provider sent the browser back with; raises Unauthenticated, Unavailable."""
        self.tenancy.refuse_elsewhere(tag_before(cookie), origin.request_id)
        await self._count(origin)
        login = Login(**orjson.loads(self.cookie.open(cookie.rpartition(".")[2], max_age=LOGIN_SECONDS)))
        if login.back_to != back_to:
            raise Unauthenticated(reason="oidc:other_page")
        issuer = await self._trusted(login.tenant, origin)
        with _in_log_of(issuer.tenant_id, origin):
            _check_answer(issuer, login, answer)
            await self._use_up(issuer, login, origin)
            token = await self._redeem(issuer, login, answer)
            return await self._open(issuer, token, login.nonce, origin)

    async def _count(self, origin: Origin, *, begins: bool = False) -> None:
        """Counts an attempt before anything is looked up or the provider is asked; raises TooManyRequests."""
        async with self.tenancy.transaction(Claims(origin.request_id, PLATFORM_TENANT)) as connection:
            await throttle.count_exchange(connection, origin.source_address, begins=begins)
            if begins:
                await throttle.count_name(connection, origin.source_address)

    async def _use_up(self, issuer: Issuer, login: Login, origin: Origin) -> None:
        """Lets an attempt go on once, before its code is redeemed: the provider may take that code twice."""
        digest, until = hashlib.sha256(login.state.encode()).digest(), time.time() + 2 * LOGIN_SECONDS
        async with self.tenancy.transaction(issuer.caller(origin).claims()) as connection:
            if not await connection.fetchval(queries.spend, digest, until):
                raise Unauthenticated(reason="oidc:used")

    async def _redeem(self, issuer: Issuer, login: Login, answer: Mapping[str, str]) -> str:
        if "code" not in answer:
            raise Unauthenticated(reason="oidc:denied")
        form = {
            "grant_type": "authorization_code", "code": answer["code"], "redirect_uri": self.public_url + login.back_to,
            "code_verifier": login.verifier, "client_id": issuer.client_id,
        }  # fmt: skip
        secret = None
        if issuer.client_secret is not None:
            secret = (issuer.client_id, self.client_secrets.open(issuer.client_secret).decode())
        token = await self.providers.exchange_code(issuer.issuer, form, secret)
        if token is None:
            raise Unauthenticated(reason="oidc:code")
        return token

    async def _open(self, issuer: Issuer, token: str, nonce: str | None, origin: Origin) -> Vouched:
        identity = await self._verified(issuer, token, nonce)
        caller = issuer.caller(origin)
        async with self.tenancy.transaction(caller.claims()) as connection:
            if not await connection.fetchval(queries.spend, identity.digest, identity.opens_until):
                raise Unauthenticated(reason="oidc:used")
            user_id = await provider_users.admit(connection, caller, self.recorder, issuer, identity)
            pair = None
            if (
                user_id is not None
            ):  # in this transaction: who distrusts the issuer waits for it, and then ends this session too
                pair = await self.sign_in.open_session(connection, issuer.tenant_id, user_id, origin, method="oidc")
        if pair is None:  # only now, so that roles that were taken away stay away
            raise Unauthenticated(reason="user:no_role")
        async with self.tenancy.transaction(Claims(origin.request_id, PLATFORM_TENANT)) as connection:
            await throttle.forgive_exchange(connection, origin.source_address)
        return Vouched(pair, identity.seconds_since_proof(time.time()))

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

    async def _key(self, issuer: Issuer, kid: str) -> ForeignKey:
        key = await self.providers.key(issuer.issuer, kid)
        if key is None:
            raise InvalidToken(Refusal.UNKNOWN_KEY)
        return key

    async def _trusted(self, institution: str, origin: Origin) -> Issuer:
        """Returns the issuer that a tenant trusts; raises Unauthenticated when there is no such tenant, or no issuer.

        Always with the same queries, so that the time tells nobody which of both it is.
        """
        claims = Claims(request_id=origin.request_id, presented={Purpose.TENANT: institutions.presented(institution)})
        async with self.tenancy.transaction(claims) as connection:
            tenant = await institutions.find(self.tenancy, connection, claims)
            tenant_id = tenant.id if tenant else PLATFORM_TENANT
            presented = {Purpose.ISSUER_OF: str(tenant_id)}
            await self.tenancy.bind(connection, replace(claims, tenant_id=tenant_id, presented=presented))
            row = await connection.fetchrow(queries.presented_issuer)
        with _in_log_of(tenant_id, origin):
            if tenant is None or row is None:
                raise Unauthenticated(reason="tenant:unknown" if tenant is None else "issuer:none")
            if tenant.status != "active":
                raise Unauthenticated(reason="tenant:suspended")
        return Issuer(tenant_id=tenant.id, tenant_slug=tenant.slug, **dict(row))


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
