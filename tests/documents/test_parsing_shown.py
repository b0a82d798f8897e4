"""What an office program makes of a file before anybody reads it: symbol fonts, fields within fields, colours of themes."""

from pathlib import Path

import docx
import pptx
import pytest
from docx.document import Document
from docx.oxml import parse_xml
from pptx.util import Inches

from tests.documents.test_parsing_constructs import W
from tests.documents.test_parsing_told import NAMES, read, word

A = "{http://schemas.openxmlformats.org/drawingml/2006/main}"
P = "{http://schemas.openxmlformats.org/presentationml/2006/main}"
BEGIN, SEPARATE, END = (f'<w:r><w:fldChar w:fldCharType="{kind}"/></w:r>' for kind in ("begin", "separate", "end"))
UNREADABLE = [("unreadable_text", "paragraph 1")]


def fonts(name: str) -> str:
    return f'<w:rPr><w:rFonts w:ascii="{name}" w:hAnsi="{name}"/></w:rPr>'


def field(instruction: str, result: str) -> str:
    return f"{BEGIN}{instruct(instruction)}{SEPARATE}{run(result)}{END}"


def instruct(text: str) -> str:
    return f"<w:r><w:instrText>{text}</w:instrText></w:r>"


def run(text: str, properties: str = "") -> str:
    return f'<w:r>{properties}<w:t xml:space="preserve">{text}</w:t></w:r>'


@pytest.mark.parametrize(
    ("font", "typed", "wanted"),
    [
        ("Symbol", "\uf0a3", "≤"), ("Symbol", "\uf0b7", "•"), ("Symbol", "b", "β"), ("Symbol", "25", "25"),
        ("Wingdings", "\uf0fe", "☑"), ("Wingdings", "\uf0fd", "☒"), ("Wingdings", "\uf0a8", "☐"), ("Wingdings", "\uf08a", "⑩"),
        ("Wingdings", "þ", "☑"), ("Wingdings 2", "\uf052", "☑"), ("Wingdings 2", "\uf0a3", "☐"), ("Webdings", "\uf061", "✓"),
        ("Webdings", "\uf063", "☐"),
    ],
)  # fmt: skip
def test_a_character_of_a_symbol_font_is_what_its_own_font_shows(
    tmp_path: Path, font: str, typed: str, wanted: str
) -> None:
    assert read(word(tmp_path / "sign.docx", run(typed, fonts(font)))) == ([f"Body. {wanted}"], [])


def test_a_sign_is_of_the_font_of_its_style_or_its_run(tmp_path: Path) -> None:
    document = docx.Document()
    style = f'<w:style {W} w:type="character" w:styleId="Tick">{fonts("Wingdings")}</w:style>'
    document.styles.element.append(parse_xml(style))
    styled = run("\uf0fc", '<w:rPr><w:rStyle w:val="Tick"/></w:rPr>')
    sign = f'<w:r>{fonts("Wingdings")}<w:sym w:char="F0FE"/></w:r>'
    document.element.body.insert(0, parse_xml(f"<w:p {W}>{run('Paid ')}{styled}{sign}</w:p>"))
    document.save(str(tmp_path / "sign.docx"))
    assert read(tmp_path / "sign.docx") == (["Paid ✓☑"], [])


@pytest.mark.parametrize(
    ("font", "typed", "wanted"), [("Calibri", "\uf0a3", "\uf0a3"), ("Wingdings", "\uf04a", ""), ("Wingdings", "4", "")]
)
def test_a_sign_without_a_letter_is_told(tmp_path: Path, font: str, typed: str, wanted: str) -> None:
    assert read(word(tmp_path / "sign.docx", run(typed, fonts(font)))) == ([f"Body. {wanted}".rstrip()], UNREADABLE)


@pytest.mark.parametrize(
    ("content", "wanted"),
    [
        (f"{BEGIN}{instruct('TOC')}{SEPARATE}{run('Fees ')}{field('PAGEREF x', '7')}{END}", "Fees 7"),
        (f'{BEGIN}{instruct("IF ")}{field("MERGEFIELD a", "1")}{instruct(" = 1")}{SEPARATE}{run("25")}{END}', "25"),
        (f'{BEGIN}{instruct("IF ")}<w:r><w:sym w:font="Symbol" w:char="F0A3"/></w:r>{SEPARATE}{run("25")}{END}', "25"),
        (f"{BEGIN}{instruct('EQ ')}{instruct(chr(92) + 'f(')}{field('= 1+2', '3')}{instruct(';4)')}{END}", "3/4"),
        ('<w:r><w:fldChar w:fldCharType="begin"><w:ffData><w:ddList><w:result w:val="1"/><w:listEntry w:val="Gold"/>'
         '<w:listEntry w:val="Blue"/></w:ddList></w:ffData></w:fldChar></w:r>'
         f"{instruct('FORMDROPDOWN')}{SEPARATE}{run('Blue')}{END}", "Blue"),
    ],
)  # fmt: skip
def test_of_fields_within_fields_the_result_is_read_once(tmp_path: Path, content: str, wanted: str) -> None:
    assert read(word(tmp_path / "fields.docx", content)) == ([f"Body. {wanted}"], [])


def test_a_simple_field_without_a_result_is_told(tmp_path: Path) -> None:
    path = word(tmp_path / "field.docx", '<w:fldSimple w:instr="REF limit"/>')
    assert read(path) == (["Body."], [("formula_without_value", "paragraph 1")])


