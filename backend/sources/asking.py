"""Asks the servers of sources: allowed and public ones alone, at a measured pace, within bounds, following no redirect."""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import ClassVar

import httpx

from backend.egress import AllowedHosts, Egress, RefusedAddress, ServerAway, UntrustedServer
from backend.provenance import VERSION
from backend.sources.connector import ItemRefused, OutOfTime, SourceFailed

AGENT = f"Affidavit/{VERSION}"
MAIL_SCHEME, MAIL_PORT = "imaps://", 993
_LONGEST_WAIT = 60.0  # seconds that a server may ask to be left alone
_MOST_WAITS = 5
_BUSY = frozenset({429, 503})


class SourceHosts(AllowedHosts):
    """The hosts from which documents may be fetched."""

    calls: ClassVar[str] = "sources"

    def mail_host_of(self, url: str) -> str:
        """Returns the host of a folder of mail that may be read; raises RefusedAddress. TLS is spoken from the first byte on."""
        if not url.startswith(MAIL_SCHEME):
            raise RefusedAddress("The address must be imaps, without user name and fragment.")
        place = url.removeprefix(MAIL_SCHEME)
        host, slash, folder = place.partition("/")
        port = "" if re.search(r":[0-9]+$", host) else f":{MAIL_PORT}"
        return self.host_of(f"https://{host}{port}{slash}{folder}")


@dataclass(slots=True)
class Pace:
    """Keeps requests of one run apart."""

    per_minute: int
    _next: float = 0.0

    async def turn(self) -> None:
        """Waits until the next request may go."""
        now = time.monotonic()
        at = max(now, self._next)
        self._next = at + 60.0 / self.per_minute
        await asyncio.sleep(at - now)


@dataclass(frozen=True, slots=True)
class SourceAnswer:
    """What a server answers, read piece by piece."""

    status: int
    headers: Mapping[str, str]
    _response: httpx.Response

    async def pieces(self, most_bytes: int) -> AsyncIterator[bytes]:
        """Yields the body; raises ItemRefused behind so many bytes, whatever the server said of its length."""
        received = 0
        async for piece in self._response.aiter_raw():
            received += len(piece)
            if received > most_bytes:
                raise ItemRefused("too_large")
            yield piece

    async def body(self, most_bytes: int) -> bytes:
        """Returns the whole body of a list; raises SourceFailed behind so many bytes."""
        try:
            return b"".join([piece async for piece in self.pieces(most_bytes)])
        except ItemRefused as error:
            raise SourceFailed("endless", f"The list of the source has more than {most_bytes} bytes.") from error


@dataclass(frozen=True, slots=True)
class Asking:
    """Sends requests of one run, until its time is over."""

    egress: Egress
    hosts: SourceHosts
    pace: Pace
    seconds: float
    until: float  # as `time.monotonic` tells it
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)  # that prove who asks

    @asynccontextmanager
    async def ask(
        self, method: str, url: str, headers: Mapping[str, str] | None = None, body: bytes | None = None
    ) -> AsyncIterator[SourceAnswer]:
        """Yields the answer. One that asks to be left alone is asked again, a few times.

        Raises SourceFailed when nobody answers who may be asked, or the answer leads elsewhere; OutOfTime.
        """
        sent = {
            "User-Agent": AGENT, "Accept": "*/*", "Accept-Encoding": "identity", **self.headers, **(headers or {}),
        }  # fmt: skip
        for attempt in range(_MOST_WAITS + 1):
            await self.pace.turn()
            async with self._asked(method, url, sent, body) as response:
                seconds = _asked_to_wait(response) if attempt < _MOST_WAITS else None
                if seconds is None:
                    yield _checked(response)
                    return
            if seconds >= self._time_left():
                raise OutOfTime
            await asyncio.sleep(seconds)

    def _time_left(self) -> float:
        """Returns how many seconds the run still has; raises OutOfTime for none."""
        seconds = self.until - time.monotonic()
        if seconds <= 0:
            raise OutOfTime
        return seconds

    @asynccontextmanager
    async def _asked(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None
    ) -> AsyncIterator[httpx.Response]:
        try:
            self.hosts.host_of(url)
            seconds = min(self.seconds, self._time_left())
            async with self.egress.asked(method, url, headers, body, seconds) as response:
                yield response
        except UntrustedServer as error:
            raise SourceFailed("certificate_refused", "The server's certificate is not trusted.") from error
        except ServerAway as error:
            self._time_left()  # or it was the run's own end that cut the answer off
            raise SourceFailed("no_answer", "The server does not answer, or not in time.") from error
        except RefusedAddress as error:
            raise SourceFailed("address_refused", str(error)) from error


def _asked_to_wait(response: httpx.Response) -> float | None:
    """Returns for how many seconds a busy server asks to be left alone; raises SourceFailed when that is too long."""
    if response.status_code not in _BUSY:
        return None
    asked = response.headers.get("Retry-After", "")
    if not asked.isdecimal() or len(asked) > 6:
        return None
    if float(asked) > _LONGEST_WAIT:
        raise SourceFailed("throttled", f"The server asks to be left alone for {asked} seconds.")
    return float(asked)


def _checked(response: httpx.Response) -> SourceAnswer:
    if 300 <= response.status_code < 400 and response.status_code != httpx.codes.NOT_MODIFIED:
        raise SourceFailed("redirected", "The server leads elsewhere, which is not followed.")
    if response.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise SourceFailed("compressed", "The server compresses what it sends, which was not asked for.")
    return SourceAnswer(response.status_code, response.headers, response)
