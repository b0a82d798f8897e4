"""The words of a page with their places, as pieces of lines that nothing but word spaces interrupts."""

import ctypes
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import pypdfium2
import pypdfium2.raw as pdfium

from backend.documents.parsing import marks

HYPHEN = "\ufffe"
"""PDFium's mark for a hyphen at the end of a line, where it joins the word with its rest on the next line."""

_WORD = re.compile(rf"[^\s\x00{HYPHEN}]+{HYPHEN}?|{HYPHEN}")
_MARK_SHARE = 0.85
_LEAST_RISE = 0.15
_WIDEST_SPACE = 1.0
_SMALLEST_READABLE = 2.0
_OUTSIDE = 3.0
_LONG_WORD = re.compile(rf"[^\s{HYPHEN}]{{4,}}")
_SAMPLED_WORDS = 15
_NEARLY_WHITE = 250
_BOLD_FROM = 600
_FONT_NAME_BYTES = 64


class Piece(NamedTuple):
    """Words in a row; lengths in points, turned so that the text runs from left to right and `top` is upwards.

    `turn` counts quarter turns of the text against the page; `first` and `last` are PDFium's numbers of characters.
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

    @property
    def height(self) -> float:
        """The height of the line's type, from the lowest to the highest letters."""
        return self.top - self.bottom


# Called for every word of every page: with plain addresses it takes half the time of the library's own prototype.
_loose_box = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p)(
    ctypes.cast(pdfium.FPDFText_GetLooseCharBox, ctypes.c_void_p).value or 0
)


