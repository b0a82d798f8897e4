"""Messages as Outlook keeps them ([MS-OXMSG]), with the messages inside them."""

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

from backend.documents.parsing.blocks import BlockKind, Fragment, collapse
from backend.documents.parsing.compound import CompoundFile, Storage
from backend.documents.parsing.encodings import codec_named, of_bytes
from backend.documents.parsing.errors import CorruptFile
from backend.documents.parsing.findings import Findings, WarningKind
from backend.documents.parsing.mail import DEEPEST, not_read, says_less
from backend.documents.parsing.openxml import meaningful_title
from backend.documents.parsing.rich_text import decompressed, words
from backend.documents.parsing.text import text_fragments
from backend.documents.parsing.webpage import CHARSET, html_fragments

_PROPERTIES = "__properties_version1.0"
_TEXT, _BYTES_TEXT, _BINARY = "001F", "001E", "0102"
_SUBJECT, _PLAIN, _HTML, _RICH, _CLASS = "0037", "1000", "1013", "1009", "001A"
_HEADERS, _TO, _CC = "007D", "0E04", "0E03"
_SENDERS = (("0042", ("5D02", "0065")), ("0C1A", ("5D01", "0C1F")))  # whom a message is from, and who sent it for them
_SENT, _DELIVERED, _CODE_PAGE, _PAGES_CODE_PAGE = 0x0039, 0x0E06, 0x3FFD, 0x3FDE
_NAMES = ("3707", "3704", "3001")
_CONTENT_ID = "3712"
_EMBEDDED = "__substg1.0_3701000D"
_TIME, _LONG = 0x0040, 0x0003
_ENTRY_BYTES = 16
_UNREADABLE_CLASSES = ("IPM.Note.SMIME", "IPM.Note.rpmsg")
_CODECS = {
    65001: "utf-8", 20127: "cp1252", 28591: "cp1252", 28592: "iso8859_2", 20866: "koi8_r", 936: "gb18030", 50220: "iso2022_jp",
}  # fmt: skip
_DATE = re.compile(r"(?im)^date:[ \t]*(.+(?:\n[ \t].+)*)")


def fragments(path: Path, findings: Findings) -> Iterator[Fragment]:
    """Yields the subject as a heading, who wrote to whom and when, the body, and messages inside; tell attachments."""
    file = CompoundFile(path.read_bytes())
    message = _Message(file, file.root, 32)
    findings.title = meaningful_title(message.text(_SUBJECT))
    yield from _message(message, findings, 1)


