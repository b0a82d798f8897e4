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

from backend.documents.parsing.pdf.addresses import by_address, unchecked
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


Colour: TypeAlias = tuple[int, int, int, int]
"""Red, green, blue and alpha."""
Place: TypeAlias = tuple[float, float, float, float]
"""Left, right, bottom and top."""
Test: TypeAlias = Callable[[float, float, float, float], bool]
"""Of a place on the page, by its left, right, bottom and top."""


# Called for every word of every page: unchecked they take a third of the time of the library's own prototypes.
_loose_box = unchecked(pdfium.FPDFText_GetLooseCharBox, ctypes.c_int)
_text_object = unchecked(pdfium.FPDFText_GetTextObject, ctypes.c_void_p)
_font_weight = unchecked(pdfium.FPDFText_GetFontWeight, ctypes.c_int)
_font_info = unchecked(pdfium.FPDFText_GetFontInfo, ctypes.c_ulong)
_render_mode = by_address(pdfium.FPDFTextObj_GetTextRenderMode, ctypes.c_int)
_fill_colour = unchecked(pdfium.FPDFText_GetFillColor, ctypes.c_int)
_NOT_PRINTED = {pdfium.FPDF_TEXTRENDERMODE_INVISIBLE, pdfium.FPDF_TEXTRENDERMODE_CLIP}
_NOT_FILLED = {*_NOT_PRINTED, pdfium.FPDF_TEXTRENDERMODE_STROKE, pdfium.FPDF_TEXTRENDERMODE_STROKE_CLIP}


class Printed(NamedTuple):
    """How a character is printed: by the object at an address (0 for none), filled with a colour and its alpha or not at all."""

    character: int
    address: int
    is_printed: bool
    colour: Colour | None


def _bounds_in(handle: ctypes.c_void_p) -> Callable[[int, int], Place]:
    """Returns what gives left, right, bottom and top of a character of a text page, turned as it is read."""
    buffer = (ctypes.c_float * 4)()
    address = ctypes.c_void_p(ctypes.addressof(buffer))
    box = memoryview(buffer).cast("B").cast("f")

    def bounds(index: int, turn: int) -> Place:
        _loose_box(handle, index, address)
        left, top, right, bottom = box
        return turned(turn, left, right, bottom, top) if turn else (left, right, bottom, top)

    return bounds


class Glyphs:
    """The characters of one text page."""

    def __init__(self, textpage: pypdfium2.PdfTextPage, is_struck: Test | None, parts: Test | None = None) -> None:
        """Leaves out words in whose place something strikes them, and ends a piece at a gap that something parts."""
        self._parts_gap = parts
        self._raw = textpage.raw
        self._is_struck = is_struck
        self.has_struck = False
        self._handle = ctypes.cast(textpage.raw, ctypes.c_void_p)
        self._bounds = _bounds_in(self._handle)
        self._looks: dict[int, tuple[bool, Colour | None]] = {}
        self._colour = (ctypes.c_uint * 4)()
        start = ctypes.addressof(self._colour)
        self._parts_of_colour = [ctypes.c_void_p(start + 4 * index) for index in range(4)]
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
                is_parted = self._parts_gap is not None and self._is_parted(right, word)
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

    def box(self, index: int) -> Place:
        """Returns left, right, bottom and top of a character as the page shows it."""
        return self._bounds(index, 0)

    def parts_of(self, piece: GlyphRun) -> list[GlyphRun]:
        """Returns the words of a piece as it was put together from them, without those that are struck out."""
        end = piece.last + 1
        end += self.text[end : end + 1] == HYPHEN
        parts: list[GlyphRun] = []
        for match in _WORD.finditer(self.text, piece.first, end):
            first, last = match.start(), _last(match)
            if piece.turn == OBLIQUE:
                parts.append(piece._replace(text=match[0], first=first, last=last))
            else:
                parts += self._not_struck(self._parts(match[0], first, last, piece.turn), piece.turn)
        return parts

    def text_object(self, index: int) -> int:
        """Returns the address of the object that prints a character, 0 if there is none."""
        return _text_object(self._handle, index) or 0

    def look(self, index: int) -> Printed:
        """Returns how a character is printed."""
        address = self.text_object(index)
        if address not in self._looks:
            self._looks[address] = self._look_of(address, index)
        return Printed(index, address, *self._looks[address])

    def _look_of(self, address: int, index: int) -> tuple[bool, Colour | None]:
        mode = _render_mode(address) if address else pdfium.FPDF_TEXTRENDERMODE_FILL
        if mode in _NOT_FILLED or not _fill_colour(self._handle, index, *self._parts_of_colour):
            return mode not in _NOT_PRINTED, None
        red, green, blue, alpha = self._colour
        return True, (red, green, blue, alpha)

    def _is_bold(self, piece: GlyphRun) -> bool:
        return self._is_bold_at(piece.first) and (piece.last == piece.first or self._is_bold_at(piece.last))

    def _is_bold_at(self, index: int) -> bool:
        if _font_weight(self._handle, index) >= _BOLD_FROM:
            return True
        _font_info(self._handle, index, self._name, _FONT_NAME_BYTES, None)
        name = self._name.value.lower()
        return b"bold" in name or b"black" in name

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
            word, last = match[0], end - 1
            if word[-1] == HYPHEN:
                last = _last(match)
                line_end = end  # the rest of the word is on the next line
            parts = self._parts(word, start, last, turn)
            if len(parts) > 1 and (own := self._angle(start)) not in {None, turn, OBLIQUE}:
                turn = own or 0  # PDFium takes turned text for the end of a level line that it stands beside
                parts = self._parts(word, start, last, turn)
            if self._is_struck is None:
                yield from parts
            elif len(parts) == 1 and not turn and not self._is_struck(*parts[0][1:5]):  # as by far most words
                yield parts[0]
            else:
                yield from self._not_struck(parts, turn)

    def _not_struck(self, parts: Sequence[GlyphRun], turn: int) -> Sequence[GlyphRun]:
        if self._is_struck is None:
            return parts
        kept = [part for part in parts if not self._is_struck(*_on_page(part, turn))]
        self.has_struck |= len(kept) < len(parts)
        return kept

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
        if is_even and not word.isalpha() and _MARK_WITHIN.search(word):  # as in $5¹/month
            is_even = all(self._bounds(index, turn)[2:] == (bottom, top) for index in range(start + 1, last))
        if is_even:
            if left_2 < left or right_2 < right:
                left, right = min(left, left_2), max(right, right_2)
            else:
                right = right_2
            return (GlyphRun(word, left, right, bottom, top, start, last, turn),)
        return self._mixed(word, start, last, turn)

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


def _last(match: re.Match[str]) -> int:
    """Returns the last character of a word that is more than its hyphen at the end of a line."""
    first, end = match.span()
    return end - 2 if match[0][-1] == HYPHEN and end - first > 1 else end - 1


def _on_page(part: GlyphRun, turn: int) -> Place:
    return turned(-turn % 4, *part[1:5]) if turn else part[1:5]
