"""Plain text: what blank lines separate."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TextIO

from backend.documents.parsing.blocks import LONGEST_FRAGMENT, BlockKind, Fragment
from backend.documents.parsing.encodings import encoding_of
from backend.documents.parsing.findings import Findings

_PIECE_CHARACTERS = LONGEST_FRAGMENT // 2
_TERMINAL = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")  # colours and the like
_UNDERLINED = re.compile("([^_\x08\n])\x08_")
_STRUCK_TWICE = re.compile("[^\x08\n]\x08")  # a printer's bold, and underlining
_BULLET = re.compile(r"\s*(?:[-*•–]|\d{1,3}[.)]|\([a-z\d]{1,3}\))\s+\S")


def fragments(path: Path, findings: Findings) -> Iterator[Fragment]:
    """Yields what blank lines and form feeds separate, and list items; lines within keep their breaks."""
    with path.open(encoding=encoding_of(path, findings), errors="replace") as file:
        yield from text_fragments(map(printed, _lines(file)))


def text_fragments(lines: Iterable[str]) -> Iterator[Fragment]:
    """Yields the paragraphs and list items of lines that end in their line feeds."""
    for paragraph in _paragraphs(lines):
        kind = BlockKind.LIST_ITEM if _BULLET.match(paragraph) else BlockKind.PARAGRAPH
        yield Fragment(kind, paragraph)


def printed(text: str) -> str:
    """Returns a text as a terminal or a printer shows it, which write over what they have written."""
    if "\x1b" in text:
        text = _TERMINAL.sub("", text)
    return _STRUCK_TWICE.sub("", _UNDERLINED.sub(r"\1", text)) if "\x08" in text else text


def opened(path: Path, findings: Findings, declared: str | None = None) -> TextIO:
    """Opens a file for its text, in the character set that it declares or seems to be written in."""
    return path.open(encoding=encoding_of(path, findings, declared), errors="replace", newline="")


def _paragraphs(text: Iterable[str]) -> Iterator[str]:
    lines: list[str] = []
    length = 0
    for line in text:
        starts_item = bool(lines) and _BULLET.match(line)
        if starts_item or not line.strip() or length + len(line) > LONGEST_FRAGMENT:
            yield from _joined(lines)
            lines, length = [], 0
        lines.append(line)
        length += len(line)
    yield from _joined(lines)


def _lines(file: TextIO) -> Iterator[str]:
    """Yields lines; one as long as the file comes in pieces that end between words, if it has words."""
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
