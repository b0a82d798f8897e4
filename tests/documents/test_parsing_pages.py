"""How lines stand on a PDF page: in columns, in cells of several lines, raised, slanting, covered, not printed at all."""

from pathlib import Path

import pytest

from tests.documents import parsed
from tests.documents.test_parsing_pdf import pdf

WORDS = "the cardholder tells the bank about the loss of a card without delay so that it can be blocked before others use it"
RULES = [
    "A claim is made by the cardholder and that no later than",
    "13 months after the debit date. The insurer is told of it in writing and no later than",
    "two weeks after the loss.",
]


def line(x: float, y: float, text: str, size: float = 9, before: str = "") -> str:
    return f"BT {before} /F0 {size} Tf {x} {y} Td ({text}) Tj ET\n"


def read(folder: Path, *pages: str) -> tuple[str, set[str]]:
    path = folder / "page.pdf"
    path.write_bytes(pdf([page.encode() for page in pages]))
    texts, told = parsed.in_this_process(path)
    return "\n".join(texts), {str(warning.kind) for warning in told}


def columns(count: int, lines: int = 9) -> list[list[str]]:
    words = (WORDS.split() * 20).copy()
    return [[" ".join(words.pop(0) for _ in range(20 // count)) for _ in range(lines)] for _ in range(count)]


@pytest.mark.parametrize(("count", "lower"), [(2, 0.0), (2, 5.0), (3, 0.0)])
def test_columns_are_read_one_after_the_other_at_whatever_height_their_lines_stand(
    tmp_path: Path, count: int, lower: float
) -> None:
    written = columns(count)
    content = "".join(
        line(50 + 520 / count * column, 700 - 12 * number - lower * column, text, 8)
        for number in range(9)
        for column, text in enumerate(lines[number] for lines in written)
    )
    text, _ = read(tmp_path, content)
    for lines in written:
        assert " ".join(lines) in text, text


def test_lines_of_one_cell_are_one_cell(tmp_path: Path) -> None:
    rules = "".join(f"60 {y} 480 0.5 re f\n" for y in (712, 680, 648, 616))
    cells = (
        (700, "Advance", "Withdrawals at machines of other", "$5.00"), (688, "", "banks, at home and abroad", ""),
        (668, "Wire", "Transfers to other banks inside", "$25.00"), (656, "", "the country on the same day", ""),
        (636, "Check", "Copies", "$1.00"),
    )  # fmt: skip
    shown = "".join(line(x, y, text) for y, *row in cells for x, text in zip((70, 160, 400), row, strict=True) if text)
    for content in (shown, rules + shown):
        text, _ = read(tmp_path, content)
        assert "Advance | Withdrawals at machines of other banks, at home and abroad | $5.00" in text
        assert "Wire | Transfers to other banks inside the country on the same day | $25.00" in text


def test_a_label_beside_the_middle_of_its_cell_is_in_one_row_with_it(tmp_path: Path) -> None:
    cells = ((700, 160, "Withdrawals at machines of"), (694, 70, "Advance"), (694, 400, "$5.00"), (688, 160, "other banks"),
             (664, 70, "Wire"), (664, 160, "Transfers"), (664, 400, "$25.00"))  # fmt: skip
    text, _ = read(tmp_path, "".join(line(x, y, text) for y, x, text in cells))
    assert "Advance | Withdrawals at machines of other banks | $5.00" in text


def test_a_header_in_the_middle_over_columns_is_the_header_of_each(tmp_path: Path) -> None:
    rows = (
        (700, ((215, "Domestic"), (395, "Foreign"))),
        (688, ((70, "Account"), (190, "Fee"), (260, "Limit"), (370, "Fee"), (440, "Limit"))),
        (676, ((70, "Basic"), (190, "1.00"), (260, "200"), (370, "3.00"), (440, "400"))),
        (664, ((70, "Plus"), (190, "5.00"), (260, "600"), (370, "7.00"), (440, "800"))),
    )
    text, _ = read(tmp_path, "".join(line(x, y, text) for y, row in rows for x, text in row))
    assert text.splitlines()[0] == "| Domestic | Domestic | Foreign | Foreign"


@pytest.mark.parametrize(
    ("shown", "left_out"),
    [
        (line(72, 600, "praise 4711") + "0 g 70 596 200 14 re f\n", True),
        (line(72, 600, "praise 4711") + "1 g 70 596 200 14 re f 0 g\n", True),
        ("1 g 70 596 200 14 re f 0 g\n" + line(72, 600, "praise 4711"), False),
        (line(72, 600, "praise 4711") + "1 1 0 rg 70 596 200 14 re f 0 g\n", False),
        (line(72, 600, "praise 4711") + "q 0 0 20 20 re W n 1 g 70 596 200 14 re f Q\n", False),
        (line(72, 600, "praise 4711", before="3 Tr"), True),
        (line(72, 600, "praise 4711", before="1 Tr"), False),
    ],
)
def test_what_is_covered_or_not_printed_is_left_out_and_told(tmp_path: Path, shown: str, *, left_out: bool) -> None:
    text, told = read(tmp_path, line(72, 700, "The fee is $5 a year.") + shown)
    assert ("4711" not in text) is left_out
    assert ("invisible_text" in told) is left_out
    assert "The fee is $5 a year." in text


def test_a_mark_that_is_raised_in_the_type_of_its_line_is_no_digit(tmp_path: Path) -> None:
    text, _ = read(tmp_path, "BT /F0 11 Tf 72 700 Td (The fee is $25) Tj 4 Ts (1) Tj 0 Ts ( a year.) Tj ET")
    assert text == "The fee is $25 [note 1] a year."


def test_a_slanting_line_is_read_in_one_piece(tmp_path: Path) -> None:
    slanting = "BT /F0 40 Tf 0.707 0.707 -0.707 0.707 150 250 Tm (DRAFT 2026) Tj ET\n"
    text, _ = read(tmp_path, line(72, 700, "The fee is $5 a year.") + slanting)
    assert text.splitlines() == ["The fee is $5 a year.", "DRAFT 2026"]


def test_sentences_over_two_turns_of_pages_are_whole(tmp_path: Path) -> None:
    filling = [line(72, 700 - 12 * number, f"{WORDS}, as rule {number} says.") for number in range(3)]
    first, second, third = RULES
    pages = ("".join(filling) + line(72, 664, first), line(72, 700, second), line(72, 700, third))
    text, _ = read(tmp_path, *pages)
    assert "and that no later than 13 months after the debit date." in text
    assert "in writing and no later than two weeks after the loss." in text


def grid(xs: tuple[float, ...], ys: tuple[float, ...]) -> str:
    upright = "".join(f"{x} {ys[-1]} 0.5 {ys[0] - ys[-1]} re f\n" for x in xs)
    return upright + "".join(f"{xs[0]} {y} {xs[-1] - xs[0]} 0.5 re f\n" for y in ys)


def test_cells_that_only_a_line_parts_are_cells(tmp_path: Path) -> None:
    xs, ys = (60, 94, 120, 146), tuple(712 - 14 * row for row in range(6))
    rows = [("Zone", "Fee", "Cap"), *((f"Zone {n}", f"{n}.50", f"{n}00") for n in range(1, 5))]
    cells = [line(x + 2, 702 - 14 * y, text, 8) for y, row in enumerate(rows) for x, text in zip(xs, row, strict=False)]
    text, _ = read(tmp_path, grid(xs, ys) + "".join(cells))
    assert text.splitlines() == ["Zone | Fee | Cap", *(f"Zone {n} | {n}.50 | {n}00" for n in range(1, 5))]


def test_a_cell_of_a_grid_is_whole_whatever_stands_beside_its_middle(tmp_path: Path) -> None:
    cells = (
        (700, 64, "Item"), (700, 130, "What it covers"), (700, 304, "Fee"), (680, 130, "Withdrawals at machines of other"),
        (668, 64, "Advance"), (668, 130, "banks. A second sentence follows"), (668, 304, "$5.00"),
        (656, 130, "that ends here."), (634, 64, "Wire"), (634, 130, "Transfers."), (634, 304, "$9.00"),
    )  # fmt: skip
    lines = grid((60, 126, 300, 340), (712, 694, 648, 620))
    text, _ = read(tmp_path, lines + "".join(line(x, y, text) for y, x, text in cells))
    assert text.splitlines() == [
        "Item | What it covers | Fee",
        "Advance | Withdrawals at machines of other banks. A second sentence follows that ends here. | $5.00",
        "Wire | Transfers. | $9.00",
    ]


def test_a_label_between_two_rows_is_the_label_of_both(tmp_path: Path) -> None:
    cells = (
        (712, 70, "Region"), (712, 200, "City"), (712, 330, "Fee"), (694, 200, "Oslo"), (694, 330, "10"), (688, 70, "North"),
        (682, 200, "Burford"), (682, 330, "20"), (664, 70, "South"), (664, 200, "Rome"), (664, 330, "30"),
    )  # fmt: skip
    text, _ = read(tmp_path, "".join(line(x, y, text) for y, x, text in cells))
    assert text.splitlines()[1:] == ["North | Oslo | 10", "North | Burford | 20", "South | Rome | 30"]


def test_a_line_set_with_spaces_between_its_letters_has_words(tmp_path: Path) -> None:
    spaced = "BT /F0 9 Tf 4 Tc 72 700 Td (FEES AND CHARGES) Tj 0 Tc ET\n"
    text, _ = read(tmp_path, spaced + line(72, 680, "The fee is $5 a year."))
    assert text.startswith("FEES AND CHARGES ")


def test_words_beside_a_large_initial_keep_their_spaces(tmp_path: Path) -> None:
    text, _ = read(
        tmp_path, line(72, 690, "T", 36) + line(96, 708, "he fee is $25 a year.") + line(96, 696, "It is due.")
    )
    assert "he fee is $25 a year." in text
