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
from pptx.chart.data import CategoryChartData
from pptx.dml.color import RGBColor
from pptx.enum.chart import XL_CHART_TYPE
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
    "mixed": "<w:p><w:r><w:t>{f}</w:t></w:r><m:oMath><m:f><m:num><m:r><m:t>1</m:t></m:r></m:num><m:den><m:r><m:t>{f}</m:t></m:r></m:den></m:f></m:oMath><w:r><w:t>5</w:t></w:r></w:p>",
    "box": "<w:p><w:r><w:t>Beside.</w:t></w:r><w:r><w:pict><w:txbxContent><w:p><w:r><w:t>{f}</w:t></w:r></w:p></w:txbxContent></w:pict></w:r></w:p>",
    "split": "<w:p><w:r><w:t>{a}</w:t></w:r><w:r><w:t>{b}</w:t></w:r></w:p>",
    "control": "<w:sdt><w:sdtContent><w:p><w:r><w:t>{f}</w:t></w:r></w:p></w:sdtContent></w:sdt>",
    "merged": '<w:tbl><w:tr><w:tc><w:tcPr><w:gridSpan w:val="2"/></w:tcPr><w:p><w:r><w:t>{f}</w:t></w:r></w:p></w:tc><w:tc><w:p/></w:tc></w:tr>'
    "<w:tr><w:tc><w:p><w:r><w:t>a</w:t></w:r></w:p></w:tc><w:tc><w:p/></w:tc><w:tc><w:p/></w:tc></w:tr></w:tbl>",
    "struck": "<w:p><w:r><w:rPr><w:strike/></w:rPr><w:t>{f}</w:t></w:r></w:p>",
    "hidden": "<w:p><w:r><w:rPr><w:vanish/></w:rPr><w:t>{f}</w:t></w:r></w:p>",
    "deleted": '<w:p><w:del w:id="1"><w:r><w:delText>{f}</w:delText></w:r></w:del></w:p>',
    "white": '<w:p><w:r><w:rPr><w:color w:val="FFFFFF"/></w:rPr><w:t>{f}</w:t></w:r></w:p>',
    "raised_by_style": '<w:p><w:r><w:t>Fee ${f}</w:t></w:r><w:r><w:rPr><w:rStyle w:val="Raised"/></w:rPr><w:t>{m}</w:t></w:r></w:p>',
    "struck_by_style": '<w:p><w:pPr><w:pStyle w:val="Old"/></w:pPr><w:r><w:t>{f}</w:t></w:r></w:p>',
    "kept_in_struck_style": '<w:p><w:pPr><w:pStyle w:val="Old"/></w:pPr><w:r><w:rPr><w:strike w:val="0"/></w:rPr><w:t>{f}</w:t></w:r></w:p>',
    "word_art": '<w:p><w:r><w:pict><v:shape xmlns:v="urn:schemas-microsoft-com:vml"><v:textpath string="Fee {f}"/></v:shape></w:pict></w:r></w:p>',
    "fraction": '<w:p><w:r><w:t>{f} and 5</w:t></w:r><w:r><w:rPr><w:vertAlign w:val="superscript"/></w:rPr><w:t>1</w:t></w:r><w:r><w:t>/</w:t></w:r><w:r><w:rPr><w:vertAlign w:val="subscript"/></w:rPr><w:t>2</w:t></w:r></w:p>',
    "white_of_theme": '<w:p><w:r><w:rPr><w:color w:val="FFFFFF" w:themeColor="background1"/></w:rPr><w:t>{f}</w:t></w:r></w:p>',
    "cell_deleted": '<w:tbl><w:tr><w:tc><w:tcPr><w:cellDel w:id="1"/></w:tcPr><w:p><w:r><w:t>{f}</w:t></w:r></w:p></w:tc><w:tc><w:p><w:r><w:t>kept</w:t></w:r></w:p></w:tc></w:tr>'
    "<w:tr><w:tc><w:p><w:r><w:t>a</w:t></w:r></w:p></w:tc><w:tc><w:p/></w:tc></w:tr></w:tbl>",
    "deleted_in_equation": '<w:p><m:oMath><w:del w:id="1"><m:r><m:t>{f}</m:t></m:r></w:del><m:r><m:t>x</m:t></m:r></m:oMath></w:p>',
    "fraction_field": '<w:p><w:r><w:t>At least </w:t></w:r><w:r><w:fldChar w:fldCharType="begin"/></w:r><w:r><w:instrText> EQ \\f({f};2) </w:instrText></w:r><w:r><w:fldChar w:fldCharType="end"/></w:r></w:p>',
    "limit": '<w:p><w:r><w:sym w:font="Symbol" w:char="F0A3"/></w:r><w:r><w:t>{f}</w:t></w:r></w:p>',
    "end_deleted": '<w:p><w:pPr><w:rPr><w:del w:id="1"/></w:rPr></w:pPr><w:r><w:t>{a}</w:t></w:r></w:p><w:p><w:r><w:t>{b}</w:t></w:r></w:p>',
}
WORD_LEFT_OUT = {
    "struck": "struck_out", "hidden": "hidden_content", "deleted": "tracked_change", "white": "invisible_text",
    "struck_by_style": "struck_out", "white_of_theme": "invisible_text", "cell_deleted": "tracked_change",
    "deleted_in_equation": "tracked_change",
}  # fmt: skip
STYLES = (
    '<w:style w:type="character" w:styleId="Mark"><w:rPr><w:vertAlign w:val="superscript"/></w:rPr></w:style>',
    '<w:style w:type="character" w:styleId="Raised"><w:basedOn w:val="Mark"/></w:style>',
    '<w:style w:type="paragraph" w:styleId="Old"><w:rPr><w:strike/></w:rPr></w:style>',
)


