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
from backend.documents.parsing.pdf.recognition import Recogniser
from backend.documents.parsing.pdf.rows import Row, rows_of
from backend.documents.parsing.pdf.sight import Sight

_LITTLE_TEXT = 60
_LARGE_PICTURE = 0.04
_SOME_TEXT = 400
_MOST_NAMED = 10
_LONGEST_FIGURE = 20
_MOST_OF_THE_PAGE = 0.5
_WITHOUT_MEANING = re.compile(r"[\x00\x01\x03-\x08\x0e-\x1f\ufffd]")


class Page(NamedTuple):
    """The rows of a page from the top, and those of text that is turned against most of it, each a flow."""

    number: int
    rows: list[Row]
    turned: list[list[Row]]
    is_scanned: bool
    lines: Lines
    """What is drawn on a page whose text is not turned."""
    height: float | None = None
    """The height of most type of a page that was recognised, which is not measured as exactly as that of fonts."""


def read(
    document: pypdfium2.PdfDocument,
    index: int,
    form: Any,  # noqa: ANN401 — a handle of PDFium
    findings: Findings,
    recogniser: Recogniser | None = None,
) -> Page:
    """Reads a page, counted from 0; of one that is a picture what the recogniser makes out. Raises CorruptFile."""
    try:
        page = document[index]
    except pypdfium2.PdfiumError as error:
        raise CorruptFile(f"Page {index + 1} of the PDF is damaged.") from error
    textpage = page.get_textpage()
    try:
        return _read(page, textpage, index + 1, form, findings, recogniser)
    finally:
        textpage.close()
        page.close()


def _read(
    page: pypdfium2.PdfPage,
    textpage: pypdfium2.PdfTextPage,
    number: int,
    form: Any,  # noqa: ANN401
    findings: Findings,
    recogniser: Recogniser | None,
) -> Page:
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
    if recogniser is not None and (is_scanned or (length < _SOME_TEXT and _covers_most(page, drawn))):
        own = [piece for pieces in by_turn.values() for piece in pieces]
        recognised = _recognised(page, number, own, recogniser, findings)
        if recognised is not None:
            return recognised
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


def _recognised(
    page: pypdfium2.PdfPage, number: int, own: list[GlyphRun], recogniser: Recogniser, findings: Findings
) -> Page | None:
    """Returns a page as it was recognised, None if no words were; what it holds as text is not taken from the picture."""
    found = recogniser.recognise(page)
    place = f"page {number}"
    if found.has_unreadable:
        findings.warn(WarningKind.UNREADABLE_TEXT, place, "Some words in the picture could not be recognised.")
    if not found.pieces:
        return None
    if found.uncertain:
        findings.warn(WarningKind.UNCERTAIN_FIGURE, place, _unsure_of(found.uncertain))
    # What a page that is turned holds as text stands elsewhere than in its picture, of which it is a part anyway.
    kept = [] if page.get_rotation() or found.is_turned else [piece for piece in own if not piece.turn]
    left, bottom, _, _ = page.get_bbox()
    pieces = [
        piece._replace(
            left=piece.left + left, right=piece.right + left, bottom=piece.bottom + bottom, top=piece.top + bottom
        )
        for piece in found.pieces
    ]
    pieces = [piece for piece in pieces if not any(_is_within(piece, word) for word in kept)]
    return Page(number, rows_of([*kept, *pieces]), [], is_scanned=False, lines=Lines(), height=found.height)


def _unsure_of(figures: list[str]) -> str:
    named = "; ".join(figure[:_LONGEST_FIGURE] for figure in figures[:_MOST_NAMED])
    more = f" and of {len(figures) - _MOST_NAMED} more" if len(figures) > _MOST_NAMED else ""
    return f"Recognition is unsure of {named}{more}."


def _is_within(piece: GlyphRun, word: GlyphRun) -> bool:
    across, up = (piece.left + piece.right) / 2, (piece.bottom + piece.top) / 2
    return word.left <= across <= word.right and word.bottom <= up <= word.top


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


def _covers_most(page: pypdfium2.PdfPage, drawn: Drawn) -> bool:
    """Returns whether a picture is most of the page, as the scan of one is on which a stamp was printed."""
    width, height = page.get_size()
    return any(
        (right - left) * (top - bottom) > _MOST_OF_THE_PAGE * width * height
        for left, bottom, right, top in drawn.pictures
    )


def _as_read(piece: GlyphRun, turn: int) -> GlyphRun:
    left, right, bottom, top = turned(turn, piece.left, piece.right, piece.bottom, piece.top)
    return piece._replace(left=left, right=right, bottom=bottom, top=top, turn=turn)
