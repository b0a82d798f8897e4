"""Threads that calls share by turns, and of which some rest while something more urgent is asked for."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from backend.precedence import step
from backend.priority import take_long_turns

_Made = TypeVar("_Made")

# After what is urgent has begun: an answer asks again within this time, and who asks without pause is disturbed by half as many.
REST_SECONDS = 0.25
_LOOKED_EVERY = 0.01


class SharedThreads:
    """Does the same with each of many things, in all threads while it may, and in some of them while others are to rest.

    Whatever else waits for a thread has its turn after each thing, so that a short call does not wait for all of a long one.
    """

    def __init__(self, threads: int, resting_threads: int = 0, *, name: str) -> None:
        """Has so many threads that always work, and so many that rest after each call of `rest`."""
        self._always = ThreadPoolExecutor(threads, name, take_long_turns)
        self._spare = ThreadPoolExecutor(resting_threads, f"{name}-spare", take_long_turns) if resting_threads else None
        self._threads, self._resting_threads = threads, resting_threads
        self._rest_until = 0.0

    def rest(self) -> None:
        """Lets some threads take nothing new for a moment; what they have begun, they end."""
        self._rest_until = time.monotonic() + REST_SECONDS

    async def each(self, act: Callable[..., _Made], *given: Sequence[object]) -> list[_Made]:
        """Returns what `act` makes of each of the things that are given, in their order."""
        loop = asyncio.get_running_loop()
        left = deque(enumerate(zip(*given, strict=True)))
        made: dict[int, _Made] = {}

        async def work(threads: ThreadPoolExecutor) -> None:
            while left:
                if threads is self._spare and time.monotonic() < self._rest_until:
                    await asyncio.sleep(_LOOKED_EVERY)
                    continue
                async with step():
                    if left:  # or it was done while this waited
                        place, one = left.popleft()
                        made[place] = await loop.run_in_executor(threads, act, *one)

        spare = [self._spare] * self._resting_threads if self._spare else []
        try:
            await asyncio.gather(*map(work, [*[self._always] * self._threads, *spare]))
        finally:
            left.clear()  # after a failure, nothing more is begun
        return [made[place] for place in range(len(made))]
