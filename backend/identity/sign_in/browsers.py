"""Sessions of browsers: an opaque cookie whose digest the database knows. Tokens never reach a browser.

The cookie begins with the tag of its tenant, by which it is known which cell has the session.
"""

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from uuid import UUID

from backend.database import Queries
from backend.errors import Unauthenticated
from backend.identity.callers.caller import Caller, Origin, Resolver, SignedIn
from backend.identity.sign_in.federation import Vouched
from backend.identity.sign_in.models import TokenPair
from backend.identity.sign_in.service import SignIn
from backend.identity.sign_in.tokens import AccessTokens
from backend.tenancy import Claims, Purpose, Tenancy, tag_before, tagged

queries = Queries.beside(__file__)

_COOKIE_BYTES = 32
_FRESH_SECONDS = 300  # as identity.presented_browser has it


@dataclass(frozen=True, slots=True)
class BrowserRow:
    """Whose session a cookie opens."""

    tenant_id: UUID
    user_id: UUID
    session_id: UUID
    fresh: bool


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

    async def open(
        self, institution: str, username: str, password: str, origin: Origin, *, code: str | None = None
    ) -> str:
        """Signs in and returns the cookie's value; raises what SignIn.with_password raises."""
        return await self._remember(
            await self.sign_in.with_password(institution, username, password, origin, code=code), origin
        )

    async def open_vouched(self, vouched: Vouched, origin: Origin) -> str:
        """Returns the cookie's value for a session that a provider vouched for.

        It counts as fresh only where the provider says that it asked the user just now, and not merely knew the browser.
        """
        since = vouched.seconds_since_proof
        return await self._remember(
            vouched.pair, origin, age=_FRESH_SECONDS if since is None else min(since, _FRESH_SECONDS)
        )

    async def _remember(self, pair: TokenPair, origin: Origin, *, age: int = 0) -> str:
        access = self.tokens.verify(pair.access_token)
        cookie = tagged(access.tenant_id, secrets.token_urlsafe(_COOKIE_BYTES))
        claims = Claims(
            request_id=origin.request_id, tenant_id=access.tenant_id, principal_id=access.subject, kind="user"
        )
        async with self.tenancy.transaction(claims) as connection:
            await connection.execute(queries.open_browser, access.tenant_id, _digest(cookie), access.session_id, age)
        return cookie

    async def visitor(self, cookie: str, origin: Origin) -> Visitor:
        """Returns who presents a cookie, with its present rights; raises Unauthenticated."""
        digest = _digest(cookie).hex()
        presented = Claims(request_id=origin.request_id, presented={Purpose.BROWSER: digest}, tag=tag_before(cookie))
        row = await self.tenancy.ask(presented, BrowserRow, queries.presented_browser)
        if row is None:
            raise Unauthenticated(reason="browser:unknown")
        signed_in = SignedIn(row.user_id, row.tenant_id, row.session_id)
        return Visitor(await self.resolver.resolve_user(signed_in, origin), row.fresh, form_token(cookie))

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
