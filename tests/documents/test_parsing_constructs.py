"""A law: every figure of a file is in its text as shown, or it is left out on purpose and its uploader is told."""

import csv
import re
import tempfile
from collections.abc import Callable
from decimal import ROUND_HALF_UP, Decimal
from email.message import EmailMessage
from io import StringIO
from pathlib import Path

import docx
import openpyxl
import pptx
from docx.oxml import parse_xml
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from openpyxl.styles import Font
from pptx.util import Inches

from tests.documents import parsed
from tests.documents.test_parsing_pdf import pdf

W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
M = 'xmlns:m="http://schemas.openxmlformats.org/officeDocument/2006/math"'

figures = st.integers(min_value=1_000, max_value=99_999_999).map(lambda number: f"{number / 100:,.2f}")
marks = st.integers(min_value=1, max_value=99).map(str)
law = settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))


def constructs(names: list[str]) -> st.SearchStrategy[list[tuple[str, str, str]]]:
    """Constructs, each with a figure that is nowhere else and a note mark."""
    drawn = st.lists(st.tuples(st.sampled_from(names), figures, marks), min_size=1, max_size=12)
    return drawn.map(lambda items: list({figure: (name, figure, mark) for name, figure, mark in items}.values()))


def read(name: str, write: Callable[[Path], object]) -> tuple[str, set[str]]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        write(path)
        texts, warnings = parsed.in_this_process(path)
    return "\n".join(texts), {str(warning.kind) for warning in warnings}


def assert_law(items: list[tuple[str, str, str]], text: str, told: set[str], left_out: dict[str, str]) -> None:
    for name, figure, _ in items:
        found = re.search(rf"(?<![\d.,]){re.escape(figure)}(?![\d]|[.,]\d)", text)
        if name in left_out:
            assert not found, (name, figure, text)
            assert left_out[name] in told, (name, told)
        else:
            assert found, (name, figure, text)


WORD = {
    "plain": "<w:p><w:r><w:t>The fee is {f} a year.</w:t></w:r></w:p>",
    "raised": '<w:p><w:r><w:t>The fee is ${f}</w:t></w:r><w:r><w:rPr><w:vertAlign w:val="superscript"/></w:rPr><w:t>{m}</w:t></w:r></w:p>',
    "lowered": '<w:p><w:r><w:t>Rate {f}</w:t></w:r><w:r><w:rPr><w:vertAlign w:val="subscript"/></w:rPr><w:t>{m}</w:t></w:r></w:p>',
    "inserted": '<w:p><w:ins w:id="1"><w:r><w:t>{f}</w:t></w:r></w:ins></w:p>',
    "field": '<w:p><w:r><w:fldChar w:fldCharType="begin"/></w:r><w:r><w:instrText>REF x</w:instrText></w:r>'
    '<w:r><w:fldChar w:fldCharType="separate"/></w:r><w:r><w:t>{f}</w:t></w:r><w:r><w:fldChar w:fldCharType="end"/></w:r></w:p>',
    "equation": "<w:p><m:oMath><m:f><m:num><m:r><m:t>x</m:t></m:r></m:num><m:den><m:r><m:t>{f}</m:t></m:r></m:den></m:f></m:oMath></w:p>",
    "box": "<w:p><w:r><w:t>Beside.</w:t></w:r><w:r><w:pict><w:txbxContent><w:p><w:r><w:t>{f}</w:t></w:r></w:p></w:txbxContent></w:pict></w:r></w:p>",
    "split": "<w:p><w:r><w:t>{a}</w:t></w:r><w:r><w:t>{b}</w:t></w:r></w:p>",
    "control": "<w:sdt><w:sdtContent><w:p><w:r><w:t>{f}</w:t></w:r></w:p></w:sdtContent></w:sdt>",
    "merged": '<w:tbl><w:tr><w:tc><w:tcPr><w:gridSpan w:val="2"/></w:tcPr><w:p><w:r><w:t>{f}</w:t></w:r></w:p></w:tc><w:tc><w:p/></w:tc></w:tr>'
    "<w:tr><w:tc><w:p><w:r><w:t>a</w:t></w:r></w:p></w:tc><w:tc><w:p/></w:tc><w:tc><w:p/></w:tc></w:tr></w:tbl>",
    "struck": "<w:p><w:r><w:rPr><w:strike/></w:rPr><w:t>{f}</w:t></w:r></w:p>",
    "hidden": "<w:p><w:r><w:rPr><w:vanish/></w:rPr><w:t>{f}</w:t></w:r></w:p>",
    "deleted": '<w:p><w:del w:id="1"><w:r><w:delText>{f}</w:delText></w:r></w:del></w:p>',
    "white": '<w:p><w:r><w:rPr><w:color w:val="FFFFFF"/></w:rPr><w:t>{f}</w:t></w:r></w:p>',
}
WORD_LEFT_OUT = {
    "struck": "struck_out", "hidden": "hidden_content", "deleted": "tracked_change", "white": "invisible_text"
}  # fmt: skip


