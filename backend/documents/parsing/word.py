"""Word documents, through python-docx, whose own iteration leaves out content controls and insertions."""

import re
from collections.abc import Iterator
from pathlib import Path

from docx import Document
from docx.document import Document as WordDocument
from docx.opc.constants import RELATIONSHIP_TYPE
from docx.oxml import parse_xml
from docx.oxml.xmlchemy import BaseOxmlElement as Element
from docx.styles.style import BaseStyle

from backend.documents.parsing.blocks import BlockKind, Findings, Fragment, collapse, row_text

_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_COMPATIBILITY = "{http://schemas.openxmlformats.org/markup-compatibility/2006}"
_TEXT, _PARAGRAPH, _TABLE, _ROW, _CELL = (_W + name for name in ("t", "p", "tbl", "tr", "tc"))
_SPACES = {_W + name for name in ("tab", "br", "cr", "ptab")}
# Properties hold tab stops, not tabs; deleted or moved text is gone; a fallback repeats what it stands in
# for.
_SKIPPED = {_W + name for name in ("pPr", "rPr", "tblPr", "trPr", "tcPr", "sectPr", "del", "moveFrom")} | {
    _COMPATIBILITY + "Fallback"
}
_HEADING_NAME = re.compile(r"heading (\d)", re.IGNORECASE)
_NO_OUTLINE = 9

_Style = tuple[BlockKind, int]
_BODY: _Style = (BlockKind.PARAGRAPH, 0)


def fragments(path: Path, findings: Findings) -> Iterator[Fragment]:
    """Yield headings, paragraphs, list items and table rows in order, then the foot- and endnotes."""
    document = Document(str(path))
    findings.title = document.core_properties.title.strip() or None
    styles = _styles(document)
    for root in (document.element.body, *_notes(document)):
        yield from _blocks(root, styles)


def _styles(document: WordDocument) -> dict[str, _Style]:
    return {style.style_id: _style(style) for style in document.styles if style.type is not None}


def _style(style: BaseStyle) -> _Style:
    """Follow the styles this one is based on to the first that is a heading, title or list."""
    name = style.name or ""
    if heading := _HEADING_NAME.match(name):
        return BlockKind.HEADING, int(heading[1])
    if name == "Title":
        return BlockKind.HEADING, 1
    if name.startswith("List"):
        return BlockKind.LIST_ITEM, 0
    outline = style.element.find(f"{_W}pPr/{_W}outlineLvl")
    if outline is not None:
        return _outlined(outline)
    base = getattr(style, "base_style", None)
    return _style(base) if base is not None else _BODY


def _outlined(outline: Element) -> _Style:
    level = int(outline.get(_W + "val", _NO_OUTLINE))
    return (BlockKind.HEADING, level + 1) if level < _NO_OUTLINE else _BODY


def _notes(document: WordDocument) -> Iterator[Element]:
    for relationship in document.part.rels.values():
        if relationship.reltype in {RELATIONSHIP_TYPE.FOOTNOTES, RELATIONSHIP_TYPE.ENDNOTES}:
            yield parse_xml(relationship.target_part.blob)


def _blocks(element: Element, styles: dict[str, _Style]) -> Iterator[Fragment]:
    for child in element:
        if child.tag == _PARAGRAPH:
            text = _text(child)
            if text:
                kind, level = _kind(child, styles)
                yield Fragment(kind, text, level=level)
        elif child.tag == _TABLE:
            yield from _rows(child)
        elif child.tag not in _SKIPPED:
            yield from _blocks(child, styles)


def _kind(paragraph: Element, styles: dict[str, _Style]) -> _Style:
    properties = paragraph.find(_W + "pPr")
    if properties is None:
        return _BODY
    outline = properties.find(_W + "outlineLvl")
    if outline is not None:
        return _outlined(outline)
    style = properties.find(_W + "pStyle")
    kind = styles.get(style.get(_W + "val", ""), _BODY) if style is not None else _BODY
    if kind == _BODY and properties.find(_W + "numPr") is not None:
        return BlockKind.LIST_ITEM, 0
    return kind


def _rows(table: Element) -> Iterator[Fragment]:
    """Yield a table's rows, the first as the header; a nested table is part of its cell."""
    kind = BlockKind.TABLE_HEADER
    for row in _nearest(table, _ROW):
        text = row_text(_text(cell) for cell in _nearest(row, _CELL))
        if text:
            yield Fragment(kind, text)
            kind = BlockKind.TABLE_ROW


def _nearest(element: Element, tag: str) -> Iterator[Element]:
    """Yield the descendants of that tag that are not inside another one of it, through content controls."""
    for child in element:
        if child.tag == tag:
            yield child
        elif child.tag not in _SKIPPED:
            yield from _nearest(child, tag)


def _text(element: Element) -> str:
    return collapse("".join(_pieces(element)))


def _pieces(element: Element) -> Iterator[str]:
    for child in element:
        if child.tag == _TEXT:
            yield child.text or ""
        elif child.tag in _SPACES:
            yield " "
        elif child.tag == _W + "noBreakHyphen":
            yield "-"
        elif child.tag not in _SKIPPED:
            yield from _pieces(child)
            if child.tag == _PARAGRAPH:
                yield " "
