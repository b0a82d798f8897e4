"""A folder of mail: its messages by the numbers that its server gives each once and for ever, and none of them touched.

A message never changes under its number, so that only new ones are fetched. A server that numbers a folder anew says so
(UIDVALIDITY): every message then has another key, and is known again by what it holds.
"""

import asyncio
import hashlib
import re
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass, field
from email.errors import MessageError
from email.header import decode_header, make_header
from functools import partial
from typing import TypeVar
from urllib.parse import unquote, urlsplit

from backend.egress import Egress, RefusedAddress, ServerAway
from backend.sources.asking import MAIL_PORT, Pace, SourceHosts
from backend.sources.connector import Fetched, ItemGone, ItemRefused, Listing, OutOfTime, Seen, SourceFailed
from backend.sources.connectors.imap_session import ImapLine, ImapSession, OpenFolder
from backend.sources.connectors.lists import MOST_LIST_BYTES

_PIECE_BYTES = 256 * 1024  # of a message that are asked for at once
_SUBJECT_BYTES = 512  # of its header; whoever writes to the folder may have written megabytes
_SHOWN_CHARACTERS = 80
_TYPE = "message/rfc822"
_OF_ONE_MESSAGE = frozenset({"endless", "no_list"})
T = TypeVar("T")


@dataclass(slots=True, kw_only=True)
class ImapFolder:
    """A folder at `imaps://HOST/FOLDER`, while it is read."""

    egress: Egress
    hosts: SourceHosts
    pace: Pace
    seconds: float
    until: float  # as `time.monotonic` tells it
    tls: ssl.SSLContext
    address: str
    username: str
    password: str = field(repr=False)
    most_items: int
    most_bytes: int
    _session: ImapSession | None = None
    _opened: OpenFolder | None = None

    async def listing(self, _cursor: str | None) -> Listing:
        """Returns all messages; raises SourceFailed for a folder that cannot be read."""
        return await self._in_time(self._listing)

    @asynccontextmanager
    async def fetch(self, seen: Seen, known_tag: str | None) -> AsyncIterator[Fetched | None]:
        """Opens a message; its number says already whether it is known."""
        del known_tag
        validity, _, number = seen.key.partition("/")
        try:
            first = await self._in_time(partial(self._piece, validity, number, 0))
            yield Fetched(seen.path.rpartition("/")[2], _TYPE, seen.tag, self._pieces(validity, number, first))
        except SourceFailed as error:
            if error.code not in _OF_ONE_MESSAGE:
                raise
            raise ItemRefused(error.code) from error

    async def aclose(self) -> None:
        """Hangs up."""
        session, self._session, self._opened = self._session, None, None
        if session is not None:
            await session.close()

    async def _listing(self) -> Listing:
        session, opened = await self._ready()
        if opened.messages > self.most_items:
            raise SourceFailed("too_many_items", f"The folder holds more than {self.most_items} messages.")
        if opened.messages == 0:
            return Listing([])
        asked = f"1:* (UID RFC822.SIZE BODY.PEEK[HEADER.FIELDS (SUBJECT)]<0.{_SUBJECT_BYTES}>)"
        most_bytes = MOST_LIST_BYTES + self.most_items * _SUBJECT_BYTES
        found = dict[str, Seen]()
        async with aclosing(
            session.fetch(asked, most_messages=self.most_items, most_bytes=most_bytes, most_literal=_SUBJECT_BYTES)
        ) as said:
            async for line in said:
                seen = self._seen(opened.validity, line)
                found |= {seen.key: seen} if seen is not None else {}
                if len(found) > self.most_items:
                    raise SourceFailed("too_many_items", f"The folder holds more than {self.most_items} messages.")
        return Listing(list(found.values()))

    def _seen(self, validity: int, line: ImapLine) -> Seen | None:
        """Returns a message as it is listed. What servers say of sizes is not exact; of one that is too large it will do."""
        number, size = line.number(b"UID"), line.number(b"RFC822.SIZE")
        if number is None or size is None:
            return None
        key = f"{validity}/{number}"
        path = f"{self._folder}/{_subject(line.content)} {hashlib.sha256(key.encode()).hexdigest()[:8]}.eml"
        return Seen(key=key, path=path, tag=key, size=size if size > self.most_bytes else None, media_type=_TYPE)

    async def _pieces(self, validity: str, number: str, first: bytes) -> AsyncIterator[bytes]:
        received, piece = 0, first
        while piece:
            received += len(piece)
            if received > self.most_bytes:
                raise ItemRefused("too_large")
            yield piece
            if len(piece) < _PIECE_BYTES:
                return
            piece = await self._in_time(partial(self._piece, validity, number, received))

    async def _piece(self, validity: str, number: str, offset: int) -> bytes:
        """Returns the bytes of a message from an offset on; raises ItemGone for one that is there no more."""
        session, opened = await self._ready()
        if str(opened.validity) != validity:  # since it was listed
            raise ItemRefused("changing")
        found: bytes | None = None
        asked = f"{number} (UID BODY.PEEK[]<{offset}.{_PIECE_BYTES}>)"
        async with aclosing(
            session.fetch(asked, most_messages=1, most_bytes=_PIECE_BYTES + MOST_LIST_BYTES, most_literal=_PIECE_BYTES)
        ) as said:
            async for line in said:
                if line.number(b"UID") == int(number) and b" BODY[]" in line.plain.upper().replace(b"(", b" "):
                    found = line.content
        if found is None:
            raise ItemGone
        return found

    async def _ready(self) -> tuple[ImapSession, OpenFolder]:
        """Returns a session in which the folder is open, another one after the one before was left."""
        if self._session is None or self._opened is None:
            parts = urlsplit(self.address)
            host, port = parts.hostname or "", parts.port or MAIL_PORT
            try:
                self.hosts.mail_host_of(self.address)
                where = await self.egress.resolved(host, port)
            except ServerAway as error:
                raise SourceFailed("no_answer", "The server's name is not known.") from error
            except RefusedAddress as error:
                raise SourceFailed("address_refused", str(error)) from error
            self._session = await ImapSession.connect(where, port, host, self.tls)
            await self._session.login(self.username, self.password)
            self._opened = await self._session.open(self._folder)
        return self._session, self._opened

    async def _in_time(self, work: Callable[[], Awaitable[T]]) -> T:
        """Does something within the time of a request and of the run; who is left in the middle of a command is hung up on."""
        await self.pace.turn()
        left = self.until - time.monotonic()
        if left <= 0:
            raise OutOfTime
        try:
            async with asyncio.timeout(min(self.seconds, left)):
                return await work()
        except ssl.SSLCertVerificationError as error:
            await self.aclose()
            raise SourceFailed("certificate_refused", "The server's certificate is not trusted.") from error
        except (OSError, TimeoutError) as error:
            await self.aclose()
            if time.monotonic() >= self.until:
                raise OutOfTime from error
            raise SourceFailed("no_answer", "The server does not answer, or not in time.") from error
        except SourceFailed:
            await self.aclose()
            raise

    @property
    def _folder(self) -> str:
        return unquote(urlsplit(self.address).path.removeprefix("/")) or "INBOX"


def _subject(header: bytes) -> str:
    """Returns what a message is about, as people read it, in so many characters, and without a slash."""
    value = re.sub(r"\r?\n[ \t]", " ", header.decode("utf-8", "replace").partition(":")[2]).strip()
    with suppress(MessageError, LookupError, ValueError):  # not encoded as it should be: as it stands then
        value = str(make_header(decode_header(value)))
    readable = "".join(character if character.isprintable() else " " for character in value.replace("/", "-"))
    return " ".join(readable.split())[:_SHOWN_CHARACTERS].strip() or "message"
