"""What of a PDF page its readers see: layers, clipping paths, forms that draw a part of the page, colours, fractions."""

from pathlib import Path

import pytest

from tests.documents import parsed
from tests.documents.test_parsing_pages import line
from tests.documents.test_parsing_pdf import serialised

FIRST = line(72, 750, "This page has a first line of text.")
FONT = b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>"
LAYER = b"<< /Type /OCG /Name (Draft) >>"
FORM_RESOURCES = b"/Resources << /Font << /F0 5 0 R >> >>"
STRUCK = line(72, 700, "struck 4711") + "72 702.5 50 0.6 re f\n"
COVER = "0 g 70 696 200 14 re f\n"


def stream(content: str, more: bytes = b"") -> bytes:
    return b"<< %s /Length %d >>\nstream\n%s\nendstream" % (more, len(content), content.encode())


def form(content: str, more: bytes = b"") -> bytes:
    return stream(content, b"/Type /XObject /Subtype /Form /BBox [0 0 612 792] " + FORM_RESOURCES + more)


def read(
    folder: Path, content: str, *extra: bytes, resources: bytes = b"", catalog: bytes = b"", page: bytes = b""
) -> tuple[str, dict[str, str]]:
    """The text of a page, and the detail of each kind of warning; objects beyond the page begin at number 6."""
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R %s >>" % catalog,
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R /Resources << /Font << /F0 5 0 R >> %s >> %s >>"
        % (resources, page),
        stream(content),
        FONT,
        *extra,
    ]
    path = folder / "page.pdf"
    path.write_bytes(serialised(objects))
    texts, told = parsed.in_this_process(path)
    return "\n".join(texts), {str(warning.kind): warning.detail for warning in told}


@pytest.mark.parametrize(("state", "is_read"), [(b"OFF", False), (b"ON", True)])
@pytest.mark.parametrize("is_form", [False, True])
def test_a_layer_that_is_off_is_left_out_and_told(
    tmp_path: Path, state: bytes, *, is_read: bool, is_form: bool
) -> None:
    words = line(72, 700, "layer 4711")
    catalog = b"/OCProperties << /OCGs [6 0 R] /D << /%s [6 0 R] >> >>" % state
    if is_form:
        resources, content = b"/XObject << /X 7 0 R >>", "/X Do\n"
    else:
        resources, content = b"/Properties << /O 6 0 R >>", f"/OC /O BDC\n{words}EMC\n"
    text, told = read(
        tmp_path, FIRST + content, LAYER, form(words, b" /OC 6 0 R"), resources=resources, catalog=catalog
    )
    assert ("4711" in text) is is_read
    assert ("invisible_text" not in told) is is_read
    assert text.startswith("This page has a first line of text.")


def test_words_that_a_clipping_path_cuts_off_are_left_out_and_told(tmp_path: Path) -> None:
    text, told = read(
        tmp_path, FIRST + f"q 72 690 90 30 re W n\n{line(72, 700, 'The fee is $25, not $4,711 a year.')}Q\n"
    )
    assert text.splitlines()[1].startswith("The fee is $25,")
    assert "4,711" not in text
    assert "clipping path" in told["invisible_text"]


def test_words_cut_off_behind_others_do_not_pass_for_seen_by_the_ink_of_these(tmp_path: Path) -> None:
    hidden = f"q 0 0 10 10 re W n\n{line(72, 700, 'The fee is $4,711 a year, no more')}Q\n"
    text, told = read(tmp_path, FIRST + hidden + line(73, 701, "Transfers cost $25 in every month"))
    assert text.splitlines()[1:] == ["Transfers cost $25 in every month"]
    assert "clipping path" in told["invisible_text"]


def test_a_figure_keeps_its_mark_where_the_words_after_it_are_cut_off(tmp_path: Path) -> None:
    marked = line(72, 700, "25", 10) + line(83.2, 703.5, "1", 6) + line(88, 700, "or 4711 a year", 10)
    text, told = read(tmp_path, FIRST + f"q 72 690 15.5 30 re W n\n{marked}Q\n")
    assert text.splitlines()[1] == "25 [note 1]"
    assert "clipping path" in told["invisible_text"]


def test_struck_words_stay_left_out_where_words_after_them_are_cut_off(tmp_path: Path) -> None:
    struck = line(72, 700, "25 9 30 4711", 10) + "85 702.5 7 0.6 re f\n"
    text, told = read(tmp_path, FIRST + f"q 72 690 35 30 re W n\n{struck}Q\n")
    assert text.splitlines()[1] == "25 30"
    assert told.keys() == {"invisible_text", "struck_out"}


