"""A web site, over a real socket on this machine, whose pages a test changes, and that lies when it is told to."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from tests.sources.raw_http import Request, answering, said

RAW = dict[str, bytes]


@dataclass
class Site:
    """What it serves: pages by path with entity tags, and whole answers for those that are to be raw."""

    url: str = ""
    pages: dict[str, bytes] = field(default_factory=dict)
    types: dict[str, str] = field(default_factory=dict)
    raw: RAW = field(default_factory=dict)  # a whole answer in place of a page
    asked: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    endless: set[str] = field(default_factory=set)
    slow: set[str] = field(default_factory=set)  # of which a byte comes now and then
    held: dict[str, asyncio.Event] = field(default_factory=dict)  # until when an answer is kept waiting

    def page(self, path: str, text: str) -> str:
        """Puts a page there; returns its address."""
        self.pages[path] = f"# {path}\n\n{text}\n".encode()
        return self.url + path

    def fetched(self, path: str) -> list[int]:
        """How often a path was asked for, and with what answer, is what `asked` tells; this tells the place of each."""
        return [place for place, (_, asked, _) in enumerate(self.asked) if asked == path]

    def answer(self, path: str, headers: dict[str, str]) -> bytes:
        if path in self.raw:
            return self.raw[path]
        if path not in self.pages:
            return said("404 Not Found", b"")
        body = self.pages[path]
        tag = f'"{hashlib.sha256(body).hexdigest()[:16]}"'
        if headers.get("if-none-match") == tag:
            return said("304 Not Modified", b"", f"ETag: {tag}\r\n")
        kind = self.types.get(path, "text/markdown")
        return said("200 OK", body, f"ETag: {tag}\r\nContent-Type: {kind}\r\n")


@asynccontextmanager
async def site() -> AsyncIterator[Site]:
    """A site that listens until the block ends."""
    here = Site()

    async def answer(request: Request, writer: asyncio.StreamWriter) -> None:
        path = request.path
        here.asked.append((request.method, path, request.headers))
        if path in here.held:
            await here.held[path].wait()
        if path in here.slow:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/markdown\r\nConnection: close\r\n\r\n")
            while path in here.slow:
                writer.write(b" ")
                await writer.drain()
                await asyncio.sleep(0.1)
        if path in here.endless:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n")
            while True:
                writer.write(b"https://localhost/more\n" * 4_000)
                await writer.drain()
        writer.write(here.answer(path, request.headers))

    async with answering(answer) as here.url:
        try:
            yield here
        finally:
            here.slow.clear()
            for waits in here.held.values():
                waits.set()
