"""A library of SharePoint or OneDrive, as Microsoft Graph tells what changed in it (delta): whole at first, then what is another.

A file is known by its id, so that it stays the same under another name and in another folder. It is fetched from an address that
Graph gives for a few minutes, which proves itself: no token goes there.
"""

import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import quote, urlencode, urlsplit

from anyio import to_thread
from pydantic import BaseModel, Field, ValidationError

from backend.sources.asking import Asking, SourceAnswer
from backend.sources.connector import Fetched, ItemGone, ItemRefused, Listing, OutOfTime, Seen, SourceFailed
from backend.sources.connectors.lists import MOST_LIST_BYTES

_FIELDS = "id,name,size,cTag,eTag,file,folder,root,deleted,parentReference"
_DOWNLOAD = "@microsoft.graph.downloadUrl"
_MOST_ANSWER_BYTES = 64 * 1024
_DEEPEST = 64
_STALE_SECONDS = 120.0  # before its end a token is not used any more
_REFUSED = frozenset({401, 403})
_Body = TypeVar("_Body", bound=BaseModel)


class ParentFolder(BaseModel):
    """Where an item lies."""

    id: str | None = None


class DriveItem(BaseModel):
    """A file or folder, or what says that it is there no more."""

    id: str
    name: str = ""
    size: int | None = None
    content_tag: str | None = Field(default=None, alias="cTag")
    tag: str | None = Field(default=None, alias="eTag")
    file: dict[str, Any] | None = None
    folder: dict[str, Any] | None = None
    root: dict[str, Any] | None = None
    deleted: dict[str, Any] | None = None
    parent: ParentFolder = Field(default_factory=ParentFolder, alias="parentReference")


class DriveChanges(BaseModel):
    """A page of what is there, or of what changed, and where the next one is, or where to ask the next time."""

    value: list[DriveItem]
    next_link: str | None = Field(default=None, alias="@odata.nextLink")
    delta_link: str | None = Field(default=None, alias="@odata.deltaLink")


class GrantedToken(BaseModel):
    """A token by which Graph knows who asks."""

    access_token: str = Field(repr=False)
    expires_in: float = Field(gt=0)


class DownloadPlace(BaseModel):
    """An address from which a file can be fetched for a few minutes."""

    url: str = Field(alias=_DOWNLOAD, repr=False)


