"""Whose step comes first among requests that have begun: who asks little goes before who floods, at every step.

Admission says what begins. What has begun is not interrupted, so it is done in steps: a transaction, a run of a model. Before
each, a request waits while a tenant with at most half as many requests here is in a step, and of those that give way so a few go
at once. So who asks one thing after the other hardly notices a flood. Nobody waits for long, nor for who has had much lately.
"""

import asyncio
import math
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from types import TracebackType

_REMEMBERED_SECONDS = 1.0  # in which what a tenant had counts ever less
_TIMES = 3  # as much as a tenant that gives way has had, until which another goes first
_BETWEEN_SECONDS = 0.003  # two steps of one request, or two requests of a client that asks one after the other
_LONG_SECONDS = 0.1  # after which nobody gives way to a step, and what a step waits at most
_FEW = max(1, (os.cpu_count() or 1) // 2)  # the other half of the processors is for those who ask little


@dataclass(eq=False, slots=True)
class _Tenant:
    """What is known of a tenant: its requests here, those in a step, and for how long it was in steps lately."""

    here: int = 0
    stepping: int = 0
    last: float = -math.inf  # when it came, or began or ended a step
    had: float = 0.0
    had_at: float = 0.0

    def had_lately(self, now: float) -> float:
        return self.had * math.exp((self.had_at - now) / _REMEMBERED_SECONDS)

    def is_busy(self, now: float) -> bool:
        return now - self.last < (_LONG_SECONDS if self.stepping else _BETWEEN_SECONDS)


@dataclass(eq=False, slots=True)
class PresentRequest:
    """A request of a tenant, with how many steps it is in: a step within a step does not wait again."""

    order: "Precedence"
    tenant: _Tenant
    steps: int = 0
    began: float = 0.0
    asks: bool = True

    def stays_open(self) -> None:
        """Counts it no more: it has what it asked for, and waits for news."""
        if self.asks:
            self.asks = False
            self.tenant.here -= 1


_request: ContextVar[PresentRequest | None] = ContextVar("request", default=None)


@dataclass
class Precedence:
    """The tenants whose requests are here, and the steps that wait."""

    _tenants: dict[str, _Tenant] = field(default_factory=dict)
    _strangers: dict[str, _Tenant] = field(
        default_factory=dict
    )  # for whom nobody waits: there are as many as somebody likes
    _waiting: list[tuple[PresentRequest, asyncio.Future[None]]] = field(default_factory=list)
    _giving_way: set[PresentRequest] = field(default_factory=set)  # in a step that began while others had precedence
    _later: asyncio.TimerHandle | None = None
    _swept: float = -math.inf

    @contextmanager
    def present(self, name: str, *, known: bool = True) -> Iterator[PresentRequest]:
        """Counts a request of a tenant, until it only stays open. Its steps in the block have their turns.

        One that is not `known` is an address from which somebody asks.
        """
        now = time.monotonic()
        self._forget_idle(now)
        tenant = (self._tenants if known else self._strangers).setdefault(name, _Tenant())
        tenant.here += 1
        tenant.last = now
        request = PresentRequest(self, tenant)
        token = _request.set(request)
        try:
            yield request
        finally:
            _request.reset(token)
            request.stays_open()

    async def turn(self, request: PresentRequest) -> None:
        """Waits for the turn of a step, for a while at most."""
        if not self._must_wait(request):
            return
        waiting = request, asyncio.get_running_loop().create_future()
        self._waiting.append(waiting)
        self._look_again()
        try:
            async with asyncio.timeout(_LONG_SECONDS):
                await waiting[1]
        except TimeoutError:
            pass
        finally:
            self._waiting.remove(waiting)

    def begin(self, request: PresentRequest) -> None:
        """Begins a step."""
        request.began = request.tenant.last = time.monotonic()
        request.tenant.stepping += 1
        if self._before(request.tenant, request.began):
            self._giving_way.add(request)

    def end(self, request: PresentRequest) -> None:
        """Ends a step, and lets others go on."""
        tenant, now = request.tenant, time.monotonic()
        tenant.stepping -= 1
        self._giving_way.discard(request)
        tenant.had, tenant.had_at, tenant.last = tenant.had_lately(now) + now - request.began, now, now
        self._go_on()

    def _before(self, tenant: _Tenant, now: float) -> list[_Tenant]:
        """Returns the tenants that ask much less than this one, and have asked just now, be it between two requests."""
        most = tenant.here / 2
        return [
            one for one in self._tenants.values() if max(1, one.here) <= most and now - one.last < _REMEMBERED_SECONDS
        ]

    def _must_wait(self, request: PresentRequest) -> bool:
        tenant, now = request.tenant, time.monotonic()
        before = self._before(tenant, now)
        if not before:
            return False
        others = (one for one in self._giving_way if one.tenant.here <= tenant.here)
        if sum(now - one.began < _LONG_SECONDS for one in others) >= _FEW:
            return True
        most = _TIMES * tenant.had_lately(now)
        return any(one.is_busy(now) and one.had_lately(now) <= most for one in before)

    def _go_on(self) -> None:
        wait = set[_Tenant]()  # what holds for one request of a tenant holds for all
        for request, turn in self._waiting:
            if turn.done() or request.tenant in wait:
                continue
            if not self._must_wait(request):
                turn.set_result(None)
                break  # it begins its step before another is looked at
            wait.add(request.tenant)
        if self._waiting:
            self._look_again()

    def _look_again(self) -> None:
        if self._later is None:
            self._later = asyncio.get_running_loop().call_later(_BETWEEN_SECONDS, self._look)

    def _look(self) -> None:
        self._later = None
        self._go_on()

    def _forget_idle(self, now: float) -> None:
        if now - self._swept < _REMEMBERED_SECONDS:
            return
        self._swept = now
        for parties in (self._tenants, self._strangers):
            for name, one in list(parties.items()):
                if not one.here and not one.stepping and now - one.last > _REMEMBERED_SECONDS:
                    del parties[name]


class step:  # noqa: N801 - reads like a function
    """A piece of a request's work that is not interrupted: `async with step():` begins it when it is its turn."""

    _of: PresentRequest | None = None

    async def __aenter__(self) -> None:
        """Begins it; at once where it is a part of another, or of no request."""
        request = _request.get()
        if request is None:
            return
        if not request.steps:
            await request.order.turn(request)
        if not request.steps:  # nor has another part of it begun one meanwhile
            request.order.begin(request)
        self._of = request
        request.steps += 1

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Ends it."""
        if (request := self._of) is not None:
            request.steps -= 1
            if not request.steps:
                request.order.end(request)
