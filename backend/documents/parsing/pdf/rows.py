"""Pieces become rows as they are printed, and rows become flows: the columns of a page, each from top to bottom."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from backend.documents.parsing.pdf.glyph_runs import GlyphRun

_FEWEST_LINES = 3
_FEWEST_WORDS = 3
_NARROWEST_GUTTER = 6.0
_MOST_COLUMNS = 4
_MOST_OVERLAP = 0.85
_NEARLY_ALL = 0.8
LIST_MARK = re.compile(
    r"[•◦▪‣●○■□·\uf0b7\uf0a7\uf0d8*–—-]|\(?(?:\d{1,3}|[a-zA-Z]|[ivx]{1,5})[.)]|\d{1,2}(?:\.\d{1,2}){1,4}\.?|\[note \w+\]"
)
"""What stands before an item of a list, or before a heading, often at a distance."""
_CURRENCY = {"$", "€", "£", "¥", "US$", "CHF", "($", "-$", "$("}
_CLOSING = {")", "%", ")%", "x", "bps", "pts"}


@dataclass(frozen=True, eq=False)
class Row:
    """Pieces printed on one line, from left to right; lengths in points."""

    pieces: tuple[GlyphRun, ...]

    @property
    def left(self) -> float:
        """Where the row begins."""
        return self.pieces[0].left

    @cached_property
    def right(self) -> float:
        """Where the row ends."""
        return max(piece.right for piece in self.pieces)

    @cached_property
    def bottom(self) -> float:
        """The lowest point of its largest type."""
        return max(self.pieces, key=lambda piece: piece.height).bottom

    @cached_property
    def height(self) -> float:
        """The height of its largest type."""
        return max(piece.height for piece in self.pieces)

    @cached_property
    def is_bold(self) -> bool:
        """Whether all of it is bold."""
        return all(piece.is_bold for piece in self.pieces)

    @cached_property
    def text(self) -> str:
        """The words of the row."""
        return " ".join(piece.text for piece in self.pieces)


def rows_of(pieces: Sequence[GlyphRun]) -> list[Row]:
    """Returns the rows of a page from the top; signs of currency join the figure beside them."""
    rows: list[list[GlyphRun]] = []
    for piece in sorted(pieces, key=lambda piece: -(piece.bottom + piece.top)):
        middle = piece.bottom + piece.top
        for row in reversed(rows[-3:]):
            reference = row[0]
            lower = min(reference.height, piece.height)
            if abs(reference.bottom + reference.top - middle) < 0.8 * lower and not _collides(row, piece):
                row.append(piece)
                break
        else:
            rows.append([piece])
    return [Row(tuple(_with_signs(sorted(row, key=lambda piece: piece.left)))) for row in rows]


def _collides(row: list[GlyphRun], piece: GlyphRun) -> bool:
    return any(min(other.right, piece.right) - max(other.left, piece.left) > 0.3 * piece.height for other in row)


def _with_signs(pieces: list[GlyphRun]) -> list[GlyphRun]:
    joined: list[GlyphRun] = []
    for piece in pieces:
        last = joined[-1] if joined else None
        if (
            last is not None
            and len(joined) == 1
            and LIST_MARK.fullmatch(last.text)
            and piece.left - last.right < 6 * piece.height
        ):
            joined[-1] = piece._replace(text=f"{last.text} {piece.text}", left=last.left, first=last.first)
        elif (
            last is not None
            and (last.text in _CURRENCY or piece.text in _CLOSING)
            and piece.left - last.right < 6 * piece.height
        ):
            space = "" if piece.text in _CLOSING and piece.text[0] in ")%" else " "
            joined[-1] = last._replace(text=f"{last.text}{space}{piece.text}", right=piece.right, last=piece.last)
        elif (
            last is not None
            and piece.left - last.right < 0.02 * piece.height
            and piece.left >= last.right - piece.height
        ):
            joined[-1] = last._replace(text=f"{last.text} {piece.text}", right=piece.right, last=piece.last)
        else:
            joined.append(piece)
    return joined


def flows(rows: list[Row], depth: int = 1) -> list[list[Row]]:
    """Returns the parts of the page in reading order: where lines run in columns, each column is a part."""
    parts: list[list[Row]] = []
    start = 0
    while start < len(rows):
        end, gutter = _columns(rows, start) if depth < _MOST_COLUMNS else (start, 0.0)
        if end > start:
            left, right = _split(rows[start:end], gutter)
            parts += [*flows(left, depth + 1), *flows(right, depth + 1)]
            start = end
            continue
        if parts and depth and start and parts[-1] and parts[-1][-1] is rows[start - 1]:
            parts[-1].append(rows[start])
        else:
            parts.append([rows[start]])
        start += 1
    return parts


def _columns(rows: list[Row], start: int) -> tuple[int, float]:
    """Returns the end of the lines from `start` that are set in two columns and the gutter's middle; `start` if none."""
    first = _with_other_side(rows, start)
    if sum(" " in piece.text and _is_wordy(piece.text) for piece in first) < 2:
        return start, 0.0
    best = (start, 0.0)
    for before, after in pairwise(first):
        low, high = before.right, after.left
        end = start
        for row in rows[start:]:
            narrower = _gutter(row, low, high)
            if narrower is None:
                break
            low, high = narrower
            end += 1
        middle = (low + high) / 2
        while end > start and len(rows[end - 1].pieces) == 1 and not _is_beside(rows[end - 2], rows[end - 1]):
            end -= 1  # a line of full measure that happens to be short belongs below both columns
        if end - start >= _FEWEST_LINES and end > best[0] and _is_prose(rows[start:end], middle):
            best = (_with_last_lines(rows, end, low, high), middle)
    return best


