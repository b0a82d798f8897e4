"""Rows of cells: which lines of a flow are a table, where its columns are, and which rows are its header."""

import re
from collections.abc import Iterator, Sequence

from backend.documents.parsing.blocks import BlockKind, Fragment, row_text
from backend.documents.parsing.pdf.glyphs import Piece
from backend.documents.parsing.pdf.rows import Row

_CELL = re.compile(r"[$€£¥(+<-]*\d+(?:,\d{3})*(?:\.\d+)?[)%x*]*|[—–-]+|[nN]/?[aAmM]")
_BETWEEN_CELLS = {"$", "€", "£", "¥", "%", ")", "(", "US$", "x", "pts"}
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


def figures(text: str) -> list[str]:
    """Return the figures that end the line, last first: a line of a table has at least two, prose seldom."""
    cells = []
    for word in reversed(text.split()):
        if _CELL.fullmatch(word):
            cells.append(word)
        elif word not in _BETWEEN_CELLS:
            break
    return cells


def tables(rows: Sequence[Row]) -> list[tuple[int, int]]:
    """Return the ranges of rows that are tables: rows of cells with at most a few short lines between."""
    ranges: list[list[int]] = []
    for index, row in enumerate(rows):
        if not _is_of_cells(row):
            continue
        if ranges and _is_within_table(rows[ranges[-1][1] : index]):
            ranges[-1][1] = index + 1
        else:
            ranges.append([index, index + 1])
    found = []
    floor = 0
    for first, end in ranges:
        if end - first > 1 and _is_table(rows[first:end]):
            found.append((_with_header(rows, first, floor), end))
            floor = end
    return found


def table_fragments(rows: Sequence[Row], page: int) -> Iterator[Fragment]:
    """Yield the rows with their cells under the same columns; the rows above the first figures are the header."""
    columns = _columns(rows)
    header = _header_rows(rows)
    for index, row in enumerate(rows):
        is_header = index < header
        text = row_text(_cells(row, columns, is_header=is_header)) if len(columns) > 1 else row.text
        kind = BlockKind.TABLE_HEADER if is_header or _UNITS.fullmatch(row.text) else BlockKind.TABLE_ROW
        yield Fragment(kind, text, page=page)


def _is_of_cells(row: Row) -> bool:
    return len(figures(row.text)) >= 2 or (len(row.pieces) >= 2 and len(row.text) <= 3 * _LONGEST_LABEL)


def _is_within_table(gap: Sequence[Row]) -> bool:
    return len(gap) <= _LONGEST_GAP and all(
        len(row.text) <= _LONGEST_LABEL and not row.text.endswith(".") for row in gap
    )


def _is_table(rows: Sequence[Row]) -> bool:
    """Return whether rows of several pieces are a table: they hold figures, or their cells begin at the same places."""
    if sum(len(figures(row.text)) >= 2 for row in rows) >= 2:
        return True
    several = [row for row in rows if len(row.pieces) >= 2]
    if len(several) < 2:
        return False
    starts: dict[int, int] = {}
    for row in several:
        for place in {round(piece.left / 4) for piece in row.pieces[1:]} | {
            -round(piece.right / 4) for piece in row.pieces[1:]
        }:
            starts[place] = starts.get(place, 0) + 1
    aligned = max(starts.values())
    return aligned >= max(2, 0.5 * len(several))


def _with_header(rows: Sequence[Row], first: int, floor: int) -> int:
    """Return where the table begins: with the lines right above it that name its units or periods."""
    start = first
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
    """Return whether words name periods: years, months or quarters, and no figures but days."""
    return any(map(_PERIOD.fullmatch, words)) and not any(
        _CELL.fullmatch(word) and not _PERIOD.fullmatch(word) and not _DAY_OR_NOTE.fullmatch(word) for word in words
    )


def _header_rows(rows: Sequence[Row]) -> int:
    """Return how many rows stand above the first with figures; in a table of words alone, one."""
    count = 0
    for row in rows[: _MOST_HEADER_ROWS + 1]:
        words = row.text.split()
        cells = [word for piece in row.pieces[1:] for word in piece.text.split()]
        names_periods = _is_of_periods(words)
        if not names_periods and (len(figures(row.text)) >= 2 or any(map(_CELL.fullmatch, cells))):
            return count
        if len(row.pieces) == 1 and not names_periods and not _UNITS.fullmatch(row.text):
            return count
        count += 1
    has_figures = any(
        map(_CELL.fullmatch, (word for row in rows for piece in row.pieces[1:] for word in piece.text.split()))
    )
    return min(count, _MOST_HEADER_ROWS) if has_figures else 1


def _columns(rows: Sequence[Row]) -> list[tuple[float, float]]:
    """Return the columns as ranges from the left: cells that overlap are of one column."""
    body = rows[_header_rows(rows) :] or rows
    most = max(len(row.pieces) for row in body)
    spans = sorted(
        (piece.left, piece.right)
        for row in body
        for index, piece in enumerate(row.pieces)
        if len(row.pieces) > 1 or index or most == 1
    )
    columns: list[tuple[float, float]] = []
    for left, right in spans:
        if columns and left < columns[-1][1] - _NEAR:
            columns[-1] = (columns[-1][0], max(columns[-1][1], right))
        else:
            columns.append((left, right))
    return columns


def _cells(row: Row, columns: list[tuple[float, float]], *, is_header: bool) -> list[str]:
    cells = [""] * len(columns)
    for piece in row.pieces:
        covered = [index for index, (left, right) in enumerate(columns) if piece.left < right and piece.right > left]
        if not covered:
            covered = [min(range(len(columns)), key=lambda index: _distance(piece, columns[index]))]
        for index in covered if is_header else covered[:1]:
            cells[index] = f"{cells[index]} {piece.text}".strip()
    return cells


def _distance(piece: Piece, column: tuple[float, float]) -> float:
    return max(column[0] - piece.right, piece.left - column[1])
