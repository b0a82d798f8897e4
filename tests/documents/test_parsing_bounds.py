"""Wide, deep and long files cost bounded time and memory, or are refused with a reason."""

import zipfile
from pathlib import Path

import openpyxl
import pytest

from backend.documents.parsing.errors import FileTooLarge, ParseError
from backend.documents.parsing.limits import ParseLimits
from backend.documents.parsing.sandbox import parse_file
from tests.documents import parsed
from tests.documents.test_parsing_pdf import pdf

pytestmark = pytest.mark.anyio

MiB = 1024 * 1024


async def test_a_row_of_two_million_columns_is_refused_at_once(tmp_path: Path) -> None:
    path = tmp_path / "wide.csv"
    path.write_text("a,b\n" + "1," * 2_000_000)
    with pytest.raises(FileTooLarge, match="columns"):
        await parsed.parse(path, limits=ParseLimits(cpu_seconds=10))


async def test_a_sheet_with_a_column_beyond_the_last_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "wide.xlsx"
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.append(["a", "b"])
    book.save(path)
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    part = "xl/worksheets/sheet1.xml"
    parts[part] = parts[part].replace(b'r="B1"', b'r="ZZZ1"')
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    with pytest.raises(FileTooLarge, match="columns"):
        await parsed.parse(path)


@pytest.mark.slow
async def test_six_hundred_thousand_cells_are_streamed_in_sixty_megabytes(tmp_path: Path) -> None:
    path = tmp_path / "long.xlsx"
    book = openpyxl.Workbook(write_only=True)
    sheet = book.create_sheet("Long")
    for row in range(60_000):
        sheet.append([f"text {row}", *(row + column / 7 for column in range(9))])
    book.save(path)
    rows = peak = 0
    async with parse_file(path, filename=path.name) as file:
        async for _ in file:
            rows += 1
            if rows % 20_000 == 0:
                status = Path(f"/proc/{file._process.pid}/status").read_text()
                peak = int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))) / 1024
    assert rows == 60_001
    assert 0 < peak < 60, peak


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("deep.html", "<ul><li>" * 20_000 + "7,140.25"),
        ("cells.html", "<table>" + "<tr>" + "<td colspan=1000 rowspan=60000>9" * 200 + "</tr>" * 2_000),
        ("sups.html", "<p>" + "<sup>" * 20_000 + "7,140.25"),
        ("quotes.md", ">" * 3_000 + " 7,140.25"),
        ("notes.md", "[^1]" * 50_000 + " 7,140.25"),
        ("words.txt", "½²" * 400_000),
        ("heights.html", f'<p style="{"height:0;" * 2_000}">7,140.25</p>' * 300),
        ("brackets.html", f'<p style="{"(" * 20_000}">7,140.25</p>' * 300),
        ("figures.html", f'<p style="font:{"1" * 19_000};color:rgb({"1" * 900}">7,140.25</p>' * 300),
        ("sheet.html", f"<style>{'a' * 200_000}</style><p>7,140.25</p>"),
        ("media.html", f"<style>{'@media ' * 28_000}</style><p>7,140.25</p>"),
        ("begins.eml", "Subject: s\n\n7,140.25\n" + "begin 644 a\n" * 80_000),
        ("contents.html", "<style>p::before{content:" + '\\"' * 90_000 + "}</style>" + "<p>7,140.25" * 5_000),
        ("counters.html", "<style>p{counter-increment:a b c d e f g}</style>" + "<p>7,140.25" * 20_000),
        ("quotes.csv", 'a,b\n7,"' + "140,25\n" * 100_000),
        ("escapes.txt", "7,140.25 " + "\x1b[0" * 200_000),
        ("comments.html", f"<style>{'/*' * 100_000}</style><p>7,140.25</p>"),
    ],
)
async def test_a_file_made_to_be_slow_is_read_or_refused_in_time(tmp_path: Path, name: str, content: str) -> None:
    path = tmp_path / name
    path.write_text(content)
    outcome = ""
    try:
        await parsed.parse(path, limits=ParseLimits(cpu_seconds=20))
    except ParseError as error:
        outcome = error.code
    assert outcome != "parse_timeout"


async def test_a_page_of_very_many_pieces_is_laid_out_in_time(tmp_path: Path) -> None:
    path = tmp_path / "many.pdf"
    pieces = "\n".join(f"BT /F0 1 Tf {x * 4} {y * 2} Td ({x}) Tj ET" for x in range(150) for y in range(300))
    large = pieces.replace("/F0 1 Tf", "/F0 4 Tf")
    path.write_bytes(pdf([large.encode()]))
    # The limit is this parser's own: what is known of all children is the most that any test before this one took.
    blocks, _ = await parsed.parse(path, limits=ParseLimits(cpu_seconds=60, memory_bytes=800 * MiB))
    assert blocks


async def test_very_many_white_words_among_very_many_drawings_are_judged_in_time(tmp_path: Path) -> None:
    path = tmp_path / "white.pdf"
    words = "\n".join(f"BT /F0 8 Tf {x * 60} {y * 12} Td (No {x}.{y}) Tj ET" for y in range(1, 60) for x in range(1, 9))
    seen = "0 g BT /F0 8 Tf 72 770 Td (The fee is 7,140.25.) Tj ET"
    path.write_bytes(pdf([f"1 g\n{words}\n{seen}\n{30_000 * '0 0 1 1 re f '}".encode()]))
    blocks, info = await parsed.parse(path, limits=ParseLimits(cpu_seconds=15))
    assert [block.text for block in blocks] == ["The fee is 7,140.25."]
    assert {str(warning.kind) for warning in info.warnings} == {"invisible_text"}