class Glyphs:
    """The characters of one text page."""

    def __init__(
        self, textpage: pypdfium2.PdfTextPage, is_struck: Callable[[float, float, float, float], bool] | None
    ) -> None:
        """Leave out the words for whose left, right, bottom and top `is_struck` is true, if it is given."""
        self._raw = textpage.raw
        self._is_struck = is_struck
        self.has_struck = False
        self._handle = ctypes.cast(textpage.raw, ctypes.c_void_p).value
        self._buffer = (ctypes.c_float * 4)()
        self._address = ctypes.addressof(self._buffer)
        self._box = memoryview(self._buffer).cast("B").cast("f")
        self._name = (ctypes.c_char * _FONT_NAME_BYTES)()
        count = textpage.count_chars()
        text = textpage.get_text_range() if count else ""
        if len(text) != count:
            codes = (pdfium.FPDFText_GetUnicode(self._raw, index) for index in range(count))
            text = "".join(chr(code) if 0 < code < 0x110000 else "\x00" for code in codes).replace("\x02", HYPHEN)
        self.text = text
        self._main_turn = self._turn_of_page()

    def pieces(self) -> list[Piece]:
        """Return the pieces in the order of the file."""
        pieces: list[Piece] = []
        words: list[str] = []
        piece: Piece | None = None
        right, last = 0.0, 0
        for word in self._words():
            if piece is not None and word.turn == piece.turn:
                # By far most words stand on the line of the one before; a tuple for each would cost most of the time.
                same_line = word.bottom == piece.bottom and word.top == piece.top and words[-1][-1] != HYPHEN
                if same_line and 0 < word.left - right < word.top - word.bottom:
                    words.append(word.text)
                    right, last = word.right, word.last
                    continue
                piece = piece._replace(text=" ".join(words), right=right, last=last)
                joined = _joined(piece, word)
                if joined is not None:
                    piece, words, right, last = joined, [joined.text], joined.right, joined.last
                    continue
            if piece is not None:
                pieces.append(piece._replace(text=" ".join(words), right=right, last=last))
            piece, words, right, last = word, [word.text], word.right, word.last
        if piece is not None:
            pieces.append(piece._replace(text=" ".join(words), right=right, last=last))
        return [piece._replace(is_bold=self._is_bold(piece)) for piece in pieces if piece.height > 0]

    def _turn_of_page(self) -> int:
        """Return how most words are turned; lines of single characters do not say it themselves."""
        sampled = [
            match.span() for match, _ in zip(_LONG_WORD.finditer(self.text), range(_SAMPLED_WORDS), strict=False)
        ]
        turns = Counter(self._direction(start, end - 1) for start, end in sampled)
        return max(turns, key=lambda turn: turns[turn], default=0)

    def is_white(self, piece: Piece) -> bool:
        """Return whether the piece is printed in the colour of paper."""
        red, green, blue, alpha = (ctypes.c_uint() for _ in range(4))
        if not pdfium.FPDFText_GetFillColor(self._raw, piece.first, red, green, blue, alpha):
            return False
        return min(red.value, green.value, blue.value) >= _NEARLY_WHITE or not alpha.value

    def _is_bold(self, piece: Piece) -> bool:
        return self._is_bold_at(piece.first) and (piece.last == piece.first or self._is_bold_at(piece.last))

    def _is_bold_at(self, index: int) -> bool:
        if pdfium.FPDFText_GetFontWeight(self._raw, index) >= _BOLD_FROM:
            return True
        pdfium.FPDFText_GetFontInfo(self._raw, index, self._name, _FONT_NAME_BYTES, None)
        return b"bold" in self._name.value.lower() or b"black" in self._name.value.lower()

    def _words(self) -> Iterator[Piece]:
        line_end = 0
        turn = 0
        for match in _WORD.finditer(self.text):
            start, end = match.span()
            if start >= line_end:
                line_end = self.text.find("\n", start)
                line_end = len(self.text) if line_end < 0 else line_end
                turn = self._turn(start, line_end)
            word = match[0]
            last = end - 1 if word[-1] != HYPHEN or len(word) == 1 else end - 2
            if word[-1] == HYPHEN:
                line_end = end  # the rest of the word is on the next line
            parts = self._parts(word, start, last, turn)
            if self._is_struck is None:
                yield from parts
                continue
            for part in parts:
                if self._is_struck(*(turned(-turn % 4, *part[1:5]) if turn else part[1:5])):
                    self.has_struck = True
                else:
                    yield part

    def _parts(self, word: str, start: int, last: int, turn: int) -> Sequence[Piece]:
        """Return the word, or its parts if its first, last and last letter or digit are not of one height."""
        left, right, bottom, top = self._bounds(start, turn)
        if last == start:
            return (Piece(word, left, right, bottom, top, start, last, turn),)
        left_2, right_2, bottom_2, top_2 = self._bounds(last, turn)
        is_even = bottom_2 == bottom and top_2 == top
        if is_even and not word[last - start].isalnum():
            inner = last - 1
            while inner > start and not word[inner - start].isalnum():
                inner -= 1
            is_even = inner == start or self._bounds(inner, turn)[2:] == (bottom, top)
        if is_even:
            return (Piece(word, min(left, left_2), max(right, right_2), bottom, top, start, last, turn),)
        return self._mixed(word, start, last, turn)

    def _bounds(self, index: int, turn: int) -> tuple[float, float, float, float]:
        """Return left, right, bottom and top of a character, turned as it is read."""
        _loose_box(self._handle, index, self._address)
        left, top, right, bottom = self._box
        return turned(turn, left, right, bottom, top) if turn else (left, right, bottom, top)

    def _mixed(self, word: str, start: int, last: int, turn: int) -> list[Piece]:
        """Return the parts of a word whose characters differ in height and place: a figure and its raised mark."""
        boxes = [self._bounds(index, turn) for index in range(start, last + 1)]
        highest = max(top - bottom for _, _, bottom, top in boxes)
        parts = []
        begun = 0
        for index in range(1, len(boxes) + 1):
            if index < len(boxes) and not _differs(boxes[index - 1], boxes[index], highest):
                continue
            part = boxes[begun:index]
            text = word[begun:index] if index < len(boxes) else word[begun:]
            parts.append(Piece(
                text, min(box[0] for box in part), max(box[1] for box in part), min(box[2] for box in part),
                max(box[3] for box in part), start + begun, start + index - 1, turn,
            ))  # fmt: skip
            begun = index
        return parts

    def _turn(self, start: int, end: int) -> int:
        """Return the quarter turns of a line, by its first word: PDFium may take a whole turned page for one line."""
        word = _LONG_WORD.search(self.text, start, end)
        return self._direction(word.start(), word.end() - 1) if word else self._main_turn

    def _direction(self, first: int, last: int) -> int:
        """Return the quarter turns of a word by where its last character stands from its first."""
        left, right, bottom, top = self._bounds(first, 0)
        left_2, right_2, bottom_2, top_2 = self._bounds(last, 0)
        across, up = (left_2 + right_2 - left - right) / 2, (bottom_2 + top_2 - bottom - top) / 2
        if abs(across) >= abs(up):
            return 0 if across >= 0 else 2
        return 1 if up > 0 else 3


