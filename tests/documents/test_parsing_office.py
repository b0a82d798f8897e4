"""Word documents, presentations and workbooks, made by the libraries that read them, then tampered with."""

import datetime as dt
import os
import re
import zipfile
from collections.abc import Callable
from pathlib import Path

import docx
import openpyxl
import pptx
import pytest
from docx.oxml import parse_xml
from pptx.util import Inches

from backend.documents.parsing.blocks import Block, BlockKind
from backend.documents.parsing.errors import (
    CorruptFile,
    EncryptedFile,
    MacroEnabled,
    NoText,
    ParseMemory,
    TooManyPages,
    UnsupportedFile,
    WrongFormat,
    XmlBomb,
    ZipBomb,
)
from backend.documents.parsing.findings import WarningKind
from backend.documents.parsing.limits import ParseLimits
from backend.documents.parsing.wire import DocumentInfo
from tests.documents import parsed

pytestmark = pytest.mark.anyio

MiB = 1024 * 1024
_W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
_BILLION_LAUGHS = (
    '<!DOCTYPE lolz [<!ENTITY a0 "ha">'
    + "".join(f'<!ENTITY a{level} "{f"&a{level - 1};" * 10}">' for level in range(1, 10))
    + "]>"
)


async def parse(path: Path, limits: ParseLimits | None = None) -> tuple[list[Block], DocumentInfo]:
    return await parsed.parse(path, limits=limits)


def word(path: Path) -> Path:
    document = docx.Document()
    document.core_properties.title = "Fee policy"
    document.add_heading("Fees", 1)
    document.add_paragraph("Transfers cost three euros.")
    document.add_heading("Waivers", 2)
    document.add_paragraph("Students pay nothing.", style="List Bullet")
    table = document.add_table(rows=2, cols=2)
    for row, texts in zip(table.rows, [("Account", "Fee"), ("Basic", "2.50")], strict=True):
        for cell, text in zip(row.cells, texts, strict=True):
            cell.text = text
    document.save(str(path))
    return path


