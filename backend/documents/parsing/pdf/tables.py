"""Rows of cells: which lines of a flow are a table, where its columns are, and which rows are its header."""

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from math import inf

from backend.documents.parsing.blocks import BlockKind, Fragment, row_text
from backend.documents.parsing.pdf.glyph_runs import confidence_of
from backend.documents.parsing.pdf.objects import Lines
from backend.documents.parsing.pdf.records import CELL, HALF_A_LINE, Column, column_of, figures, records
from backend.documents.parsing.pdf.rows import Row

_PERIOD = re.compile(
    r"(?i)(?:19|20)\d\d[ae]?,?|q[1-4]|[1-4]q|fy\d*|(?:january|february|march|april|may|june|july|august|september|october"
    r"|november|december|jan|feb|mar|apr|jun|jul|aug|sept?|oct|nov|dec)\.?"
)
_DAY_OR_NOTE = re.compile(r"\d{1,2},?|\[note|\d{1,2}\]|\([a-z\d]\)")
_UNITS = re.compile(r"(?i)\(.*\b(?:millions?|thousands?|billions?|percent|unaudited|except)\b.*\)")
_LONGEST_LABEL = 120
_LONGEST_GAP = 3
_MOST_HEADER_ROWS = 4
_NEAR = 2.0
_FEWEST_UPRIGHTS = 3
_OFF_THE_MIDDLE = 0.12


def tables(rows: Sequence[Row], drawn: Lines) -> list[tuple[int, int]]:
    """Returns the ranges of rows that are tables: in a drawn grid, or rows of cells with at most a few short lines between."""
    gridded = _in_grid(rows, drawn)
    ranges: list[list[int]] = []
    for index, row in enumerate(rows):
        if index not in gridded and not _is_of_cells(row):
            continue
        if ranges and _is_within_table(rows[ranges[-1][1] : index]):
            ranges[-1][1] = index + 1
        else:
            ranges.append([index, index + 1])
    found = []
    floor = 0
    for first, end in ranges:
        if end - first > 1 and (_is_table(rows[first:end]) or not gridded.isdisjoint(range(first, end))):
            found.append((_with_header(rows, first, floor), end))
            floor = end
    return found


def _in_grid(rows: Sequence[Row], drawn: Lines) -> set[int]:
    """Returns the rows that three upright lines or more stand beside: two may be a frame around words."""
    if len(drawn.uprights) < _FEWEST_UPRIGHTS:
        return set()
    found = set()
    for index, row in enumerate(rows):
        middle = row.bottom + row.height / 2
        beside = {round(box[0] / 2) for box in drawn.uprights if box[1] <= middle <= box[3]}
        if (
            len(beside) >= _FEWEST_UPRIGHTS
            and min(beside) * 2 <= row.left + _NEAR
            and row.right - _NEAR <= max(beside) * 2
        ):
            found.add(index)
    return found


def table_fragments(rows: Sequence[Row], page: int, drawn: Lines) -> Iterator[Fragment]:
    """Yields the rows with their cells under the same columns; the rows above the first figures are the header.

    Lines of one cell are in one row: `drawn` and the distances of lines tell which these are.
    """
    columns = _columns(rows)
    header = _header_rows(rows)
    for row in rows[:header]:
        text = row_text(_header_cells(row, columns)) if len(columns) > 1 else row.text
        yield Fragment(BlockKind.TABLE_HEADER, text, page=page, confidence=confidence_of(row.pieces))
    for lines in records(rows[header:], columns, drawn.rules):
        is_units = len(lines) == 1 and _UNITS.fullmatch(lines[0].text)
        cells = [_cells(line, columns) for line in lines]
        texts = [" ".join(filter(None, cell)) for cell in zip(*cells, strict=True)]
        text = row_text(texts) if len(columns) > 1 else " ".join(line.text for line in lines)
        kind = BlockKind.TABLE_HEADER if is_units else BlockKind.TABLE_ROW
        sure = confidence_of(piece for line in lines for piece in line.pieces)
        yield Fragment(kind, text, page=page, confidence=sure)


def _is_of_cells(row: Row) -> bool:
    return len(figures(row.text)) >= 2 or (len(row.pieces) >= 2 and len(row.text) <= 3 * _LONGEST_LABEL)


def _is_within_table(gap: Sequence[Row]) -> bool:
    return len(gap) <= _LONGEST_GAP and all(
        len(row.text) <= _LONGEST_LABEL and not row.text.endswith(".") for row in gap
    )


