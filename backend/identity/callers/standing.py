"""Whether a caller still is let in while a long response is sent to it."""

import time
from dataclasses import dataclass, field

from backend.errors import Forbidden, Unauthenticated
from backend.identity.callers.caller import Caller
from backend.identity.callers.rows import KeyRow, SessionUserRow, queries
from backend.tenancy import Claims, Purpose, Tenancy

ASK_SECONDS = 0.5


@dataclass(slots=True)
class Standing:
    """Who loses a permission, a collection, its sign-in or its key gets no more of a response, and may ask anew."""

    tenancy: Tenancy
    caller: Caller  # as it was when the response began
    asked_at: float = field(default_factory=time.monotonic)

    async def check(self) -> None:
        """Asks the database if that was last done half a second ago; raises Unauthenticated, or Forbidden."""
        if self.caller.token_expires_at is not None and time.time() >= self.caller.token_expires_at:
            raise Unauthenticated(reason="token:expired")
        if time.monotonic() - self.asked_at < ASK_SECONDS:
            return
        self.asked_at = time.monotonic()
        row = await self._asked()
        if row is None or not row.is_let_in or (isinstance(row, SessionUserRow) and row.lacks_second_factor):
            raise Unauthenticated(reason="stream:ended")
        if self.caller.permissions - row.allowed or self.caller.readable - set(row.readable):
            raise Forbidden("You may not read this any more.", reason="stream:lost_right")

    async def _asked(self) -> SessionUserRow | KeyRow | None:
        if self.caller.kind == "key":
            presented = Claims(self.caller.request_id, presented={Purpose.DIGEST: self.caller.key_digest or ""})
            return await self.tenancy.ask(presented, KeyRow, queries.presented_key)
        own = Claims(self.caller.request_id, self.caller.tenant_id, self.caller.principal_id)
        return await self.tenancy.ask(own, SessionUserRow, queries.user_caller, self.caller.session_id)
