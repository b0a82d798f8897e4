"""A library of SharePoint as Microsoft Graph tells of it, over a real socket on this machine: its directory, the list of what
changed in pages, and a second server from which files are fetched by addresses that prove themselves.

As documented of Graph: parents are named by id alone, a renamed folder is told without what is in it, and so is one that is deleted.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from tests.sources.raw_http import Request, answering, said
from tests.sources.site import site

PROGRAM = {"client_id": "program", "client_secret": "a secret"}
TOKEN = "token-of-the-directory"
DRIVE = "/v1.0/drives/b!x"
TOP = f"{DRIVE}/root"


@dataclass
class Library:
    """Files and folders by their ids, and what changed when."""

    url: str = ""
    files_url: str = ""
    page: int = 2
    items: dict[str, dict[str, Any]] = field(default_factory=dict)
    contents: dict[str, bytes] = field(default_factory=dict)
    changes: list[dict[str, Any]] = field(default_factory=list)
    asked: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    forgotten: int = 0  # changes before this one it knows no more
    raw: dict[str, list[bytes]] = field(default_factory=dict)  # answers to come in place of others, by path
    next_link: str = ""  # where its pages lead, in place of the next one

    @property
    def source(self) -> dict[str, Any]:
        """What says where it is."""
        options = {"authority": f"{self.url}/bank.example"}
        return {"address": self.url + DRIVE, "kind": "graph", "options": options, "credentials": PROGRAM}

    def folder(self, key: str, name: str, parent: str = "root") -> None:
        self._told({"id": key, "name": name, "folder": {}, "parentReference": {"id": parent}})

    def put(self, key: str, name: str, text: str, parent: str = "root") -> None:
        self.contents[key] = f"# {name}\n\n{text}\n".encode()
        self._told({
            "id": key, "name": name, "file": {}, "size": len(self.contents[key]) - 1, "cTag": f"c{len(self.changes)}",
            "parentReference": {"id": parent},
        })  # fmt: skip

    def move(self, key: str, name: str, parent: str) -> None:
        self._told(self.items[key] | {"name": name, "parentReference": {"id": parent}})

    def delete(self, key: str) -> None:
        """Deletes a file, or a folder with what is in it, of which nothing is told."""
        gone = self.items.pop(key)
        self.changes.append({"id": key, "deleted": {"state": "deleted"}} | ({"file": {}} if "file" in gone else {}))
        for below in [one for one, item in self.items.items() if item["parentReference"]["id"] == key]:
            del self.items[below]

    def _told(self, item: dict[str, Any]) -> None:
        self.items[item["id"]] = item
        self.changes.append(item)

    def answer(self, method: str, target: str, headers: dict[str, str], body: bytes) -> bytes:
        parts = urlsplit(target)
        path, query = unquote(parts.path), {name: values[0] for name, values in parse_qs(parts.query).items()}
        if self.raw.get(path):
            return self.raw[path].pop(0)
        if path == "/bank.example/oauth2/v2.0/token":
            return self._grant(method, {name: values[0] for name, values in parse_qs(body.decode()).items()})
        if headers.get("authorization") != f"Bearer {TOKEN}":
            return said("401 Unauthorized", b"{}")
        if path == f"{TOP}/delta":
            return self._delta(query)
        return self._item(path.removeprefix(f"{DRIVE}/items/"), query)

    def _item(self, key: str, query: dict[str, str]) -> bytes:
        if key == "root":
            return _json({"id": "root", "name": "root", "folder": {}, "root": {}})
        if key not in self.items:
            return said("404 Not Found", b"{}")
        download = {"@microsoft.graph.downloadUrl": f"{self.files_url}/{key}?tempauth=x"}
        return _json(self.items[key] | (download if "downloadUrl" in query.get("$select", "") else {}))

    def _grant(self, method: str, form: dict[str, str]) -> bytes:
        expected = {"grant_type": "client_credentials", "scope": f"{self.url}/.default", **PROGRAM}
        if method != "POST" or form != expected:
            return said("401 Unauthorized", b'{"error": "invalid_client"}')
        return _json({"token_type": "Bearer", "expires_in": 3599, "access_token": TOKEN})

    def _delta(self, query: dict[str, str]) -> bytes:
        since, start = int(query.get("since", "-1")), int(query.get("skip", "0"))
        if 0 <= since < self.forgotten:
            return said("410 Gone", b"{}", f"Location: {self.url}{TOP}/delta\r\n")
        top = {"id": "root", "name": "root", "folder": {}, "root": {}}
        told = [top, *(self.items.values() if since < 0 else self.changes[since:])]
        until = int(query.get("until", len(self.changes)))
        shown = {"value": told[start : start + self.page]}
        link = f"{self.url}{TOP}/delta"
        if self.next_link:
            return _json(shown | {"@odata.nextLink": self.next_link})
        if start + self.page < len(told):
            following = f"{link}?skip={start + self.page}&until={until}" + (f"&since={since}" if since >= 0 else "")
            return _json(shown | {"@odata.nextLink": following})
        return _json(shown | {"@odata.deltaLink": f"{link}?since={until}"})


def _json(body: dict[str, Any]) -> bytes:
    return said("200 OK", json.dumps(body).encode(), "Content-Type: application/json\r\n")


@asynccontextmanager
async def library() -> AsyncIterator[Library]:
    """A library that is served until the block ends."""
    here = Library()

    async def answer(request: Request, writer: asyncio.StreamWriter) -> None:
        here.asked.append((request.method, request.path, request.headers))
        writer.write(here.answer(request.method, request.path, request.headers, request.body))

    async with answering(answer) as here.url, site() as files:
        here.files_url = files.url

        class ServedFiles(dict[str, bytes]):
            """Files by the paths of their addresses."""

            def __contains__(self, path: object) -> bool:
                return str(path).lstrip("/").partition("?")[0] in here.contents

            def __getitem__(self, path: str) -> bytes:
                return here.contents[path.lstrip("/").partition("?")[0]]

        files.pages = ServedFiles()
        files.asked = here.asked
        yield here
