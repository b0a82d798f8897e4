"""What office programs count, place and copy: numbers of clauses and notes, of slides' lists, and the figures of charts."""

import re
import zipfile
from pathlib import Path
from typing import Any

import docx
import pptx
import pytest
from docx.oxml import parse_xml
from pptx.chart.data import BubbleChartData, CategoryChartData, XyChartData
from pptx.enum.chart import XL_CHART_TYPE
from pptx.slide import Slide
from pptx.util import Inches

from tests.documents import parsed
from tests.documents.test_parsing_constructs import M, W

A = 'xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main"'
C = "http://schemas.openxmlformats.org/drawingml/2006/chart"
NUMBERING = (
    '<w:abstractNum w:abstractNumId="1"><w:lvl w:ilvl="0"><w:start w:val="1"/><w:numFmt w:val="decimal"/>'
    '<w:lvlText w:val="%1."/></w:lvl></w:abstractNum><w:num w:numId="1"><w:abstractNumId w:val="1"/></w:num>'
)


def numbered(content: str, mark: str = "") -> str:
    properties = f'<w:numPr><w:ilvl w:val="0"/><w:numId w:val="1"/></w:numPr><w:rPr>{mark}</w:rPr>'
    return f"<w:p><w:pPr>{properties}</w:pPr>{content}</w:p>"


def run(text: str) -> str:
    return f"<w:r><w:t>{text}</w:t></w:r>"


def cells(*contents: str) -> str:
    return "".join(f"<w:tc>{content}</w:tc>" for content in contents)


def read_word(folder: Path, body: str) -> tuple[list[str], set[str]]:
    document = docx.Document()
    lists = document.part.numbering_part.element
    for element in [*lists]:
        lists.remove(element)
    lists.extend(parse_xml(f"<w:numbering {W}>{NUMBERING}</w:numbering>"))
    for element in list(parse_xml(f"<w:body {W}>{body}</w:body>")):
        document.element.body.insert(len(document.element.body) - 1, element)
    document.save(str(folder / "counted.docx"))
    texts, told = parsed.in_this_process(folder / "counted.docx")
    return texts, {str(warning.kind) for warning in told}


def test_a_clause_that_was_moved_away_has_no_number(tmp_path: Path) -> None:
    gone = numbered(f'<w:moveFrom w:id="1">{run("Limits.")}</w:moveFrom>', '<w:moveFrom w:id="2"/>')
    here = numbered(f'<w:moveTo w:id="3">{run("Limits.")}</w:moveTo>', '<w:moveTo w:id="4"/>')
    texts, told = read_word(tmp_path, numbered(run("Scope.")) + gone + numbered(run("Fees.")) + here)
    assert texts == ["1. Scope.", "2. Fees.", "3. Limits."]
    assert told == {"tracked_change"}


def test_rows_that_word_numbers_have_their_numbers(tmp_path: Path) -> None:
    rows = [cells(numbered(""), f"<w:p>{run(rule)}</w:p>") for rule in ("Report.", "Keep.")]
    texts, _ = read_word(tmp_path, f"<w:tbl>{''.join(f'<w:tr>{row}</w:tr>' for row in rows)}</w:tbl>{numbered('')}")
    assert texts == ["1. | Report.", "2. | Keep."]


def test_a_large_initial_is_the_first_letter_of_its_word(tmp_path: Path) -> None:
    initial = f'<w:p><w:pPr><w:framePr w:dropCap="drop" w:lines="3"/></w:pPr>{run("T")}</w:p>'
    assert read_word(tmp_path, f"{initial}<w:p>{run('he fee is 25.')}</w:p>")[0] == ["The fee is 25."]


@pytest.mark.parametrize(("value", "is_read"), [("", False), (' w:val="0"', True)])
def test_a_hidden_row_is_left_out_and_told(tmp_path: Path, value: str, *, is_read: bool) -> None:
    head, fee = (cells(*(f"<w:p>{run(text)}</w:p>" for text in row)) for row in (("What", "How much"), ("Fee", "4711")))
    rows = f"<w:tr>{head}</w:tr><w:tr><w:trPr><w:hidden{value}/></w:trPr>{fee}</w:tr>"
    texts, told = read_word(tmp_path, f"<w:tbl>{rows}</w:tbl>")
    assert ("Fee | 4711" in texts) is is_read
    assert told == (set() if is_read else {"hidden_content"})


def test_a_date_that_word_fills_in_when_it_is_read_is_told(tmp_path: Path) -> None:
    texts, told = read_word(tmp_path, f"<w:p>{run('Valid until ')}<w:r><w:dayLong/><w:yearLong/></w:r></w:p>")
    assert texts == ["Valid until"]
    assert told == {"formula_without_value"}


