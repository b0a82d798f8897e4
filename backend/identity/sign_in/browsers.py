"""Sessions of browsers: an opaque cookie whose digest the database knows. Tokens never reach a browser."""

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from uuid import UUID

from backend.database import Queries
from backend.errors import Unauthenticated
from backend.identity.callers.caller import Caller, Origin, Resolver, SignedIn
from backend.identity.sign_in.service import SignIn
from backend.identity.sign_in.tokens import AccessTokens
from backend.tenancy import Claims, Tenancy

queries = Queries.beside(__file__)

_COOKIE_BYTES = 32


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who looks at a page. `fresh` says that the sign-in was at most five minutes ago; `form_token` belongs into every form."""

    caller: Caller
    fresh: bool
    form_token: str


@dataclass(frozen=True, slots=True)
class Browsers:
    """Opens, resolves and ends sessions of browsers."""

    tenancy: Tenancy
    sign_in: SignIn
    tokens: AccessTokens
    resolver: Resolver

    async def open(self, tenant_slug: str, username: str, password: str, origin: Origin) -> str:
        """Signs in and returns the cookie's value; raises Unauthenticated and TooManyRequests as signing in does."""
        pair = await self.sign_in.with_password(tenant_slug, username, password, origin)
        access = self.tokens.verify(pair.access_token)
        cookie = secrets.token_urlsafe(_COOKIE_BYTES)
        claims = Claims(
            request_id=origin.request_id, tenant_id=access.tenant_id, principal_id=access.subject, kind="user"
        )
        async with self.tenancy.transaction(claims) as connection:
            await connection.execute(queries.open_browser, access.tenant_id, _digest(cookie), access.session_id)
        return cookie

    async def visitor(self, cookie: str, origin: Origin) -> Visitor:
        """Returns who presents a cookie, with its present rights; raises Unauthenticated."""
        presented = Claims(request_id=origin.request_id, presented={"browser": _digest(cookie).hex()})
        row = await self.tenancy.ask(presented, queries.presented_browser)
        if row is None:
            raise Unauthenticated(reason="browser:unknown")
        signed_in = SignedIn(row["user_id"], row["tenant_id"], row["session_id"])
        return Visitor(await self.resolver.resolve_user(signed_in, origin), row["fresh"], form_token(cookie))

    async def end(self, caller: Caller) -> None:
        """Ends the sign-in that a visitor's session belongs to, and with it the session."""
        session_id: UUID | None = caller.session_id
        async with self.tenancy.transaction(caller.claims()) as connection:
            await connection.execute(queries.revoke_session, caller.tenant_id, session_id, "signed out")


def form_token(cookie: str) -> str:
    """Returns the token that forms of this session carry: another site can send the cookie, and cannot know this."""
    return hmac.new(cookie.encode(), b"form", hashlib.sha256).hexdigest()


def _digest(cookie: str) -> bytes:
    return hashlib.sha256(cookie.encode()).digest()
