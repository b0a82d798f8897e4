"""Room in the queue: how many jobs of a tenant may wait or run at once, before one more is taken.

What is queued is not lost, so a queue without an end would be a promise: one tenant asked for 120 exports a second, and all were
accepted. Whoever asks is refused before anything of the request is read or written.
"""

import asyncio
from dataclasses import dataclass

from backend.database import Connection
from backend.errors import TooManyRequests
from backend.identity.callers.caller import Caller
from backend.identity.callers.gate import TOLD_AFTER_SECONDS
from backend.jobs.service import queries
from backend.tenancy import Tenancy

_RETRY_SECONDS = 5


class TooManyJobs(TooManyRequests):
    """So many jobs of the kind are unfinished that the tenant gets no more for now."""

    code = "too_many_jobs"
    recorded = True  # like a refusal at the gate, it tells of load and of nobody's rights

    def __init__(self, most: int) -> None:
        super().__init__(retry_after=_RETRY_SECONDS, reason="jobs:unfinished")
        self.detail = f"{most} jobs of this kind are unfinished; ask again when some have ended."


@dataclass(frozen=True, slots=True)
class JobRoom:
    """How many unfinished jobs of each kind a tenant may have; `most_of` names kinds of which it may have another number.

    Requests that come at the same moment do not see each other, so it can be a few more: as many as admission lets run at once.
    """

    tenancy: Tenancy
    most: int
    most_of: dict[str, int]

    async def require(self, caller: Caller, kind: str) -> None:
        """Raises TooManyJobs when the caller's tenant has as many unfinished jobs of a kind as it may have."""
        try:
            async with self.tenancy.transaction(caller.claims()) as connection:
                await self.require_in(connection, kind)
        except TooManyJobs:
            await asyncio.sleep(TOLD_AFTER_SECONDS)  # as at the gate: who asks again at once keeps nobody busy
            raise

    async def require_in(self, connection: Connection, kind: str) -> None:
        """Does the same for the tenant of the open transaction."""
        most = self.most_of.get(kind, self.most)
        if await connection.fetchval(queries.unfinished, kind, most) >= most:
            raise TooManyJobs(most)
