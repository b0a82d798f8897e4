"""The process that draws one page: `python -m backend.documents.parsing.pdf.picture PATH PAGE LIMITS`, the words on its input.

It writes a PNG to standard output, on which the words are marked as with a marker pen, or one line that says why not.
"""

import sys
import unicodedata
from ctypes import byref, c_double
from io import BytesIO
from itertools import pairwise

import orjson
import pypdfium2
import pypdfium2.raw as pdfium
from PIL import Image, ImageChops

from backend.documents.parsing import wire
from backend.documents.parsing.confinement import confine, private_stdout
from backend.documents.parsing.errors import CorruptFile, ParseError, TooManyPages
from backend.documents.parsing.limits import ParseLimits
from backend.documents.parsing.pdf.document import opened
from backend.documents.parsing.pdf.ink import on_picture

WIDTH, HEIGHT = 1100, 2200  # pixels at most
_MARKER = (255, 226, 130)
_COLOURS = 64
_LEAST_LETTERS = 12  # of a piece of a quotation that is looked for by itself
_PIECE_WORDS = 8

Box = tuple[int, int, int, int]


def main(path: str, number: str, limits: str) -> None:
    """Draws a page, counted from 1."""
    words = sys.stdin.buffer.read().decode(errors="replace")
    with private_stdout() as output:
        confine(ParseLimits(**orjson.loads(limits)))
        try:
            output.write(_drawn(path, int(number), words))
        except ParseError as error:
            output.write(wire.encode_error(error))
        except Exception as error:  # noqa: BLE001 — whatever a library raises on a damaged file
            output.write(wire.encode_error(CorruptFile(f"The page cannot be drawn ({type(error).__name__}).")))


def _drawn(path: str, number: int, words: str) -> bytes:
    with opened(path) as document:
        if not 1 <= number <= len(document):
            raise TooManyPages("The file has no such page.")
        document.init_forms()
        page = document[number - 1]
        scale = min(WIDTH / page.get_width(), HEIGHT / page.get_height())
        picture = page.render(scale=scale, may_draw_forms=True).to_pil().convert("RGB")
        for box in _boxes(page, words, picture.size) if words else ():
            part = picture.crop(box)
            picture.paste(ImageChops.multiply(part, Image.new("RGB", part.size, _MARKER)), box)
    stored = BytesIO()
    picture.quantize(_COLOURS).save(stored, "PNG", optimize=True)
    return stored.getvalue()


def _boxes(page: pypdfium2.PdfPage, words: str, size: tuple[int, int]) -> list[Box]:
    """Returns where on the picture the words stand, one box for each line of them."""
    text = page.get_textpage()
    letters, places = _letters_of(text)
    return [
        box
        for first, last in _found(letters, words)
        for box in _lines(page, text, places[first], places[last - 1] + 1, size)
    ]


def _letters_of(text: pypdfium2.PdfTextPage) -> tuple[str, list[int]]:
    """Returns the letters and digits of a page in one string, and of each which character of the page it is."""
    letters, places = [], []
    for index in range(text.count_chars()):
        for letter in _folded(chr(pdfium.FPDFText_GetUnicode(text.raw, index))):
            letters.append(letter)
            places.append(index)
    return "".join(letters), places


def _folded(text: str) -> str:
    """Returns the letters and digits alone: spaces, hyphens and signs are other in a file than in its text."""
    return "".join(c for c in unicodedata.normalize("NFKC", text).casefold() if c.isalnum())


def _found(letters: str, words: str) -> list[tuple[int, int]]:
    """Returns where the words stand as a whole, or else where pieces of them do: a quotation can go over a page."""
    spans = []
    for piece in (words, *(_pieces(words))):
        folded = _folded(piece)
        start = letters.find(folded) if len(folded) >= min(_LEAST_LETTERS, len(_folded(words))) else -1
        if folded and start >= 0:
            spans.append((start, start + len(folded)))
            if piece is words:
                break
    return spans


def _pieces(words: str) -> list[str]:
    parts = words.split()
    cuts = [*range(0, len(parts), _PIECE_WORDS), len(parts)]
    return [" ".join(parts[a:b]) for a, b in pairwise(cuts)]


def _lines(
    page: pypdfium2.PdfPage, text: pypdfium2.PdfTextPage, start: int, end: int, size: tuple[int, int]
) -> list[Box]:
    boxes = []
    for number in range(pdfium.FPDFText_CountRects(text.raw, start, end - start)):
        left, top, right, bottom = (c_double() for _ in range(4))
        pdfium.FPDFText_GetRect(text.raw, number, byref(left), byref(top), byref(right), byref(bottom))
        corners = [on_picture(page, x, y, size) for x in (left, right) for y in (top, bottom)]
        box = (
            max(min(x for x, _ in corners) - 2, 0), max(min(y for _, y in corners) - 2, 0),
            min(max(x for x, _ in corners) + 2, size[0]), min(max(y for _, y in corners) + 2, size[1]),
        )  # fmt: skip
        if box[0] < box[2] and box[1] < box[3]:
            boxes.append(box)
    return boxes


if __name__ == "__main__":
    main(*sys.argv[1:])