def turned(turn: int, left: float, right: float, bottom: float, top: float) -> tuple[float, float, float, float]:
    """Return left, right, bottom and top as a reader sees them who turns the page to read the text."""
    if turn == 0:
        return left, right, bottom, top
    if turn == 1:
        return bottom, top, -right, -left
    if turn == 2:
        return -right, -left, -top, -bottom
    return -top, -bottom, left, right


def is_too_small(piece: Piece) -> bool:
    """Return whether nobody can read the piece."""
    return piece.height < _SMALLEST_READABLE


def is_outside(piece: Piece, bounds: tuple[float, float, float, float]) -> bool:
    """Return whether the piece is off the page, whose left, bottom, right and top are given."""
    if piece.turn:
        return False
    left, bottom, right, top = bounds
    beside = piece.right < left - _OUTSIDE or piece.left > right + _OUTSIDE
    return beside or piece.top < bottom - _OUTSIDE or piece.bottom > top + _OUTSIDE


def _differs(one: tuple[float, ...], other: tuple[float, ...], highest: float) -> bool:
    height, height_2 = one[3] - one[2], other[3] - other[2]
    if not highest or abs(height - height_2) < (1 - _MARK_SHARE) * highest:
        return False
    return abs(_baseline(one[2], one[3]) - _baseline(other[2], other[3])) > _LEAST_RISE * highest


def _baseline(bottom: float, top: float) -> float:
    return bottom + 0.2 * (top - bottom)


def _joined(piece: Piece, word: Piece) -> Piece | None:  # noqa: PLR0911 — a return for each way to stand
    """Return the piece with the word, None if the word begins another piece."""
    height = max(piece.height, word.height)
    gap = word.left - piece.right
    if piece.text.endswith(HYPHEN) or not -0.5 * height < gap < _WIDEST_SPACE * height:
        return None
    rise = _baseline(word.bottom, word.top) - _baseline(piece.bottom, piece.top)
    if word.height < _MARK_SHARE * piece.height and abs(rise) > _LEAST_RISE * piece.height:
        if abs(rise) > piece.height:
            return None
        shift = marks.raised if rise > 0 else marks.lowered
        return piece._replace(text=piece.text + shift(piece.text, word.text), right=word.right, last=word.last)
    if piece.height < _MARK_SHARE * word.height and abs(rise) > _LEAST_RISE * word.height:
        if abs(rise) > word.height:
            return None
        # The mark stands first, as at the foot of a page.
        text = f"{marks.raised('', piece.text)} {word.text}" if rise < 0 else f"{piece.text} {word.text}"
        return word._replace(text=text, left=piece.left, first=piece.first)
    if abs(rise) > 0.3 * height:
        return None
    space = "" if gap < 0.02 * height and word.first == piece.last + 1 else " "
    return piece._replace(
        text=f"{piece.text}{space}{word.text}", right=max(piece.right, word.right), last=word.last,
        bottom=min(piece.bottom, word.bottom), top=max(piece.top, word.top),
    )  # fmt: skip
