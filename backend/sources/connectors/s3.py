"""Buckets that speak the protocol of Amazon S3: listed whole, and each object known again by its entity tag."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote, unquote_plus, urlencode

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from backend.sources.asking import Asking, SourceAnswer
from backend.sources.connector import Fetched, ItemGone, ItemRefused, Listing, Seen, SourceFailed
from backend.sources.connectors.lists import MOST_LIST_BYTES, Element, name_of, number, read_list, text

_PAGE = 1_000


@dataclass(frozen=True, slots=True)
class BucketPage:
    """A page of the list of a bucket, and by what the next one is asked for."""

    seen: list[Seen]
    next_token: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class S3Bucket:
    """A bucket at its own address, `https://HOST/BUCKET`, or what of it begins with a prefix."""

    asking: Asking
    most_items: int
    most_bytes: int
    address: str
    prefix: str
    region: str
    access_key: str
    secret_key: str

    async def listing(self, _cursor: str | None) -> Listing:
        """Returns all objects; raises SourceFailed for a list that does not end."""
        found = list[Seen]()
        token: str | None = None
        for _ in range(2 + self.most_items // 100):
            page = await self._page(token)
            found += page.seen
            if len(found) > self.most_items:
                raise SourceFailed("too_many_items", f"The source holds more than {self.most_items} files.")
            token = page.next_token
            if token is None:
                return Listing(found)
        raise SourceFailed("endless", "The list of the bucket does not end.")

    @asynccontextmanager
    async def fetch(self, seen: Seen, known_tag: str | None) -> AsyncIterator[Fetched | None]:
        """Opens an object as it was listed; one that has changed since waits for the next run."""
        del known_tag  # what is listed tells by its tag whether it changed
        url = f"{self.address.rstrip('/')}/{quote(seen.key, safe='/~')}"
        tag = (seen.tag or "").partition(" ")[0]
        headers = {"If-Match": tag} if tag and tag.isascii() and tag.isprintable() else {}
        async with self._ask(url, headers) as answer:
            if answer.status == 404:
                raise ItemGone
            if answer.status != 200:
                raise ItemRefused({403: "not_allowed", 412: "changing"}.get(answer.status, "status"))
            name = seen.path.rpartition("/")[2]
            yield Fetched(name, "application/octet-stream", seen.tag, answer.pieces(self.most_bytes))

    async def aclose(self) -> None:
        """Has nothing open."""

    async def _page(self, token: str | None) -> BucketPage:
        # A key may hold what XML cannot: so encoded, one odd key does not make the whole list unreadable.
        query = {"list-type": "2", "max-keys": str(_PAGE), "encoding-type": "url"}
        query |= {"prefix": self.prefix} if self.prefix else {}
        query |= {"continuation-token": token} if token else {}
        url = f"{self.address.rstrip('/')}?{urlencode(sorted(query.items()), quote_via=quote)}"
        async with self._ask(url, {}) as answer:
            if answer.status in {401, 403}:
                raise SourceFailed("not_allowed", "The bucket refuses the credentials.")
            if answer.status != 200:
                raise SourceFailed("no_list", f"The server answers {answer.status} for the list of the bucket.")
            return await _page_of(await answer.body(MOST_LIST_BYTES))

    @asynccontextmanager
    async def _ask(self, url: str, headers: dict[str, str]) -> AsyncIterator[SourceAnswer]:
        request: Any = AWSRequest("GET", url, headers=headers)
        S3SigV4Auth(Credentials(self.access_key, self.secret_key), "s3", self.region).add_auth(request)
        async with self.asking.ask("GET", url, dict(request.headers.items())) as answer:
            yield answer


async def _page_of(body: bytes) -> BucketPage:
    entries = (await read_list(body, _told))[1]
    said = {name: value for name, value in entries if isinstance(value, str)}
    encoded = said.get("EncodingType") == "url"
    listed = [value for _, value in entries if isinstance(value, Seen)]
    seen = [_decoded(one) if encoded else one for one in listed]
    token = said.get("NextContinuationToken") if said.get("IsTruncated") == "true" else None
    files = [one for one in seen if not one.key.endswith("/")]  # but what tools put there for a folder
    return BucketPage(files, token)


def _told(entry: Element) -> tuple[str, Seen | str] | None:
    """Returns an object as it is listed, or what the list says of itself."""
    name = name_of(entry)
    if name != "Contents":
        return (name, entry.text.strip()) if entry.text else None
    key = next((below.text for below in entry.iterfind("{*}Key") if below.text), None)
    if key is None:
        return None
    size, tag = number(entry, "{*}Size"), text(entry, "{*}ETag")
    return name, Seen(key=key, path=key, tag=None if tag is None else f"{tag} {size}", size=size)


def _decoded(seen: Seen) -> Seen:
    key = unquote_plus(seen.key)
    return replace(seen, key=key, path=key)