@pytest.mark.parametrize(
    ("first", "second", "marks"),
    [
        ('<w:numFmt w:val="lowerLetter"/>', "", ["a", "2"]),
        ('<w:numStart w:val="7"/>', "", ["7", "2"]),
        ("", '<w:numFmt w:val="upperRoman"/><w:numRestart w:val="eachSect"/>', ["1", "I"]),
        ("", "", ["1", "2"]),
    ],
)
def test_notes_have_the_marks_of_their_sections(tmp_path: Path, first: str, second: str, marks: list[str]) -> None:
    path = tmp_path / "notes.docx"
    docx.Document().save(str(path))
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    noted = "<w:p>{properties}<w:r><w:t>Fee $25</w:t></w:r><w:r><w:footnoteReference w:id='{id}'/></w:r></w:p>"
    section = f"<w:sectPr><w:footnotePr>{first}</w:footnotePr></w:sectPr>"
    body = noted.format(properties=f"<w:pPr>{section}</w:pPr>", id=2) + noted.format(properties="", id=3)
    last = f"<w:sectPr><w:footnotePr>{second}</w:footnotePr></w:sectPr>"
    parts["word/document.xml"] = f"<w:document {W}><w:body>{body}{last}</w:body></w:document>".encode()
    notes = "".join(
        f"<w:footnote w:id='{number}'><w:p>{run(f'Waived {number}.')}</w:p></w:footnote>" for number in (2, 3)
    )
    parts["word/footnotes.xml"] = f"<w:footnotes {W}>{notes}</w:footnotes>".encode()
    kind = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/footnotes"
    named = f'<Relationship Id="rId99" Type="{kind}" Target="footnotes.xml"/></Relationships>'
    rels = "word/_rels/document.xml.rels"
    parts[rels] = parts[rels].replace(b"</Relationships>", named.encode())
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    texts, _ = parsed.in_this_process(path)
    one, two = marks
    assert texts == [
        f"Fee $25 [note {one}]",
        f"[note {one}] Waived 2.",
        f"Fee $25 [note {two}]",
        f"[note {two}] Waived 3.",
    ]


@pytest.mark.parametrize(
    ("equation", "wanted"),
    [
        ("<m:limLow><m:e>5</m:e><m:lim>7</m:lim></m:limLow>", "5_7"),
        ("<m:limUpp><m:e>5</m:e><m:lim>7</m:lim></m:limUpp>", "5^7"),
        ("<m:sPre><m:sub>1</m:sub><m:sup>2</m:sup><m:e>5</m:e></m:sPre>", "_1^2 5"),
        ("<m:borderBox><m:borderBoxPr><m:strikeH/></m:borderBoxPr><m:e>4711</m:e></m:borderBox>", "[struck out: 4711]"),
        ("<m:borderBox><m:e>4711</m:e></m:borderBox>", "4711"),
    ],
)
def test_figures_of_an_equation_in_word_are_not_run_together(tmp_path: Path, equation: str, wanted: str) -> None:
    written = re.sub(r">(\d+)<", r"><m:r><m:t>\1</m:t></m:r><", equation)
    texts, _ = read_word(tmp_path, f"<w:p>{run('Rate')}<m:oMath {M}>{written}</m:oMath></w:p>")
    assert texts == [f"Rate{wanted}"]


def presentation() -> tuple[Any, Slide]:
    made = pptx.Presentation()
    return made, made.slides.add_slide(made.slide_layouts[6])


def read_slides(folder: Path, made: Any) -> list[str]:
    made.save(str(folder / "counted.pptx"))
    return parsed.in_this_process(folder / "counted.pptx")[0]


def style_of_list(element: str, kind: str) -> Any:
    return parse_xml(f"<a:{element} {A}><a:lvl1pPr>{kind}</a:lvl1pPr></a:{element}>")


def test_items_of_slides_are_numbered_by_the_style_of_their_shape(tmp_path: Path) -> None:
    made, slide = presentation()
    frame = slide.shapes.add_textbox(Inches(1), Inches(2), Inches(4), Inches(2)).text_frame
    frame.text = "Act."
    frame.add_paragraph().text = "Keep."
    old = frame._txBody.find(f"{{{A[9:-1]}}}lstStyle")
    styled = style_of_list("lstStyle", '<a:buAutoNum type="arabicPeriod"/>')
    if old is None:
        frame._txBody.insert(1, styled)
    else:
        frame._txBody.replace(old, styled)
    assert read_slides(tmp_path, made) == ["1. Act.", "2. Keep."]


