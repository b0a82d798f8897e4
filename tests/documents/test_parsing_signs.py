"""Signs that say how the others are to be read: quotation marks, strokes, asterisks, units of characters, number formats."""

import base64
import re
import zipfile
from collections.abc import Callable
from pathlib import Path

import openpyxl
import pytest

from tests.documents import parsed

SHEET = "xl/worksheets/sheet1.xml"


def read(folder: Path, name: str, content: str | bytes) -> tuple[list[str], list[str]]:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    texts, told = parsed.in_this_process(path)
    return [text for text in texts if text], [str(warning.kind) for warning in told]


@pytest.mark.parametrize(
    ("content", "wanted"),
    [
        ('Card, Fee, Limit\nGold, "1,200", 5\nBlue, "2,300.50", 6\n', ["Gold | 1,200 | 5", "Blue | 2,300.50 | 6"]),
        (
            'Id,Note,Fee\n1,"The \\"gold\\" card, new",25\n2,"plain",30\n',
            ['1 | The "gold" card, new | 25', "2 | plain | 30"],
        ),
        ('Id,Folder\n1,"C:\\files\\"\n2,"D:\\"\n', ["1 | C:\\files\\", "2 | D:\\"]),
        ("Preis\n1,50\n1.002,75\n-3,25 %\n", ["1,50", "1.002,75", "-3,25 %"]),
        ("Card,Fee\r\nGold,25\r\n\x1a", ["Gold | 25"]),
        ("Card,Fee\n'Gold','1,200'\n'O''Brien','2,300'\n", ["Gold | 1,200", "O'Brien | 2,300"]),
        ("Card,Fee\nO'Brien's,25\nDon't,30\n", ["O'Brien's | 25", "Don't | 30"]),
        ('Pipe,Size,Fee\nA,5",25\nB,6",30\n', ['A | 5" | 25', 'B | 6" | 30']),
        ('Card,Rules,Fee\nGold,"One,\ntwo, and three",25\n', ["Gold | One, two, and three | 25"]),
    ],
)
def test_figures_stay_in_their_cells(tmp_path: Path, content: str, wanted: list[str]) -> None:
    assert read(tmp_path, "fees.csv", content) == (
        [content.splitlines()[0].replace(", ", " | ").replace(",", " | "), *wanted],
        [],
    )


def test_commas_of_figures_are_no_delimiters_where_another_sign_is_one(tmp_path: Path) -> None:
    assert read(tmp_path, "rates.csv", "Name;1,5;2,5\nGold;1,50;2,75\n")[0] == [
        "Name | 1,5 | 2,5",
        "Gold | 1,50 | 2,75",
    ]
    assert read(tmp_path, "one.csv", "Rules\nAct, and keep.\n")[0] == ["Rules", "Act | and keep."]


def test_rows_behind_a_quotation_mark_without_an_end_are_rows_and_it_is_told(tmp_path: Path) -> None:
    texts, told = read(tmp_path, "fees.csv", 'Part,Size,Fee\nA,small,25\n"5 inch,large,30\nC,large,35\nD,small,40\n')
    assert texts == ["Part | Size | Fee", "A | small | 25", '"5 inch | large | 30', "C | large | 35", "D | small | 40"]
    assert told == ["damaged_part"]


@pytest.mark.parametrize(
    ("content", "wanted"),
    [
        ("The fee is \x1b[1m$25\x1b[0m and \x1b[31;1m4711\x1b[0m.", "The fee is $25 and 4711."),
        ("T\bTh\bhe\be fee is 2\b25\b5, or _\b3_\b0, or 4\b_5\b_.", "The fee is 25, or 30, or 45."),
        ("The fee is $25.\r\n\x1a\x1a", "The fee is $25."),
    ],
)
def test_a_text_is_read_as_a_terminal_or_printer_shows_it(tmp_path: Path, content: str, wanted: str) -> None:
    assert read(tmp_path, "fees.txt", content) == ([wanted], [])


@pytest.mark.parametrize("name", ["fees.txt", "fees.md", "fees.html", "fees.csv"])
def test_characters_with_a_stroke_through_each_are_struck_out(tmp_path: Path, name: str) -> None:
    texts, told = read(tmp_path, name, "<b>The fee is $\u03362\u03365\u0336 20.</b>")
    assert "20." in texts[0]
    assert "\u0336" not in texts[0]
    assert "5" not in texts[0]
    assert told == ["struck_out"]


