"""Plain text, and the character encodings of every format that is text."""

import codecs
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from backend.documents.parsing.blocks import LONGEST_FRAGMENT, BlockKind, Findings, Fragment

_READ_BYTES = 65_536
_PIECE_CHARACTERS = LONGEST_FRAGMENT // 2
_BULLET = re.compile(r"\s*(?:[-*•–]|\d{1,3}[.)]|\([a-z\d]{1,3}\))\s+\S")
_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))


def fragments(path: Path, findings: Findings) -> Iterator[Fragment]:
    """Yield what blank lines and form feeds separate, and list items; lines within keep their breaks."""
    for paragraph in _paragraphs(path, encoding_of(path, findings)):
        kind = BlockKind.LIST_ITEM if _BULLET.match(paragraph) else BlockKind.PARAGRAPH
        yield Fragment(kind, paragraph)


def encoding_of(path: Path, findings: Findings, declared: str | None = None) -> str:
    """Return the codec of the byte-order mark, else UTF-8 if valid, else the declared one or Windows-1252."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    with path.open("rb") as file:
        head = file.read(_READ_BYTES)
        for mark, encoding in _MARKS:
            if head.startswith(mark):
                return encoding
        try:
            while head:
                decoder.decode(head)
                head = file.read(_READ_BYTES)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            if declared is not None:
                return declared
            findings.warn("The text is not valid UTF-8 and was read as Windows-1252.")
            return "cp1252"
    return "utf-8"


def _paragraphs(path: Path, encoding: str) -> Iterator[str]:
    lines: list[str] = []
    length = 0
    with path.open(encoding=encoding, errors="replace") as file:
        for line in _lines(file):
            starts_item = bool(lines) and _BULLET.match(line)
            if starts_item or not line.strip() or length + len(line) > LONGEST_FRAGMENT:
                yield from _joined(lines)
                lines, length = [], 0
            lines.append(line)
            length += len(line)
    yield from _joined(lines)


def _lines(file: TextIO) -> Iterator[str]:
    """Yield lines; one as long as the file comes in pieces that end between words, if it has words."""
    begun = ""
    for piece in iter(lambda: file.readline(_PIECE_CHARACTERS), ""):
        text, begun = begun + piece, ""
        if len(piece) == _PIECE_CHARACTERS and " " in piece:
            words, space, begun = text.rpartition(" ")
            text = words + space
        yield from text.replace("\f", "\n\n").splitlines(keepends=True)
    yield begun


def _joined(lines: list[str]) -> Iterator[str]:
    text = "".join(lines).strip()
    if text:
        yield text