@pytest.mark.parametrize(("own", "wanted"), [("", ["a) Act.", "b) Keep."]), ("<a:buNone/>", ["Act.", "a) Keep."])])
def test_items_of_slides_are_numbered_by_the_style_of_their_layout(tmp_path: Path, own: str, wanted: list[str]) -> None:
    made = pptx.Presentation()
    slide = made.slides.add_slide(made.slide_layouts[1])
    frame = slide.placeholders[1].text_frame
    frame.text = "Act."
    frame.add_paragraph().text = "Keep."
    if own:
        frame.paragraphs[0]._p.get_or_add_pPr().append(parse_xml(own.replace("/>", f" {A}/>")))
    style = next(made.slide_layouts[1].placeholders[1]._element.iter(f"{{{A[9:-1]}}}lstStyle"))
    style.append(parse_xml(f'<a:lvl1pPr {A}><a:buAutoNum type="alphaLcParenR"/></a:lvl1pPr>'))
    assert read_slides(tmp_path, made) == wanted


def test_members_of_a_group_are_read_wherever_the_group_counts_from(tmp_path: Path) -> None:
    made, slide = presentation()
    group = slide.shapes.add_group_shape()
    group.shapes.add_textbox(Inches(1), Inches(2), Inches(2), Inches(1)).text_frame.text = "Fee 4711"
    for element in (*group._element.iter(f"{{{A[9:-1]}}}chOff"), *group.shapes[0]._element.iter(f"{{{A[9:-1]}}}off")):
        element.set("x", "90000000")
    assert read_slides(tmp_path, made) == ["Fee 4711"]


def chart(slide: Slide, kind: XL_CHART_TYPE, values: Any) -> Any:
    return slide.shapes.add_chart(kind, Inches(1), Inches(1), Inches(5), Inches(4), values).chart


def test_categories_in_two_levels_are_both_read(tmp_path: Path) -> None:
    made, slide = presentation()
    values = CategoryChartData()
    for year in ("2024", "2025"):
        of_year = values.add_category(year)
        of_year.add_sub_category("Q1")
        of_year.add_sub_category("Q2")
    values.add_series("Fees", (1, 2, 3, 4))
    chart(slide, XL_CHART_TYPE.COLUMN_CLUSTERED, values)
    assert read_slides(tmp_path, made) == ["Chart | Fees", "2024 Q1 | 1", "2024 Q2 | 2", "2025 Q1 | 3", "2025 Q2 | 4"]


def test_points_of_each_series_keep_their_own_places_and_sizes(tmp_path: Path) -> None:
    made, slide = presentation()
    values = XyChartData()
    for name, points in (("A", ((1, 11), (2, 12))), ("B", ((10, 21),))):
        series = values.add_series(name)
        for x, y in points:
            series.add_data_point(x, y)
    chart(slide, XL_CHART_TYPE.XY_SCATTER, values)
    assert read_slides(tmp_path, made) == ["Chart | A", "1 | 11", "2 | 12", "Chart | B", "10 | 21"]
    made, slide = presentation()
    bubbles = BubbleChartData()
    bubbles.add_series("A").add_data_point(1, 11, 4711)
    chart(slide, XL_CHART_TYPE.BUBBLE, bubbles)
    assert read_slides(tmp_path, made) == ["Chart | A | A (size)", "1 | 11 | 4711"]


def test_a_charts_words_and_all_digits_of_its_figures_are_read(tmp_path: Path) -> None:
    made, slide = presentation()
    values = CategoryChartData()
    values.categories = ["a", "b"]
    values.add_series("Fees", (1, 2))
    shown = chart(slide, XL_CHART_TYPE.COLUMN_CLUSTERED, values)
    shown.value_axis.has_title = True
    shown.value_axis.axis_title.text_frame.text = "EUR million"
    shown.series[0].points[1].data_label.text_frame.text = "2.0 restated"
    copied = "<c:strRef><c:f>A9</c:f><c:strCache><c:pt idx='0'><c:v>Fees of 2026</c:v></c:pt></c:strCache></c:strRef>"
    title = parse_xml(f"<c:title xmlns:c='{C}'><c:tx>{copied}</c:tx></c:title>")
    shown._chartSpace.find(f"{{{C}}}chart").insert(0, title)
    for value in shown._chartSpace.iter(f"{{{C}}}v"):
        if value.text == "1":
            value.text = "4.1250000000000002E-2"
    assert read_slides(tmp_path, made) == [
        "Fees of 2026 (EUR million) | Fees | Fees (label)", "a | 0.04125", "b | 2 | 2.0 restated",
    ]  # fmt: skip