@law
@given(constructs(list(WORD)), figures)
def test_word(items: list[tuple[str, str, str]], head: str) -> None:
    assume(head not in {figure for _, figure, _ in items})

    def write(path: Path) -> None:
        document = docx.Document()
        document.sections[0].header.paragraphs[0].text = f"Policy {head}"
        for style in STYLES:
            document.styles.element.append(parse_xml(style.replace("<w:style ", f"<w:style {W} ", 1)))
        document.add_comment(document.add_paragraph("Body.").runs, text="Was 909,090.90 before.")
        for name, figure, mark in items:
            filled = WORD[name].format(f=figure, m=mark, a=figure[:3], b=figure[3:])
            for element in list(parse_xml(f"<w:body {W} {M}>{filled}</w:body>")):
                document.element.body.insert(len(document.element.body) - 1, element)
        document.save(str(path))

    text, told = read("law.docx", write)
    assert_law(items, text, told, WORD_LEFT_OUT)
    assert f"Policy {head}" in text
    assert "909,090.90" not in text
    assert "annotation" in told


HTML = {
    "plain": "<p>The fee is {f}.</p>", "raised": "<p>${f}<sup>{m}</sup></p>", "lowered": "<p>{f}<sub>{m}</sub></p>",
    "broken": "<p>Fee<br>{f}<br>a year</p>", "cell": "<table><tr><th>A<th>B</tr><tr><td>x<td>{f}</tr></table>",
    "spanned": "<table><tr><td rowspan=2>{f}<td>1</tr><tr><td>2</tr></table>", "item": "<ol><li>{f}</ol>",
    "nested": "<ul><li>a<ul><li>{f}</ul></ul>", "inserted": "<p><ins>{f}</ins></p>", "field": '<input value="{f}">',
    "details": "<details><summary>More</summary>{f}</details>", "split": "<p><b>{a}</b>{b}</p>",
    "struck": "<p><del>{f}</del></p>", "hidden": "<p hidden>{f}</p>", "style": '<p style="display:none">{f}</p>',
    "raised_by_sheet": '<p>Fee ${f}<i class="mark">{m}</i></p>', "struck_by_sheet": '<p><span class="old">{f}</span></p>',
    "hidden_by_sheet": '<div class="shut">{f}</div>', "noted": '<p>${f}<a class="footnote-ref" href="#n">{m}</a></p>',
    "equation": "<math><mfrac><mn>1</mn><mn>{f}</mn></mfrac></math>", "ruby": "<p><ruby>{f}<rt>{m}</rt></ruby></p>",
    "mixed": "<p>{f}<math><mfrac><mn>1</mn><mn>2</mn></mfrac></math>5</p>",
    "mixed_within": "<math><mn>{f}</mn><mfrac><mn>1</mn><mn>2</mn></mfrac></math>",
    "squared": "<p><math><msup><mi>r</mi><mn>{f}</mn></msup></math>7</p>",
    "fraction": "<p>{f} and 5<sup>1</sup>/<sub>2</sub></p>", "bar": "<meter>{f}</meter>",
    "own_colour": '<p style="background:#003;color:#000033">{f}</p>', "clear": '<p style="color:rgba(0,0,0,0)">{f}</p>',
    "near_white": '<p style="color:#fefefe">{f}</p>', "flat": '<div style="height:0;overflow:hidden">{f}</div>',
    "shrunk": '<p style="transform:scale(0)">{f}</p>', "on_blue": '<div style="background:navy"><p style="color:#fff">{f}</p></div>',
    "signed": "<p>&lrm;{f}&rlm;</p>",
    "tiny": '<p style="font-size:1px">{f}</p>', "nav": "<nav>{f}</nav>", "footer": "<footer>{f}</footer>",
}  # fmt: skip
HTML_LEFT_OUT = {
    "struck": "struck_out", "hidden": "hidden_content", "style": "hidden_content", "tiny": "invisible_text",
    "own_colour": "invisible_text", "clear": "invisible_text", "near_white": "invisible_text", "flat": "invisible_text",
    "shrunk": "invisible_text", "nav": "boilerplate", "footer": "boilerplate", "struck_by_sheet": "struck_out", "hidden_by_sheet": "hidden_content",
}  # fmt: skip


