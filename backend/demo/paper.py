"""Sets a document of the demo on paper, as PDF: its source is then a page, on which the cited words are marked."""

import ctypes
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from io import BytesIO

from pypdfium2 import PdfDocument, PdfMatrix, PdfPage, PdfTextObj, raw

from backend.demo.content import HEADING

_WIDTH, _HEIGHT = 612, 792  # US letter, in points
_LEFT, _TOP, _FOOT = 90, 84, 72
_LEADING = 1.45


@dataclass(frozen=True, slots=True)
class Type:
    """A font that every reader of PDF brings along, at a size, and the room below what is set in it."""

    font: bytes
    size: float
    room: float


HOUSE, TITLE = Type(b"Times-Roman", 9, 26), Type(b"Times-Bold", 20, 16)
SECTION, TEXT = Type(b"Times-Bold", 13, 3), Type(b"Times-Roman", 11.5, 10)


def pdf(house: str, title: str, parts: Sequence[str]) -> bytes:
    """Returns a document of a house as PDF; a part is a heading or a paragraph."""
    with closing(PdfDocument.new()) as document:
        paper = Paper(document)
        paper.write(house, HOUSE)
        paper.write(title, TITLE)
        for part in parts:
            paper.write(part.removeprefix(HEADING), SECTION if part.startswith(HEADING) else TEXT)
        return paper.stored()


class Paper:
    """Pages that are written from top to bottom."""

    def __init__(self, document: PdfDocument) -> None:
        self._document = document
        self._page: PdfPage | None = None
        self._y = 0.0

    def write(self, text: str, kind: Type) -> None:
        """Adds lines, on another page where this one is full."""
        for line in self._lines(text, kind):
            page = self._page_with_room(kind)
            self._y -= kind.size * _LEADING
            line.transform(PdfMatrix().translate(_LEFT, self._y))
            page.insert_obj(line)
        self._y -= kind.room

    def stored(self) -> bytes:
        """Returns the file."""
        self._close_page()
        with BytesIO() as file:
            self._document.save(file)
            return file.getvalue()

    def _lines(self, text: str, kind: Type) -> Iterator[PdfTextObj]:
        words = text.split()
        while words:
            fits = next(
                n for n in range(len(words), 0, -1) if n == 1 or self._width(words[:n], kind) <= _WIDTH - 2 * _LEFT
            )
            yield self._set(words[:fits], kind)
            words = words[fits:]

    def _width(self, words: Sequence[str], kind: Type) -> float:
        left, bottom, right, top = (ctypes.c_float() for _ in range(4))
        with closing(self._set(words, kind)) as line:
            raw.FPDFPageObj_GetBounds(line, left, bottom, right, top)
        return right.value - left.value

    def _set(self, words: Sequence[str], kind: Type) -> PdfTextObj:
        line = PdfTextObj(raw.FPDFPageObj_NewTextObj(self._document, kind.font, kind.size), pdf=self._document)
        text = ctypes.create_string_buffer(" ".join(words).encode("utf-16-le") + b"\0\0")
        raw.FPDFText_SetText(line, ctypes.cast(text, raw.FPDF_WIDESTRING))
        return line

    def _page_with_room(self, kind: Type) -> PdfPage:
        if self._page is None or self._y - kind.size * _LEADING < _FOOT:
            self._close_page()
            self._page, self._y = self._document.new_page(_WIDTH, _HEIGHT), float(_HEIGHT - _TOP)
        return self._page

    def _close_page(self) -> None:
        if self._page is not None:
            self._page.gen_content()
            self._page.close()
            self._page = None