def presentation(path: Path, slides: int = 1) -> Path:
    deck = pptx.Presentation()
    for number in range(1, slides + 1):
        slide = deck.slides.add_slide(deck.slide_layouts[1])
        slide.shapes.title.text = f"Slide {number}"
        slide.placeholders[1].text = "First point\nSecond point"
        table = slide.shapes.add_table(2, 2, Inches(1), Inches(5), Inches(4), Inches(1)).table
        for index, text in enumerate(["Product", "Rate", "Saver", "1.2 %"]):
            table.cell(index // 2, index % 2).text = text
        slide.notes_slide.notes_text_frame.text = "Say this slowly."
    deck.save(str(path))
    return path


def workbook(path: Path) -> Path:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.title = "Rates"
    sheet.append(["Rates of 2026"])
    sheet.append(["Product", "Rate", "From"])
    sheet.append(["Saver", 0.0125, dt.date(2026, 1, 31)])
    sheet["B3"].number_format = "0.00%"
    book.create_sheet("Limits").append(["Country", "Limit"])
    hidden = book.create_sheet("Drafts")
    hidden.append(["Secret", "draft"])
    hidden.sheet_state = "hidden"
    book.save(path)
    return path


MAKERS: dict[str, Callable[[Path], Path]] = {"docx": word, "pptx": presentation, "xlsx": workbook}
MAIN_PARTS = {"docx": "word/document.xml", "pptx": "ppt/presentation.xml", "xlsx": "xl/workbook.xml"}


def tampered(path: Path, changes: dict[str, bytes], stored: int = zipfile.ZIP_DEFLATED) -> Path:
    """Replace or add parts of the archive."""
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", stored) as archive:
        for name, content in (parts | changes).items():
            archive.writestr(name, content)
    return path


def part(path: Path, name: str) -> str:
    with zipfile.ZipFile(path) as archive:
        return archive.read(name).decode()


async def test_a_word_document_keeps_headings_lists_and_tables(tmp_path: Path) -> None:
    blocks, info = await parse(word(tmp_path / "fees.docx"))
    assert [(block.kind, block.level, block.text) for block in blocks] == [
        (BlockKind.HEADING, 1, "Fees"),
        (BlockKind.PARAGRAPH, 0, "Transfers cost three euros."),
        (BlockKind.HEADING, 2, "Waivers"),
        (BlockKind.LIST_ITEM, 0, "Students pay nothing."),
        (BlockKind.TABLE_HEADER, 0, "Account | Fee"),
        (BlockKind.TABLE_ROW, 0, "Basic | 2.50"),
    ]
    assert (info.title, info.page_count) == ("Fee policy", None)


async def test_tracked_changes_and_content_controls_of_a_word_document_are_read_as_accepted(
    tmp_path: Path,
) -> None:
    path = tmp_path / "changes.docx"
    document = docx.Document()
    body = document.element.body
    body.insert(0, parse_xml(
        f"<w:p {_W}><w:r><w:t>The fee is </w:t></w:r><w:del><w:r><w:delText>two</w:delText></w:r></w:del>"
        "<w:ins><w:r><w:t>three</w:t></w:r></w:ins><w:r><w:t> euros.</w:t></w:r></w:p>"
    ))  # fmt: skip
    body.insert(1, parse_xml(
        f"<w:sdt {_W}><w:sdtContent><w:p><w:r><w:t>In a control.</w:t></w:r></w:p></w:sdtContent></w:sdt>"
    ))  # fmt: skip
    document.save(str(path))
    blocks, _ = await parse(path)
    assert [block.text for block in blocks] == ["The fee is three euros.", "In a control."]


async def test_a_presentation_is_read_slide_by_slide_with_notes(tmp_path: Path) -> None:
    blocks, info = await parse(presentation(tmp_path / "deck.pptx", slides=2))
    assert [(block.kind, block.text) for block in blocks if block.page == 2] == [
        (BlockKind.HEADING, "Slide 2"),
        (BlockKind.LIST_ITEM, "First point"),
        (BlockKind.LIST_ITEM, "Second point"),
        (BlockKind.TABLE_HEADER, "Product | Rate"),
        (BlockKind.TABLE_ROW, "Saver | 1.2 %"),
        (BlockKind.PARAGRAPH, "Say this slowly."),
    ]
    assert info.page_count == 2


async def test_a_workbook_is_read_sheet_by_sheet_as_it_is_shown(tmp_path: Path) -> None:
    blocks, info = await parse(workbook(tmp_path / "rates.xlsx"))
    assert [(block.sheet, block.kind, block.text) for block in blocks] == [
        ("Rates", BlockKind.HEADING, "Rates"),
        ("Rates", BlockKind.PARAGRAPH, "Rates of 2026"),
        ("Rates", BlockKind.TABLE_HEADER, "Product | Rate | From"),
        ("Rates", BlockKind.TABLE_ROW, "Saver | 1.25% | 2026-01-31"),
        ("Limits", BlockKind.HEADING, "Limits"),
        ("Limits", BlockKind.TABLE_HEADER, "Country | Limit"),
    ]
    assert info.warnings == ((WarningKind.HIDDEN_CONTENT, "sheet 3", "The hidden sheet 'Drafts' is left out."),)


async def test_a_sheet_that_claims_a_million_columns_costs_only_what_it_holds(tmp_path: Path) -> None:
    path = workbook(tmp_path / "wide.xlsx")
    sheet = part(path, "xl/worksheets/sheet1.xml").replace('ref="A1:C3"', 'ref="A1:XFD1048576"')
    assert "XFD1048576" in sheet
    blocks, _ = await parse(tampered(path, {"xl/worksheets/sheet1.xml": sheet.encode()}), ParseLimits(cpu_seconds=30))
    assert "Saver | 1.25% | 2026-01-31" in [block.text for block in blocks]


async def test_a_document_without_text_is_reported_not_stored_empty(tmp_path: Path) -> None:
    path = tmp_path / "empty.docx"
    docx.Document().save(str(path))
    with pytest.raises(NoText):
        await parse(path)


@pytest.mark.parametrize("kind", MAKERS)
async def test_entity_declarations_are_refused(tmp_path: Path, kind: str) -> None:
    path = MAKERS[kind](tmp_path / f"bomb.{kind}")
    bomb = _BILLION_LAUGHS + re.sub(r"<\?xml[^>]*>", "", part(path, MAIN_PARTS[kind]))
    with pytest.raises(XmlBomb) as refusal:
        await parse(tampered(path, {MAIN_PARTS[kind]: bomb.encode()}))
    assert refusal.value.code == "xml_bomb"


async def test_entity_declarations_in_another_encoding_are_refused(tmp_path: Path) -> None:
    path = word(tmp_path / "bomb.docx")
    bomb = f'<?xml version="1.0" encoding="utf-16"?>{_BILLION_LAUGHS}<w:document {_W}/>'
    with pytest.raises(XmlBomb):
        await parse(tampered(path, {"word/document.xml": bomb.encode("utf-16")}))


@pytest.mark.parametrize("kind", MAKERS)
async def test_a_part_of_nothing_but_zeros_is_a_bomb(tmp_path: Path, kind: str) -> None:
    path = tampered(MAKERS[kind](tmp_path / f"bomb.{kind}"), {"media/zeros.bin": bytes(32 * MiB)})
    assert path.stat().st_size < MiB
    with pytest.raises(ZipBomb) as refusal:
        await parse(path)
    assert refusal.value.code == "zip_bomb"


async def test_an_archive_that_unpacks_to_more_than_the_limit_is_a_bomb(tmp_path: Path) -> None:
    path = tampered(word(tmp_path / "large.docx"), {f"media/{n}.bin": os.urandom(MiB) for n in range(3)})
    with pytest.raises(ZipBomb):
        await parse(path, ParseLimits(max_unpacked_bytes=2 * MiB))


async def test_an_archive_that_lies_about_its_sizes_is_corrupt(tmp_path: Path) -> None:
    path = word(tmp_path / "lie.docx")
    content = bytearray(path.read_bytes())
    entry = content.rindex(b"word/document.xml") - 46
    assert content[entry : entry + 4] == b"PK\x01\x02"
    content[entry + 24 : entry + 28] = (100).to_bytes(4, "little")
    path.write_bytes(content)
    with pytest.raises(CorruptFile):
        await parse(path)


@pytest.mark.parametrize("kind", MAKERS)
async def test_macros_are_refused_whatever_the_extension(tmp_path: Path, kind: str) -> None:
    path = MAKERS[kind](tmp_path / f"macro.{kind}")
    with pytest.raises(MacroEnabled) as refusal:
        await parse(tampered(path, {f"{kind}/vbaProject.bin": b"macro"}))
    assert refusal.value.code == "macro_enabled"


async def test_a_macro_enabled_content_type_is_refused(tmp_path: Path) -> None:
    path = workbook(tmp_path / "macro.xlsx")
    types = part(path, "[Content_Types].xml").replace(
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml",
        "application/vnd.ms-excel.sheet.macroEnabled.main+xml",
    )
    with pytest.raises(MacroEnabled):
        await parse(tampered(path, {"[Content_Types].xml": types.encode()}))


@pytest.mark.parametrize("extension", ["docm", "xlsm", "pptm"])
async def test_a_macro_enabled_extension_is_refused(tmp_path: Path, extension: str) -> None:
    with pytest.raises(MacroEnabled):
        await parse(word(tmp_path / f"macro.{extension}"))


@pytest.mark.parametrize(("made", "named"), [("docx", "xlsx"), ("xlsx", "pptx"), ("pptx", "pdf"), ("docx", "txt")])
async def test_one_kind_of_document_named_as_another_is_refused(tmp_path: Path, made: str, named: str) -> None:
    with pytest.raises(WrongFormat) as refusal:
        await parse(MAKERS[made](tmp_path / f"misnamed.{named}"))
    assert refusal.value.code == "wrong_format"


@pytest.mark.parametrize("kind", MAKERS)
async def test_a_truncated_archive_is_corrupt(tmp_path: Path, kind: str) -> None:
    path = MAKERS[kind](tmp_path / f"cut.{kind}")
    path.write_bytes(path.read_bytes()[:2_000])
    with pytest.raises(CorruptFile) as refusal:
        await parse(path)
    assert refusal.value.code == "corrupt_file"


@pytest.mark.parametrize("kind", MAKERS)
async def test_a_document_whose_main_part_is_noise_is_corrupt(tmp_path: Path, kind: str) -> None:
    path = MAKERS[kind](tmp_path / f"noise.{kind}")
    with pytest.raises(CorruptFile):
        await parse(tampered(path, {MAIN_PARTS[kind]: b"<not closed"}))


async def test_an_ordinary_archive_is_no_document(tmp_path: Path) -> None:
    path = tmp_path / "files.docx"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "hello")
    with pytest.raises(UnsupportedFile):
        await parse(path)


