"""A receiver of webhooks, over a real socket on this machine, that does what a test wants."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import orjson

Behaviour = Callable[["Received", asyncio.StreamWriter], Awaitable[None]]


@dataclass(frozen=True)
class Received:
    """A message as it came."""

    headers: dict[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def told(self) -> dict[str, Any]:
        told: dict[str, Any] = orjson.loads(self.body)
        return told


def answering(status: str, headers: str = "") -> Behaviour:
    """Answers with a status."""

    async def answer(_: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n{headers}\r\n".encode())

    return answer


@dataclass
class Receiver:
    """What came, and how it answers from now on: as told for the next ones, and then for all."""

    url: str
    always: Behaviour = field(default_factory=lambda: answering("204 No Content"))
    next: list[Behaviour] = field(default_factory=list)
    received: list[Received] = field(default_factory=list)

    def of(self, kind: str) -> list[Received]:
        return [one for one in self.received if one.told["type"] == kind]


@asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    """A receiver that listens until the block ends."""
    open_writers: list[asyncio.StreamWriter] = []

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        open_writers.append(writer)
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            headers = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:] if line)
            # Header values of signatures are case-sensitive.
            exact = {line.split(": ", 1)[0].lower(): line.split(": ", 1)[1] for line in head.split("\r\n")[1:] if line}
            one = Received(exact, await reader.readexactly(int(headers["content-length"])))
            receiver.received.append(one)
            await (receiver.next.pop(0) if receiver.next else receiver.always)(one, writer)
            await writer.drain()
            writer.close()
        except (ConnectionError, asyncio.IncompleteReadError):
            writer.close()

    server = await asyncio.start_server(take, "127.0.0.1", 0)
    receiver = Receiver(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook")
    try:
        yield receiver
    finally:
        server.close()
        for writer in open_writers:
            writer.close()
