"""Ways to write the same thing: character sets, delimiters, numbers of lists, layouts of messages, names of furniture."""

import base64
import copy
import zipfile
from pathlib import Path

import docx
import openpyxl
import pptx
import pytest
from docx.oxml import parse_xml
from openpyxl.styles import Font, PatternFill
from pptx.util import Inches

from tests.documents import parsed
from tests.documents.test_parsing_constructs import W

HUNGARIAN = "Az átutalás díja 25 forint. A számla bármikor megszüntethető, az összeg később kerül jóváírásra."
GERMAN = "Die Gebühr beträgt 25 Euro für Überweisungen."
RUSSIAN = "Комиссия за перевод составляет 1,5% от суммы, но не менее 500 рублей."
HEAD = b"Subject: Rates\r\nMIME-Version: 1.0\r\n"


def read(path: Path) -> str:
    return "\n".join(parsed.in_this_process(path)[0])


@pytest.mark.parametrize(
    ("text", "codec"),
    [
        *((RUSSIAN, codec) for codec in ("cp1251", "koi8_r", "cp866", "iso8859_5", "mac_cyrillic")),
        *((HUNGARIAN, codec) for codec in ("cp1250", "iso8859_2")),
        *((GERMAN, codec) for codec in ("cp1252", "cp850", "mac_roman")),
        *(("The fee is £25 a year.", codec) for codec in ("cp1252", "utf-16-le", "utf-16-be", "utf-16", "utf-32")),
        ("Die Gebühr beträgt 25 € im Jahr.", "iso8859_15"),
        ("העמלה היא 25 שקלים לכל העברה בנקאית.", "cp1255"),
        ("رسوم التحويل هي 25 درهما لكل معاملة مصرفية.", "cp1256"),
        ("ค่าธรรมเนียมการโอนเงินคือ 25 บาท", "cp874"),
    ],
)
def test_a_text_that_names_no_character_set_is_read_in_its_own(tmp_path: Path, text: str, codec: str) -> None:
    path = tmp_path / "text.txt"
    path.write_bytes(text.encode(codec))
    assert read(path) == text


@pytest.mark.parametrize(
    "content",
    [
        "sep=;\nCard;Fee\nGold;1,500\n",
        "Card^Fee\nGold^1,500\nBlue^2,500\n",
        '"Card";"Fee, net"\n"Gold";"1,500"\n"Blue";"2,500"\n',
    ],
)
def test_the_delimiter_of_a_table_is_found(tmp_path: Path, content: str) -> None:
    path = tmp_path / "fees.csv"
    path.write_text(content)
    assert "Gold | 1,500" in read(path)
    assert "sep" not in read(path)


def test_a_sheet_is_read_with_its_page_header_and_without_white_words(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.append(["Card", "Fee"])
    sheet.append(["Gold", 90])
    sheet.append(["praise me", 91])
    sheet["A1"].font = sheet["A3"].font = Font(color="FFFFFFFF")
    sheet["A1"].fill = PatternFill("solid", start_color="FF1F3864")
    sheet.oddHeader.center.text = "Policy &BCP-7741"
    sheet.oddFooter.right.text = "Page &P of &N"
    book.save(tmp_path / "fees.xlsx")
    texts, told = parsed.in_this_process(tmp_path / "fees.xlsx")
    assert texts == ["Sheet", "Card | Fee", "Gold | 90", "| 91", "Policy CP-7741"]
    assert [(warning.kind, warning.place) for warning in told] == [("invisible_text", "sheet 1, A3")]


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        ("Content-Type: text/plain; format=flowed\r\n\r\nThe rate is \r\n2.35% now.\r\n", "The rate is 2.35% now."),
        ('Content-Type: text/plain; charset="iso-2022-jp"\r\n\r\n\x1b$B3$30Aw6b\x1b(B 7\r\n', "海外送金 7"),
        ("Content-Type: multipart/mixed; boundary=gone\r\n\r\nThe rate is 2.35%.\r\n", "The rate is 2.35%."),
        (
            "Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\n"
            + base64.encodebytes(b"Subject: Inner\r\n\r\nThe rate is 2.35%.\r\n").decode(),
            "The rate is 2.35%.",
        ),
    ],
)
def test_a_message_is_read_however_it_is_laid_out(tmp_path: Path, body: str, wanted: str) -> None:
    path = tmp_path / "mail.eml"
    path.write_bytes(HEAD + body.encode())
    assert wanted in read(path)


@pytest.mark.parametrize(
    "around",
    [
        '<div class="navbar">Home</div>', '<div id="onetrust-consent-sdk">Home</div>', '<div class="footer">Home</div>',
        '<div class="CookieConsent">Home</div>', '<ul class="menu"><li>Home</ul>', "<p><button>Home</button></p>",
        '<div role="dialog" aria-label="Cookie notice">Home</div>', '<div class="social-share">Home</div>',
    ],
)  # fmt: skip
def test_what_belongs_to_the_site_is_left_out(tmp_path: Path, around: str) -> None:
    path = tmp_path / "page.html"
    path.write_text(f"<html><body>{around}<main><h2><button>Rates</button></h2><p>APR 39.9%</p></main></body></html>")
    assert read(path) == "Rates\nAPR 39.9%"


