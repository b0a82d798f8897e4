"""Folders that speak WebDAV (RFC 4918): walked level by level, since servers seldom list a whole tree at once."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import quote, unquote, urlsplit

from backend.sources.asking import Asking
from backend.sources.connector import Fetched, ItemGone, ItemRefused, Listing, OutOfTime, Seen, SourceFailed
from backend.sources.connectors.lists import MOST_LIST_BYTES, Element, name_of, number, read_list, text

_PROPFIND = (
    b'<?xml version="1.0" encoding="utf-8"?><propfind xmlns="DAV:"><prop><resourcetype/><getetag/><getcontentlength/>'
    b"<getlastmodified/></prop></propfind>"
)
_OF_ONE_FOLDER = frozenset({"not_allowed", "no_list", "endless", "redirected", "compressed", "address_refused"})
_PROPERTY = "{*}propstat/{*}prop/{*}"


@dataclass(frozen=True, slots=True)
class DavEntry:
    """A file or a folder as it is listed, known again by its entity tag, or else by when it says that it changed."""

    href: str
    is_folder: bool
    size: int | None
    tag: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DavFolder:
    """A folder and all that is below it."""

    asking: Asking
    most_items: int
    most_bytes: int
    address: str

    async def listing(self, _cursor: str | None) -> Listing:
        """Returns all files but those in folders that cannot be listed; raises SourceFailed for a tree that does not end."""
        found, refused = list[Seen](), list[tuple[Seen, str]]()
        waiting, asked = [""], set[str]()
        while waiting:
            folder = waiting.pop()
            if folder in asked:
                continue
            asked.add(folder)
            try:
                children = await self._children(folder)
            except ItemGone:  # since the folder above was listed
                continue
            except ItemRefused as error:
                refused.append((Seen(key=folder, path=folder), error.reason))
                continue
            for path, entry in children:
                if entry.is_folder:
                    waiting.append(path)
                else:
                    found.append(Seen(key=path, path=path, tag=entry.tag, size=entry.size))
            if len(found) + len(asked) + len(waiting) > self.most_items:
                raise SourceFailed("too_many_items", f"The source holds more than {self.most_items} files and folders.")
        return Listing(found, gone=() if refused else None, refused=refused)

    @asynccontextmanager
    async def fetch(self, seen: Seen, known_tag: str | None) -> AsyncIterator[Fetched | None]:
        """Opens a file."""
        del known_tag  # what is listed tells by its tag whether it changed
        async with self.asking.ask("GET", self._url(seen.key)) as answer:
            if answer.status in {404, 410}:
                raise ItemGone
            if answer.status != 200:
                raise ItemRefused("not_allowed" if answer.status in {401, 403} else "status")
            name = seen.path.rpartition("/")[2]
            yield Fetched(name, "application/octet-stream", seen.tag, answer.pieces(self.most_bytes))

    async def aclose(self) -> None:
        """Has nothing open."""

    def _url(self, path: str) -> str:
        return f"{self.address.rstrip('/')}/{quote(path)}"

    async def _children(self, folder: str) -> list[tuple[str, DavEntry]]:
        """Returns what a folder holds, by the path below the root; what lies elsewhere is left there.

        Raises SourceFailed for the root, and ItemGone and ItemRefused for a folder below, of which others may be listed.
        """
        try:
            entries = await self._entries(folder)
        except OutOfTime:
            raise
        except SourceFailed as error:
            if not folder or error.code not in _OF_ONE_FOLDER:
                raise
            raise ItemRefused(error.code) from error
        listed = [(self._below(entry.href), entry) for entry in entries]
        return [(path, entry) for path, entry in listed if path and path != folder]

    async def _entries(self, folder: str) -> list[DavEntry]:
        headers = {"Depth": "1", "Content-Type": "application/xml"}
        async with self.asking.ask("PROPFIND", self._url(folder), headers, _PROPFIND) as answer:
            if folder and answer.status in {404, 410}:
                raise ItemGone
            if answer.status in {401, 403}:
                raise SourceFailed("not_allowed", "The server refuses the credentials.")
            if answer.status != 207:
                raise SourceFailed("no_list", f"The server answers {answer.status} for the list of a folder.")
            return (await read_list(await answer.body(MOST_LIST_BYTES), _told))[1]

    def _below(self, href: str) -> str | None:
        """Returns a path below the root; None for one that is not, wherever the server says that it is."""
        try:
            parts, own = urlsplit(href), urlsplit(self.address)
        except ValueError:
            return None
        if parts.netloc and (parts.scheme, parts.netloc) != (own.scheme, own.netloc):
            return None
        root, path = unquote(own.path).rstrip("/") + "/", unquote(parts.path)
        below = path.removeprefix(root).rstrip("/")
        return below if path.startswith(root) and ".." not in below.split("/") else None


def _told(entry: Element) -> DavEntry | None:
    if name_of(entry) != "response":
        return None
    size = number(entry, f"{_PROPERTY}getcontentlength")
    tag = text(entry, f"{_PROPERTY}getetag") or text(entry, f"{_PROPERTY}getlastmodified")
    return DavEntry(
        href=text(entry, "{*}href") or "", is_folder=entry.find(f"{_PROPERTY}resourcetype/{{DAV:}}collection") is not None,
        size=size, tag=None if tag is None else f"{tag} {size}",
    )  # fmt: skip
