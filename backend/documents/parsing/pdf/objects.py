"""What is drawn on a page besides text: pictures, grounds that make white text readable, lines through words."""

import ctypes
from dataclasses import dataclass, field

import pypdfium2
import pypdfium2.raw as pdfium

_MOST_OBJECTS = 1_500
_SAMPLE = 300
_THINNEST_GROUND = 4.0
_THICKEST_LINE = 1.6
_NARROWEST_LINE = 3.0
_NEARLY_WHITE = 245
_WHOLE_LINE = 0.12

Box = tuple[float, float, float, float]
"""Left, bottom, right, top."""


@dataclass(slots=True)
class Drawn:
    """The boxes of pictures and grounds, and thin level lines by the whole points around their height."""

    pictures: list[Box] = field(default_factory=list)
    grounds: list[Box] = field(default_factory=list)
    lines: dict[int, list[Box]] = field(default_factory=dict)
    has_paths: bool = False

    def strikes(self, left: float, right: float, bottom: float, top: float) -> bool:
        """Return whether a line is drawn through the middle of a word."""
        if not self.lines:
            return False
        height = top - bottom
        middle, centre = bottom + 0.46 * height, (left + right) / 2
        for line in self.lines.get(int(middle), ()):
            if line[0] <= centre <= line[2] and abs((line[1] + line[3]) / 2 - middle) < _WHOLE_LINE * height:
                return True
        return False

    def is_on_ground(self, left: float, right: float, bottom: float, top: float) -> bool:
        """Return whether something that is not white is drawn behind the middle of a word."""
        across, up = (left + right) / 2, (bottom + top) / 2
        return any(box[0] <= across <= box[2] and box[1] <= up <= box[3] for box in self.grounds)


def drawn_on(page: pypdfium2.PdfPage, *, whole: bool) -> Drawn:
    """Return what is drawn; of a page of very many objects, unless all are asked for, the first and the last."""
    count = pdfium.FPDFPage_CountObjects(page.raw)
    indexes: list[int] | range = range(count)
    if count > _MOST_OBJECTS and not whole:
        indexes = [*range(_SAMPLE), *range(count - _SAMPLE, count)]
    drawn = Drawn()
    for index in indexes:
        drawing = pdfium.FPDFPage_GetObject(page.raw, index)
        kind = pdfium.FPDFPageObj_GetType(drawing)
        if kind != pdfium.FPDF_PAGEOBJ_TEXT:
            _note(drawn, drawing, kind)
    return drawn


def _note(drawn: Drawn, drawing: object, kind: int) -> None:
    left, bottom, right, top = (ctypes.c_float() for _ in range(4))
    if not pdfium.FPDFPageObj_GetBounds(drawing, left, bottom, right, top):
        return
    box = (left.value, bottom.value, right.value, top.value)
    if kind == pdfium.FPDF_PAGEOBJ_IMAGE:
        drawn.pictures.append(box)
        drawn.grounds.append(box)
    elif kind == pdfium.FPDF_PAGEOBJ_PATH:
        drawn.has_paths = True
        if box[3] - box[1] <= _THICKEST_LINE and box[2] - box[0] >= _NARROWEST_LINE:
            level = int((box[1] + box[3]) / 2)
            for near in (level - 1, level, level + 1):
                drawn.lines.setdefault(near, []).append(box)
        elif box[3] - box[1] >= _THINNEST_GROUND and not _is_white(drawing):
            drawn.grounds.append(box)
    else:
        drawn.grounds.append(box)


def _is_white(drawing: object) -> bool:
    red, green, blue, alpha = (ctypes.c_uint() for _ in range(4))
    if not pdfium.FPDFPageObj_GetFillColor(drawing, red, green, blue, alpha):
        return True
    return min(red.value, green.value, blue.value) >= _NEARLY_WHITE or not alpha.value
