"""Gathers what is drawn on a page besides text, also within forms, in the order of drawing."""

import ctypes
from itertools import repeat
from typing import Any

import pypdfium2
import pypdfium2.raw as pdfium

from backend.documents.parsing.pdf.addresses import by_address, unchecked
from backend.documents.parsing.pdf.objects import Box, Colour, Drawn, Fill

_MOST_OBJECTS = 20_000
_SAMPLE = 300
_STEP = 0.5 / _MOST_OBJECTS  # from one object of a form to the next, which all come before the next of the page
_DEEPEST_FORM = 5
_THINNEST_GROUND = 4.0
_THICKEST_LINE = 1.6
_THICKEST_STROKE = 5.0  # through the largest type
_NARROWEST_LINE = 3.0
_NEARLY_WHITE = 245
_SHORTEST_RULE = 20.0
_SHORTEST_UPRIGHT = 6.0
_OPAQUE = 255
_NEARLY_BLACK = 60
_MOST_SEGMENTS = 100
_SEGMENTS_OF_A_BOX = 6
_FAR = 1e6
_NOWHERE: Box = (_FAR, _FAR, _FAR, _FAR)

# Called for every object of every page: with plain addresses they take a third of the time of the library's prototypes.
_object_at = unchecked(pdfium.FPDFPage_GetObject, ctypes.c_void_p)
_inner_at = by_address(pdfium.FPDFFormObj_GetObject, ctypes.c_void_p, ctypes.c_ulong)
_type_of = by_address(pdfium.FPDFPageObj_GetType, ctypes.c_int)
_bounds_of = by_address(pdfium.FPDFPageObj_GetBounds, ctypes.c_int, *[ctypes.c_void_p] * 4)
_clip_path_of = by_address(pdfium.FPDFPageObj_GetClipPath, ctypes.c_void_p)
_count_clips = by_address(pdfium.FPDFClipPath_CountPaths, ctypes.c_int)


def drawn_on(page: pypdfium2.PdfPage, *, whole: bool) -> Drawn:
    """Returns what is drawn; of a page of very many objects, unless all are asked for, the first and the last."""
    count = pdfium.FPDFPage_CountObjects(page.raw)
    indexes: list[int] | range = range(count)
    if count > _MOST_OBJECTS and not whole:
        indexes = [*range(_SAMPLE), *range(count - _SAMPLE, count)]
    addresses = list(map(_object_at, repeat(ctypes.cast(page.raw, ctypes.c_void_p)), indexes))
    kinds = list(map(_type_of, addresses))
    # By far most objects are text, of which only the place is asked for.
    drawn = Drawn(is_whole=len(addresses) == count, orders=dict(zip(addresses, range(len(addresses)), strict=True)))
    text = pdfium.FPDF_PAGEOBJ_TEXT
    gathered = _Gathered(drawn, kinds.index(text) if text in kinds else len(kinds))
    for order, kind in enumerate(kinds):
        if kind != text:
            gathered.take(addresses[order], order)
    return drawn