def _with_other_side(rows: list[Row], start: int) -> list[GlyphRun]:
    """Returns the pieces of a row and, if it is of one column and those beside it stand half a line lower, of these too."""
    pieces = list(rows[start].pieces)
    if len(pieces) == 1 and start + 1 < len(rows) and _is_beside(rows[start], rows[start + 1]):
        pieces = sorted([*pieces, *rows[start + 1].pieces], key=lambda piece: piece.left)
    return pieces


def _is_beside(row: Row, following: Row) -> bool:
    """Returns whether two rows overlap in height and not in width, as lines of columns with lines at other heights do."""
    apart = row.right < following.left or following.right < row.left
    return apart and 0 < row.bottom - following.bottom < _MOST_OVERLAP * min(row.height, following.height)


def _with_last_lines(rows: list[Row], end: int, low: float, high: float) -> int:
    """Adds the lines of one column that go on below the other's end, as long as they follow without a gap."""
    while end < len(rows) and _gutter(rows[end], low, high) is not None:
        step = rows[end - 1].bottom - rows[end].bottom
        if step > 1.6 * rows[end].height or abs(rows[end].height - rows[end - 1].height) > 1:
            break
        end += 1
    return end


def _gutter(row: Row, low: float, high: float) -> tuple[float, float] | None:
    """Returns the part of the gutter that the row leaves free, None if it leaves too little."""
    for piece in row.pieces:
        if piece.right <= (low + high) / 2 or piece.right <= low + 1:
            low = max(low, piece.right)
        elif piece.left >= low + _NARROWEST_GUTTER:
            high = min(high, piece.left)
        else:
            return None
    return (low, high) if high - low >= _NARROWEST_GUTTER else None


def _split(rows: list[Row], gutter: float) -> tuple[list[Row], list[Row]]:
    left = [Row(pieces) for row in rows if (pieces := tuple(p for p in row.pieces if p.right <= gutter))]
    right = [Row(pieces) for row in rows if (pieces := tuple(p for p in row.pieces if p.right > gutter))]
    return left, right


def _is_prose(rows: list[Row], gutter: float) -> bool:
    """Returns whether both sides are running text: lines of several words, most of which go on in the next line."""
    if sum(_is_wordy(row.text) for row in rows) < len(rows) / 2:
        return False  # rows of figures
    for side in _split(rows, gutter):
        texts = [row.text for row in side]
        if len(texts) < _FEWEST_LINES:
            return False
        if sum(len(row.pieces) > 1 for row in side) > len(side) / 3:
            if _columns(side, 0)[0] < _NEARLY_ALL * len(side):
                return False
            continue
        wordy = sum(len(text.split()) >= _FEWEST_WORDS and _is_wordy(text) for text in texts)
        going_on = sum(text[:1].islower() for text in texts[1:])
        if wordy < 0.5 * len(texts) or going_on < 0.3 * (len(texts) - 1):
            return False
    return True


def _is_wordy(text: str) -> bool:
    letters = sum(map(str.isalpha, text))
    return letters > 0.6 * len(text.replace(" ", ""))
