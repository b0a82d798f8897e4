"""Pages and files of the web: a list of addresses, or a sitemap; as robots.txt allows, and only what has changed."""

import posixpath
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit
from urllib.robotparser import RobotFileParser

from anyio import to_thread

from backend.egress import RefusedAddress
from backend.sources.asking import Asking, SourceAnswer
from backend.sources.connector import Fetched, ItemGone, ItemRefused, Listing, OutOfTime, Seen, SourceFailed
from backend.sources.connectors.lists import MOST_LIST_BYTES, read_lines, read_list, text

_AGENT = "affidavit"  # as robots.txt may call us
_NOTHING = ("User-agent: *", "Disallow: /")
_MOST_ROBOTS_BYTES = 512 * 1024
_MOST_SITEMAPS = 50
_EXTENSIONS = {
    "text/html": ".html", "application/xhtml+xml": ".html", "application/pdf": ".pdf", "text/plain": ".txt",
    "text/markdown": ".md", "text/csv": ".csv",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Web:
    """Files at addresses that are named one by one, each of which may be on a host of its own."""

    asking: Asking
    most_items: int
    most_bytes: int
    urls: Sequence[str] = ()
    _robots: dict[str, RobotFileParser] = field(default_factory=dict)

    async def listing(self, _cursor: str | None) -> Listing:
        """Returns all addresses; whether one changed, its server is asked."""
        urls = dict.fromkeys(await self._addresses())
        if len(urls) > self.most_items:
            raise SourceFailed("too_many_items", f"The source holds more than {self.most_items} files.")
        return Listing([Seen(key=url, path=_path(url)) for url in urls])

    @asynccontextmanager
    async def fetch(self, seen: Seen, known_tag: str | None) -> AsyncIterator[Fetched | None]:
        """Opens a file, or tells that it is as it was."""
        self._check(seen.key)
        try:
            await self._respect_robots(seen.key)
            async with self.asking.ask("GET", seen.key, _conditions(known_tag)) as answer:
                yield self._fetched(seen, answer, known_tag)
        except OutOfTime:
            raise
        except SourceFailed as error:  # of one address: others may be on other hosts
            raise ItemRefused(error.code) from error

    async def aclose(self) -> None:
        """Has nothing open."""

    async def _addresses(self) -> Sequence[str]:
        return self.urls

    def _check(self, url: str) -> None:
        """Raises ItemRefused for an address that may not be asked."""
        try:
            self.asking.hosts.host_of(url)
        except RefusedAddress as error:
            raise ItemRefused("address_refused") from error

    def _fetched(self, seen: Seen, answer: SourceAnswer, known_tag: str | None) -> Fetched | None:
        if answer.status == 304 and known_tag is not None:
            return None
        if answer.status in {404, 410}:
            raise ItemGone
        if answer.status != 200:
            raise ItemRefused("not_allowed" if answer.status in {401, 403} else "status")
        media_type = answer.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        return Fetched(
            _filename(seen.path, media_type), media_type, _tag(answer), answer.pieces(self.most_bytes)
        )  # fmt: skip

    async def _respect_robots(self, url: str) -> None:
        """Raises ItemRefused for what robots.txt of the host forbids (RFC 9309)."""
        parts = urlsplit(url)
        host = f"{parts.scheme}://{parts.netloc}"
        if host not in self._robots:
            self._robots[host] = await self._read_robots(host)
        # Every rule is compared, of which whoever wrote them may have written thousands: not where everybody waits.
        if not await to_thread.run_sync(self._robots[host].can_fetch, _AGENT, url):
            raise ItemRefused("robots")

    async def _read_robots(self, host: str) -> RobotFileParser:
        async with self.asking.ask("GET", f"{host}/robots.txt") as answer:
            if answer.status == 200:
                body = await answer.body(_MOST_ROBOTS_BYTES)
                return await to_thread.run_sync(_robots, body.decode(errors="replace").splitlines())
            # Of one that is away nobody knows what it forbids; one that is not there forbids nothing.
            return _robots(_NOTHING if answer.status >= 500 else [])


def _robots(lines: Sequence[str]) -> RobotFileParser:
    """Returns the rules that lines of a robots.txt state; those that cannot be read allow nothing."""
    rules = RobotFileParser()
    try:
        rules.parse(lines)
    except ValueError:  # of an address or a number in it
        rules = RobotFileParser()
        rules.parse(_NOTHING)
    return rules


@dataclass(frozen=True, slots=True, kw_only=True)
class Sitemap(Web):
    """What a sitemap lists of its own host: XML, an index of sitemaps, or text with an address on each line."""

    sitemap: str

    async def _addresses(self) -> Sequence[str]:
        urls, sitemaps = await self._read(self.sitemap)
        if len(sitemaps) > _MOST_SITEMAPS:
            raise SourceFailed("too_many_items", f"The index lists more than {_MOST_SITEMAPS} sitemaps.")
        found = list(urls)
        for sitemap in sitemaps:
            if self._is_elsewhere(sitemap):
                raise SourceFailed("other_host", "The index lists sitemaps of another host.")
            found += (await self._read(sitemap))[0]
            if len(found) > self.most_items:
                break
        return found

    def _check(self, url: str) -> None:
        if self._is_elsewhere(url):
            raise ItemRefused("other_host")
        super(Sitemap, self)._check(url)

    def _is_elsewhere(self, url: str) -> bool:
        try:
            theirs, own = urlsplit(url), urlsplit(self.sitemap)
        except ValueError:
            return True
        return (theirs.scheme, theirs.netloc) != (own.scheme, own.netloc)

    async def _read(self, url: str) -> tuple[Sequence[str], Sequence[str]]:
        """Returns the addresses that a sitemap lists, and the sitemaps that it lists as an index."""
        async with self.asking.ask("GET", url) as answer:
            if answer.status != 200:
                raise SourceFailed("no_list", f"The server answers {answer.status} for the sitemap.")
            body = await answer.body(MOST_LIST_BYTES)
        if not body.lstrip().startswith(b"<"):
            return await read_lines(body), []
        root, listed = await read_list(body, lambda entry: text(entry, "{*}loc"))
        return ([], listed) if root == "sitemapindex" else (listed, [])


def _path(url: str) -> str:
    """Returns what people call an address: without its scheme."""
    return url.partition("://")[2] or url


def _filename(path: str, media_type: str) -> str:
    """Returns the name of a file, with the extension of its type where the address has none that says it."""
    parts = urlsplit(f"//{path}")
    name = unquote(posixpath.basename(parts.path)) or "index"
    extension = _EXTENSIONS.get(media_type)
    known = name.lower().endswith((*_EXTENSIONS.values(), ".docx", ".pptx", ".xlsx", ".eml", ".htm"))
    return name if known or extension is None else f"{name}{extension}"


def _tag(answer: SourceAnswer) -> str | None:
    """Returns by what the server knows the content again: its entity tag, or else when it says that it changed."""
    for header in ("ETag", "Last-Modified"):
        value = answer.headers.get(header, "")
        if 0 < len(value) <= 500 and value.isascii() and value.isprintable():
            return f"{header}: {value}"
    return None


def _conditions(tag: str | None) -> dict[str, str]:
    if tag is None:
        return {}
    header, _, value = tag.partition(": ")
    return {{"ETag": "If-None-Match"}.get(header, "If-Modified-Since"): value}