class _Gathered:
    """Takes objects in the order of drawing, and what forms among them hold in their place."""

    def __init__(self, drawn: Drawn, first_text: int) -> None:
        self.drawn = drawn
        self._first_text = first_text
        self._inner = 0
        self._order: float = 0
        self._matrices: list[pdfium.FS_MATRIX] = []
        self._sides = (ctypes.c_float * 4)()
        start = ctypes.addressof(self._sides)
        self._places = [start + 4 * index for index in range(4)]

    def take(self, address: int, order: int) -> None:
        """Takes an object that is the page's own."""
        self._order = order
        self._take(address)

    def _take(self, address: int) -> None:
        kind = _type_of(address)
        if kind == pdfium.FPDF_PAGEOBJ_TEXT:
            self.drawn.orders[address] = self._order
            self.drawn.within_forms.add(address)
        elif kind == pdfium.FPDF_PAGEOBJ_FORM and len(self._matrices) < _DEEPEST_FORM:
            self._take_form(address)
        else:
            self._note(address, kind)

    def _take_form(self, address: int) -> None:
        form = ctypes.cast(address, pdfium.FPDF_PAGEOBJECT)
        matrix = pdfium.FS_MATRIX()
        pdfium.FPDFPageObj_GetMatrix(form, matrix)
        self._matrices.append(matrix)
        for index in range(max(pdfium.FPDFFormObj_CountObjects(form), 0)):
            if self._inner >= _MOST_OBJECTS:
                break
            self._inner += 1
            self._order += _STEP
            self._take(_inner_at(address, index))
        self._matrices.pop()

    def _note(self, address: int, kind: int) -> None:
        if not _bounds_of(address, *self._places):
            return
        left, bottom, right, top = self._sides
        own: Box | None = (left, bottom, right, top)
        if _count_clips(_clip_path_of(address)) > 0:
            own = _clipped(ctypes.cast(address, pdfium.FPDF_PAGEOBJECT), (left, bottom, right, top))
        if own is None:
            return  # a clipping path leaves nothing of it
        box = self._on_page(own) if self._matrices else own
        if kind == pdfium.FPDF_PAGEOBJ_IMAGE:
            self.drawn.pictures.append(box)
        if kind == pdfium.FPDF_PAGEOBJ_PATH:
            self._note_path(ctypes.cast(address, pdfium.FPDF_PAGEOBJECT), box)
        else:
            self.drawn.grounds.append(box)
            self.drawn.fills.append(Fill(self._order, box, None))

    def _note_path(self, path: Any, box: Box) -> None:  # noqa: ANN401
        drawn = self.drawn
        drawn.has_paths = True
        width, height = box[2] - box[0], box[3] - box[1]
        if height <= _THICKEST_STROKE and width >= _NARROWEST_LINE and width > 2 * height:
            level = int((box[1] + box[3]) / 2)
            if height <= _THICKEST_LINE and width >= _SHORTEST_RULE:
                drawn.rules.append(box)
            for near in (level - 1, level, level + 1):
                drawn.lines.setdefault(near, []).append(box)
        elif width <= _THICKEST_LINE and height >= _SHORTEST_UPRIGHT:
            drawn.uprights.append(box)
        if height < _THINNEST_GROUND or width <= _THICKEST_LINE:
            return
        filled, colour = _filling(path)
        if min(colour or (0,)) < _NEARLY_WHITE and not (colour is None and _is_white(path)):
            drawn.grounds.append(box)
        if filled:
            drawn.fills.append(Fill(self._order, box, colour))
            if (
                (self._order > self._first_text or drawn.within_forms)
                and colour is not None
                and _is_black_or_white(colour)
            ):
                drawn.covers.append((self._order, box))

    def _on_page(self, box: Box) -> Box:
        for matrix in reversed(self._matrices):
            corners = [
                (matrix.a * x + matrix.c * y + matrix.e, matrix.b * x + matrix.d * y + matrix.f)
                for x in (box[0], box[2])
                for y in (box[1], box[3])
            ]
            across, up = zip(*corners, strict=True)
            box = (min(across), min(up), max(across), max(up))
        return box


def _filling(path: Any) -> tuple[bool, Colour | None]:  # noqa: ANN401
    """Returns whether a path is filled, and its colour if it is one box that nothing shines through."""
    fill, is_stroked = ctypes.c_int(), ctypes.c_int()
    pdfium.FPDFPath_GetDrawMode(path, fill, is_stroked)
    if not fill.value:
        return False, None
    colours = [ctypes.c_uint() for _ in range(4)]
    if (
        pdfium.FPDFPath_CountSegments(path) > _SEGMENTS_OF_A_BOX
        or not pdfium.FPDFPageObj_GetFillColor(path, *colours)
        or pdfium.FPDFPageObj_HasTransparency(path)
    ):
        return True, None
    red, green, blue, alpha = (part.value for part in colours)
    return True, (red, green, blue) if alpha == _OPAQUE else None


def _is_black_or_white(colour: Colour) -> bool:
    """Returns whether nothing can be read under a colour: a marker's colour lets words shine through."""
    return min(colour) >= _NEARLY_WHITE or max(colour) <= _NEARLY_BLACK


def clip_of(address: int) -> Box | None:
    """Returns the box that the clipping paths of an object leave, which may be empty; None if it has none."""
    if _count_clips(_clip_path_of(address)) <= 0:
        return None
    return _clipped(ctypes.cast(address, pdfium.FPDF_PAGEOBJECT), (-_FAR, -_FAR, _FAR, _FAR)) or _NOWHERE


def _clipped(drawing: Any, box: Box) -> Box | None:  # noqa: ANN401
    """Returns the part of a box that its clipping paths, taken as boxes, let through; None if they leave nothing."""
    left, bottom, right, top = box
    clip = pdfium.FPDFPageObj_GetClipPath(drawing)
    for number in range(max(pdfium.FPDFClipPath_CountPaths(clip), 0)):
        across, up = [], []
        for place in range(min(pdfium.FPDFClipPath_CountPathSegments(clip, number), _MOST_SEGMENTS)):
            x, y = ctypes.c_float(), ctypes.c_float()
            pdfium.FPDFPathSegment_GetPoint(pdfium.FPDFClipPath_GetPathSegment(clip, number, place), x, y)
            across.append(x.value)
            up.append(y.value)
        if across:
            left, bottom = max(left, min(across)), max(bottom, min(up))
            right, top = min(right, max(across)), min(top, max(up))
    # A thin line keeps its box, which is as high or wide as nothing.
    return (left, bottom, right, top) if left <= right and bottom <= top else None


def _is_white(drawing: object) -> bool:
    red, green, blue, alpha = (ctypes.c_uint() for _ in range(4))
    if not pdfium.FPDFPageObj_GetFillColor(drawing, red, green, blue, alpha):
        return True
    return min(red.value, green.value, blue.value) >= _NEARLY_WHITE or not alpha.value