@law
@given(constructs(list(WORD)), figures)
def test_word(items: list[tuple[str, str, str]], head: str) -> None:
    assume(head not in {figure for _, figure, _ in items})

    def write(path: Path) -> None:
        document = docx.Document()
        document.sections[0].header.paragraphs[0].text = f"Policy {head}"
        document.add_paragraph("Body.")
        for name, figure, mark in items:
            filled = WORD[name].format(f=figure, m=mark, a=figure[:3], b=figure[3:])
            element = parse_xml(f"<w:body {W} {M}>{filled}</w:body>")[0]
            document.element.body.insert(len(document.element.body) - 1, element)
        document.save(str(path))

    text, told = read("law.docx", write)
    assert_law(items, text, told, WORD_LEFT_OUT)
    assert f"Policy {head}" in text


HTML = {
    "plain": "<p>The fee is {f}.</p>", "raised": "<p>${f}<sup>{m}</sup></p>", "lowered": "<p>{f}<sub>{m}</sub></p>",
    "broken": "<p>Fee<br>{f}<br>a year</p>", "cell": "<table><tr><th>A<th>B</tr><tr><td>x<td>{f}</tr></table>",
    "spanned": "<table><tr><td rowspan=2>{f}<td>1</tr><tr><td>2</tr></table>", "item": "<ol><li>{f}</ol>",
    "nested": "<ul><li>a<ul><li>{f}</ul></ul>", "inserted": "<p><ins>{f}</ins></p>", "field": '<input value="{f}">',
    "details": "<details><summary>More</summary>{f}</details>", "split": "<p><b>{a}</b>{b}</p>",
    "struck": "<p><del>{f}</del></p>", "hidden": "<p hidden>{f}</p>", "style": '<p style="display:none">{f}</p>',
    "tiny": '<p style="font-size:1px">{f}</p>', "nav": "<nav>{f}</nav>", "footer": "<footer>{f}</footer>",
}  # fmt: skip
HTML_LEFT_OUT = {
    "struck": "struck_out", "hidden": "hidden_content", "style": "hidden_content", "tiny": "invisible_text",
    "nav": "boilerplate", "footer": "boilerplate",
}  # fmt: skip


@law
@given(constructs(list(HTML)))
def test_web_pages(items: list[tuple[str, str, str]]) -> None:
    body = "".join(HTML[name].format(f=f, m=m, a=f[:3], b=f[3:]) for name, f, m in items)
    text, told = read("law.html", lambda path: path.write_text(f"<html><body><p>Body.</p>{body}</body></html>"))
    assert_law(items, text, told, HTML_LEFT_OUT)