class _Message:
    """A message or an attachment: a folder of properties, of which the short ones stand in a stream together."""

    def __init__(self, file: CompoundFile, storage: Storage, head: int) -> None:
        self.file = file
        self.storage = storage
        table = self._stream(_PROPERTIES)[head:]
        self._short: dict[tuple[int, int], bytes] = {}
        for at in range(0, len(table) - _ENTRY_BYTES + 1, _ENTRY_BYTES):
            kind, number = (int.from_bytes(table[at + i : at + i + 2], "little") for i in (0, 2))
            self._short[number, kind] = table[at + 8 : at + 16]

    def number(self, name: int) -> int:
        """Returns a whole number, 0 for none."""
        return int.from_bytes(self._short.get((name, _LONG), b"")[:4], "little")

    def time(self, name: int) -> datetime | None:
        """Returns a moment."""
        ticks = int.from_bytes(self._short.get((name, _TIME), b""), "little")
        try:
            return datetime(1601, 1, 1, tzinfo=UTC) + timedelta(microseconds=ticks // 10) if ticks else None
        except OverflowError:
            return None

    def text(self, name: str) -> str:
        """Returns a text, in the character set of the message if it is no Unicode."""
        if written := self._stream(f"__substg1.0_{name}{_TEXT}"):
            return written.decode("utf-16-le", "replace").rstrip("\x00")
        return _decoded(self._stream(f"__substg1.0_{name}{_BYTES_TEXT}"), self.number(_CODE_PAGE)).rstrip("\x00")

    def binary(self, name: str) -> bytes:
        """Returns a binary property."""
        return self._stream(f"__substg1.0_{name}{_BINARY}")

    def _stream(self, name: str) -> bytes:
        stream = self.storage.streams.get(name)
        return b"" if stream is None else self.file.read(stream)


def _message(message: _Message, findings: Findings, depth: int) -> Iterator[Fragment]:
    if subject := collapse(message.text(_SUBJECT)):
        yield Fragment(BlockKind.HEADING, subject, level=min(depth, 9))
    for name, value in _head(message).items():
        if value:
            yield Fragment(BlockKind.PARAGRAPH, f"{name}: {value}")
    if message.text(_CLASS).startswith(_UNREADABLE_CLASSES):
        findings.warn(WarningKind.PROTECTED_PART, "body of the message", "An encrypted or signed message is not read.")
    yield from _body(message, findings)
    for name, storage in sorted(message.storage.storages.items()):
        if name.startswith("__attach_version1.0_"):
            yield from _attachment(_Message(message.file, storage, 8), findings, depth)


def _head(message: _Message) -> Mapping[str, str]:
    written = _DATE.search(message.text(_HEADERS))
    sent = message.time(_SENT) or message.time(_DELIVERED)
    date = written[1] if written else format_datetime(sent) if sent else ""
    senders = [_sender(message, name, addresses) for name, addresses in _SENDERS]
    return {
        "From": next(filter(None, senders), ""), "To": collapse(message.text(_TO)), "Cc": collapse(message.text(_CC)),
        "Date": collapse(date),
    }  # fmt: skip


def _sender(message: _Message, name: str, addresses: tuple[str, ...]) -> str:
    shown = collapse(message.text(name))
    address = next((found for found in map(message.text, addresses) if "@" in found), "").strip()
    return f"{shown} <{address}>" if shown and address and shown != address else shown or address


def _body(message: _Message, findings: Findings) -> Iterator[Fragment]:
    plain = message.text(_PLAIN)
    html = _page(message, findings)
    rich = ""
    if not html and (compressed := message.binary(_RICH)):
        text, is_page = words(decompressed(compressed))
        html, rich = (text, "") if is_page else ("", text)
    if html and says_less(plain, html):
        title = findings.title
        yield from html_fragments(html, findings)
        findings.title = title
    else:
        body = plain if plain.strip() else rich
        yield from text_fragments(body.replace("\r\n", "\n").replace("\r", "\n").splitlines(keepends=True))


def _page(message: _Message, findings: Findings) -> str:
    content = message.binary(_HTML)
    if not content:
        return message.text(_HTML)
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        declared = CHARSET.search(content[:4096])
        codec = _codec(message.number(_PAGES_CODE_PAGE)) or (codec_named(declared[1].decode()) if declared else None)
        return content.decode(codec or of_bytes(content, findings), "replace")


def _attachment(attached: _Message, findings: Findings, depth: int) -> Iterator[Fragment]:
    embedded = attached.storage.storages.get(_EMBEDDED)
    if embedded is not None and _PROPERTIES in embedded.streams:
        if depth < DEEPEST:
            yield from _message(_Message(attached.file, embedded, 24), findings, depth + 1)
        else:
            findings.warn(WarningKind.EMBEDDED_FILE, "innermost message", "Messages nested deeper are not read.")
        return
    name = next(filter(None, (collapse(attached.text(name)) for name in _NAMES)), "without a name")
    is_shown = bool(attached.text(_CONTENT_ID)) and name.lower().endswith((".png", ".jpg", ".jpeg", ".gif", ".bmp"))
    kind = WarningKind.PICTURE if is_shown else WarningKind.ATTACHMENT
    findings.warn(kind, "attachment of the message", not_read(name))


def _decoded(content: bytes, code_page: int) -> str:
    try:
        return content.decode(_codec(code_page) or "cp1252", "replace")
    except LookupError as error:
        raise CorruptFile("The message names a character set that there is not.") from error


def _codec(code_page: int) -> str | None:
    return _CODECS.get(code_page) or (f"cp{code_page}" if 437 <= code_page <= 1258 else None)
