"""A flood of requests, sent by a process of its own that gives way to the service: what is measured is the service, not its client."""

import asyncio
import multiprocessing
import os
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Event

import uvloop

from backend.identity.callers.gate import TOLD_AFTER_SECONDS as REFUSED_AFTER_SECONDS
from tests.benchmarks.load_client import LoadClient, length_of

COUNTER = b"@@@@@@@@"
"""Stands in a request for a number that no other has."""

REFUSED = {429, 503}
_PAUSE_SECONDS = 0.05  # of a client that is refused and asks again
_MOST_SECONDS = 120.0


@dataclass
class Flooded:
    """What became of a flood: answers by status, requests that broke off, and how long refusals took in milliseconds."""

    seconds: float = 0.0
    statuses: Counter[int] = field(default_factory=Counter)
    broken: int = 0
    refusals: list[float] = field(default_factory=list)

    def add(self, other: "Flooded") -> None:
        """Counts what became of another flood as well."""
        self.seconds += other.seconds
        self.statuses.update(other.statuses)
        self.broken += other.broken
        self.refusals.extend(other.refusals)

    @property
    def offered(self) -> float:
        """Requests that were sent for each one that was served."""
        refused = sum(self.statuses[status] for status in REFUSED)
        return self.statuses.total() / max(1, self.statuses.total() - refused)


@contextmanager
def refusing_everything() -> Iterator[str]:
    """Gives the address of a server that does nothing but refuse, as late as the service does: what a flood costs without a service."""
    spawning = multiprocessing.get_context("spawn")
    told, telling = spawning.Pipe(duplex=False)
    process = spawning.Process(target=_refuse, args=(telling,))
    process.start()
    try:
        yield f"http://127.0.0.1:{told.recv()}"
    finally:
        process.kill()
        process.join()


def _refuse(telling: Connection) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_refuse_all(telling))


async def _refuse_all(telling: Connection) -> None:
    body = b'{"error":"too_many_requests","detail":"Too many requests.","request_id":"00000000-0000-0000-0000-000000000000"}'
    answer = b"HTTP/1.1 429 Too Many Requests\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(EOFError, OSError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                await reader.readexactly(length_of(head))
                await asyncio.sleep(REFUSED_AFTER_SECONDS)
                writer.write(answer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    telling.send(server.sockets[0].getsockname()[1])
    await server.serve_forever()


@contextmanager
def flooding(base_url: str, seats: Sequence[Sequence[bytes]]) -> Iterator[Flooded]:
    """Sends the requests of each seat one after the other, over and over, while the block runs; then tells what became of them."""
    spawning = multiprocessing.get_context("spawn")
    told, telling = spawning.Pipe(duplex=False)
    ended, found = spawning.Event(), Flooded()
    process = spawning.Process(target=_run, args=(base_url, seats, ended, telling))
    process.start()
    telling.close()  # the other process has its own: when it ends, waiting for it does
    try:
        told.recv()  # all are seated
        yield found
    finally:
        ended.set()
        if told.poll(_MOST_SECONDS):
            vars(found).update(vars(told.recv()))
        process.join(5)
        process.kill()


def _run(base_url: str, seats: Sequence[Sequence[bytes]], ended: Event, telling: Connection) -> None:
    os.nice(19)
    telling.send(None)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        telling.send(runner.run(_flood(base_url, seats, ended)))


async def _flood(base_url: str, seats: Sequence[Sequence[bytes]], ended: Event) -> Flooded:
    found, started = Flooded(), time.perf_counter()
    sending = [asyncio.create_task(_seat(base_url, requests, number, found)) for number, requests in enumerate(seats)]
    await asyncio.to_thread(ended.wait)
    found.seconds = time.perf_counter() - started
    for seat in sending:
        seat.cancel()
    await asyncio.gather(*sending, return_exceptions=True)
    return found


async def _seat(base_url: str, requests: Sequence[bytes], number: int, found: Flooded) -> None:
    client: LoadClient | None = None
    sent = number * 100_000
    while True:
        for request in requests:
            started, sent = time.perf_counter(), sent + 1
            try:
                client = client or await LoadClient.connect(base_url)
                status, _ = await client.exchange(request.replace(COUNTER, b"%08d" % sent))
            except (OSError, EOFError):  # a refused upload is hung up on before all of it was sent
                found.broken += 1
                client = None
                continue
            found.statuses[status] += 1
            if status in REFUSED:
                found.refusals.append((time.perf_counter() - started) * 1000)
                await asyncio.sleep(_PAUSE_SECONDS)
