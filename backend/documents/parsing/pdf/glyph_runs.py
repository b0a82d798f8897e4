"""Runs of glyphs: pieces of lines with their places, and which of them belong together."""

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from backend.documents.parsing import marks

HYPHEN = "\ufffe"
"""PDFium's mark for a hyphen at the end of a line, where it joins the word with its rest on the next line."""

_MARK_SHARE = 0.85
_LEAST_RISE = 0.15
_SAME_TYPE = 0.1
_AFTER_A_MARK = re.compile(r"\[note \d{1,2}\]$")
_BELOW_A_LINE = re.compile(r"[/⁄]\d{1,3}")
_SHORT_MARK = re.compile(r"[(\[]?\w{1,2}[)\]]?")
_WIDEST_SPACE = 1.0
_LEAST_MARK = 0.4
_SMALLEST_READABLE = 2.0
_OUTSIDE = 3.0


class GlyphRun(NamedTuple):
    """Words in a row; lengths in points, turned so that the text runs from left to right and `top` is upwards.

    `turn` counts quarter turns of the text against the page; `first` and `last` are PDFium's numbers of characters.
    `confidence` says of words that were recognised in a picture how sure that is, in per cent.
    """

    text: str
    left: float
    right: float
    bottom: float
    top: float
    first: int
    last: int
    turn: int = 0
    is_bold: bool = False
    confidence: int | None = None

    @property
    def height(self) -> float:
        """The height of the line's type, from the lowest to the highest letters."""
        return self.top - self.bottom


def turned(turn: int, left: float, right: float, bottom: float, top: float) -> tuple[float, float, float, float]:
    """Returns left, right, bottom and top as a reader sees them who turns the page to read the text."""
    if turn == 0:
        return left, right, bottom, top
    if turn == 1:
        return bottom, top, -right, -left
    if turn == 2:
        return -right, -left, -top, -bottom
    return -top, -bottom, left, right


def is_too_small(piece: GlyphRun) -> bool:
    """Returns whether nobody can read the piece."""
    return piece.height < _SMALLEST_READABLE


def is_outside(piece: GlyphRun, bounds: tuple[float, float, float, float]) -> bool:
    """Returns whether the piece is off the page, whose left, bottom, right and top are given."""
    if piece.turn:
        return False
    left, bottom, right, top = bounds
    beside = piece.right < left - _OUTSIDE or piece.left > right + _OUTSIDE
    return beside or piece.top < bottom - _OUTSIDE or piece.bottom > top + _OUTSIDE


def differs(one: tuple[float, ...], other: tuple[float, ...], highest: float) -> bool:
    """Returns whether two characters of a word differ in height and place, as a figure and its raised mark do."""
    height, height_2 = one[3] - one[2], other[3] - other[2]
    if abs(height - height_2) < _SAME_TYPE:
        return abs(one[2] - other[2]) > _LEAST_RISE * highest
    if not highest or abs(height - height_2) < (1 - _MARK_SHARE) * highest:
        return False
    return abs(_baseline(one[2], one[3]) - _baseline(other[2], other[3])) > _LEAST_RISE * highest


def _shifted(piece: GlyphRun, word: GlyphRun, rise: float) -> str:
    """Returns what a smaller word adds that stands higher or lower than the words before it."""
    if rise < 0 and word.left < piece.right - word.height / 4 and _AFTER_A_MARK.search(piece.text):
        return f"⁄{marks.denominator(word.text)}"  # right below the mark
    return (marks.raised if rise > 0 else marks.lowered)(piece.text, word.text)


def below_a_line(word: str, heights: Sequence[float]) -> str:
    """Returns a word such as /2 with its figures as those of a fraction if they are smaller than the line before them."""
    is_smaller = _BELOW_A_LINE.fullmatch(word) and max(heights[1:]) < _MARK_SHARE * heights[0]
    return word[0] + marks.denominator(word[1:]) if is_smaller else word


def _baseline(bottom: float, top: float) -> float:
    return bottom + 0.2 * (top - bottom)


def join(piece: GlyphRun, word: GlyphRun) -> GlyphRun | None:  # noqa: PLR0911 — a return for each way to stand
    """Returns the piece with the word, None if the word begins another piece."""
    height = max(piece.height, word.height)
    gap = word.left - piece.right
    if piece.text.endswith(HYPHEN) or not -0.5 * height < gap < _WIDEST_SPACE * height:
        return None
    rise = _baseline(word.bottom, word.top) - _baseline(piece.bottom, piece.top)
    if word.height < _MARK_SHARE * piece.height and abs(rise) > _LEAST_RISE * piece.height:
        if abs(rise) > piece.height or word.height < _LEAST_MARK * piece.height:
            return None  # on another line, or beside a large initial
        return piece._replace(text=piece.text + _shifted(piece, word, rise), right=word.right, last=word.last)
    if piece.height < _MARK_SHARE * word.height and abs(rise) > _LEAST_RISE * word.height:
        if abs(rise) > word.height:
            return None
        # The mark stands first, as at the foot of a page.
        text = f"{marks.raised('', piece.text)} {word.text}" if rise < 0 else f"{piece.text} {word.text}"
        return word._replace(text=text, left=piece.left, first=piece.first)
    is_raised_whole = abs(piece.height - word.height) < _SAME_TYPE and word.first == piece.last + 1
    if is_raised_whole and _LEAST_RISE * height < rise < 0.6 * height and _SHORT_MARK.fullmatch(word.text):
        # In the type of its line: only its place tells the mark from the figure.
        return piece._replace(text=piece.text + marks.raised(piece.text, word.text), right=word.right, last=word.last)
    if abs(rise) > 0.3 * height:
        return None
    space = "" if gap < 0.02 * height and word.first == piece.last + 1 else " "
    return piece._replace(
        text=f"{piece.text}{space}{word.text}", right=max(piece.right, word.right), last=word.last,
        bottom=min(piece.bottom, word.bottom), top=max(piece.top, word.top),
    )  # fmt: skip


def joined(words: Sequence[GlyphRun]) -> GlyphRun:
    """Returns words of one line as one piece; words between them that are not read leave a gap of any width."""
    piece = words[0]
    for word in words[1:]:
        apart = piece._replace(
            text=f"{piece.text} {word.text}", right=max(piece.right, word.right), last=word.last,
            bottom=min(piece.bottom, word.bottom), top=max(piece.top, word.top),
        )  # fmt: skip
        # A mark stays one where the word that it stands at is not read.
        piece = join(piece, word._replace(left=min(word.left, piece.right + word.height / 4))) or apart
    return piece


def confidence_of(pieces: Iterable[GlyphRun]) -> int | None:
    """Returns how sure recognition is of the pieces that it recognised, by their lengths; None if there are none."""
    sure = [(piece.confidence, len(piece.text)) for piece in pieces if piece.confidence is not None]
    return sum(share * length for share, length in sure) // sum(length for _, length in sure) if sure else None
