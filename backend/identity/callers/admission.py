"""Admission: how many requests run at once, and whose turn it is, decided before any of them waits for a connection.

A tenant's flood waits in the tenant's own queue, and what does not fit there is refused at once. Queues are served in turn.
"""

import asyncio
from collections import Counter, OrderedDict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import StrEnum

from backend.errors import TooManyRequests, Unavailable

WAIT_SECONDS = 10  # behind requests that hang


class Overloaded(Unavailable):
    """The service does what it can for others; nothing was begun."""

    code = "overloaded"
    detail = "The service is busy; nothing was changed. Try again shortly."

    def __init__(self, *, reason: str) -> None:
        super().__init__(reason=reason)
        self.headers["Retry-After"] = "1"


class LaneName(StrEnum):
    """Kinds of requests that do not stand in each other's way."""

    SHORT = "short"  # takes processor and database for milliseconds
    MODEL = "model"  # waits for a model server
    TRANSFER = "transfer"  # takes a file in, or gives one out
    STREAM = "stream"  # stays open
    SIGN_IN = "sign_in"  # hashes a password


@dataclass(frozen=True, slots=True)
class LaneLimits:
    """How many requests run at once in a lane, for everybody and for one tenant, and how many wait for one tenant."""

    running: int
    tenant_running: int
    tenant_waiting: int

    @property
    def principal_waiting(self) -> int:
        """How many wait for one principal, so that it cannot fill its tenant's queue."""
        return max(1, self.tenant_waiting // 2)


@dataclass(frozen=True, slots=True)
class Party:
    """Whose requests are counted together: a tenant and its principal, or an address from which somebody unknown asks."""

    tenant: str
    principal: str


@dataclass
class Lane:
    """Requests of one kind. At most `limits.running` run; those that wait are taken in turn by tenant."""

    limits: LaneLimits
    running: int = 0
    _of_tenant: Counter[str] = field(default_factory=Counter)
    _of_principal: Counter[Party] = field(default_factory=Counter)  # waiting
    _queues: OrderedDict[str, deque[tuple[Party, asyncio.Future[None]]]] = field(default_factory=OrderedDict)

    @property
    def waiting(self) -> int:
        """How many requests wait."""
        return sum(map(len, self._queues.values()))

    @asynccontextmanager
    async def admitted(self, party: Party) -> AsyncIterator[None]:
        """Runs the block when it is the party's turn; raises TooManyRequests or Overloaded at once when its queue is full."""
        if self._queues or not self._has_room(party.tenant):
            await self._wait(party)
        else:
            self._begin(party.tenant)
        try:
            yield
        finally:
            self._end(party.tenant)

    def _has_room(self, tenant: str) -> bool:
        return self.running < self.limits.running and self._of_tenant[tenant] < self.limits.tenant_running

    def _begin(self, tenant: str) -> None:
        self.running += 1
        self._of_tenant[tenant] += 1

    def _end(self, tenant: str) -> None:
        self.running -= 1
        self._of_tenant[tenant] -= 1
        if not self._of_tenant[tenant]:
            del self._of_tenant[tenant]
        self._admit_next()

    async def _wait(self, party: Party) -> None:
        if len(self._queues.get(party.tenant, ())) >= self.limits.tenant_waiting:
            raise TooManyRequests(retry_after=1, reason="admission:tenant")
        if self._of_principal[party] >= self.limits.principal_waiting:
            raise TooManyRequests(retry_after=1, reason="admission:principal")
        turn = asyncio.get_running_loop().create_future()
        self._queues.setdefault(party.tenant, deque()).append((party, turn))
        self._of_principal[party] += 1
        self._admit_next()  # others may wait for their own tenant's room only
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                await turn
        except TimeoutError:
            if not turn.done() or turn.cancelled():  # or it was admitted at the last moment
                raise Overloaded(reason="admission:wait") from None
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # admitted and cancelled at once
                self._end(party.tenant)
            raise
        finally:
            self._forget(party, turn)

    def _forget(self, party: Party, turn: asyncio.Future[None]) -> None:
        self._of_principal[party] -= 1
        if not self._of_principal[party]:
            del self._of_principal[party]
        queue = self._queues.get(party.tenant)
        if queue is not None and (party, turn) in queue:
            queue.remove((party, turn))
            if not queue:
                del self._queues[party.tenant]

    def _admit_next(self) -> None:
        """Admits whoever is next, tenant by tenant: one that was served goes to the end."""
        for tenant in list(self._queues):
            if self.running >= self.limits.running:
                return
            if not self._has_room(tenant):
                continue
            queue = self._queues[tenant]
            _, turn = queue.popleft()
            if queue:
                self._queues.move_to_end(tenant)
            else:
                del self._queues[tenant]
            if not turn.done():
                self._begin(tenant)
                turn.set_result(None)


@dataclass(frozen=True)
class Admission:
    """All lanes of a process."""

    lanes: dict[LaneName, Lane]

    @classmethod
    def limited_to(cls, running: int, tenant_running: int, tenant_waiting: int) -> "Admission":
        """Returns lanes for a process that does so many short requests at once, and for each tenant."""
        short = LaneLimits(running, tenant_running, tenant_waiting)
        long = LaneLimits(running * 32, tenant_running * 16, tenant_waiting)
        sign_in = LaneLimits(max(2, running // 2), max(2, running // 4), tenant_waiting)
        limits = {
            LaneName.SHORT: short, LaneName.MODEL: long, LaneName.TRANSFER: LaneLimits(running * 2, running, tenant_waiting),
            LaneName.STREAM: long, LaneName.SIGN_IN: sign_in,
        }  # fmt: skip
        return cls({name: Lane(limit) for name, limit in limits.items()})
