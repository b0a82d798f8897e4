"""Lets the steps of a long work overlap: the next part is begun before the one before it has ended."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine
from typing import Any, TypeVar

_Part = TypeVar("_Part")


async def some_at_once(parts: AsyncIterator[_Part], most: int) -> AsyncIterator[list[_Part]]:
    """Yields the parts in lists of `most`; the last may be shorter."""
    gathered: list[_Part] = []
    async for part in parts:
        gathered.append(part)
        if len(gathered) == most:
            yield gathered
            gathered = []
    if gathered:
        yield gathered


async def one_ahead(works: AsyncIterator[Coroutine[Any, Any, _Part]]) -> AsyncGenerator[_Part]:
    """Yields what each work gives, in their order; two of them are under way, and the next is fetched meanwhile.

    Closing the generator ends what is under way, as the first failure does.
    """
    running: deque[asyncio.Task[_Part]] = deque()
    try:
        async for work in works:
            running.append(asyncio.create_task(work))
            if len(running) > 1:
                yield await running.popleft()
        while running:
            yield await running.popleft()
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
