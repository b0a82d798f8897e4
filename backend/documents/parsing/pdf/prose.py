"""The lines of a flow become paragraphs, list items and candidates for headings."""

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from statistics import median_low
from typing import NamedTuple

from backend.documents.parsing.blocks import BlockKind, Fragment
from backend.documents.parsing.pdf import headings
from backend.documents.parsing.pdf.glyph_runs import confidence_of
from backend.documents.parsing.pdf.hyphens import Vocabulary
from backend.documents.parsing.pdf.objects import Lines
from backend.documents.parsing.pdf.rows import Row
from backend.documents.parsing.pdf.tables import table_fragments, tables

_ITEM = re.compile(r"(?:[•◦▪‣●○■□·\uf0b7\uf0a7\uf0d8*–—-]|\([a-z]{1,4}\)|\(\d{1,2}\)|\d{1,3}[.)]|[a-z][.)])\s+\S")
_SENTENCE_END = re.compile(r"[.!?:;][\"'”’)]*(?: \[note \w+\])*$")
_SHORT_OF_THE_EDGE = 0.2
_LONGEST_END = 30
_NO_LINES = Lines()


class Item(NamedTuple):
    """A fragment, and what decides on its neighbours: its type, and whether its last line is full.

    What is inset begins neither at the left nor in the middle of its flow, as what stands over a column of a table does.
    """

    fragment: Fragment
    height: float = 0.0
    is_bold: bool = False
    is_open: bool = False
    is_inset: bool = False


class Style(NamedTuple):
    """What is usual: the height of the document's body, the distance of the page's lines, whether the page is bold."""

    height: float
    pitch: float
    is_bold: bool

    @classmethod
    def of(cls, rows: Sequence[Row], height: float) -> "Style":
        """Measures a page; its lines are measured within flows, so that columns do not mix."""
        steps = [step for step in (a.bottom - b.bottom for a, b in pairwise(rows)) if 0 < step < 3 * height]
        length = sum(len(row.text) for row in rows)
        bold = sum(len(row.text) for row in rows if row.is_bold) > length / 2
        return cls(height, median_low(steps) if steps else height, bold)


def items(
    rows: Sequence[Row], style: Style, page: int, vocabulary: Vocabulary, lines: Lines = _NO_LINES
) -> Iterator[Item]:
    """Yields what a flow holds, from the top; `lines` are those drawn on its page."""
    start = 0
    left, right = min((row.left for row in rows), default=0.0), max((row.right for row in rows), default=0.0)
    for first, end in [*tables(rows, lines), (len(rows), len(rows))]:
        for group in _paragraphs(rows[start:first], style, right):
            yield _prose(group, style, page, (left, right), vocabulary)
        for fragment in table_fragments(rows[first:end], page, lines) if end > first else ():
            yield Item(fragment)
        start = end


def _paragraphs(rows: Sequence[Row], style: Style, right: float) -> Iterator[list[Row]]:
    group: list[Row] = []
    for row in rows:
        if group and _starts_paragraph(group[-1], row, style, right):
            yield group
            group = []
        group.append(row)
    if group:
        yield group


def _starts_paragraph(last: Row, row: Row, style: Style, right: float) -> bool:
    step = last.bottom - row.bottom
    ended = bool(_SENTENCE_END.search(last.text[-_LONGEST_END:]))
    indented = row.left > last.left + style.height / 2 and ended
    short = ended and last.right < right - _SHORT_OF_THE_EDGE * (right - last.left)
    return (
        not 0 < step < 1.4 * style.pitch
        or abs(last.height - row.height) > 0.1 * style.height
        or last.is_bold != row.is_bold
        or indented
        or short
        or bool(_ITEM.match(row.text) and (ended or not row.text[0].isalnum()))
        or row.text.startswith("[note ")
    )


def _prose(group: list[Row], style: Style, page: int, edges: tuple[float, float], vocabulary: Vocabulary) -> Item:
    text = group[0].text
    for row in group[1:]:
        text = vocabulary.joined(text, row.text)
    flow_left, right = edges
    ratio = group[0].height / style.height if style.height else 1.0
    level = headings.level(text, len(group), ratio, is_bold=group[0].is_bold, body_is_bold=style.is_bold)
    last = group[-1]
    is_open = not _SENTENCE_END.search(text[-_LONGEST_END:]) and last.right > right - _SHORT_OF_THE_EDGE * (
        right - last.left
    )
    is_item = bool(_ITEM.match(text)) and not level
    kind = BlockKind.HEADING if level else BlockKind.LIST_ITEM if is_item else BlockKind.PARAGRAPH
    width = max(right - flow_left, 1.0)
    centre = (min(row.left for row in group) + max(row.right for row in group)) / 2
    is_inset = group[0].left - flow_left > 0.1 * width and abs(centre - flow_left - width / 2) > 0.08 * width
    sure = confidence_of(piece for row in group for piece in row.pieces)
    fragment = Fragment(kind, text, level=level, page=page, confidence=sure)
    return Item(fragment, last.height, last.is_bold, is_open or len(group) > 1, is_inset)
