"""The words of a page with their places, as pieces of lines that nothing but word spaces interrupts."""

import ctypes
import math
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from statistics import median_low
from typing import NamedTuple, TypeAlias

import pypdfium2
import pypdfium2.raw as pdfium

from backend.documents.parsing.pdf.addresses import by_address
from backend.documents.parsing.pdf.glyph_runs import HYPHEN, GlyphRun, below_a_line, differs, join, turned

_WORD = re.compile(rf"[^\s\x00{HYPHEN}]+{HYPHEN}?|{HYPHEN}")
_MARK_WITHIN = re.compile(r".\d[^\d.,]")
_LEAST_PARTED = 1.0
_LONG_WORD = re.compile(rf"[^\s{HYPHEN}]{{4,}}")
_SAMPLED_WORDS = 15
_BOLD_FROM = 600
_NEARLY_QUARTER = 0.1
OBLIQUE = 4
"""The turn of a line that is turned by no quarters."""
_FONT_NAME_BYTES = 64
_FEWEST_SPACED = 5
_MOST_SINGLE = 0.8


Test: TypeAlias = Callable[[float, float, float, float], bool]
"""Of a place on the page, by its left, right, bottom and top."""


# Called for every word of every page: with plain addresses it takes half the time of the library's own prototype.
_loose_box = by_address(pdfium.FPDFText_GetLooseCharBox, ctypes.c_int, ctypes.c_int, ctypes.c_void_p)
_text_object = by_address(pdfium.FPDFText_GetTextObject, ctypes.c_void_p, ctypes.c_int)
_render_mode = by_address(pdfium.FPDFTextObj_GetTextRenderMode, ctypes.c_int)
_fill_colour = by_address(pdfium.FPDFText_GetFillColor, ctypes.c_int, ctypes.c_int, *[ctypes.c_void_p] * 4)
_NOT_PRINTED = {pdfium.FPDF_TEXTRENDERMODE_INVISIBLE, pdfium.FPDF_TEXTRENDERMODE_CLIP}
_NOT_FILLED = {*_NOT_PRINTED, pdfium.FPDF_TEXTRENDERMODE_STROKE, pdfium.FPDF_TEXTRENDERMODE_STROKE_CLIP}


class Printed(NamedTuple):
    """How a character is printed: by the object at an address (0 for none), filled with a colour and its alpha or not at all."""

    character: int
    address: int
    is_printed: bool
    colour: tuple[int, int, int, int] | None


