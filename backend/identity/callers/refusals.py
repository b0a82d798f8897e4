"""What the log says of a flood's refusals: a line of the first, and each second one that counts the others.

A line takes a third of the time that refusing does, which whoever floods would take from all others.
"""

import asyncio
from collections import Counter

import structlog

from backend.errors import ServiceError
from backend.identity.callers.admission import Party

COUNTED_SECONDS = 1.0

log = structlog.get_logger()


class Refusals:
    """Counts refusals of a party for a reason, from the second on."""

    def __init__(self) -> None:
        self._untold = Counter[tuple[Party, str | None]]()

    def is_first(self, party: Party, error: ServiceError) -> bool:
        """Tells whether a refusal is to have a line of its own; otherwise it is counted, and a line will say so."""
        refused = (party, error.reason)
        if refused in self._untold:
            self._untold[refused] += 1
            return False
        self._untold[refused] = 0
        asyncio.get_running_loop().call_later(COUNTED_SECONDS, self._tell, refused, error.code)
        return True

    def _tell(self, refused: tuple[Party, str | None], code: str) -> None:
        times, (party, reason) = self._untold.pop(refused), refused
        if times:
            whose = {"tenant_id": party.tenant, "principal": party.principal} if party.known else {}
            log.info("requests refused", code=code, reason=reason, times=times, **whose)
