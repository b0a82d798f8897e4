"""A session with an IMAP server (RFC 3501): over TLS alone, read-only, and with a bound on all that the server may say.

What is asked is a handful of commands, so they are spoken here, over the same streams as everything else: nothing is read that
was not counted before, and a server that says more than a command can mean, or nothing, is left.
"""

import asyncio
import re
import ssl
from base64 import b64encode
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from backend.sources.connector import SourceFailed

_MOST_LINE_BYTES = 64 * 1024
_LITERAL = re.compile(rb"\{(\d{1,10})\}\r\n\Z")
_VALIDITY = re.compile(rb"\[UIDVALIDITY (\d{1,10})\]", re.IGNORECASE)
_EXISTS = re.compile(rb"\* (\d{1,10}) EXISTS\r\n\Z", re.IGNORECASE)
_QUOTED = re.compile(rb'"((?:[^"\\\r\n]|\\.)*+)"?')  # also one that does not end, so that none is looked at twice
_MOST_LINES_BEFORE = 100
_MOST_LINES_BESIDE = 1_000  # that nobody asked for, such as what others do with the folder
_OTHERS_RESTED = 500  # lines after which others of the process have their turn


@dataclass(frozen=True, slots=True)
class ImapLine:
    """A line that a server says, with the literals in it taken out."""

    text: bytes
    literals: tuple[bytes, ...] = ()

    @property
    def content(self) -> bytes:
        """What the line holds of a message: a literal, or else its first string; nothing where it says NIL."""
        if self.literals:
            return self.literals[0]
        found = _QUOTED.search(self.text)
        return re.sub(rb"\\(.)", rb"\1", found[1]) if found is not None else b""

    @property
    def plain(self) -> bytes:
        """The line without its quoted strings, in which anything could stand."""
        return _QUOTED.sub(b'""', self.text)

    def number(self, name: bytes) -> int | None:
        """Returns a number that the line tells by a name."""
        found = re.search(rb"[( ]" + re.escape(name) + rb" (\d{1,10})[) \r]", self.plain, re.IGNORECASE)
        return int(found[1]) if found is not None else None


@dataclass(frozen=True, slots=True)
class OpenFolder:
    """What a server says of a folder that was opened."""

    validity: int
    messages: int


