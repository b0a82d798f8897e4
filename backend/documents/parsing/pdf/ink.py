"""Where text leaves ink on a page: what differs between the page drawn with the text and without it."""

import ctypes
from collections.abc import Iterable
from ctypes import byref, c_double, c_int
from typing import TYPE_CHECKING

import pypdfium2
import pypdfium2.raw as pdfium

if TYPE_CHECKING:
    from PIL import Image

_MOST_PIXELS = 1_600  # along the longer side


class Ink:
    """Draws one page twice; clipping paths, layers that are off and whatever lies above a text hide it here as on a screen."""

    def __init__(self, page: pypdfium2.PdfPage, texts: Iterable[int]) -> None:
        """Takes the addresses of the text objects whose ink is asked for; they are switched off for good."""
        from PIL import ImageChops  # noqa: PLC0415 — few files need it, and its import costs as much as several pages

        self._page = page
        self._scale = min(1.0, _MOST_PIXELS / max(page.get_width(), page.get_height(), 1.0))
        with_text = self._drawn()
        for address in texts:
            pdfium.FPDFPageObj_SetIsActive(ctypes.cast(address, pdfium.FPDF_PAGEOBJECT), 0)
        self._ink = ImageChops.difference(with_text, self._drawn())

    def is_in(self, left: float, right: float, bottom: float, top: float) -> bool:
        """Returns whether there is ink in a place of the page."""
        corners = [
            on_picture(self._page, c_double(x), c_double(y), self._ink.size)
            for x in (left, right)
            for y in (bottom, top)
        ]
        across, down = zip(*corners, strict=True)
        box = (min(across), min(down), max(across) + 1, max(down) + 1)
        return self._ink.crop(box).getbbox() is not None

    def _drawn(self) -> "Image.Image":
        bitmap = self._page.render(scale=self._scale, grayscale=True, may_draw_forms=False, draw_annots=False)
        picture: Image.Image = bitmap.to_pil()
        return picture


def on_picture(page: pypdfium2.PdfPage, x: c_double, y: c_double, size: tuple[int, int]) -> tuple[int, int]:
    """Returns which pixel of a picture of the page shows a point of it."""
    across, down = c_int(), c_int()
    pdfium.FPDF_PageToDevice(page.raw, 0, 0, *size, 0, x, y, byref(across), byref(down))
    return across.value, down.value
