"""One page of a PDF as rows, without what nobody sees on it."""

import re
from collections import defaultdict
from typing import Any, NamedTuple

import pypdfium2

from backend.documents.parsing.errors import CorruptFile
from backend.documents.parsing.findings import Findings, WarningKind
from backend.documents.parsing.pdf.annotations import Overlay, overlay_of
from backend.documents.parsing.pdf.gathering import drawn_on
from backend.documents.parsing.pdf.glyph_runs import GlyphRun, turned
from backend.documents.parsing.pdf.glyphs import Glyphs
from backend.documents.parsing.pdf.objects import Drawn, Lines
from backend.documents.parsing.pdf.rows import Row, rows_of
from backend.documents.parsing.pdf.sight import Sight

_LITTLE_TEXT = 60
_LARGE_PICTURE = 0.04
_WITHOUT_MEANING = re.compile(r"[\x00\x01\x03-\x08\x0e-\x1f\ufffd]")


class Page(NamedTuple):
    """The rows of a page from the top, and those of text that is turned against most of it, each a flow."""

    number: int
    rows: list[Row]
    turned: list[list[Row]]
    is_scanned: bool
    lines: Lines
    """What is drawn on a page whose text is not turned."""


def read(document: pypdfium2.PdfDocument, index: int, form: Any, findings: Findings) -> Page:  # noqa: ANN401 — a handle of PDFium
    """Reads a page, counted from 0; raises CorruptFile."""
    try:
        page = document[index]
    except pypdfium2.PdfiumError as error:
        raise CorruptFile(f"Page {index + 1} of the PDF is damaged.") from error
    textpage = page.get_textpage()
    try:
        return _read(page, textpage, index + 1, form, findings)
    finally:
        textpage.close()
        page.close()


def _read(page: pypdfium2.PdfPage, textpage: pypdfium2.PdfTextPage, number: int, form: Any, findings: Findings) -> Page:  # noqa: ANN401
    place = f"page {number}"
    overlay = overlay_of(page, form, place, findings)
    drawn = drawn_on(page, whole=False)
    glyphs = Glyphs(textpage, _struck(drawn, overlay), drawn.parts if drawn.uprights else None)
    sight = Sight(page, glyphs, drawn)
    pieces = sight.seen(glyphs.pieces())
    for reason in sight.reasons:
        findings.warn(WarningKind.INVISIBLE_TEXT, place, reason)
    if glyphs.has_struck:
        findings.warn(WarningKind.STRUCK_OUT, place, "Struck-out text is left out.")
    if _WITHOUT_MEANING.search(glyphs.text):
        findings.warn(WarningKind.UNREADABLE_TEXT, place, "Some characters have no meaning outside their font.")
    by_turn: dict[int, list[GlyphRun]] = defaultdict(list)
    for piece in pieces:
        by_turn[piece.turn].append(piece)
    main = max(by_turn, key=lambda turn: sum(len(piece.text) for piece in by_turn[turn]), default=0)
    by_turn[main] += [_as_read(piece, main) for piece in overlay.pieces]
    length = sum(len(piece.text) for piece in pieces)
    large = _large_pictures(page, drawn)
    is_scanned = (length < _LITTLE_TEXT and bool(large)) or (not length and drawn.has_paths)
    if large and not is_scanned:
        findings.warn(WarningKind.PICTURE, place, "A picture is not read.")
    turned_parts = [rows_of(by_turn[turn]) for turn in sorted(by_turn) if turn != main]
    return Page(
        number,
        rows_of(by_turn[main]),
        turned_parts,
        is_scanned,
        Lines() if main else Lines(drawn.rules, drawn.uprights),
    )


def _struck(drawn: Drawn, overlay: Overlay) -> Any:  # noqa: ANN401 — a function
    if not overlay.struck:
        return drawn.strikes if drawn.lines else None

    def is_struck(left: float, right: float, bottom: float, top: float) -> bool:
        across, up = (left + right) / 2, (bottom + top) / 2
        marked = any(box[0] <= across <= box[2] and box[1] <= up <= box[3] for box in overlay.struck)
        return marked or drawn.strikes(left, right, bottom, top)

    return is_struck


def _large_pictures(page: pypdfium2.PdfPage, drawn: Drawn) -> bool:
    if not drawn.pictures:
        return False
    width, height = page.get_size()
    return any(
        (right - left) * (top - bottom) > _LARGE_PICTURE * width * height for left, bottom, right, top in drawn.pictures
    )


def _as_read(piece: GlyphRun, turn: int) -> GlyphRun:
    left, right, bottom, top = turned(turn, piece.left, piece.right, piece.bottom, piece.top)
    return piece._replace(left=left, right=right, bottom=bottom, top=top, turn=turn)
