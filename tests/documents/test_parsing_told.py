"""What is in a file in a form that its reader does not know is told; what stands for letters is read as these."""

from email.message import EmailMessage
from pathlib import Path

import docx
import openpyxl
import pptx
import pytest
from docx.oxml import parse_xml
from openpyxl.cell.rich_text import CellRichText, TextBlock
from openpyxl.cell.text import InlineFont
from pptx.util import Inches

from tests.documents import parsed
from tests.documents.test_parsing_constructs import M, W

OFFICE = "http://schemas.openxmlformats.org"
NAMES = (
    f'{W} {M} xmlns:mc="{OFFICE}/markup-compatibility/2006" xmlns:a="{OFFICE}/drawingml/2006/main" '
    f'xmlns:r="{OFFICE}/officeDocument/2006/relationships" xmlns:p="{OFFICE}/presentationml/2006/main" '
    'xmlns:a14="http://schemas.microsoft.com/office/drawing/2010/main"'
)
DRAWING = '<w:r><w:drawing><a:graphic><a:graphicData uri="http://schemas.microsoft.com/office/drawing/{}"/></a:graphic></w:drawing></w:r>'


def field(instruction: str) -> str:
    begin, end = (f'<w:r><w:fldChar w:fldCharType="{kind}"/></w:r>' for kind in ("begin", "end"))
    return f"{begin}<w:r><w:instrText>{instruction}</w:instrText></w:r>{end}"


def read(path: Path) -> tuple[list[str], list[tuple[str, str]]]:
    texts, told = parsed.in_this_process(path)
    return texts, [(str(warning.kind), warning.place) for warning in told]


def word(path: Path, content: str) -> Path:
    document = docx.Document()
    document.element.body.insert(0, parse_xml(f"<w:p {NAMES}><w:r><w:t>Body. </w:t></w:r>{content}</w:p>"))
    document.save(str(path))
    return path


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (DRAWING.format("2014/chartex"), "chart"),
        (DRAWING.format("2017/model3d"), "picture"),
        ('<w:r><w:contentPart r:id="x"/></w:r>', "picture"),
        ('<w:subDoc r:id="x"/>', "embedded_file"),
        (field(" LISTNUM "), "formula_without_value"),
        (field(" REF limit "), "formula_without_value"),
    ],
)
def test_what_word_shows_and_is_not_read_is_told(tmp_path: Path, content: str, kind: str) -> None:
    texts, told = read(word(tmp_path / "told.docx", content))
    assert texts == ["Body."]
    assert told == [(kind, "paragraph 1")]


@pytest.mark.parametrize("content", [field(" XE fee "), field(" TC fee "), "<w:r><w:softHyphen/></w:r>"])
def test_what_word_does_not_show_is_not_told(tmp_path: Path, content: str) -> None:
    assert read(word(tmp_path / "quiet.docx", content)) == (["Body."], [])


def test_signs_of_the_font_symbol_are_read(tmp_path: Path) -> None:
    signs = "".join(f'<w:r><w:sym w:font="Symbol" w:char="{code}"/></w:r>' for code in ("F0A3", "F032", "F035", "F0B3"))
    typed = '<w:r><w:rPr><w:rFonts w:ascii="Symbol"/></w:rPr><w:t>\uf0a3\uf037</w:t></w:r>'
    assert read(word(tmp_path / "signs.docx", signs + typed))[0] == ["Body. ≤25≥≤7"]


def test_a_struck_out_part_of_a_cell_is_told_with_its_place(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.append(["Name", "Fee"])
    sheet["A2"] = "Gold"
    sheet["B2"] = CellRichText("Fee ", TextBlock(InlineFont(strike=True), "99 "), "25")
    book.save(tmp_path / "fees.xlsx")
    assert read(tmp_path / "fees.xlsx") == (["Sheet", "Name | Fee", "Gold | Fee 25"], [("struck_out", "sheet 1, B2")])


def test_words_that_only_the_shown_version_of_a_mail_strikes_out_are_left_out(tmp_path: Path) -> None:
    message = EmailMessage()
    message["Subject"] = "Fees"
    message.set_content("The fee is $5 $6.")
    message.add_alternative("<p>The fee is <s>$5</s> $6.</p>", subtype="html")
    path = tmp_path / "mail.eml"
    path.write_bytes(message.as_bytes())
    texts, told = read(path)
    assert texts == ["Fees", "The fee is $6."]
    assert told == [("struck_out", "element s")]


def test_a_part_of_a_mail_that_reports_or_refers_is_told(tmp_path: Path) -> None:
    path = tmp_path / "mail.eml"
    path.write_bytes(
        b"Subject: s\r\nContent-Type: multipart/report; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nReturned.\r\n"
        b"--b\r\nContent-Type: message/delivery-status\r\n\r\nStatus: 5.1.1\r\n\r\n--b--\r\n"
    )
    texts, told = read(path)
    assert texts == ["s", "Returned."]
    assert told == [("attachment", "part of type message/delivery-status")]


def test_a_shape_of_a_newer_program_is_read_like_others(tmp_path: Path) -> None:
    shape = (
        '<p:sp><p:nvSpPr><p:cNvPr id="9" name="x"/><p:cNvSpPr/><p:nvPr/></p:nvSpPr><p:spPr/><p:txBody><a:bodyPr/><a:p>'
        '<a:r><a:t>Fee 1,2</a:t></a:r><a:r><a:t>34.50 or </a:t></a:r><a:r><a:rPr strike="sngStrike"/><a:t>77</a:t></a:r>'
        "<a14:m><m:oMath><m:f><m:num><m:r><m:t>1</m:t></m:r></m:num><m:den><m:r><m:t>2</m:t></m:r></m:den></m:f></m:oMath></a14:m>"
        "</a:p></p:txBody></p:sp>"
    )
    deck = pptx.Presentation()
    slide = deck.slides.add_slide(deck.slide_layouts[6])
    slide.shapes.add_textbox(0, 0, Inches(1), Inches(1)).text_frame.text = "Slide."
    choice = f'<mc:AlternateContent {NAMES}><mc:Choice Requires="a14">{shape}</mc:Choice></mc:AlternateContent>'
    slide.shapes._spTree.append(parse_xml(choice))
    deck.save(str(tmp_path / "deck.pptx"))
    texts, told = read(tmp_path / "deck.pptx")
    assert texts == ["Slide.", "Fee 1,234.50 or 1/2"]
    assert told == [("struck_out", "slide 1")]
