"""How background processes end: SIGTERM and SIGINT ask them to, also where they are the container's first process."""

import asyncio
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

ASKED = (signal.SIGTERM, signal.SIGINT)


@contextmanager
def asked_to_stop(stop: Callable[[], object]) -> Iterator[None]:
    """Calls `stop` at the first signal while the block runs; the second one ends the process at once.

    A process with the number 1 gets no signal that it has no handler for.
    """
    loop = asyncio.get_running_loop()

    def first() -> None:
        for number in ASKED:
            loop.remove_signal_handler(number)
            signal.signal(number, _end)
        stop()

    for number in ASKED:
        loop.add_signal_handler(number, first)
    try:
        yield
    finally:
        for number in ASKED:
            loop.remove_signal_handler(number)


def _end(number: int, _: object) -> None:
    raise SystemExit(128 + number)