async def test_an_encrypted_office_file_a_message_and_one_from_before_2007_are_told_apart(tmp_path: Path) -> None:
    signature = bytes.fromhex("D0CF11E0A1B11AE1")
    header = bytearray(signature + bytes(504))
    header[30:32] = (9).to_bytes(2, "little")
    entry = "EncryptedPackage".encode("utf-16-le")
    encrypted, legacy, message = (tmp_path / name for name in ("encrypted.docx", "legacy.docx", "message.docx"))
    encrypted.write_bytes(header + entry.ljust(512, b"\0"))
    legacy.write_bytes(header + "WordDocument".encode("utf-16-le").ljust(512, b"\0"))
    with pytest.raises(EncryptedFile):
        await parse(encrypted)
    message.write_bytes(header + "__properties_version1.0".encode("utf-16-le").ljust(512, b"\0"))
    with pytest.raises(UnsupportedFile, match="2007"):
        await parse(legacy)
    with pytest.raises(WrongFormat):
        await parse(message)


async def test_a_document_that_needs_more_memory_than_allowed_is_stopped(tmp_path: Path) -> None:
    path = word(tmp_path / "long.docx")
    paragraphs = b"<w:p><w:r><w:t>A paragraph.</w:t></w:r></w:p>" * 400_000
    document = f"<w:document {_W}><w:body>".encode() + paragraphs + b"</w:body></w:document>"
    tampered(path, {"word/document.xml": document}, stored=zipfile.ZIP_STORED)
    with pytest.raises(ParseMemory) as refusal:
        await parse(path, ParseLimits(memory_bytes=160 * MiB))
    assert refusal.value.code == "parse_memory"


async def test_more_slides_than_allowed_are_refused(tmp_path: Path) -> None:
    with pytest.raises(TooManyPages):
        await parse(presentation(tmp_path / "deck.pptx", slides=4), ParseLimits(max_pages=3))