MARKDOWN = {
    "plain": "The fee is {f}.\n", "raised": "Fee ${f}<sup>{m}</sup>\n", "note": "Fee {f}[^{m}]\n", "item": "{m}. Fee {f}\n",
    "cell": "| A | B |\n|---|---|\n| x | {f}<br>y |\n", "code": "```\n{f}\n```\n", "heading": "## Part {f}\n",
    "quote": "> {f}\n", "struck": "Fee ~~{f}~~ free\n", "html": "<p>{f}</p>\n",
}  # fmt: skip


@law
@given(constructs(list(MARKDOWN)))
def test_markdown(items: list[tuple[str, str, str]]) -> None:
    content = "Body.\n\n" + "\n".join(MARKDOWN[name].format(f=f, m=m) for name, f, m in items)
    text, told = read("law.md", lambda path: path.write_text(content))
    assert_law(items, text, told, {"struck": "struck_out"})


def rounded(value: float, places: int) -> str:
    return f"{Decimal(repr(value)).quantize(Decimal(1).scaleb(-places), rounding=ROUND_HALF_UP):,f}"


FORMATS: dict[str, Callable[[float], str]] = {
    "General": lambda value: f"{value:.15g}",
    "0.00": lambda value: rounded(value, 2).replace(",", ""),
    "#,##0": lambda value: rounded(value, 0),
    "#,##0.000": lambda value: rounded(value, 3),
    '"$"#,##0.00': lambda value: f"${rounded(value, 2)}",
    "0.000%": lambda value: f"{rounded(float(Decimal(repr(value)) * 100), 3).replace(',', '')}%",
    "#,##0.00 [$EUR]": lambda value: f"{rounded(value, 2)} EUR",
    "00000000": lambda value: rounded(value, 0).replace(",", "").rjust(8, "0"),
}


@law
@given(st.lists(st.tuples(st.sampled_from(list(FORMATS)), st.integers(1, 10**9)), min_size=1, max_size=20))
def test_workbooks(cells: list[tuple[str, int]]) -> None:
    values = [(code, number / 1_000) for code, number in cells]

    def write(path: Path) -> None:
        book = openpyxl.Workbook()
        sheet = book.active
        sheet.append(["Name", "Value", "Struck", "Secret"])
        for row, (code, value) in enumerate(values, start=2):
            sheet.cell(row, 1, f"row {row}")
            sheet.cell(row, 2, value).number_format = code
            sheet.cell(row, 3, 777.25).font = Font(strike=True)
            sheet.cell(row, 4, 888.75)
        sheet.column_dimensions["D"].hidden = True
        book.save(path)

    text, told = read("law.xlsx", write)
    for row, (code, value) in enumerate(values, start=2):
        assert f"row {row} | {FORMATS[code](value)}\n" in text + "\n", (code, value, text)
    assert "777.25" not in text
    assert "888.75" not in text
    assert {"struck_out", "hidden_content"} <= told


@law
@given(
    st.sampled_from(",;\t|"),
    st.lists(
        st.lists(st.tuples(figures, st.sampled_from(["", ";", ",", " | ", '"'])), min_size=3, max_size=3),
        min_size=3,
        max_size=9,
    ),
)
def test_delimited_text(delimiter: str, rows: list[list[tuple[str, str]]]) -> None:
    content = StringIO()
    writer = csv.writer(content, delimiter=delimiter)
    writer.writerow(["A", "B", "C"])
    cells = [[f"{figure}{sign}" for figure, sign in row] for row in rows]
    writer.writerows(cells)
    text, _ = read("law.csv", lambda path: path.write_text(content.getvalue()))
    for row in cells:
        assert " | ".join(" ".join(cell.split()) for cell in row).rstrip(" |") in text


SLIDE = {"text", "raised", "cell", "notes", "struck"}