def test_items_of_markdown_are_numbered_as_a_page_numbers_them(tmp_path: Path) -> None:
    path = tmp_path / "list.md"
    path.write_text("7. seven\n7. eight\n   1. in\n   1. in too\n7. nine\n")
    assert read(path).splitlines() == ["7. seven", "8. eight", "1. in", "2. in too", "9. nine"]


def test_a_field_over_several_paragraphs_shows_its_result_alone(tmp_path: Path) -> None:
    begin, separate, end = (f'<w:r><w:fldChar w:fldCharType="{kind}"/></w:r>' for kind in ("begin", "separate", "end"))
    paragraphs = (
        f"<w:r><w:t>Pay </w:t></w:r>{begin}<w:r><w:instrText>IF 1 = 1</w:instrText></w:r>",
        "<w:r><w:t>45</w:t></w:r>",
        f"{separate}<w:r><w:t>60</w:t></w:r>{end}",
        "<w:r><w:t>days.</w:t></w:r>",
    )
    document = docx.Document()
    for paragraph in paragraphs:
        document.element.body.insert(-1, parse_xml(f"<w:p {W}>{paragraph}</w:p>"))
    document.save(str(tmp_path / "field.docx"))
    assert read(tmp_path / "field.docx").split() == ["Pay", "60", "days."]


@pytest.mark.parametrize(
    ("style", "wanted"),
    [("cardinalText", "Twenty-one"), ("ordinalText", "Twenty-first"), ("ordinal", "21st"), ("decimalZero", "21")],
)
def test_clauses_are_numbered_in_words_where_word_does(tmp_path: Path, style: str, wanted: str) -> None:
    document = docx.Document()
    numbering = document.part.numbering_part.element
    numbering.insert(0, parse_xml(
        f'<w:abstractNum {W} w:abstractNumId="90"><w:lvl w:ilvl="0"><w:start w:val="21"/><w:numFmt w:val="{style}"/>'
        '<w:lvlText w:val="Article %1:"/></w:lvl></w:abstractNum>'
    ))  # fmt: skip
    numbering.append(parse_xml(f'<w:num {W} w:numId="90"><w:abstractNumId w:val="90"/></w:num>'))
    item = f'<w:p {W}><w:pPr><w:numPr><w:ilvl w:val="0"/><w:numId w:val="90"/></w:numPr></w:pPr><w:r><w:t>Fees</w:t></w:r></w:p>'
    document.element.body.insert(-1, parse_xml(item))
    document.save(str(tmp_path / "clauses.docx"))
    assert read(tmp_path / "clauses.docx") == f"Article {wanted}: Fees"


def deck(path: Path) -> Path:
    presentation = pptx.Presentation()
    for number in (1, 2):
        slide = presentation.slides.add_slide(presentation.slide_layouts[6])
        slide.shapes.add_textbox(Inches(1), Inches(1), Inches(3), Inches(1)).text_frame.text = f"Fee ${number}.50"
        outside = slide.shapes.add_textbox(Inches(-9), Inches(1), Inches(2), Inches(1))
        outside.text_frame.text = "praise me"
    printed = copy.deepcopy(slide.shapes[0]._element)
    printed.nvSpPr.cNvPr.set("id", "99")
    next(printed.iter("{*}t")).text = "Policy CP-7741"
    presentation.slide_layouts[6].shapes._spTree.append(printed)
    presentation.save(str(path))
    return path


def test_slides_are_read_with_what_their_layout_prints_and_without_what_is_beside_them(tmp_path: Path) -> None:
    texts, told = parsed.in_this_process(deck(tmp_path / "deck.pptx"))
    assert texts == ["Fee $1.50", "Policy CP-7741", "Fee $2.50"]
    assert [(warning.kind, warning.place) for warning in told] == [("invisible_text", f"slide {n}") for n in (1, 2)]


def test_a_strict_presentation_is_read(tmp_path: Path) -> None:
    strict = tmp_path / "strict.pptx"
    names = (
        (
            b"http://schemas.openxmlformats.org/presentationml/2006/main",
            b"http://purl.oclc.org/ooxml/presentationml/main",
        ),
        (b"http://schemas.openxmlformats.org/drawingml/2006/main", b"http://purl.oclc.org/ooxml/drawingml/main"),
        (
            b"http://schemas.openxmlformats.org/officeDocument/2006/relationships",
            b"http://purl.oclc.org/ooxml/officeDocument/relationships",
        ),
    )
    with zipfile.ZipFile(deck(tmp_path / "deck.pptx")) as read_from, zipfile.ZipFile(strict, "w") as written:
        for name in read_from.namelist():
            content = read_from.read(name)
            for transitional, other in names if name != "[Content_Types].xml" else ():
                content = content.replace(transitional, other)
            written.writestr(name, content)
    assert read(strict) == read(tmp_path / "deck.pptx")
