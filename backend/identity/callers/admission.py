"""Admission: how many requests run at once, and whose turn it is, decided before any of them waits for a connection.

A tenant's flood waits in the tenant's own queue, and the more tenants ask, the less of it runs at once. Of what computes, half is
kept free for whoever asks next, since what runs already is not interrupted. A request is refused when it comes, not after it has
waited: when its queue is full, or so long that its turn would come too late. A burst always waits, since a process that has just
started is slow. Tenants take turns.
"""

import asyncio
import math
import time
from collections import Counter, OrderedDict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import StrEnum

from backend import metrics
from backend.errors import TooManyRequests, Unavailable
from backend.precedence import Precedence

_HANGS = 3  # times as long as a request would have waited at most: what is before it has no end
_ACTIVE_SECONDS = 1.0  # since its last request, in which a tenant's share is kept free
_NEWEST = 0.2  # weight of the last request in what one of its tenant is expected to take


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
    BULK = "bulk"  # computes for long, such as the vectors of many passages
    MODEL = "model"  # waits for a model server
    TRANSFER = "transfer"  # takes a file in, or gives one out
    STREAM = "stream"  # stays open
    SIGN_IN = "sign_in"  # hashes a password


@dataclass(frozen=True, slots=True)
class LaneLimits:
    """How many requests run at once in a lane, for all and for one tenant; how many of a tenant wait, and how long."""

    running: int
    tenant_running: int
    tenant_waiting: int
    wait_seconds: float = 5.0
    usual_seconds: float = 0.0  # that a request is expected to take before any has ended
    computes: bool = False  # so that requests of other lanes, which do, are slower meanwhile

    def share(self, tenants: int) -> int:
        """Returns how many requests of one tenant run at once while so many tenants ask."""
        if tenants <= 1:
            return self.tenant_running
        return max(1, self.tenant_running // (2 * tenants if self.computes else tenants))

    @property
    def principal_waiting(self) -> int:
        """How many wait for one principal, so that it cannot fill its tenant's queue."""
        return max(1, self.tenant_waiting // 2)

    @property
    def burst(self) -> int:
        """How many of a tenant wait whatever they are expected to wait."""
        return self.tenant_waiting // 4


@dataclass(frozen=True, slots=True)
class Party:
    """Whose requests are counted together: a tenant and its principal, or an address from which somebody unknown asks."""

    tenant: str
    principal: str
    known: bool = True  # as a tenant's; nobody takes a part of a tenant's share by asking from many addresses


class RecentTenants:
    """Which tenants have asked just now, in the lanes that it is given to."""

    def __init__(self) -> None:
        self._asked_at: OrderedDict[str, float] = OrderedDict()  # oldest first

    def note(self, party: Party) -> None:
        """Notes that a party asks, and forgets who has not for long."""
        now = time.monotonic()
        if party.known:
            self._asked_at[party.tenant] = now
            self._asked_at.move_to_end(party.tenant)
        while self._asked_at and now - next(iter(self._asked_at.values())) > _ACTIVE_SECONDS:
            self._asked_at.popitem(last=False)

    @property
    def tenants(self) -> int:
        """How many they are."""
        return len(self._asked_at)


@dataclass(slots=True)
class _Turns:
    """A tenant's requests in a lane: when those began that run, those that wait, and how long one took lately."""

    seconds: float
    begun: list[float] = field(default_factory=list)
    queue: deque[tuple[Party, asyncio.Future[float]]] = field(default_factory=deque)


@dataclass
class Lane:
    """Requests of one kind. At most `limits.running` run; those that wait are taken in turn by tenant."""

    limits: LaneLimits
    name: LaneName = LaneName.SHORT
    recent: RecentTenants = field(default_factory=RecentTenants)
    running: int = 0
    _tenants: OrderedDict[str, _Turns] = field(default_factory=OrderedDict)
    _of_principal: Counter[Party] = field(default_factory=Counter)  # waiting

    @property
    def waiting(self) -> int:
        """How many requests wait."""
        return sum(len(turns.queue) for turns in self._tenants.values())

    @asynccontextmanager
    async def admitted(self, party: Party) -> AsyncIterator[bool]:
        """Runs the block in the party's turn, and tells it whether that was later; raises TooManyRequests when it is too late."""
        self.recent.note(party)
        turns = self._tenants.get(party.tenant) or _Turns(self.limits.usual_seconds)
        waits = bool(turns.queue) or not self._has_room(turns)
        if waits:
            began = await self._wait(party, turns, self._expected_wait_if_in_time(party, turns))
        else:
            began = self._begin(party.tenant, turns)
        try:
            yield waits
        finally:
            turns.seconds += _NEWEST * (time.monotonic() - began - turns.seconds)
            self._end(party.tenant, turns, began)

    def _has_room(self, turns: _Turns) -> bool:
        return self.running < self.limits.running and len(turns.begun) < self._share

    @property
    def _share(self) -> int:
        return self.limits.share(self.recent.tenants)

    def _begin(self, tenant: str, turns: _Turns) -> float:
        """Returns the time."""
        began = time.monotonic()
        self._tenants[tenant] = turns
        turns.begun.append(began)
        self.running += 1
        metrics.RUNNING.labels(self.name).inc()
        return began

    def _end(self, tenant: str, turns: _Turns, began: float) -> None:
        turns.begun.remove(began)
        self.running -= 1
        metrics.RUNNING.labels(self.name).dec()
        self._forget_idle(tenant, turns)
        self._admit_next()

    def _expected_wait_if_in_time(self, party: Party, turns: _Turns) -> float:
        """Returns how long it is expected to wait; raises TooManyRequests when it comes too late."""
        seconds = self._expected_wait(turns)
        after = max(1, math.ceil(seconds))
        if len(turns.queue) >= self.limits.tenant_waiting:
            raise TooManyRequests(retry_after=after, reason="admission:tenant")
        if self._of_principal[party] >= self.limits.principal_waiting:
            raise TooManyRequests(retry_after=after, reason="admission:principal")
        if len(turns.queue) >= self.limits.burst and seconds > self.limits.wait_seconds:
            raise TooManyRequests(retry_after=after, reason="admission:wait")
        return seconds

    def _expected_wait(self, turns: _Turns) -> float:
        """Returns in how many seconds the next request of a tenant would begin: as its others took lately, or take already."""
        asking = sum(1 for others in self._tenants.values() if others.queue and others is not turns) + 1
        at_once = max(1, min(self._share, self.limits.running / asking))
        longest = time.monotonic() - turns.begun[0] if turns.begun else 0.0
        return len(turns.queue) / at_once * max(turns.seconds, longest)

    async def _wait(self, party: Party, turns: _Turns, expected: float) -> float:
        """Returns when the turn came. What was let wait for longer than others is not refused for having done so."""
        turn: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        self._tenants.setdefault(party.tenant, turns).queue.append((party, turn))
        self._of_principal[party] += 1
        metrics.WAITING.labels(self.name).inc()
        self._admit_next()  # others may wait for their own tenant's room only
        try:
            async with asyncio.timeout(self.limits.wait_seconds * _HANGS + expected):
                return await turn
        except TimeoutError:
            if not turn.done() or turn.cancelled():  # or it was admitted at the last moment
                raise Overloaded(reason="admission:hangs") from None
            return turn.result()
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # admitted and cancelled at once
                self._end(party.tenant, turns, turn.result())
            raise
        finally:
            self._leave(party, turns, turn)

    def _leave(self, party: Party, turns: _Turns, turn: asyncio.Future[float]) -> None:
        metrics.WAITING.labels(self.name).dec()
        self._of_principal[party] -= 1
        if not self._of_principal[party]:
            del self._of_principal[party]
        if (party, turn) in turns.queue:
            turns.queue.remove((party, turn))
            self._forget_idle(party.tenant, turns)

    def _forget_idle(self, tenant: str, turns: _Turns) -> None:
        if not turns.begun and not turns.queue:
            self._tenants.pop(tenant, None)

    def _admit_next(self) -> None:
        """Admits whoever is next, tenant by tenant: one that was served goes to the end."""
        for tenant, turns in list(self._tenants.items()):
            if self.running >= self.limits.running:
                return
            if not turns.queue or not self._has_room(turns):
                continue
            _, turn = turns.queue.popleft()
            self._tenants.move_to_end(tenant)
            if turn.done():
                self._forget_idle(tenant, turns)
            else:
                turn.set_result(self._begin(tenant, turns))


@dataclass(frozen=True)
class Admission:
    """All lanes of a process."""

    lanes: dict[LaneName, Lane]
    precedence: Precedence = field(default_factory=Precedence)

    @classmethod
    def limited_to(cls, running: int, tenant_running: int, tenant_waiting: int) -> "Admission":
        """Returns lanes for a process that does so many short requests at once, and for each tenant."""
        short = LaneLimits(running, tenant_running, tenant_waiting, computes=True)
        bulk = LaneLimits(max(2, running // 4), 1, tenant_waiting, wait_seconds=20, usual_seconds=1, computes=True)
        limits = {
            LaneName.SHORT: short, LaneName.BULK: bulk,
            LaneName.MODEL: LaneLimits(running * 32, tenant_running * 4, tenant_waiting, wait_seconds=20),
            LaneName.STREAM: LaneLimits(running * 32, tenant_running * 16, tenant_waiting),
            LaneName.TRANSFER: LaneLimits(running * 2, tenant_running, tenant_waiting, wait_seconds=20, computes=True),
            LaneName.SIGN_IN: LaneLimits(max(2, running // 2), max(1, running // 4), tenant_waiting),
        }  # fmt: skip
        computing = RecentTenants()
        return cls(
            {
                name: Lane(limit, name, computing if limit.computes else RecentTenants())
                for name, limit in limits.items()
            }
        )