def test_a_figure_that_depends_on_the_number_of_its_page_is_no_page_number(tmp_path: Path) -> None:
    document = docx.Document()
    document.add_paragraph("Body.")
    asked = f"{BEGIN}{instruct('IF ')}{field('PAGE', '2')}{instruct(' = 1')}{SEPARATE}{run('4711')}{END}"
    footer = document.sections[0].footer._element
    footer.append(parse_xml(f"<w:p {W}>{asked}</w:p>"))
    document.save(str(tmp_path / "footer.docx"))
    assert read(tmp_path / "footer.docx")[0] == ["Body.", "4711"]


def test_a_field_whose_end_is_deleted_does_not_hide_what_follows(tmp_path: Path) -> None:
    document = docx.Document()
    half = f'{BEGIN}{instruct("REF x")}<w:del w:id="1">{END}</w:del>'
    for content in (half, run("Pay in 45 days.")):
        document.element.body.insert(-1, parse_xml(f"<w:p {W}>{content}</w:p>"))
    document.save(str(tmp_path / "half.docx"))
    assert "Pay in 45 days." in read(tmp_path / "half.docx")[0]


def test_columns_after_a_deleted_cell_keep_their_places(tmp_path: Path) -> None:
    document = docx.Document()
    cells = ('<w:gridSpan w:val="2"/><w:cellDel w:id="1"/>', "")
    written = "".join(f"<w:tc><w:tcPr>{how}</w:tcPr><w:p>{run('25')}</w:p></w:tc>" for how in cells)
    heads = "".join(f"<w:tc><w:p>{run(head)}</w:p></w:tc>" for head in ("Card", "Old", "Fee"))
    document.element.body.insert(0, parse_xml(f"<w:tbl {W}><w:tr>{heads}</w:tr><w:tr>{written}</w:tr></w:tbl>"))
    document.save(str(tmp_path / "cells.docx"))
    texts, told = read(tmp_path / "cells.docx")
    assert [[cell.strip() for cell in row.split("|")] for row in texts] == [["Card", "Old", "Fee"], ["", "", "25"]]
    assert [kind for kind, _ in told] == ["tracked_change"]


def themed(document: Document, light: str) -> None:
    part = next(r.target_part for r in document.part.rels.values() if r.reltype.endswith("/theme"))
    root = parse_xml(part.blob)
    scheme = next(root.iter(A + "lt1"))
    scheme.clear()
    scheme.append(parse_xml(f'<a:srgbClr {NAMES} val="{light}"/>'))
    part._blob = docx.oxml.xmlchemy.serialize_for_reading(root).encode()


@pytest.mark.parametrize(
    ("light", "colour", "shading", "is_read"),
    [
        ("FFFFFF", "", 'w:fill="FFFFFF" w:themeFill="background1"', False),
        ("FFFFFF", "", 'w:themeFill="background1"', False),
        ("FFFFFF", "", 'w:themeFill="background1" w:themeFillShade="40"', True),
        ("FFFFFF", "", 'w:themeFill="accent1"', True),
        ("1F2A44", "", 'w:themeFill="background1"', True),
        ("1F2A44", 'w:themeColor="background1"', 'w:fill="FFFFFF"', True),
        ("FFFFFF", 'w:themeColor="background1"', 'w:fill="FFFFFF"', False),
    ],
)
def test_white_words_are_judged_by_the_colours_of_the_theme(
    tmp_path: Path, light: str, colour: str, shading: str, *, is_read: bool
) -> None:
    document = docx.Document()
    themed(document, light)
    properties = f'<w:rPr><w:color w:val="FFFFFF" {colour}/><w:shd w:val="clear" {shading}/></w:rPr>'
    document.element.body.insert(0, parse_xml(f"<w:p {W}>{run('Fee ')}{run('4711', properties)}</w:p>"))
    document.save(str(tmp_path / "theme.docx"))
    texts, told = read(tmp_path / "theme.docx")
    assert (texts == ["Fee 4711"]) is is_read
    assert (told == []) is is_read


@pytest.mark.parametrize(
    ("colour", "ground", "is_read"),
    [
        ('<a:schemeClr val="bg1"/>', "lt1", False),
        ('<a:prstClr val="white"/>', "lt1", False),
        ('<a:schemeClr val="bg1"><a:lumMod val="50000"/></a:schemeClr>', "lt1", True),
        ('<a:srgbClr val="FFFFFF"/>', "lt1", False),
        ('<a:srgbClr val="FFFFFF"/>', "dk1", True),
    ],
)
def test_white_words_of_a_slide_are_judged_by_the_colours_of_its_theme(
    tmp_path: Path, colour: str, ground: str, *, is_read: bool
) -> None:
    deck = pptx.Presentation()
    deck.slide_master.element.find(P + "clrMap").set("bg1", ground)
    slide = deck.slides.add_slide(deck.slide_layouts[6])
    slide.shapes.add_textbox(Inches(4), 0, Inches(1), Inches(1)).text_frame.text = "Slide."
    frame = slide.shapes.add_textbox(0, 0, Inches(1), Inches(1)).text_frame
    frame.text = "4711"
    fill = parse_xml(f"<a:solidFill {NAMES}>{colour}</a:solidFill>")
    frame.paragraphs[0].runs[0]._r.get_or_add_rPr().append(fill)
    deck.save(str(tmp_path / "deck.pptx"))
    texts, told = read(tmp_path / "deck.pptx")
    assert ("4711" in texts) is is_read
    assert (told == []) is is_read


def test_a_document_whose_theme_is_damaged_is_read(tmp_path: Path) -> None:
    document = docx.Document()
    document.add_paragraph("The fee is 4711.")
    next(r.target_part for r in document.part.rels.values() if r.reltype.endswith("/theme"))._blob = b"<a:theme"
    document.save(str(tmp_path / "theme.docx"))
    assert read(tmp_path / "theme.docx") == (["The fee is 4711."], [])
