"""Which lines of a table are one row of it: a cell may hold several lines, and others stand beside their middle."""

import re
from collections.abc import Sequence
from itertools import pairwise
from statistics import median_low
from typing import TypeAlias

from backend.documents.parsing.pdf.glyph_runs import GlyphRun
from backend.documents.parsing.pdf.objects import Box
from backend.documents.parsing.pdf.rows import Row

Column: TypeAlias = tuple[float, float]
"""Where a column begins and ends."""

CELL = re.compile(r"[$€£¥(+<-]*\d+(?:,\d{3})*(?:\.\d+)?[)%x*]*|[—–-]+|[nN]/?[aAmM]")
_BETWEEN_CELLS = {"$", "€", "£", "¥", "%", ")", "(", "US$", "x", "pts"}
HALF_A_LINE = 0.85
_NEXT_LINE = 1.4
_MUCH_NEARER = 0.85
_MOST_OF_THE_WIDTH = 0.6
_FEWEST_RULED = 0.25
_ENDED = re.compile(r"[.!?:;)]$")


def figures(text: str) -> list[str]:
    """Returns the figures that end the line, last first: a line of a table has at least two, prose seldom."""
    cells = []
    for word in reversed(text.split()):
        if CELL.fullmatch(word):
            cells.append(word)
        elif word not in _BETWEEN_CELLS:
            break
    return cells


def records(rows: Sequence[Row], columns: Sequence[Column], rules: Sequence[Box]) -> list[list[Row]]:
    """Returns the lines of each row of the table, from the top."""
    return _ruled(rows, rules) or _by_distance(_with_labels(rows, columns), columns)


def _with_labels(rows: Sequence[Row], columns: Sequence[Column]) -> list[Row]:
    """Returns the rows with a label that stands between two of them, as a merged cell's does, in both."""
    found = list(rows)
    for index in range(len(rows) - 2, 0, -1):
        above, label, below = rows[index - 1 : index + 2]
        if any(column_of(piece, columns) for piece in label.pieces):
            continue
        beside = [{column_of(piece, columns) for piece in row.pieces} for row in (above, below)]
        is_between = (
            _step(above, label) < HALF_A_LINE * label.height and _step(label, below) < HALF_A_LINE * label.height
        )
        if (
            is_between
            and 0 not in beside[0] | beside[1]
            and beside[0] & beside[1]
            and figures(above.text)
            and figures(below.text)
        ):
            found[index - 1 : index + 2] = [Row((*label.pieces, *row.pieces)) for row in (above, below)]
    return found


def _step(above: Row, below: Row) -> float:
    return above.bottom - below.bottom


def column_of(piece: GlyphRun, columns: Sequence[Column]) -> int:
    """Returns the first column that a piece stands in, or the nearest one."""
    for index, (left, right) in enumerate(columns):
        if piece.left < right and piece.right > left:
            return index
    return min(
        range(len(columns)), key=lambda index: max(columns[index][0] - piece.right, piece.left - columns[index][1])
    )


def _ruled(rows: Sequence[Row], rules: Sequence[Box]) -> list[list[Row]]:
    """Returns what stands between rules if they part nearly all rows; nothing if they do not."""
    if len(rows) < 2 or not rules:
        return []
    left, right = min(row.left for row in rows), max(row.right for row in rows)
    widths: dict[int, float] = {}
    for rule in rules:
        level = round((rule[1] + rule[3]) / 2)
        widths[level] = widths.get(level, 0.0) + max(min(rule[2], right) - max(rule[0], left), 0.0)
    levels = [level for level, width in widths.items() if width >= _MOST_OF_THE_WIDTH * (right - left)]
    groups: dict[int, list[Row]] = {}
    for row in rows:
        middle = row.bottom + row.height / 2
        groups.setdefault(sum(level > middle for level in levels), []).append(row)
    if len(groups) < max(2.0, _FEWEST_RULED * len(rows)):
        return []
    if any(sum(bool(figures(row.text)) and len(row.pieces) > 1 for row in group) > 1 for group in groups.values()):
        return []
    return list(groups.values())


def _by_distance(rows: Sequence[Row], columns: Sequence[Column]) -> list[list[Row]]:
    steps = [above.bottom - below.bottom for above, below in pairwise(rows)]
    usual = median_low(steps) if steps else 0.0
    groups: list[list[Row]] = []
    for index, row in enumerate(rows):
        if groups and _continues(
            groups[-1], row, steps[index - 1], steps[index] if index < len(steps) else usual, columns
        ):
            groups[-1].append(row)
        else:
            groups.append([row])
    return groups


def _continues(group: list[Row], row: Row, step: float, next_step: float, columns: Sequence[Column]) -> bool:
    """Returns whether a line goes on in cells above it: half a line lower, or a line lower and without a label."""
    last = group[-1]
    if 0 < step < HALF_A_LINE * min(last.height, row.height):
        return True
    if not 0 < step < _NEXT_LINE * row.height or len(row.pieces) >= len(last.pieces) or CELL.fullmatch(row.text):
        return False
    if next_step < _MUCH_NEARER * step or any(map(CELL.fullmatch, row.text.split())):
        return False  # it is nearer to what follows, or holds values of its own
    above = {column_of(piece, columns): piece.text for line in group for piece in line.pieces}
    own = {column_of(piece, columns): piece.text for piece in row.pieces}
    if not own or 0 in own or not own.keys() <= above.keys():
        return False
    return all(text[:1].islower() or not _ENDED.search(above[column]) for column, text in own.items())