@dataclass(slots=True)
class ImapSession:
    """A connection to one server. Raises SourceFailed for what is not IMAP; after that it can only be closed."""

    reader: asyncio.StreamReader = field(repr=False)
    writer: asyncio.StreamWriter = field(repr=False)
    _commands: int = 0

    @classmethod
    async def connect(cls, address: str, port: int, host: str, tls: ssl.SSLContext) -> "ImapSession":
        """Returns a session with the server of that name at this very address; raises OSError for none that proves its name."""
        reader, writer = await asyncio.open_connection(
            address, port, ssl=tls, server_hostname=host, limit=_MOST_LINE_BYTES
        )
        session = cls(reader, writer)
        try:
            greeting = await session._line(0)
        except BaseException:
            await session.close()
            raise
        if not greeting.text.upper().startswith(b"* OK"):
            await session.close()
            raise SourceFailed("no_answer", "The server does not greet.")
        return session

    async def login(self, username: str, password: str) -> None:
        """Signs in."""
        parts = (b"LOGIN ", username, b" ", password)
        async for _ in self._asked(parts, most_bytes=_MOST_LINE_BYTES, refused="not_allowed"):
            pass

    async def open(self, folder: str) -> OpenFolder:
        """Opens a folder for reading alone."""
        validity = messages = None
        parts = (b"EXAMINE ", encoded_folder(folder))
        async for line in self._asked(parts, most_bytes=_MOST_LINE_BYTES, refused="no_list"):
            if (found := _VALIDITY.search(line.text)) is not None:
                validity = int(found[1])
            elif (found := _EXISTS.match(line.text)) is not None:
                messages = int(found[1])
        if validity is None or messages is None:  # by its numbers alone no message is the same as before
            raise SourceFailed("no_list", "The server keeps no lasting numbers of the messages in this folder.")
        return OpenFolder(validity, messages)

    async def fetch(
        self, wanted: str, *, most_messages: int, most_bytes: int, most_literal: int
    ) -> AsyncGenerator[ImapLine, None]:
        """Yields what the server says of messages that it names by their lasting numbers, whether or not that was asked."""
        parts = (b"UID FETCH ", wanted.encode("ascii"))
        most_lines = 2 * most_messages + _MOST_LINES_BESIDE
        said = self._asked(
            parts, most_lines=most_lines, most_bytes=most_bytes, most_literal=most_literal, refused="no_list"
        )
        async for line in said:
            if line.number(b"UID") is not None:
                yield line

    async def close(self) -> None:
        """Hangs up, without a word: a server that says no end of things would be listened to while it is taken leave of."""
        self.writer.transport.abort()
        with suppress(OSError, TimeoutError):
            async with asyncio.timeout(1):
                await self.writer.wait_closed()

    async def _asked(
        self,
        parts: Sequence[bytes | str],
        *,
        most_bytes: int,
        refused: str,
        most_literal: int = 0,
        most_lines: int = _MOST_LINES_BESIDE,
    ) -> AsyncIterator[ImapLine]:
        """Yields the lines that answer a command, until the one that ends it; `refused` is the code when that says no."""
        self._commands += 1
        tag = b"a%d " % self._commands
        await self._send(tag, parts)
        received = lines = 0
        while True:
            line = await self._line(most_literal)
            received += len(line.text) + sum(map(len, line.literals))
            lines += 1
            if received > most_bytes or lines > most_lines:
                raise SourceFailed(
                    "endless", f"The server answers with more than {most_bytes} bytes, or {most_lines} lines."
                )
            if lines % _OTHERS_RESTED == 0:
                await asyncio.sleep(0)
            if line.text.startswith(tag):
                if not line.text[len(tag) :].upper().startswith(b"OK"):
                    raise SourceFailed(refused, "The server refuses what it is asked.")
                return
            if line.text.upper().startswith(b"* BYE"):
                raise SourceFailed("no_answer", "The server hangs up.")
            yield line

    async def _send(self, tag: bytes, parts: Sequence[bytes | str]) -> None:
        """Sends a command: bytes as they are, and text as literals, in which nothing has a meaning, when the server is ready."""
        self.writer.write(tag)
        for part in parts:
            if isinstance(part, bytes):
                self.writer.write(part)
                continue
            literal = part.encode()
            self.writer.write(b"{%d}\r\n" % len(literal))
            await self.writer.drain()
            await self._until_ready()
            self.writer.write(literal)
        self.writer.write(b"\r\n")
        await self.writer.drain()

    async def _until_ready(self) -> None:
        for _ in range(_MOST_LINES_BEFORE):
            line = await self._line(0)
            if line.text.startswith(b"+"):
                return
            if not line.text.startswith(b"* "):
                raise SourceFailed("not_allowed", "The server refuses what it is asked.")
        raise SourceFailed("endless", "The server is never ready.")

    async def _line(self, most_literal: int) -> ImapLine:
        """Returns the next line; raises SourceFailed for one that is too long, or has more in it than was asked for."""
        text, literals = b"", list[bytes]()
        while True:
            try:
                text += await self.reader.readuntil(b"\r\n")
            except (asyncio.IncompleteReadError, ConnectionError) as error:
                raise SourceFailed("no_answer", "The server hangs up.") from error
            except asyncio.LimitOverrunError as error:
                raise SourceFailed("endless", "The server's line does not end.") from error
            if (announced := _LITERAL.search(text)) is None:
                return ImapLine(text, tuple(literals))
            size = int(announced[1])
            if literals or size > most_literal:
                raise SourceFailed("endless", f"The server announces {size} bytes, which were not asked for.")
            try:
                literals.append(await self.reader.readexactly(size))
            except (asyncio.IncompleteReadError, ConnectionError) as error:
                raise SourceFailed("no_answer", "The server hangs up.") from error


def encoded_folder(name: str) -> str:
    """Returns the name of a folder as it is sent: in UTF-7 as RFC 3501 (5.1.3) changes it."""
    encoded, other = "", ""
    for character in [*name, ""]:
        if character and not " " <= character <= "~":
            other += character
            continue
        if other:
            encoded += f"&{b64encode(other.encode('utf-16-be')).decode().rstrip('=').replace('/', ',')}-"
            other = ""
        encoded += "&-" if character == "&" else character
    return encoded