def test_a_cover_that_its_clipping_path_leaves_nothing_of_hides_nothing(tmp_path: Path) -> None:
    cover = "q 0 0 10 10 re W n 0 g 70 696 200 14 re f Q\n"
    text, told = read(
        tmp_path, FIRST + line(20, 400, "4711") + "/X Do\n", form(cover), resources=b"/XObject << /X 6 0 R >>"
    )
    assert "4711" in text
    assert not told


def test_a_line_that_its_clipping_path_leaves_nothing_of_strikes_nothing(tmp_path: Path) -> None:
    clipped = f"{line(72, 700, 'shown 4711')}q 0 0 10 10 re W n 72 702.5 60 0.6 re f Q\n"
    text, told = read(tmp_path, FIRST + clipped)
    assert "4711" in text
    assert not told


def test_words_among_very_many_drawings_are_not_taken_for_those_of_a_ground_that_is_painted_over(
    tmp_path: Path,
) -> None:
    dots = "0 0 1 1 re f\n"
    painted_over = COVER + 400 * dots + "1 g 70 696 200 14 re f 0 g\n"
    text, told = read(tmp_path, painted_over + line(72, 700, "shown 4711") + 20_000 * dots)
    assert text == "shown 4711"
    assert not told


@pytest.mark.parametrize("scale", ["1 0 0 1 0 0", "0.5 0 0 0.5 20 300"])
@pytest.mark.parametrize(
    ("drawn", "kind"),
    [(STRUCK, "struck_out"), ("1 g\n" + line(72, 700, "white 4711"), "invisible_text"),
     (line(72, 700, "covered 4711") + COVER, "invisible_text")],
)  # fmt: skip
def test_what_a_form_strikes_out_or_hides_is_left_out_and_told(
    tmp_path: Path, scale: str, drawn: str, kind: str
) -> None:
    text, told = read(tmp_path, f"q {scale} cm /X Do Q\n", form(FIRST + drawn), resources=b"/XObject << /X 6 0 R >>")
    assert text == "This page has a first line of text."
    assert kind in told


def test_words_under_what_a_form_draws_later_are_left_out(tmp_path: Path) -> None:
    content = f"{FIRST}{line(72, 700, 'covered 4711')}/X Do\n"
    text, told = read(tmp_path, content, form(COVER), resources=b"/XObject << /X 6 0 R >>")
    assert "4711" not in text
    assert "invisible_text" in told


@pytest.mark.parametrize(
    "kind", ["Square", "Ink", "Line", "Polygon", "Redact", "RichMedia", "Screen", "Sound", "Movie"]
)
def test_what_lies_over_a_page_and_is_not_read_is_told(tmp_path: Path, kind: str) -> None:
    annotation = f"<< /Type /Annot /Subtype /{kind} /Rect [72 700 200 720] /Contents (See 4711) >>".encode()
    text, told = read(tmp_path, FIRST, annotation, page=b"/Annots [6 0 R]")
    assert "4711" not in text
    assert told.keys() & {"annotation", "embedded_file"}


def test_a_few_characters_without_meaning_are_told(tmp_path: Path) -> None:
    _, told = read(tmp_path, FIRST + line(72, 700, "Fee \\001\\003"))
    assert "unreadable_text" in told


FRACTIONS = [
    ((72, 0, "5", 10), (77.6, 3.5, "1", 6), (81, 0, "/", 10), (83.8, -1, "2", 6), (90, 0, "per cent", 10)),
    ((72, 0, "5", 10), (77.6, 3.5, "1", 6), (81, 0, "/", 10), (83.8, 0, "2", 6), (90, 0, "per cent", 10)),
    ((72, 0, "5", 10), (77.6, 4, "1", 5), (77.6, -2.5, "2", 5), (84, 0, "per cent", 10)),
]


@pytest.mark.parametrize("pieces", FRACTIONS)
def test_a_fraction_is_no_figure_with_a_note(
    tmp_path: Path, pieces: tuple[tuple[float, float, str, float], ...]
) -> None:
    text, _ = read(tmp_path, FIRST + "".join(line(x, 700 + up, word, size) for x, up, word, size in pieces))
    assert text.splitlines()[1] == "5 1/2 per cent"


def test_a_mark_before_a_slash_stays_a_mark(tmp_path: Path) -> None:
    text, _ = read(
        tmp_path, FIRST + line(72, 700, "25", 10) + line(83.2, 703.5, "1", 6) + line(87, 700, "/30 days", 10)
    )
    assert text.splitlines()[1] == "25 [note 1] /30 days"
