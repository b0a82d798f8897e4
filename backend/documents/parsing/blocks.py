"""The units of a parsed file: fragments as parsers find them, blocks once each has its place in the text."""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from backend.documents.parsing.marks import spelled_out

LONGEST_FRAGMENT = 32_768
LONGEST_HEADING = 300


class BlockKind(StrEnum):
    """What a block is in the structure of its document."""

    HEADING = "heading"
    PARAGRAPH = "paragraph"
    LIST_ITEM = "list_item"
    TABLE_HEADER = "table_header"
    TABLE_ROW = "table_row"


class Fragment(NamedTuple):
    """A piece of text as a parser found it; pages and heading levels count from 1, level 0 is no heading.

    A paragraph that goes over a page has the page where it begins; from the character `next_page_at` on it is on the next.
    `confidence` says of text that was recognised in a picture how sure that is, in per cent.
    """

    kind: BlockKind
    text: str
    level: int = 0
    page: int | None = None
    sheet: str | None = None
    next_page_at: int = 0
    confidence: int | None = None

    def placed_at(self, start: int) -> "Block":
        """Returns the block that it is, once its place in the document's text is known."""
        return Block(start=start, **self._asdict())


@dataclass(frozen=True, slots=True)
class Block:
    """A fragment with its place: `start` and `end` count characters of the document's text.

    That text is every block's text followed by a line feed, so that the text of a page, too, is the join of
    its blocks by line feeds. `page` is the PDF page or the slide, counted from 1; formats without pages have
    None.
    """

    kind: BlockKind
    text: str
    start: int
    level: int = 0
    page: int | None = None
    sheet: str | None = None
    next_page_at: int = 0
    confidence: int | None = None

    def page_at(self, position: int) -> int | None:
        """Returns the page of a character of the document's text."""
        if self.page is not None and self.next_page_at and position >= self.start + self.next_page_at:
            return self.page + 1
        return self.page

    @property
    def end(self) -> int:
        """The character after the block's last."""
        return self.start + len(self.text)


_REPLACED = dict.fromkeys([*range(0x09), 0x0B, 0x0C, *range(0x0E, 0x20), *range(0x7F, 0xA0), 0xA0, 0x2007, 0x202F], " ")
# Invisible characters hide text from a reviewer's eyes or reorder it: soft hyphen, zero-width space,
# bidirectional controls, byte-order mark, tag characters. The joiners U+200C and U+200D stay: scripts need
# them.
_REMOVED = dict.fromkeys(
    [
        0xAD,
        0x061C,
        0x200B,
        0x200E,
        0x200F,
        *range(0x202A, 0x202F),
        *range(0x2060, 0x206A),
        0xFEFF,
        0xFFFE,
        0xFFFF,
        *range(0xE0000, 0xE0080),
    ]
)
_LIGATURES = dict(zip(range(0xFB00, 0xFB07), ("ff", "fi", "fl", "ffi", "ffl", "st", "st"), strict=True))
_HYGIENE = {**_REPLACED, **_REMOVED, **_LIGATURES, **dict.fromkeys(range(0xD800, 0xE000), "\ufffd")}


def clean(text: str) -> str:
    """Returns the text in NFC, without control and invisible characters; lines end in a line feed."""
    if text.isascii() and text.isprintable():
        return text.strip()
    unified = re.sub(r"\r\n?", "\n", text).translate(_HYGIENE)
    return unicodedata.normalize("NFC", unified).strip()


def collapse(text: str) -> str:
    """Returns the text with every run of white space as one space."""
    return " ".join(text.split())


def row_text(cells: Iterable[str]) -> str:
    """Returns one line for a table row; empty cells keep their place, an empty row is the empty string."""
    columns = [collapse(cell) for cell in cells]
    return " | ".join(columns).rstrip(" |") if any(columns) else ""


def within_length(fragments: Iterable[Fragment]) -> Iterator[Fragment]:
    """Cuts fragments longer than LONGEST_FRAGMENT at white space; a heading that long is a paragraph."""
    for fragment in fragments:
        whole = fragment._replace(text=spelled_out(fragment.text))
        if whole.kind is BlockKind.HEADING and len(whole.text) > LONGEST_HEADING:
            whole = whole._replace(kind=BlockKind.PARAGRAPH, level=0)
        # Counted from the end, where spelling out notes and cleaning the beginning change nothing.
        rest = len(fragment.text) - whole.next_page_at if whole.next_page_at else 0
        turn = max(len(whole.text) - rest, 0) if rest else 0
        start = 0
        while start < len(whole.text):
            end = _cut(whole.text, start)
            page, at = whole.page, 0
            if turn and page is not None:
                page, at = (page + 1, 0) if start >= turn else (page, turn - start if turn < end else 0)
            yield whole._replace(text=whole.text[start:end], page=page, next_page_at=at)
            start = end


def _cut(text: str, start: int) -> int:
    end = start + LONGEST_FRAGMENT
    if end >= len(text):
        return len(text)
    space = text.rfind(" ", start + LONGEST_FRAGMENT // 2, end)
    return end if space < 0 else space
