"""Delivers an answer while it is being made.

A task of its own makes it. When the client leaves, the task is cancelled, and still records how it ended.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import Generic, TypeVar

from backend.identity.callers.standing import ASK_SECONDS

T = TypeVar("T")

CLIENT_LEFT = "client:disconnected"

_making = set[asyncio.Task[None]]()  # each until it has recorded how it ended, since the event loop keeps none


class Delivery(Generic[T]):
    """The items that `make` sends, in order, and then its end or its failure."""

    def __init__(
        self, make: Callable[[Callable[[T], None]], Awaitable[None]], check: Callable[[], Awaitable[None]]
    ) -> None:
        """Starts `make`, which is given what sends an item; `check` raises when the caller may not have any more."""
        self._check = check
        self._items = asyncio.Queue[T | None]()
        self._begun = asyncio.Event()
        self._task = asyncio.create_task(self._make(make))
        _making.add(self._task)
        self._task.add_done_callback(_ended)

    async def begun(self, seconds: float) -> None:
        """Waits at most so long until there is an item; raises what the maker raised if there is none."""
        try:
            await asyncio.wait_for(self._begun.wait(), seconds)
        except TimeoutError:
            return
        if self._items.qsize() == 1 and self._task.done():  # the end alone
            self._task.result()

    async def items(self) -> AsyncIterator[T]:
        """Yields the items as they come; raises what the maker raised, and what the check does, also between items."""
        try:
            while (item := await self._next()) is not None:
                yield item
            await self._task
        finally:
            self.cancel()

    async def _next(self) -> T | None:
        while True:
            await self._check()
            with suppress(TimeoutError):
                async with asyncio.timeout(ASK_SECONDS):
                    item = await self._items.get()
                await self._check()
                return item

    def cancel(self) -> None:
        """Cancels the task that makes the items, since nobody takes them any more; it still records that."""
        self._task.cancel(CLIENT_LEFT)

    async def _make(self, make: Callable[[Callable[[T], None]], Awaitable[None]]) -> None:
        try:
            await make(self._send)
        except BaseException:
            asyncio.get_running_loop().call_soon(self._send, None)  # when this task is done
            raise
        self._send(None)

    def _send(self, item: T | None) -> None:
        self._items.put_nowait(item)
        self._begun.set()


def _ended(task: asyncio.Task[None]) -> None:
    _making.discard(task)
    if not task.cancelled():
        task.exception()  # seen, so that nobody warns of it
