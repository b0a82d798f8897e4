"""A server of WebDAV, over a real socket on this machine, as RFC 4918 has it: one level of a folder for each PROPFIND."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import quote, unquote
from xml.sax.saxutils import escape

from tests.sources.raw_http import Request, answering, said


@dataclass
class DavServer:
    """Files by their paths below the root, which is `/dav`."""

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    asked: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    raw: dict[str, bytes] = field(default_factory=dict)  # whole answers, by the path below the root
    also_listed: str = ""  # what it lists besides what is there

    def put(self, path: str, text: str) -> None:
        self.files[path] = f"# {path}\n\n{text}\n".encode()

    def answer(self, method: str, path: str, headers: dict[str, str]) -> bytes:
        if headers.get("authorization") != "Basic cmVhZGVyOnNlY3JldA==":  # reader, secret
            return said("401 Unauthorized", b"", 'WWW-Authenticate: Basic realm="dav"\r\n')
        below = unquote(path).removeprefix("/dav").strip("/")
        if below in self.raw:
            return self.raw[below]
        if method == "GET" and below in self.files:
            return said("200 OK", self.files[below])
        if method != "PROPFIND" or headers.get("depth") != "1":
            return said("404 Not Found", b"")
        return self._listed(below)

    def _listed(self, folder: str) -> bytes:
        inside = f"{folder}/" if folder else ""
        children = {inside + path.removeprefix(inside).split("/")[0] for path in self.files if path.startswith(inside)}
        entries = "".join(self._entry(path) for path in sorted({folder, *children}))
        body = f'<?xml version="1.0"?><D:multistatus xmlns:D="DAV:">{entries}{self.also_listed}</D:multistatus>'
        return said("207 Multi-Status", body.encode(), "Content-Type: application/xml\r\n")

    def _entry(self, path: str) -> str:
        content = self.files.get(path)
        href = escape(quote(f"/dav/{path}" if content is not None or not path else f"/dav/{path}/"))
        if content is None:
            about = "<D:resourcetype><D:collection/></D:resourcetype>"
        else:
            tag = hashlib.sha256(content).hexdigest()[:16]
            about = f'<D:resourcetype/><D:getetag>"{tag}"</D:getetag><D:getcontentlength>{len(content)}</D:getcontentlength>'
        return (
            f"<D:response><D:href>{href}</D:href><D:propstat><D:prop>{about}</D:prop>"
            "<D:status>HTTP/1.1 200 OK</D:status></D:propstat></D:response>"
        )


@asynccontextmanager
async def dav_server() -> AsyncIterator[DavServer]:
    """A server that listens until the block ends."""
    here = DavServer()

    async def answer(request: Request, writer: asyncio.StreamWriter) -> None:
        here.asked.append((request.method, request.path, request.headers))
        writer.write(here.answer(request.method, request.path, request.headers))

    async with answering(answer) as address:
        here.url = f"{address}/dav"
        yield here
