"""A slice of a file is read while the one before is embedded; what one of them raises ends both."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import aclosing
from typing import Any

import pytest

from backend.documents.files.overlapping import one_ahead, some_at_once

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Works:
    """Works that each end when they are told to, and what was begun and cancelled of them."""

    def __init__(self, count: int) -> None:
        self.ends = [asyncio.Event() for _ in range(count)]
        self.begun: list[int] = []
        self.cancelled: list[int] = []

    async def each(self) -> AsyncIterator[Coroutine[Any, Any, int]]:
        for number in range(len(self.ends)):
            yield self.work(number)

    async def work(self, number: int) -> int:
        self.begun.append(number)
        try:
            await self.ends[number].wait()
        except asyncio.CancelledError:
            self.cancelled.append(number)
            raise
        return number


async def some_turns() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_the_next_is_begun_before_the_one_before_has_ended_and_no_more() -> None:
    works = Works(4)
    async with aclosing(one_ahead(works.each())) as results:
        first = asyncio.ensure_future(anext(results))
        await some_turns()
        assert works.begun == [0, 1]
        for end in reversed(works.ends):
            end.set()
        assert [await first, *[result async for result in results]] == [0, 1, 2, 3]


async def test_a_failure_ends_what_is_under_way() -> None:
    works = Works(2)

    async def failing() -> AsyncIterator[Coroutine[Any, Any, int]]:
        yield works.work(0)
        await some_turns()
        raise ValueError("the file is damaged")

    with pytest.raises(ValueError, match="damaged"):
        async with aclosing(one_ahead(failing())) as results:
            await anext(results)
    assert works.cancelled == [0]


async def test_who_is_cancelled_leaves_nothing_under_way() -> None:
    works = Works(3)

    async def read() -> None:
        async with aclosing(one_ahead(works.each())) as results:
            async for _ in results:
                pass

    reading = asyncio.create_task(read())
    await some_turns()
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert sorted(works.cancelled) == works.begun == [0, 1]


@pytest.mark.parametrize(("count", "sizes"), [(0, []), (3, [3]), (4, [4]), (9, [4, 4, 1])])
async def test_parts_come_in_lists_of_a_size(count: int, sizes: list[int]) -> None:
    async def parts() -> AsyncIterator[int]:
        for number in range(count):
            yield number

    lists = [some async for some in some_at_once(parts(), 4)]
    assert list(map(len, lists)) == sizes
    assert [part for some in lists for part in some] == list(range(count))