@pytest.mark.parametrize(
    ("content", "wanted"),
    [
        ("The cap is 5*3*2, or 2**3**4, and *not* 7*8.\n", ["The cap is 5*3*2, or 2**3**4, and not 7*8."]),
        ("| Card | Fee |\n|---|---|\n| Gold | 25 | *4711* |\n", ["Card | Fee", "Gold | 25 | 4711"]),
        ("Card | Fee\n---|---\nGold | 2\\|5\nBlue\n", ["Card | Fee", "Gold | 2|5", "Blue"]),
        ("Terms.\n\n[Fee]: $25\n\nSee [rules].\n\n[rules]: /rules 'r'\n", ["Terms.", "[Fee]: $25", "See rules."]),
        ("Terms.\n\n[Deadline]: 30-days\n", ["Terms.", "[Deadline]: 30-days"]),
        ("[a]: https://x.example/25\n[b]: #25\n[c]: limits.pdf\n\nTerms.\n", ["Terms."]),
    ],
)
def test_markdown_loses_no_sign_that_its_author_wrote(tmp_path: Path, content: str, wanted: list[str]) -> None:
    assert read(tmp_path, "fees.md", content) == (wanted, [])


def mail(kind: str, content: bytes) -> bytes:
    head = f"Subject: Fee\r\nMIME-Version: 1.0\r\nContent-Type: {kind}\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    return head.encode() + base64.encodebytes(content)


@pytest.mark.parametrize("charset", ["utf-16", "utf-16le", "utf-32", "utf-7", "UTF-16BE"])
def test_a_mail_is_read_in_the_units_that_it_names(tmp_path: Path, charset: str) -> None:
    content = "The fee is £25 a year.".encode(charset)
    texts, told = read(tmp_path, "fee.eml", mail(f"text/plain; charset={charset}", content))
    assert (texts, told) == (["Fee", "The fee is £25 a year."], [])


@pytest.mark.parametrize("coding", ["Quoted-Printable ; x=y", "quoted-printable"])
def test_a_mail_is_decoded_whatever_stands_behind_the_name_of_its_coding(tmp_path: Path, coding: str) -> None:
    raw = f"Subject: s\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: {coding}\n\nFee =C2=A325 =3D all.\n"
    assert read(tmp_path, "fee.eml", raw)[0] == ["s", "Fee £25 = all."]


@pytest.mark.parametrize("kind", ["message/global", "message/news", "message/rfc822"])
def test_a_message_within_is_read_with_its_head_whatever_its_kind(tmp_path: Path, kind: str) -> None:
    inner = "Subject: Limit 4711\r\nFrom: a@b.example\r\n\r\nAt most 500.\r\n"
    parts = f"--b\r\nContent-Type: text/plain\r\n\r\nSee below.\r\n--b\r\nContent-Type: {kind}\r\n\r\n{inner}--b--\r\n"
    texts, _ = read(tmp_path, "fw.eml", f"Subject: FW\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n{parts}")
    assert texts == ["FW", "See below.", "Limit 4711", "From: a@b.example", "At most 500."]


def test_the_second_page_of_a_mail_is_read_when_its_plain_version_lacks_it(tmp_path: Path) -> None:
    html = "--m\nContent-Type: text/html\n\n<p>{}</p>\n"
    mixed = f"Content-Type: multipart/mixed; boundary=m\n\n{html.format('Fee 25')}{html.format('Limit 900')}--m--\n"
    plain = "--a\nContent-Type: text/plain\n\nFee 25\n"
    raw = f"Subject: s\nContent-Type: multipart/alternative; boundary=a\n\n{plain}--a\n{mixed}--a--\n"
    assert read(tmp_path, "two.eml", raw)[0] == ["s", "Fee 25", "Limit 900"]


def test_a_file_that_a_body_holds_in_letters_is_an_attachment(tmp_path: Path) -> None:
    texts, told = read(
        tmp_path, "old.eml", "Subject: s\n\nFee 25.\n\nbegin 644 fees.txt\n#0V%T\n`\nend\n\nLimit 900.\n"
    )
    assert texts == ["s", "Fee 25.", "Limit 900."]
    assert told == ["attachment"]


