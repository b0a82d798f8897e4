"""Buckets that speak the protocol of Amazon S3: listed whole, and each object known again by its entity tag."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode
from xml.etree.ElementTree import Element

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from backend.sources.asking import Asking, SourceAnswer
from backend.sources.connector import Fetched, ItemGone, ItemRefused, Listing, Seen, SourceFailed
from backend.sources.connectors.lists import MOST_LIST_BYTES, number, parsed, text

_PAGE = 1_000


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
            root = await self._page(token)
            found += [seen for entry in root.iterfind("{*}Contents") if (seen := _seen(entry)) is not None]
            if len(found) > self.most_items:
                raise SourceFailed("too_many_items", f"The source holds more than {self.most_items} files.")
            token = text(root, "NextContinuationToken")
            if text(root, "IsTruncated") != "true" or token is None:
                return Listing(found)
        raise SourceFailed("endless", "The list of the bucket does not end.")

    @asynccontextmanager
    async def fetch(self, seen: Seen, known_tag: str | None) -> AsyncIterator[Fetched | None]:
        """Opens an object as it was listed; one that has changed since waits for the next run."""
        del known_tag  # what is listed tells by its tag whether it changed
        url = f"{self.address.rstrip('/')}/{quote(seen.key, safe='/~')}"
        headers = {} if seen.tag is None else {"If-Match": seen.tag.partition(" ")[0]}
        async with self._ask(url, headers) as answer:
            if answer.status == 404:
                raise ItemGone
            if answer.status != 200:
                raise ItemRefused({403: "not_allowed", 412: "changing"}.get(answer.status, "status"))
            name = seen.path.rpartition("/")[2]
            yield Fetched(name, "application/octet-stream", seen.tag, answer.pieces(self.most_bytes))

    async def aclose(self) -> None:
        """Has nothing open."""

    async def _page(self, token: str | None) -> Element:
        query = {"list-type": "2", "max-keys": str(_PAGE)}
        query |= {"prefix": self.prefix} if self.prefix else {}
        query |= {"continuation-token": token} if token else {}
        url = f"{self.address.rstrip('/')}?{urlencode(sorted(query.items()), quote_via=quote)}"
        async with self._ask(url, {}) as answer:
            if answer.status in {401, 403}:
                raise SourceFailed("not_allowed", "The bucket refuses the credentials.")
            if answer.status != 200:
                raise SourceFailed("no_list", f"The server answers {answer.status} for the list of the bucket.")
            return parsed(await answer.body(MOST_LIST_BYTES))

    @asynccontextmanager
    async def _ask(self, url: str, headers: dict[str, str]) -> AsyncIterator[SourceAnswer]:
        request: Any = AWSRequest("GET", url, headers=headers)
        S3SigV4Auth(Credentials(self.access_key, self.secret_key), "s3", self.region).add_auth(request)
        async with self.asking.ask("GET", url, dict(request.headers.items())) as answer:
            yield answer


def _seen(entry: Element) -> Seen | None:
    key = text(entry, "Key")
    if key is None or key.endswith("/"):  # what tools put there for a folder
        return None
    size, tag = number(entry, "Size"), text(entry, "ETag")
    return Seen(key=key, path=key, tag=None if tag is None else f"{tag} {size}", size=size)
