"""A body that two cells read, one after the other, since the first was the wrong guess."""

import tracemalloc
from collections.abc import Iterator

import pytest
from starlette.types import Message, Receive

from backend.front.several import _Body

pytestmark = pytest.mark.anyio


def sent(*blocks: bytes, complete: bool = True) -> Receive:
    """What a client sends, and that it goes then."""

    def messages() -> Iterator[Message]:
        for number, block in enumerate(blocks, 1):
            yield {"type": "http.request", "body": block, "more_body": not complete or number < len(blocks)}
        while True:
            yield {"type": "http.disconnect"}

    coming = messages()

    async def receive() -> Message:
        return next(coming)

    return receive


async def read(receive: Receive) -> tuple[bytes, bool]:
    """A body as a cell reads it, and whether it came to its end."""
    whole = b""
    while (message := await receive())["type"] == "http.request":
        whole += message["body"]
        if not message["more_body"]:
            return whole, True
    return whole, False


@pytest.mark.parametrize("form", [True, False])
@pytest.mark.parametrize("blocks", [(b"",), (b"tenant=a",), (b"ten", b"", b"ant=a"), (b"x" * 65_536,)])
async def test_the_second_reads_what_the_first_did(blocks: tuple[bytes, ...], *, form: bool) -> None:
    body, whole = _Body(sent(*blocks)), b"".join(blocks)
    if form:
        assert await body.whole() == whole
    assert [await read(body.from_its_beginning()) for _ in range(2)] == [(whole, True)] * 2
    assert body.is_kept
    assert (await body.from_its_beginning()())["type"] == "http.request"


async def test_a_second_that_begins_in_the_middle_reads_on() -> None:
    body = _Body(sent(b"a", b"b", b"c"))
    first = body.from_its_beginning()
    assert (await first())["body"] == b"a"
    assert await read(body.from_its_beginning()) == (b"abc", True)


@pytest.mark.parametrize("form", [True, False])
async def test_one_that_is_longer_than_is_kept_is_read_once_and_whole(*, form: bool) -> None:
    blocks = [b"%05d" % number * 1000 for number in range(100)]
    body = _Body(sent(*blocks))
    if form:
        assert b"".join(blocks).startswith(await body.whole())
    assert await read(body.from_its_beginning()) == (b"".join(blocks), True)
    assert not body.is_kept


@pytest.mark.parametrize("form", [True, False])
async def test_of_a_client_that_goes_nobody_takes_the_beginning_for_the_whole(*, form: bool) -> None:
    body = _Body(sent(b"tenant=", complete=False))
    if form:
        assert await body.whole() == b"tenant="
    assert [await read(body.from_its_beginning()) for _ in range(2)] == [(b"tenant=", False)] * 2


async def test_a_body_of_single_bytes_takes_no_more_room_than_one_of_a_block() -> None:
    body = _Body(sent(*[b"x"] * 60_000))
    tracemalloc.start()
    try:
        await body.whole()
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 1_000_000