class Glyphs:
    """The characters of one text page."""

    def __init__(self, textpage: pypdfium2.PdfTextPage, is_struck: Test | None, parts: Test | None = None) -> None:
        """Leaves out words in whose place something strikes them, and ends a piece at a gap that something parts."""
        self._parts_gap = parts
        self._raw = textpage.raw
        self._is_struck = is_struck
        self.has_struck = False
        self._handle = ctypes.cast(textpage.raw, ctypes.c_void_p).value
        self._buffer = (ctypes.c_float * 4)()
        self._address = ctypes.addressof(self._buffer)
        self._box = memoryview(self._buffer).cast("B").cast("f")
        self._colour = (ctypes.c_uint * 4)()
        start = ctypes.addressof(self._colour)
        self._parts_of_colour = [start + 4 * index for index in range(4)]
        self._name = (ctypes.c_char * _FONT_NAME_BYTES)()
        count = textpage.count_chars()
        text = textpage.get_text_range() if count else ""
        if len(text) != count:
            codes = (pdfium.FPDFText_GetUnicode(self._raw, index) for index in range(count))
            text = "".join(chr(code) if 0 < code < 0x110000 else "\x00" for code in codes).replace("\x02", HYPHEN)
        self.text = text
        self._main_turn = self._turn_of_page()

    def pieces(self) -> list[GlyphRun]:
        """Returns the pieces in the order of the file."""
        pieces: list[GlyphRun] = []
        words: list[str] = []
        piece: GlyphRun | None = None
        right, last = 0.0, 0
        for word in self._words():
            if piece is not None and word.turn == piece.turn:
                # By far most words stand on the line of the one before; a tuple for each would cost most of the time.
                same_line = word.bottom == piece.bottom and word.top == piece.top and words[-1][-1] != HYPHEN
                is_parted = self._is_parted(right, word)
                if same_line and not is_parted and 0 < word.left - right < word.top - word.bottom:
                    words.append(word.text)
                    right, last = word.right, word.last
                    continue
                piece = piece._replace(text=" ".join(words), right=right, last=last)
                joined = None if is_parted else join(piece, word)
                if joined is not None:
                    piece, words, right, last = joined, [joined.text], joined.right, joined.last
                    continue
            if piece is not None:
                pieces.append(piece._replace(text=" ".join(words), right=right, last=last))
            piece, words, right, last = word, [word.text], word.right, word.last
        if piece is not None:
            pieces.append(piece._replace(text=" ".join(words), right=right, last=last))
        return [self._closed_up(piece)._replace(is_bold=self._is_bold(piece)) for piece in pieces if piece.height > 0]

    def _closed_up(self, piece: GlyphRun) -> GlyphRun:
        """Returns a piece with its words whole that is set with spaces between its letters."""
        words = piece.text.split(" ")
        single = sum(len(word) == 1 and word.isalpha() for word in words)
        if len(words) < _FEWEST_SPACED or single < _MOST_SINGLE * len(words) or piece.turn:
            return piece
        places = [index for index in range(piece.first, piece.last + 1) if not self.text[index].isspace()]
        boxes = [self._bounds(index, 0) for index in places]
        gaps = [after[0] - before[1] for before, after in pairwise(boxes)]
        widest = 1.6 * max(median_low(gaps), 0.1)
        letters = [
            f" {self.text[index]}" if gap > widest else self.text[index]
            for index, gap in zip(places[1:], gaps, strict=True)
        ]
        return piece._replace(text=self.text[places[0]] + "".join(letters))

    def _is_parted(self, right: float, word: GlyphRun) -> bool:
        """Returns whether a line is drawn between a word and the one before it, which ends at `right`."""
        if self._parts_gap is None or word.turn or word.left - right < _LEAST_PARTED:
            return False
        return self._parts_gap(right, word.left, word.bottom, word.top)

    def _turn_of_page(self) -> int:
        """Returns how most words are turned; lines of single characters do not say it themselves."""
        sampled = [
            match.span() for match, _ in zip(_LONG_WORD.finditer(self.text), range(_SAMPLED_WORDS), strict=False)
        ]
        turns = Counter(self._direction(start, end - 1) for start, end in sampled)
        return max(turns, key=lambda turn: turns[turn], default=0)

    def box(self, index: int) -> tuple[float, float, float, float]:
        """Returns left, right, bottom and top of a character as the page shows it."""
        return self._bounds(index, 0)

    def words_of(self, piece: GlyphRun) -> list[tuple[int, int]]:
        """Returns the first and last characters of the words that a piece is made of."""
        return [(match.start(), match.end() - 1) for match in _WORD.finditer(self.text, piece.first, piece.last + 1)]

    def text_object(self, index: int) -> int:
        """Returns the address of the object that prints a character, 0 if there is none."""
        return _text_object(self._handle, index) or 0

    def look(self, index: int) -> Printed:
        """Returns how a character is printed."""
        address = self.text_object(index)
        mode = _render_mode(address) if address else pdfium.FPDF_TEXTRENDERMODE_FILL
        if mode in _NOT_FILLED or not _fill_colour(self._handle, index, *self._parts_of_colour):
            return Printed(index, address, mode not in _NOT_PRINTED, None)
        red, green, blue, alpha = self._colour
        return Printed(index, address, is_printed=True, colour=(red, green, blue, alpha))

    def _is_bold(self, piece: GlyphRun) -> bool:
        return self._is_bold_at(piece.first) and (piece.last == piece.first or self._is_bold_at(piece.last))

    def _is_bold_at(self, index: int) -> bool:
        if pdfium.FPDFText_GetFontWeight(self._raw, index) >= _BOLD_FROM:
            return True
        pdfium.FPDFText_GetFontInfo(self._raw, index, self._name, _FONT_NAME_BYTES, None)
        return b"bold" in self._name.value.lower() or b"black" in self._name.value.lower()

    def _words(self) -> Iterator[GlyphRun]:
        line_end = 0
        turn = 0
        for match in _WORD.finditer(self.text):
            start, end = match.span()
            if start >= line_end:
                line_end = self.text.find("\n", start)
                line_end = len(self.text) if line_end < 0 else line_end
                turn = self._turn(start, line_end)
                if turn == OBLIQUE:
                    yield self._oblique(start, line_end)
            if turn == OBLIQUE:
                continue
            word = match[0]
            last = end - 1 if word[-1] != HYPHEN or len(word) == 1 else end - 2
            if word[-1] == HYPHEN:
                line_end = end  # the rest of the word is on the next line
            parts = self._parts(word, start, last, turn)
            if len(parts) > 1 and (own := self._angle(start)) not in {None, turn, OBLIQUE}:
                turn = own or 0  # PDFium takes turned text for the end of a level line that it stands beside
                parts = self._parts(word, start, last, turn)
            if self._is_struck is None:
                yield from parts
                continue
            for part in parts:
                if self._is_struck(*(turned(-turn % 4, *part[1:5]) if turn else part[1:5])):
                    self.has_struck = True
                else:
                    yield part

    def _parts(self, word: str, start: int, last: int, turn: int) -> Sequence[GlyphRun]:
        """Returns the word, or its parts if its first, last and last letter or digit are not of one height."""
        left, right, bottom, top = self._bounds(start, turn)
        if last == start:
            return (GlyphRun(word, left, right, bottom, top, start, last, turn),)
        left_2, right_2, bottom_2, top_2 = self._bounds(last, turn)
        is_even = bottom_2 == bottom and top_2 == top
        if is_even and not word[last - start].isalnum():
            inner = last - 1
            while inner > start and not word[inner - start].isalnum():
                inner -= 1
            is_even = inner == start or self._bounds(inner, turn)[2:] == (bottom, top)
        if is_even and _MARK_WITHIN.search(word):  # as in $5¹/month
            is_even = all(self._bounds(index, turn)[2:] == (bottom, top) for index in range(start + 1, last))
        if is_even:
            return (GlyphRun(word, min(left, left_2), max(right, right_2), bottom, top, start, last, turn),)
        return self._mixed(word, start, last, turn)

    def _bounds(self, index: int, turn: int) -> tuple[float, float, float, float]:
        """Returns left, right, bottom and top of a character, turned as it is read."""
        _loose_box(self._handle, index, self._address)
        left, top, right, bottom = self._box
        return turned(turn, left, right, bottom, top) if turn else (left, right, bottom, top)

    def _mixed(self, word: str, start: int, last: int, turn: int) -> list[GlyphRun]:
        """Returns the parts of a word whose characters differ in height and place: a figure and its raised mark."""
        boxes = [self._bounds(index, turn) for index in range(start, last + 1)]
        highest = max(top - bottom for _, _, bottom, top in boxes)
        parts = []
        begun = 0
        for index in range(1, len(boxes) + 1):
            if index < len(boxes) and not differs(boxes[index - 1], boxes[index], highest):
                continue
            part = boxes[begun:index]
            text = word[begun:index] if index < len(boxes) else word[begun:]
            text = below_a_line(text, [top - bottom for _, _, bottom, top in part])
            parts.append(GlyphRun(
                text, min(box[0] for box in part), max(box[1] for box in part), min(box[2] for box in part),
                max(box[3] for box in part), start + begun, start + index - 1, turn,
            ))  # fmt: skip
            begun = index
        return parts

    def _oblique(self, start: int, end: int) -> GlyphRun:
        """Returns a line that is neither level nor upright, such as a watermark, in one piece."""
        boxes = [self._bounds(index, 0) for index in range(start, end) if not self.text[index].isspace()]
        left, bottom = min(box[0] for box in boxes), min(box[2] for box in boxes)
        right, height = max(box[1] for box in boxes), boxes[0][3] - boxes[0][2]
        return GlyphRun(
            " ".join(self.text[start:end].split()), left, right, bottom, bottom + height, start, end - 1, OBLIQUE
        )

    def _turn(self, start: int, end: int) -> int:
        """Returns the quarter turns of a line, by its first word: PDFium may take a whole turned page for one line."""
        if angle := self._angle(start):
            return angle
        word = _LONG_WORD.search(self.text, start, end)
        return self._direction(word.start(), word.end() - 1) if word else self._main_turn

    def _angle(self, index: int) -> int | None:
        """Returns the quarter turns that a character says of itself, OBLIQUE for another angle, None if it says nothing."""
        angle = pdfium.FPDFText_GetCharAngle(self._raw, index)
        if angle <= 0:
            return None
        quarters = (2 * math.pi - angle) / (math.pi / 2)
        return round(quarters) % 4 if abs(quarters - round(quarters)) < _NEARLY_QUARTER else OBLIQUE

    def _direction(self, first: int, last: int) -> int:
        """Returns the quarter turns of a word by where its last character stands from its first."""
        left, right, bottom, top = self._bounds(first, 0)
        left_2, right_2, bottom_2, top_2 = self._bounds(last, 0)
        across, up = (left_2 + right_2 - left - right) / 2, (bottom_2 + top_2 - bottom - top) / 2
        if abs(across) >= abs(up):
            return 0 if across >= 0 else 2
        return 1 if up > 0 else 3