def sheet(folder: Path, value: object, change: Callable[[dict[str, bytes]], None]) -> tuple[list[str], list[str]]:
    book = openpyxl.Workbook()
    assert book.active is not None
    book.active.append(["What", value])
    path = folder / "fees.xlsx"
    book.save(path)
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    change(parts)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    texts, told = parsed.in_this_process(path)
    return texts[1:], [str(warning.kind) for warning in told]


@pytest.mark.parametrize(
    ("number", "value", "wanted"),
    [
        (31, 46112, "2026-03-31"),
        (57, 46112, "2026-03-31"),
        (33, 0.5, "12:00:00"),
        (71, 46112, "2026-03-31"),
        (62, 7140.5, "7,140.50"),
    ],
)
def test_numbers_in_the_formats_of_asian_sheets_are_dates_and_times(
    tmp_path: Path, number: int, value: float, wanted: str
) -> None:
    def change(parts: dict[str, bytes]) -> None:
        styles = parts["xl/styles.xml"]
        parts["xl/styles.xml"] = re.sub(rb'(<cellXfs[^>]*><xf )numFmtId="0"', rb'\g<1>numFmtId="%d"' % number, styles)

    assert sheet(tmp_path, value, change) == ([f"What | {wanted}"], [])


def test_an_era_before_a_year_is_no_text(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    assert book.active is not None
    book.active.append([46112, 5])
    book.active["A1"].number_format = '[$-411]ggge"年"m"月"d"日"'
    book.active["B1"].number_format = "0 g"
    book.save(tmp_path / "era.xlsx")
    assert parsed.in_this_process(tmp_path / "era.xlsx")[0][1:] == ["2026年3月31日 | 5 g"]


def test_an_identifier_longer_than_sheets_count_is_read_as_it_is_written(tmp_path: Path) -> None:
    def change(parts: dict[str, bytes]) -> None:
        parts[SHEET] = parts[SHEET].replace(b"<v>1</v>", b"<v>12345678901234567890</v>")

    assert sheet(tmp_path, 1, change) == (["What | 12345678901234567890"], [])


@pytest.mark.parametrize("kind", ["inlineStr", "str"])
def test_a_text_is_shown_by_its_format_however_it_is_kept(tmp_path: Path, kind: str) -> None:
    def change(parts: dict[str, bytes]) -> None:
        text = b"<v>x</v>" if kind == "str" else b"<is><t>x</t></is>"
        parts[SHEET] = re.sub(
            rb'<c r="B1".*?</c>', b'<c r="B1" s="0" t="%s">%s</c>' % (kind.encode(), text), parts[SHEET]
        )
        styles = parts["xl/styles.xml"].replace(
            b"<fonts", b'<numFmts><numFmt numFmtId="170" formatCode="0;0;0;&quot;n/a: &quot;@"/></numFmts><fonts'
        )
        styles = re.sub(rb"<numFmts[^>]*/>", b"", styles)
        parts["xl/styles.xml"] = re.sub(rb'(<cellXfs[^>]*><xf )numFmtId="0"', rb'\g<1>numFmtId="170"', styles)

    assert sheet(tmp_path, "x", change)[0] == ["n/a: What | n/a: x"]


def test_a_linked_value_of_a_newer_kind_is_told(tmp_path: Path) -> None:
    def change(parts: dict[str, bytes]) -> None:
        parts[SHEET] = re.sub(rb'<c r="B1"[^>]*>', b'<c r="B1" t="e" vm="1">', parts[SHEET]).replace(
            b"<v>1</v>", b"<v>#VALUE!</v>"
        )

    assert sheet(tmp_path, 1, change) == (["What | #VALUE!"], ["unreadable_text"])


def test_a_sheet_may_write_its_attributes_in_either_quotation_mark(tmp_path: Path) -> None:
    def change(parts: dict[str, bytes]) -> None:
        hidden = b"<cols><col min='1' max='1' hidden='1' width='9'/></cols><sheetData>"
        merged = b"<row r='2'><c r='C2'><v>7</v></c></row></sheetData><mergeCells><mergeCell ref='B1:B2'/></mergeCells>"
        parts[SHEET] = parts[SHEET].replace(b"<sheetData>", hidden).replace(b"</sheetData>", merged)

    assert sheet(tmp_path, 4711, change) == (["4711", "4711 | 7"], ["hidden_content"])