def _is_table(rows: Sequence[Row]) -> bool:
    """Returns whether rows of several pieces are a table: they hold figures, or their cells begin at the same places."""
    if sum(len(figures(row.text)) >= 2 for row in rows) >= 2:
        return True
    several = [row for row in rows if len(row.pieces) >= 2]
    if len(several) < 2:
        return False
    starts: dict[int, int] = {}
    for row in several:
        # Words end at one place in every justified line; only figures are set to the right of a column.
        ends = {-round(piece.right / 4) for piece in row.pieces[1:] if any(map(str.isdigit, piece.text))}
        for place in {round(piece.left / 4) for piece in row.pieces[1:]} | ends:
            starts[place] = starts.get(place, 0) + 1
    aligned = max(starts.values())
    return aligned >= max(2, 0.5 * len(several))


def _with_header(rows: Sequence[Row], first: int, floor: int) -> int:
    """Returns where the table begins: with the lines right above it that name its units or periods."""
    start = first
    while start > floor and 0 < rows[start - 1].bottom - rows[start].bottom < HALF_A_LINE * rows[start].height:
        start -= 1  # a cell's first line, beside whose middle the others stand
    first = start
    while start > floor and first - start < _MOST_HEADER_ROWS:
        above = rows[start - 1]
        step = above.bottom - rows[start].bottom
        if not 0 < step < 2.5 * above.height or len(above.text) > _LONGEST_LABEL:
            break
        words = above.text.split()
        if not (
            _UNITS.fullmatch(above.text)
            or (
                _is_of_periods(words)
                and not above.text.endswith((".", ";"))
                and above.left > rows[first].left + 4 * above.height
            )
        ):
            break
        start -= 1
    return start


def _is_of_periods(words: list[str]) -> bool:
    """Returns whether words name periods: years, months or quarters, and no figures but days."""
    return any(map(_PERIOD.fullmatch, words)) and not any(
        CELL.fullmatch(word) and not _PERIOD.fullmatch(word) and not _DAY_OR_NOTE.fullmatch(word) for word in words
    )


def _header_rows(rows: Sequence[Row]) -> int:
    """Returns how many rows stand above the first with figures; in a table of words alone, one."""
    count = 0
    for row in rows[: _MOST_HEADER_ROWS + 1]:
        words = row.text.split()
        cells = [word for piece in row.pieces[1:] for word in piece.text.split()]
        names_periods = _is_of_periods(words)
        if not names_periods and (len(figures(row.text)) >= 2 or any(map(CELL.fullmatch, cells))):
            return count
        if len(row.pieces) == 1 and not names_periods and not _UNITS.fullmatch(row.text):
            return count
        count += 1
    has_figures = any(
        map(CELL.fullmatch, (word for row in rows for piece in row.pieces[1:] for word in piece.text.split()))
    )
    return min(count, _MOST_HEADER_ROWS) if has_figures else 1


def _columns(rows: Sequence[Row]) -> list[Column]:
    """Returns the columns as ranges from the left: cells that overlap are of one column."""
    body = rows[_header_rows(rows) :] or rows
    most = max(len(row.pieces) for row in body)
    spans = sorted(
        (piece.left, piece.right)
        for row in body
        for index, piece in enumerate(row.pieces)
        if len(row.pieces) > 1 or index or most == 1
    )
    columns: list[Column] = []
    for left, right in spans:
        if columns and left < columns[-1][1] - _NEAR:
            columns[-1] = (columns[-1][0], max(columns[-1][1], right))
        else:
            columns.append((left, right))
    return columns


def _cells(row: Row, columns: list[Column]) -> list[str]:
    cells = [""] * len(columns)
    for piece in row.pieces:
        index = column_of(piece, columns)
        cells[index] = f"{cells[index]} {piece.text}".strip()
    return cells


def _header_cells(row: Row, columns: list[Column]) -> list[str]:
    """Returns the cells of a row of headers; one that stands over several columns, or in their middle, is in each."""
    cells = [""] * len(columns)
    centres = [(piece.left + piece.right) / 2 for piece in row.pieces]
    borders = [-inf, *((a + b) / 2 for a, b in pairwise(centres)), inf]
    for piece, centre, (low, high) in zip(row.pieces, centres, pairwise(borders), strict=True):
        covered = [index for index, (left, right) in enumerate(columns) if piece.left < right and piece.right > left]
        near = [index for index, (left, right) in enumerate(columns) if index and low < (left + right) / 2 < high]
        if len(near) > len(covered) and set(covered) <= set(near):
            left, right = columns[near[0]][0], columns[near[-1]][1]
            if abs((left + right) / 2 - centre) < _OFF_THE_MIDDLE * (right - left):
                covered = near
        for index in covered or [column_of(piece, columns)]:
            cells[index] = f"{cells[index]} {piece.text}".strip()
    return cells
