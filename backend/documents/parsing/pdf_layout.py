"""The lines of a PDF page become headings, paragraphs, list items and table rows.

A PDF says where glyphs are, not what they mean. Everything here is inferred from the position, height and
weight of the lines and from the shape of their words, page by page; where the inference fails, text is in a
block of the wrong kind, never lost.
"""

import re
from collections.abc import Iterator
from itertools import pairwise
from statistics import median_low
from typing import NamedTuple

from backend.documents.parsing.blocks import BlockKind, Fragment


class Line(NamedTuple):
    """One line as printed; lengths in points, `bottom` grows upwards."""

    text: str
    left: float
    right: float
    bottom: float
    height: float
    bold: bool


_BULLET = re.compile(r"(?:[•◦▪‣●○■□·\uf0b7\uf0a7\uf0d8*–—-]|\([a-z]{1,4}\)|\(\d{1,2}\))\s+\S")
_CELL = re.compile(r"[$€£¥(+<-]*\d+(?:,\d{3})*(?:\.\d+)?[)%x*]*|[—–-]+|[nN]/?[aAmM]")
_BETWEEN_CELLS = {"$", "€", "£", "¥", "%", ")", "(", "US$", "x", "pts"}
_YEAR = re.compile(r"(?:19|20)\d\d")
_UNITS = re.compile(r"(?i)\(.*\b(?:millions?|thousands?|billions?|percent|unaudited|except)\b.*\)")
_SENTENCE_END = re.compile(r"[.!?:;][\"'”’)]*$")

_LONGEST_HEADING_LINES = 3
_LONGEST_HEADING = 250
_LONGEST_LABEL = 120
_LONGEST_GAP_IN_TABLE = 3


def fragments(lines: list[Line], page: int, running_head: str | None = None) -> Iterator[Fragment]:
    """Yield the page's fragments in the order of its lines; pages count from 1.

    A first line that repeats the one of the page before is no heading, however it is set.
    """
    if lines and lines[0].text == running_head:
        yield Fragment(BlockKind.PARAGRAPH, lines[0].text, page=page)
        lines = lines[1:]
    if not lines:
        return
    rows = _rows(lines)
    page_style = _Style.of(rows)
    start = 0
    for first, end in [*_tables(rows), (len(rows), len(rows))]:
        for group in _paragraphs(rows[start:first], page_style):
            yield _prose(group, page_style, page)
        yield from _table(rows[first:end], page)
        start = end


class _Style(NamedTuple):
    """What is usual on the page: the height of body text, the distance of its lines, whether it is bold."""

    height: float
    pitch: float
    bold: bool

    @classmethod
    def of(cls, lines: list[Line]) -> "_Style":
        heights = sorted((line.height, len(line.text)) for line in lines)
        half = sum(length for _, length in heights) / 2
        covered = 0
        height = heights[-1][0]
        for candidate, length in heights:
            covered += length
            if covered >= half:
                height = candidate
                break
        steps = [step for step in (a.bottom - b.bottom for a, b in pairwise(lines)) if 0 < step < 3 * height]
        bold = sum(len(line.text) for line in lines if line.bold) > half
        return cls(height, median_low(steps) if steps else height, bold)


def _rows(lines: list[Line]) -> list[Line]:
    """Join what is printed on one line but was written in several pieces, as cells of a table often are."""
    rows = lines[:1]
    for line in lines[1:]:
        last = rows[-1]
        beside = abs(last.bottom - line.bottom) < 0.4 * min(last.height, line.height) and line.left >= last.right - 1
        if beside:
            joined = f"{last.text} {line.text}"
            rows[-1] = last._replace(text=joined, right=line.right, bold=last.bold and line.bold)
        else:
            rows.append(line)
    return rows


def _cells(text: str) -> list[str]:
    """Return the figures that end the line, last first: a line of a table has at least two, prose seldom."""
    cells = []
    for word in reversed(text.split()):
        if _CELL.fullmatch(word):
            cells.append(word)
        elif word not in _BETWEEN_CELLS:
            break
    return cells


def _tables(lines: list[Line]) -> list[tuple[int, int]]:
    """Return the ranges of lines that are tables: rows of figures with at most a few short lines between."""
    figures = [index for index, line in enumerate(lines) if len(_cells(line.text)) >= 2]
    ranges: list[list[int]] = []
    for index in figures:
        if ranges and _is_within_table(lines[ranges[-1][1] : index]):
            ranges[-1][1] = index + 1
        else:
            ranges.append([index, index + 1])
    tables = []
    for first, end in ranges:
        if end - first > 1:
            with_units = first > 0 and bool(_UNITS.fullmatch(lines[first - 1].text))
            tables.append((first - with_units, end))
    return tables


def _is_within_table(gap: list[Line]) -> bool:
    return len(gap) <= _LONGEST_GAP_IN_TABLE and all(
        len(line.text) <= _LONGEST_LABEL and not line.text.endswith(".") for line in gap
    )


def _table(lines: list[Line], page: int) -> Iterator[Fragment]:
    for line in lines:
        is_header = all(_YEAR.fullmatch(cell) for cell in _cells(line.text)) if _cells(line.text) else False
        kind = BlockKind.TABLE_HEADER if is_header or _UNITS.fullmatch(line.text) else BlockKind.TABLE_ROW
        yield Fragment(kind, line.text, page=page)


def _paragraphs(lines: list[Line], style: _Style) -> Iterator[list[Line]]:
    group: list[Line] = []
    for line in lines:
        if group and _starts_paragraph(group[-1], line, style):
            yield group
            group = []
        group.append(line)
    if group:
        yield group


def _starts_paragraph(last: Line, line: Line, style: _Style) -> bool:
    step = last.bottom - line.bottom
    indented = line.left > last.left + style.height / 2 and bool(_SENTENCE_END.search(last.text))
    return (
        not 0 < step < 1.4 * style.pitch
        or abs(last.height - line.height) > 0.1 * style.height
        or last.bold != line.bold
        or indented
        or bool(_BULLET.match(line.text))
    )


def _prose(group: list[Line], style: _Style, page: int) -> Fragment:
    text = " ".join(line.text for line in group)
    level = _heading_level(group, text, style)
    if level:
        return Fragment(BlockKind.HEADING, text, level=level, page=page)
    kind = BlockKind.LIST_ITEM if _BULLET.match(text) else BlockKind.PARAGRAPH
    return Fragment(kind, text, page=page)


def _heading_level(group: list[Line], text: str, style: _Style) -> int:
    """Return 1 to 3 for text that stands out by its height or weight, 0 for the body of the page."""
    if len(group) > _LONGEST_HEADING_LINES or len(text) > _LONGEST_HEADING or sum(map(str.isalpha, text)) < 3:
        return 0
    ratio = group[0].height / style.height if style.height else 1.0
    if ratio >= 1.15 and not _SENTENCE_END.search(text):
        return 1 if ratio >= 1.5 else 2
    return 3 if group[0].bold and not style.bold and not _BULLET.match(text) else 0