@dataclass(slots=True, kw_only=True)
class GraphDrive:
    """A library at its address in Graph, or a folder of it, asked as a program of a directory."""

    asking: Asking
    most_items: int
    most_bytes: int
    address: str  # https://graph.microsoft.com/v1.0/drives/ID, or …/root:/FOLDER: behind it
    authority: str
    client_id: str
    client_secret: str = field(repr=False)
    _token: str = field(default="", repr=False)
    _stale_at: float = 0.0
    _folders: dict[str, DriveItem] = field(default_factory=dict)

    async def listing(self, cursor: str | None) -> Listing:
        """Returns all files, or those that changed since `cursor`; raises SourceFailed."""
        if cursor is not None:
            try:
                return await self._changed(cursor)
            except ItemGone:  # what it remembers is too old, or a folder is gone of which nobody says what was in it
                pass
            except SourceFailed as error:
                if error.code != "no_list":
                    raise
            self._folders.clear()
        return await self._whole()

    @asynccontextmanager
    async def fetch(self, seen: Seen, known_tag: str | None) -> AsyncIterator[Fetched | None]:
        """Opens a file."""
        del known_tag  # what is listed tells by its tag whether it changed
        place = await self._download(seen.key)
        async with self.asking.ask("GET", place) as answer:
            if answer.status in {404, 410}:
                raise ItemGone
            if answer.status != 200:
                raise ItemRefused("not_allowed" if answer.status in _REFUSED else "status")
            name = seen.path.rpartition("/")[2]
            yield Fetched(name, "application/octet-stream", seen.tag, answer.pieces(self.most_bytes))

    async def aclose(self) -> None:
        """Has nothing open."""

    async def _whole(self) -> Listing:
        try:
            items, cursor = await self._pages(f"{self._root}/delta?{urlencode({'$select': _FIELDS})}")
        except ItemGone as error:
            raise SourceFailed("no_list", "There is no such library, or no such folder in it.") from error
        return Listing(await self._seen(items), cursor=cursor)

    async def _changed(self, cursor: str) -> Listing:
        """Returns what changed; raises ItemGone when only the whole list tells what is gone."""
        items, following = await self._pages(cursor)
        gone = [item for item in items.values() if item.deleted is not None]
        if any(item.file is None for item in gone):
            raise ItemGone
        return Listing(await self._seen(items), gone=[item.id for item in gone], cursor=following)

    async def _pages(self, link: str) -> tuple[dict[str, DriveItem], str]:
        """Returns items by their ids, each as it was told last, and where to ask the next time."""
        items = dict[str, DriveItem]()
        for _ in range(2 + self.most_items // 10):
            page = await self._read(link, DriveChanges, MOST_LIST_BYTES)
            for item in page.value:
                items.pop(item.id, None)
                items[item.id] = item
            if len(items) > self.most_items:
                raise SourceFailed("too_many_items", f"The source holds more than {self.most_items} files and folders.")
            if page.delta_link is not None:
                return items, page.delta_link
            if page.next_link is None:
                raise SourceFailed("no_list", "The list of the library has no end and goes nowhere.")
            link = page.next_link
        raise SourceFailed("endless", "The list of the library does not end.")

    async def _seen(self, items: Mapping[str, DriveItem]) -> list[Seen]:
        there = [item for item in items.values() if item.deleted is None]
        self._folders |= {item.id: item for item in there if item.file is None}
        found = []
        for item in there:
            if item.file is None:
                continue
            # Libraries write into office files what they know of them: of those, the size that they tell is another.
            size = item.size if item.size is not None and item.size > self.most_bytes else None
            path = "/".join([*await self._above(item), item.name])
            found.append(Seen(key=item.id, path=path, tag=item.content_tag or item.tag, size=size))
        return found

    async def _above(self, item: DriveItem) -> list[str]:
        """Returns the names of the folders above an item, the highest first; those that were not told are asked for."""
        names, parent, passed = list[str](), item.parent.id, set[str]()
        while parent is not None and parent not in passed and len(passed) < _DEEPEST:
            passed.add(parent)
            if parent not in self._folders:
                self._folders[parent] = await self._folder(parent)
            folder = self._folders[parent]
            if folder.root is not None or folder.folder is None:
                break
            names.insert(0, folder.name)
            parent = folder.parent.id
        return names

    async def _folder(self, folder_id: str) -> DriveItem:
        """Returns a folder that was not told; one that may not be seen is as good as the top."""
        try:
            return await self._read(f"{self._item(folder_id)}?{urlencode({'$select': _FIELDS})}", DriveItem)
        except ItemGone:
            return DriveItem(id=folder_id)
        except SourceFailed as error:
            if error.code != "not_allowed":
                raise
            return DriveItem(id=folder_id)

    async def _download(self, item_id: str) -> str:
        """Returns the address from which a file is fetched; raises ItemGone and ItemRefused."""
        where = f"{self._item(item_id)}?{urlencode({'$select': f'id,{_DOWNLOAD}'})}"
        try:
            return (await self._read(where, DownloadPlace)).url
        except OutOfTime:
            raise
        except SourceFailed as error:
            if error.code != "no_list":
                raise
            raise ItemRefused("status") from error

    async def _read(self, url: str, expected: type[_Body], most_bytes: int = _MOST_ANSWER_BYTES) -> _Body:
        """Returns an answer of Graph, at its own address alone; raises ItemGone for 404 and 410."""
        theirs, own = urlsplit(url), urlsplit(self.address)
        if (theirs.scheme, theirs.netloc) != (own.scheme, own.netloc):
            raise SourceFailed("other_host", "The list leads to another host, which is not sent the token.")
        headers = {"Accept": "application/json", "Authorization": f"Bearer {await self._authorized()}"}
        async with self.asking.ask("GET", url, headers) as answer:
            if answer.status in {404, 410}:
                raise ItemGone
            if answer.status in _REFUSED:
                raise SourceFailed("not_allowed", "Graph refuses who asks, or what is asked for.")
            if answer.status != 200:
                raise SourceFailed("no_list", f"Graph answers {answer.status}.")
            return await _body(answer, expected, most_bytes)

    async def _authorized(self) -> str:
        """Returns a token that lasts a while yet."""
        if not self._token or time.monotonic() >= self._stale_at:
            form = {
                "grant_type": "client_credentials", "client_id": self.client_id, "client_secret": self.client_secret,
                "scope": f"{urlsplit(self.address).scheme}://{urlsplit(self.address).netloc}/.default",
            }  # fmt: skip
            headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
            url = f"{self.authority.rstrip('/')}/oauth2/v2.0/token"
            async with self.asking.ask("POST", url, headers, urlencode(form).encode()) as answer:
                if answer.status != 200:
                    raise SourceFailed("not_allowed", f"The directory grants no token: it answers {answer.status}.")
                granted = await _body(answer, GrantedToken, _MOST_ANSWER_BYTES)
            if not granted.access_token.isascii() or not granted.access_token.isprintable():
                raise SourceFailed("no_list", "The directory grants a token that cannot be sent.")
            self._token = granted.access_token
            self._stale_at = time.monotonic() + max(0.0, granted.expires_in - _STALE_SECONDS)
        return self._token

    @property
    def _root(self) -> str:
        """What is listed: the whole library, or the folder that the address names."""
        address = self.address.rstrip("/")
        return address if "/root" in address or "/items/" in address else f"{address}/root"

    def _item(self, item_id: str) -> str:
        drive = self.address.rstrip("/").partition("/root")[0].partition("/items/")[0]
        return f"{drive}/items/{quote(item_id, safe='!')}"


async def _body(answer: SourceAnswer, expected: type[_Body], most_bytes: int) -> _Body:
    """Returns what an answer says, which is read in a thread; raises SourceFailed for what is not what it should be."""
    body = await answer.body(most_bytes)
    try:
        return await to_thread.run_sync(expected.model_validate_json, body)
    except ValidationError as error:
        raise SourceFailed("no_list", "The answer is not what Graph says.") from error
