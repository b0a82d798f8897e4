"""Passages have all threads of the embedder while nobody asks, and half of them while somebody does."""

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from backend.retrieval.embedding import shared_threads
from backend.retrieval.embedding.embedder import LocalEmbedder
from backend.retrieval.embedding.shared_threads import SharedThreads

pytestmark = pytest.mark.anyio
PATIENCE = 60.0


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def test_while_nobody_asks_all_threads_work_at_once() -> None:
    together = threading.Barrier(2)
    shared = SharedThreads(1, 1, name="test")

    made = await shared.each(lambda number: (number, together.wait(PATIENCE))[0], range(20))

    assert made == list(range(20))


async def test_while_somebody_asks_only_some_threads_work_and_all_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_threads, "REST_SECONDS", 3600.0)
    shared = SharedThreads(1, 1, name="test")
    shared.rest()

    assert {*await shared.each(lambda _: threading.current_thread().name, range(20))} == {"test_0"}


async def test_once_nobody_asks_any_more_the_others_work_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_threads, "REST_SECONDS", 3600.0)
    shared, together, begun = SharedThreads(1, 1, name="test"), threading.Barrier(2), threading.Event()

    def together_with_another(_: int) -> None:
        begun.set()
        together.wait(PATIENCE)

    shared.rest()
    under_way = asyncio.create_task(shared.each(together_with_another, range(2)))
    await asyncio.to_thread(begun.wait, PATIENCE)
    monkeypatch.setattr(shared_threads, "REST_SECONDS", 0.0)
    shared.rest()
    await asyncio.wait_for(under_way, PATIENCE)


@pytest.mark.parametrize("ask", ["question", "long question", "tokens"])
async def test_whatever_is_asked_of_the_embedder_lets_threads_rest(
    ask: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_threads, "REST_SECONDS", 3600.0)
    embedder, names = LocalEmbedder.load(tmp_path, threads=2), set[str]()
    passage = embedder._passage
    monkeypatch.setattr(
        embedder, "_passage", lambda *given: (names.add(threading.current_thread().name), passage(*given))[1]
    )
    if ask == "tokens":
        await embedder.embed_tokens(["a fee"])
    else:
        await embedder.embed_query("what is a fee? " * (1 if ask == "question" else 200))

    await embedder.embed_passages(["a passage"] * 10)

    assert names == {"embed-passage_0"}


async def test_a_short_call_does_not_wait_for_all_of_a_long_one() -> None:
    shared, order = SharedThreads(1, name="test"), list[str]()
    begun, gate = threading.Event(), threading.Event()

    def note(name: str) -> None:
        begun.set()
        assert gate.wait(PATIENCE)
        order.append(name)

    long = asyncio.create_task(shared.each(note, ["long"] * 20))
    await asyncio.to_thread(begun.wait, PATIENCE)
    short = asyncio.create_task(shared.each(note, ["short"]))
    await asyncio.sleep(0)
    gate.set()
    await asyncio.gather(long, short)

    assert order.index("short") <= 2


async def test_after_a_failure_nothing_more_is_begun() -> None:
    shared, begun, gate = SharedThreads(1, 1, name="test"), list[int](), threading.Event()

    def fail_first(number: int) -> None:
        begun.append(number)
        if number == 0:
            raise ValueError(number)
        assert gate.wait(PATIENCE)

    with pytest.raises(ValueError, match="0"):
        await shared.each(fail_first, range(100))
    gate.set()
    await shared.each(str, range(20))  # whoever would go on has its turns meanwhile
    assert len(begun) <= 2


async def test_what_was_done_while_one_waited_for_its_step_is_not_done_again(monkeypatch: pytest.MonkeyPatch) -> None:
    @asynccontextmanager
    async def yielding() -> AsyncIterator[None]:
        await asyncio.sleep(0)
        yield

    monkeypatch.setattr(shared_threads, "step", yielding)
    assert await SharedThreads(2, name="test").each(str, [1]) == ["1"]
