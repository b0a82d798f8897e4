"""Workbooks sheet by sheet: its name, its rows under their header, and the text of its drawings."""

import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path

from backend.documents.parsing.blocks import BlockKind, Fragment, collapse
from backend.documents.parsing.findings import Findings, WarningKind
from backend.documents.parsing.openxml import Element, Package
from backend.documents.parsing.separated import rows_under_header
from backend.documents.parsing.sheets.rows import Layout, Rows
from backend.documents.parsing.sheets.workbook import Sheet, Workbook

_PART = re.compile(r"(?<!&)&[LCR]")
_CODE = re.compile(r"&(?:\"[^\"]*\"|\d+|K[0-9A-F+-]{6}|[A-JM-QS-Z])")
_PAGE_WORDS = re.compile(r"(?i)\b(?:page|of|seite|von)\b|/")
_A = "{http://schemas.openxmlformats.org/drawingml/2006/main}"
_PICTURE = "{http://schemas.openxmlformats.org/drawingml/2006/spreadsheetDrawing}pic"
_SHAPE = "{http://schemas.openxmlformats.org/drawingml/2006/spreadsheetDrawing}sp"
_TOLD = {
    **dict.fromkeys(("comments", "threadedComment"), (WarningKind.ANNOTATION, "Comments on cells are left out.")),
    **dict.fromkeys(("oleObject", "package"), (WarningKind.EMBEDDED_FILE, "An embedded object is not read.")),
    **dict.fromkeys(("ctrlProp", "control"), (WarningKind.FORM_FIELD, "A control such as a tick box is not read.")),
}
_CHART = "{http://schemas.openxmlformats.org/drawingml/2006/chart}chart"


def fragments(path: Path, findings: Findings) -> Iterator[Fragment]:
    """Yields each visible sheet's name and rows; hidden sheets, rows and columns are left out and told."""
    package = Package(path)
    workbook = Workbook(package)
    findings.title = package.title()
    for sheet in workbook.sheets:
        if sheet.is_hidden:
            findings.warn(
                WarningKind.HIDDEN_CONTENT, f"sheet {sheet.number}", f"The hidden sheet {sheet.name!r} is left out."
            )
        elif not sheet.is_worksheet:
            findings.warn(WarningKind.CHART, f"sheet {sheet.number}", "A sheet that is a chart is left out.")
        else:
            yield Fragment(BlockKind.HEADING, sheet.name, level=1, sheet=sheet.name)
            for fragment in _sheet(package, workbook, sheet, findings):
                yield fragment._replace(sheet=sheet.name)


def _sheet(package: Package, workbook: Workbook, sheet: Sheet, findings: Findings) -> Iterator[Fragment]:
    name = package.name(sheet.part)
    if name is None:
        findings.warn(WarningKind.DAMAGED_PART, f"sheet {sheet.number}", "The sheet is missing in the file.")
        return
    with package.archive.open(name) as file:
        layout = Layout.read(file)
    rows = Rows(workbook, findings, layout, f"sheet {sheet.number}")
    with package.archive.open(name) as file:
        yield from rows_under_header(rows.read(file), sheet.name)
    rows.tell_hidden()
    for text in dict.fromkeys(_page_texts(layout.page_texts)):
        yield Fragment(BlockKind.PARAGRAPH, text)
    yield from _drawings(package, sheet, findings)


def _drawings(package: Package, sheet: Sheet, findings: Findings) -> Iterator[Fragment]:
    """Yields the text of shapes; a chart of a sheet repeats numbers of its cells and is only told."""
    place = f"sheet {sheet.number}"
    for relationship in package.related(sheet.part):
        if relationship.kind in _TOLD:
            kind, detail = _TOLD[relationship.kind]
            findings.warn(kind, place, detail)
        root = package.xml(relationship.target) if relationship.kind == "drawing" else None
        if root is None:
            continue
        for shape in root.iter(_SHAPE):
            for paragraph in shape.iter(_A + "p"):
                if text := collapse(_text(paragraph)):
                    yield Fragment(BlockKind.PARAGRAPH, text)
        if next(root.iter(_PICTURE), None) is not None:
            findings.warn(WarningKind.PICTURE, place, "A picture is not read.")
        if next(root.iter(_CHART), None) is not None:
            findings.warn(WarningKind.CHART, place, "A chart is not read; the numbers that it shows are in cells.")


def _page_texts(written: list[str]) -> Iterator[str]:
    """Yields what page headers and footers say at the left, in the middle and at the right, but for codes of pages and fonts."""
    for text in written:
        for part in _PART.split(unescape(text)):
            words = collapse(_CODE.sub(" ", part).replace("&&", "&"))
            if any(map(str.isalnum, _PAGE_WORDS.sub("", words))):
                yield words


def _text(paragraph: Element) -> str:
    return "".join(node.text or "" for node in paragraph.iter(_A + "t"))
