"""Which words of a page its readers see: what is tiny, covered, clipped, switched off or in the colour of its ground is not."""

import ctypes
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property

import pypdfium2
import pypdfium2.raw as pdfium

from backend.documents.parsing.pdf.addresses import by_address
from backend.documents.parsing.pdf.gathering import clip_of, drawn_on
from backend.documents.parsing.pdf.glyph_runs import GlyphRun, is_outside, is_too_small, joined, turned
from backend.documents.parsing.pdf.glyphs import OBLIQUE, Glyphs, Place, Printed
from backend.documents.parsing.pdf.ink import Ink
from backend.documents.parsing.pdf.objects import Box, Drawn

_NEARLY_WHITE = 250
_SPILL = 1.0
_MARK_BYTES = 6  # a longer name is not written at all
_LAYER = b"O\0C\0\0\0"
_PARTLY = "Words that a clipping path or a layer hides are left out."

_count_marks = by_address(pdfium.FPDFPageObj_CountMarks, ctypes.c_int)
_mark_of = by_address(pdfium.FPDFPageObj_GetMark, ctypes.c_void_p, ctypes.c_ulong)
_name_of_mark = by_address(
    pdfium.FPDFPageObjMark_GetName, ctypes.c_int, ctypes.c_void_p, ctypes.c_ulong, ctypes.c_void_p
)
_name = (ctypes.c_char * _MARK_BYTES)()
_length = ctypes.c_ulong()


class Sight:
    """Judges the pieces of one page; `reasons` tells why some are left out."""

    def __init__(self, page: pypdfium2.PdfPage, glyphs: Glyphs, drawn: Drawn) -> None:
        self._page = page
        self._bounds = page.get_bbox()
        self._glyphs = glyphs
        self._drawn = drawn
        self._limits: dict[int, tuple[bool, Box | None]] = {}
        self._tests: dict[str, Callable[[Printed], bool]] = {
            "Text that something covers is left out.": self._is_covered,
            "White text on white is left out.": self._is_white_on_paper,
            "Text in the colour of its ground is left out.": self._is_in_colour_of_ground,
        }
        self.reasons: dict[str, None] = {}

    def seen(self, pieces: Sequence[GlyphRun]) -> list[GlyphRun]:
        """Returns the pieces of the page, or what of them is seen."""
        visible, doubtful = [], set()
        for piece in pieces:
            # A piece of several text objects is judged by both its ends.
            first, last = self._glyphs.look(piece.first), self._glyphs.look(piece.last)
            if reason := self._reason(piece, first, last):
                self.reasons[reason] = None
                continue
            visible.append(piece)
            if first.is_printed and (self._may_be_hidden(first) or self._may_be_hidden(last)):
                doubtful.add(piece)
        if not doubtful:
            return visible
        ink = Ink(self._page, self._objects_of(doubtful))
        judged = (self._inked(piece, ink) if piece in doubtful else piece for piece in visible)
        return [piece for piece in judged if piece is not None]

    def _objects_of(self, pieces: Iterable[GlyphRun]) -> set[int]:
        """Returns what prints these pieces alone: the ink of others that stand in the same place is not theirs."""
        found = {self._glyphs.text_object(index) for piece in pieces for index in range(piece.first, piece.last + 1)}
        return found - {0}

    def _reason(self, piece: GlyphRun, first: Printed, last: Printed) -> str:
        if is_too_small(piece):
            return "Text of less than two points is left out."
        if not first.is_printed and not self._drawn.is_on_picture(*_upright(piece)):
            return "Text that is not printed is left out."
        for reason, is_hidden in self._tests.items():
            if is_hidden(first) and is_hidden(last):
                return reason
        if is_outside(piece, self._bounds):
            return "Text beyond the edge of the page is left out."
        return ""

    def _is_covered(self, end: Printed) -> bool:
        return bool(self._drawn.covers) and self._drawn.covers_text(end.address, *self._glyphs.box(end.character))

    def _is_white_on_paper(self, end: Printed) -> bool:
        if end.colour is None or (min(end.colour[:3]) < _NEARLY_WHITE and end.colour[3]):
            return False
        box = self._glyphs.box(end.character)
        if not end.colour[3]:
            return not self._is_named_drawing(end, box)
        return not self._drawn.is_on_ground(*box) and not self._whole.is_on_ground(*box)

    @cached_property
    def _whole(self) -> Drawn:
        return self._drawn if self._drawn.is_whole else drawn_on(self._page, whole=True)

    def _is_in_colour_of_ground(self, end: Printed) -> bool:
        if end.colour is None or not (self._drawn.fills_of(end.colour[:3]) or min(end.colour) >= _NEARLY_WHITE):
            return False
        left, right, bottom, top = self._glyphs.box(end.character)
        return self._drawn.is_in_colour_of_ground(end.address, end.colour[:3], (left, bottom, right, top))

    def _may_be_hidden(self, end: Printed) -> bool:
        """Returns whether only drawing the page tells if a character is seen."""
        if not end.address:
            return False
        if end.address not in self._limits:
            is_switched = end.address in self._drawn.within_forms or _is_of_a_layer(end.address)
            self._limits[end.address] = is_switched, clip_of(end.address)
        is_switched, clip = self._limits[end.address]
        if is_switched or clip is None:
            return is_switched
        left, right, bottom, top = self._glyphs.box(end.character)
        spill = _SPILL + 0.2 * (top - bottom)  # the box of a character is higher than its ink
        return clip[0] > left + spill or clip[1] > bottom + spill or clip[2] < right - spill or clip[3] < top - spill

    def _inked(self, piece: GlyphRun, ink: Ink) -> GlyphRun | None:
        """Returns the words whose first and last letters or digits left ink, raised and lowered as they stand."""
        parts = self._glyphs.parts_of(piece)
        words = [part for part in parts if self._is_inked(part, ink)]
        if len(words) == len(parts):
            return piece
        self.reasons[_PARTLY] = None
        return joined(words)._replace(is_bold=piece.is_bold) if words else None

    def _is_inked(self, part: GlyphRun, ink: Ink) -> bool:
        span = range(part.first, part.last + 1)
        letters = [index for index in span if self._glyphs.text[index].isalnum()] or [part.first]
        return all(self._leaves_ink(ink, index) for index in {letters[0], letters[-1]})

    def _leaves_ink(self, ink: Ink, index: int) -> bool:
        box = self._glyphs.box(index)
        return ink.is_in(*box) or self._is_named_drawing(self._glyphs.look(index), box)

    def _is_named_drawing(self, end: Printed, box: Place) -> bool:
        """Returns whether a transparent sign says what is drawn in its place, such as a ticked box."""
        is_transparent = end.colour is not None and not end.colour[3]
        return is_transparent and not self._glyphs.text[end.character].isalnum() and self._drawn.is_on_ground(*box)


def _upright(piece: GlyphRun) -> Place:
    turn = -piece.turn % 4 if piece.turn != OBLIQUE else 0
    return turned(turn, piece.left, piece.right, piece.bottom, piece.top)


def _is_of_a_layer(address: int) -> bool:
    """Returns whether marks put a text object into a layer, which may be switched off."""
    for number in range(max(_count_marks(address), 0)):
        _name_of_mark(_mark_of(address, number), ctypes.addressof(_name), _MARK_BYTES, ctypes.addressof(_length))
        if _length.value == _MARK_BYTES and _name.raw == _LAYER:
            return True
    return False