SHEET = (
    "i.mark { vertical-align: super } .old { text-decoration: line-through } @media screen { .shut { display: none } }"
)


@law
@given(constructs(list(HTML)))
def test_web_pages(items: list[tuple[str, str, str]]) -> None:
    body = "".join(HTML[name].format(f=f, m=m, a=f[:3], b=f[3:]) for name, f, m in items)
    text, told = read(
        "law.html", lambda path: path.write_text(f"<html><style>{SHEET}</style><body><p>Body.</p>{body}</body></html>")
    )
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


SLIDE = {"text", "raised", "cell", "notes", "struck", "chart", "white", "hidden"}
SLIDE_LEFT_OUT = {"struck": "struck_out", "white": "invisible_text", "hidden": "hidden_content"}


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
            elif name == "chart":
                data = CategoryChartData(number_format="#,##0.00")
                data.categories = ["Fee"]
                data.add_series("Year", [float(figure.replace(",", ""))])
                slide.shapes.add_chart(XL_CHART_TYPE.PIE, Inches(1), Inches(3), Inches(3), Inches(2), data)
            elif name == "notes":
                slide.notes_slide.notes_text_frame.text = figure
            else:
                run = frame.paragraphs[0].add_run()
                run.text = f" Fee ${figure}"
                if name == "white":
                    run.font.color.rgb = RGBColor(255, 255, 255)
                if name == "hidden":
                    frame._txBody.getparent().nvSpPr.cNvPr.set("hidden", "1")
                if name == "struck":
                    run.font._element.set("strike", "sngStrike")
                if name == "raised":
                    raised = frame.paragraphs[0].add_run()
                    raised.text = mark
                    raised.font._element.set("baseline", "30000")
        deck.save(str(path))

    text, told = read("law.pptx", write)
    assert_law(items, text, told, SLIDE_LEFT_OUT)


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
    "struck_large": lambda y, f, _: _text(72, y, f, 24) + f" 72 {y + 5.5} {13.3 * len(f):.1f} 1.9 re f",
    "clipped": lambda y, f, _: f"q 0 0 10 10 re W n {_text(72, y, f'Clipped {f}')} Q",
    "let_through": lambda y, f, _: f"q 60 {y - 6} 400 20 re W n {_text(72, y, f'Kept {f}')} Q",
    "own_colour": lambda y, f, _: f"0 0 0.5 rg 60 {y - 4} 300 14 re f {_text(72, y, f'Blue {f}')} 0 0 0 rg",
    "framed": lambda y, f, _: f"60 {y - 4} 300 14 re S {_text(72, y, f'Framed {f}')}",
    "mark_within": lambda y, f, m: _text(72, y, f"${f}") + _text(72.5 + 5.56 * (len(f) + 1), y + 4, m, 6) + _text(74 + 5.56 * (len(f) + 1) + 3.4 * len(m), y, "/month"),
}  # fmt: skip
PAGE_LEFT_OUT = {
    "white": "invisible_text", "tiny": "invisible_text", "struck": "struck_out", "struck_large": "struck_out",
    "clipped": "invisible_text", "own_colour": "invisible_text",
}  # fmt: skip


@law
@given(constructs(list(PAGE)))
def test_pdf_pages(items: list[tuple[str, str, str]]) -> None:
    content = "\n".join(PAGE[name](700 - 40 * row, figure, mark) for row, (name, figure, mark) in enumerate(items))
    content = f"{_text(72, 750, 'This page has a first line of text.')}\n{content}"
    text, told = read("law.pdf", lambda path: path.write_bytes(pdf([content.encode()])))
    assert_law(items, text, told, PAGE_LEFT_OUT)
