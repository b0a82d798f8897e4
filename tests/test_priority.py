"""What computes for long is interrupted by whatever else wakes up, and keeps its share of the processor."""

import ctypes
import multiprocessing
import os
import platform
import threading
from multiprocessing.connection import Connection

import pytest

from backend import priority
from backend.retrieval.embedding.embedder import LocalEmbedder

_SCHED_GETATTR = {"x86_64": 315, "aarch64": 275}


def turn() -> int:
    """How long the turns of this thread are, in nanoseconds; 0 where Linux does not say."""
    attributes = priority._Attributes(size=ctypes.sizeof(priority._Attributes))
    number = _SCHED_GETATTR[platform.machine()]
    ctypes.CDLL(None).syscall(number, 0, ctypes.byref(attributes), ctypes.sizeof(attributes), 0)
    return int(attributes.runtime)


pytestmark = pytest.mark.skipif(
    platform.machine() not in _SCHED_GETATTR or not turn(), reason="this Linux has no turns of different length"
)


def background(telling: Connection) -> None:
    """What a worker does first, and then a thread and a parser of it."""
    before = os.getpriority(os.PRIO_PROCESS, 0)
    priority.give_way()
    lowered = os.getpriority(os.PRIO_PROCESS, 0) - before
    told, thread = list[int](), threading.Thread(target=lambda: told.append(turn()))
    thread.start()
    thread.join()
    parser = multiprocessing.get_context("fork").Process(target=lambda: telling.send(("parser", turn())))
    parser.start()
    parser.join()
    telling.send(("worker", turn()))
    telling.send(("thread", told[0]))
    telling.send(("lowered", lowered if before < 10 else 10))


def test_a_worker_its_threads_and_its_parsers_take_long_turns_at_a_low_priority() -> None:
    spawning = multiprocessing.get_context("spawn")
    told, telling = spawning.Pipe(duplex=False)
    process = spawning.Process(target=background, args=(telling,))
    process.start()
    found = dict(told.recv() for _ in range(4))
    process.join()
    long = priority._LONG_TURN
    assert found == {"worker": long, "thread": long, "parser": long, "lowered": 10}


@pytest.mark.anyio
async def test_passages_are_embedded_in_long_turns_and_questions_are_not(embedder: LocalEmbedder) -> None:
    ordinary = turn()
    assert ordinary < priority._LONG_TURN
    assert embedder._questions.submit(turn).result() == ordinary
    as_urgent = {os.getpriority(os.PRIO_PROCESS, 0)}
    for threads in (embedder._passages, embedder._asked):
        assert set(await threads.each(lambda _: turn(), range(8))) == {priority._LONG_TURN}
        lowered = set(await threads.each(lambda _: os.getpriority(os.PRIO_PROCESS, 0), range(8)))
        assert lowered == as_urgent, "one of lower priority could hold what the other waits for"
