"""Sessions of browsers: an opaque cookie whose digest the database knows. Tokens never reach a browser.

The cookie begins with the tag of its tenant, by which it is known which cell has the session.
"""

import hashlib
import hmac
import secrets
from collections import OrderedDict
from dataclasses import dataclass, field
from uuid import UUID

from backend.database import Queries
from backend.errors import Unauthenticated
from backend.identity.callers.caller import Caller, Origin, Resolver, SignedIn, user_claims
from backend.identity.callers.rows import SessionUserRow
from backend.identity.sign_in.federation import Vouched
from backend.identity.sign_in.models import TokenPair
from backend.identity.sign_in.service import SignIn
from backend.identity.sign_in.tokens import AccessTokens
from backend.tenancy import Claims, Purpose, Tenancy, tag_before, tagged

_COOKIE_BYTES = 32
_REMEMBERED = 10_000  # cookies
_FRESH_SECONDS = 300  # as identity.presented_browser has it


@dataclass(frozen=True, kw_only=True)
class BrowserRow:
    """Whose session a cookie opens."""

    tenant_id: UUID
    user_id: UUID
    session_id: UUID
    fresh: bool

    @property
    def signed_in(self) -> SignedIn:
        """The user by that session."""
        return SignedIn(self.user_id, self.tenant_id, self.session_id)


@dataclass(frozen=True, kw_only=True)
class VisitorRow(BrowserRow, SessionUserRow):
    """Whose session a cookie opens, and that user."""


queries = Queries.beside(__file__, browser=BrowserRow, visitor=VisitorRow)


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
    _known: OrderedDict[bytes, SignedIn] = field(default_factory=OrderedDict)  # whose sessions cookies opened lately

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
        digest = _digest(cookie)
        presented = Claims(
            request_id=origin.request_id, presented={Purpose.BROWSER: digest.hex()}, tag=tag_before(cookie)
        )
        caller, fresh = await self._as_before(digest, presented, origin) or await self._found(digest, presented, origin)
        return Visitor(caller, fresh, form_token(cookie))

    async def _as_before(self, digest: bytes, presented: Claims, origin: Origin) -> tuple[Caller, bool] | None:
        """Asks in one round trip whether a cookie opens the session that it opened before; returns None where it does not."""
        if (known := self._known.get(digest)) is None:
            return None
        self._known.move_to_end(digest)
        row = await self.tenancy.ask(presented, VisitorRow, queries.visitor, then=user_claims(known, origin))
        if row is None or row.signed_in != known:
            return None
        return await self.resolver.admit_user(row, known, origin), row.fresh

    async def _found(self, digest: bytes, presented: Claims, origin: Origin) -> tuple[Caller, bool]:
        row = await self.tenancy.ask(presented, BrowserRow, queries.presented_browser)
        if row is None:
            raise Unauthenticated(reason="browser:unknown")
        caller = await self.resolver.resolve_user(row.signed_in, origin)
        self._known[digest] = row.signed_in
        while len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)
        return caller, row.fresh

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