@settings(parent=law, max_examples=10)
@given(constructs(sorted(SLIDE)))
def test_presentations(items: list[tuple[str, str, str]]) -> None:
    def write(path: Path) -> None:
        deck = pptx.Presentation()
        for name, figure, mark in items:
            slide = deck.slides.add_slide(deck.slide_layouts[6])
            frame = slide.shapes.add_textbox(Inches(1), Inches(1), Inches(3), Inches(1)).text_frame
            frame.text = "Slide."
            if name == "cell":
                table = slide.shapes.add_table(2, 2, Inches(1), Inches(3), Inches(3), Inches(1)).table
                table.cell(1, 1).text = figure
            elif name == "notes":
                slide.notes_slide.notes_text_frame.text = figure
            else:
                run = frame.paragraphs[0].add_run()
                run.text = f" Fee ${figure}"
                if name == "struck":
                    run.font._element.set("strike", "sngStrike")
                if name == "raised":
                    raised = frame.paragraphs[0].add_run()
                    raised.text = mark
                    raised.font._element.set("baseline", "30000")
        deck.save(str(path))

    text, told = read("law.pptx", write)
    assert_law(items, text, told, {"struck": "struck_out"})


@law
@given(figures, figures, st.sampled_from([" ", "See the page."]))
def test_mails(first: str, second: str, plain: str) -> None:
    inner = EmailMessage()
    inner["Subject"] = "Ruling"
    inner.set_content(f"The limit is {second}.")
    message = EmailMessage()
    message["Subject"] = "Forwarded"
    message.set_content(plain)
    message.add_alternative(f"<p>The fee is <b>{first}</b>.</p>", subtype="html")
    message.add_attachment(inner)
    message.add_attachment(b"%PDF", maintype="application", subtype="pdf", filename="fees.pdf")
    text, told = read("law.eml", lambda path: path.write_bytes(message.as_bytes()))
    assert first in text
    assert second in text
    assert "attachment" in told


def _text(x: float, y: float, text: str, size: float = 10, more: str = "") -> str:
    return f"BT {more} /F0 {size} Tf {x} {y} Td ({text}) Tj ET\n"


PAGE: dict[str, Callable[[float, str, str], str]] = {
    "plain": lambda y, f, _: _text(72, y, f"The fee is {f} a year."),
    "raised": lambda y, f, m: _text(72, y, f"${f}") + _text(72 + 5.56 * (len(f) + 1), y + 4, m, 6.5) + _text(150, y, "a year"),
    "cells": lambda y, f, _: _text(72, y, "Fee") + _text(250, y, f) + _text(400, y, "12"),
    "columns": lambda y, f, _: _text(72, y, "words on the left side go on") + _text(330, y, f"words on the right {f} too"),
    "turned": lambda y, f, _: f"BT /F0 10 Tf 0 1 -1 0 {560 - (760 - y) / 3} 72 Tm (Turned {f} text) Tj ET",
    "pieces": lambda y, f, _: _text(72, y, f[:3]) + _text(72 + 5.56 * (3 - f[:3].count(",") / 2 - f[:3].count(".") / 2), y, f[3:]),
    "white": lambda y, f, _: f"1 1 1 rg {_text(72, y, f'White {f}')} 0 0 0 rg",
    "ground": lambda y, f, _: f"0 0 0.5 rg 60 {y - 4} 300 14 re f 1 1 1 rg {_text(72, y, f'On blue {f}')} 0 0 0 rg",
    "tiny": lambda y, f, _: _text(72, y, f"Tiny {f}", 1),
    "struck": lambda y, f, _: _text(72, y, f) + f" 72 {y + 2.3} {5.56 * len(f):.1f} 0.6 re f",
}  # fmt: skip


@law
@given(
    constructs([name for name in PAGE if name != "turned"])
)  # turned text among many lines is read letter by letter: open
def test_pdf_pages(items: list[tuple[str, str, str]]) -> None:
    content = "\n".join(PAGE[name](700 - 40 * row, figure, mark) for row, (name, figure, mark) in enumerate(items))
    content = f"{_text(72, 750, 'This page has a first line of text.')}\n{content}"
    text, told = read("law.pdf", lambda path: path.write_bytes(pdf([content.encode()])))
    assert_law(items, text, told, {"white": "invisible_text", "tiny": "invisible_text", "struck": "struck_out"})
