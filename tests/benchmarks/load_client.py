"""A client that costs so little that the service is what is measured: raw HTTP/1.1 over kept connections."""

import asyncio
import itertools
import time
from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

import orjson


def encoded(path: str, body: object, headers: Mapping[str, str]) -> bytes:
    """Returns a POST request with JSON as bytes."""
    return framed("POST", path, {"Content-Type": "application/json", **headers}, orjson.dumps(body))


def framed(method: str, path: str, headers: Mapping[str, str], content: bytes = b"") -> bytes:
    """Returns a request as bytes."""
    lines = [f"{method} {path} HTTP/1.1", "Host: service", f"Content-Length: {len(content)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + content


def length_of(head: bytes) -> int:
    """Returns how many bytes of body follow a head."""
    return int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])


class LoadClient:
    """One kept connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    async def connect(cls, base_url: str) -> "LoadClient":
        """Opens a connection."""
        address = urlsplit(base_url)
        return cls(*await asyncio.open_connection(address.hostname, address.port))

    async def send(self, request: bytes) -> bytes:
        """Returns the body of the answer; raises RuntimeError unless its status is 2xx."""
        status, body = await self.exchange(request)
        if not 200 <= status < 300:
            raise RuntimeError(body.decode())
        return body

    async def exchange(self, request: bytes) -> tuple[int, bytes]:
        """Returns status and body of the answer."""
        self._writer.write(request)
        head = await self._reader.readuntil(b"\r\n\r\n")
        return int(head[9:12]), await self._reader.readexactly(length_of(head))

    def close(self) -> None:
        """Closes the connection."""
        self._writer.close()


async def throughput(base_url: str, requests: Sequence[bytes], *, connections: int, seconds: float) -> float:
    """Returns answers per second over so many connections, after a second that does not count."""
    clients = [await LoadClient.connect(base_url) for _ in range(connections)]
    queue, answered = itertools.cycle(requests), 0
    started = time.perf_counter() + 1
    end = started + seconds

    async def ask(client: LoadClient) -> None:
        nonlocal answered
        while (now := time.perf_counter()) < end:
            await client.send(next(queue))
            answered += now >= started

    await asyncio.gather(*(ask(client) for client in clients))
    for client in clients:
        client.close()
    return answered / seconds
