"""How processes are asked to end: by SIGTERM, SIGINT and SIGHUP, also where they are the container's first process."""

import asyncio
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

ASKED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


@contextmanager
def asked_to_stop(stop: Callable[[], object]) -> Iterator[None]:
    """Calls `stop` at the first signal while the block runs; the second one ends the process at once.

    A process with the number 1 gets no signal that it has no handler for. What `nohup` has it ignore it goes on ignoring.
    """
    loop = asyncio.get_running_loop()
    asked = [number for number in ASKED if signal.getsignal(number) is not signal.SIG_IGN]

    def first() -> None:
        for number in asked:
            loop.remove_signal_handler(number)
            signal.signal(number, _end)
        stop()

    for number in asked:
        loop.add_signal_handler(number, first)
    try:
        yield
    finally:
        for number in asked:
            loop.remove_signal_handler(number)


def end_at_hang_up() -> None:
    """Makes SIGHUP the same as SIGTERM for this process, unless `nohup` has it ignored."""
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        signal.signal(signal.SIGHUP, lambda *_: signal.raise_signal(signal.SIGTERM))


def _end(number: int, _: object) -> None:
    raise SystemExit(128 + number)
