"""HTML, through lexbor; it never fetches anything."""

import re
from collections.abc import Iterator
from pathlib import Path

from selectolax.lexbor import LexborHTMLParser, LexborNode

from backend.documents.parsing import marks
from backend.documents.parsing.blocks import BlockKind, Fragment, collapse
from backend.documents.parsing.equations import joined
from backend.documents.parsing.errors import XmlBomb
from backend.documents.parsing.findings import Findings, WarningKind
from backend.documents.parsing.generated import Counters, content
from backend.documents.parsing.grids import Cell, Grid
from backend.documents.parsing.lists import OrderedList, style_of
from backend.documents.parsing.mathml import linear
from backend.documents.parsing.openxml import meaningful_title
from backend.documents.parsing.stylesheet import StyleSheet, styles_of
from backend.documents.parsing.text import opened
from backend.documents.parsing.visibility import has_gap, is_visible

_BLOCKS = frozenset(
    "address article aside blockquote body caption center dd details dialog div dl dt fieldset figcaption figure"  # noqa: SIM905 — or a line for each
    " footer form h1 h2 h3 h4 h5 h6 header hr li main nav ol p pre section summary table tbody td tfoot th thead tr ul".split()
)
_ENTITY_HEAD_CHARACTERS = 65_536
CHARSET = re.compile(rb"""<(?:meta|\?xml)[^>]{1,200}(?:charset|encoding)\s*=\s*["']?\s*([\w-]{1,40})""", re.IGNORECASE)
_WIDEST_SPAN = 1_000
_NOTE_MARK = re.compile(r"(?i)\b(?:foot|end)?note-?ref\b|\bdoc-noteref\b")
_SHIFTED = re.compile(r"(super|sub)\b")
_LAID_OUT = {"block", "flow-root", "flex", "grid", "table", "list-item", "table-row", "table-caption"}
_ITEMS_OF = {"flex", "grid", "inline-flex", "inline-grid"}
_BOXES = {"option", "textarea", "meter", "progress"}
_LEAST_GAP = 8.0  # pixels at the side of words
_FIELDS = {"text", "number", "date", "email", "tel", "url", "search", "time", "month", "datetime-local"}


def fragments(path: Path, findings: Findings) -> Iterator[Fragment]:
    """Yields the visible text as headings, paragraphs, list items and table rows."""
    with path.open("rb") as file:
        declared = CHARSET.search(file.read(4096))
    with opened(path, findings, declared[1].decode() if declared else None) as file:
        text = file.read()
    yield from html_fragments(text, findings)


def html_fragments(text: str, findings: Findings) -> Iterator[Fragment]:
    """Yields the fragments of an HTML text; raises XmlBomb for one that declares entities."""
    if "<!ENTITY" in text[:_ENTITY_HEAD_CHARACTERS].upper():
        raise XmlBomb
    tree = LexborHTMLParser(text)
    title = tree.css_first("title")
    if title is not None and findings.title is None:
        findings.title = meaningful_title(title.text())
    if tree.body is not None:
        yield from _WebpageReader(tree.body, styles_of(tree), findings).fragments()


_KINDS = {f"h{level}": (BlockKind.HEADING, level) for level in range(1, 7)} | {"li": (BlockKind.LIST_ITEM, 0)}


class _WebpageReader:
    """Walks the tree once, gathering text until a block element begins or ends."""

    def __init__(self, body: LexborNode, styles: StyleSheet, findings: Findings) -> None:
        self._body = body
        self._styles = styles
        self._findings = findings
        self._layout_tables = _layout_tables(body)
        self._text: list[str] = []
        self._cells: list[Cell] | None = None
        self._cell_starts: list[int] = []
        self._grids: list[Grid] = []
        self._lists: list[OrderedList] = []
        self._number = ""
        self._raised: list[tuple[str, int]] = []
        self._preformatted = 0
        self._open: list[str] = []
        self._counters = Counters()
        self._depth = 0

    def fragments(self) -> Iterator[Fragment]:
        for entering, node in _walk(self._body, self._styles, self._findings):
            if node.is_text_node:
                self._text.append(node.text_content or "")
                continue
            tag = node.tag or ""
            if entering:
                self._counters.enter(self._styles.of(node), self._depth)
            else:
                self._text.append(self._beside(node, "after"))
            self._depth += 1 if entering else -1
            if tag in _BLOCKS:
                yield from self._entered(tag, node) if entering else self._left(tag, node)
            elif shift := self._shift_of(tag, node):
                self._shift(shift, entering=entering)
            else:
                yield from self._apart(node)
                if entering:
                    self._inline(tag, node)
            if entering:
                self._text.append(self._beside(node, "before"))
        yield from self._flush()

    def _beside(self, node: LexborNode, side: str) -> str:
        """Returns what a style writes beside an element, and counts as it asks for."""
        style = self._styles.beside(node, side)
        if not style:
            return ""
        self._counters.enter(style, self._depth)
        return content(style, node.attributes, self._counters)

    def _apart(self, node: LexborNode) -> Iterator[Fragment]:
        """Separates what styles lay out as a block or a cell, or beside a gap, from the words before and after it."""
        style = self._styles.of(node)
        display = style.get("display", "")
        around = self._styles.of(node.parent).get("display", "") if node.parent is not None else ""
        if display in _LAID_OUT and self._cells is None:
            yield from self._flush()
        elif (
            node.tag in _BOXES
            or display in {*_LAID_OUT, "table-cell"}
            or around in _ITEMS_OF
            or has_gap(style, _LEAST_GAP)
        ):
            self._text.append(" ")

    def _shift_of(self, tag: str, node: LexborNode) -> str:
        """Returns "sup" or "sub" for an element that is raised or lowered."""
        if tag in {"sup", "sub"}:
            return tag
        attributes = node.attributes
        if tag == "a" and _NOTE_MARK.search(f"{attributes.get('class') or ''} {attributes.get('role') or ''}"):
            return "sup"
        found = _SHIFTED.match(self._styles.of(node).get("vertical-align", ""))
        return "" if found is None else found[1][:3]

    def _inline(self, tag: str, node: LexborNode) -> None:
        if tag in {"br", "wbr"}:
            self._text.append("\n" if tag == "br" else "")
        elif tag == "img" and node.attributes.get("alt") != "":
            self._findings.warn(WarningKind.PICTURE, "whole page", "Pictures are not read.")
        elif tag == "math":
            self._text.append(linear(node))
        elif tag == "input":
            self._text.append(_field(node))

    def _shift(self, tag: str, *, entering: bool) -> None:
        if entering:
            self._raised.append((tag, len(self._text)))
        elif self._raised:
            tag, start = self._raised.pop()
            if self._raised:
                return  # what is raised within raised text is raised with it
            before, text = "".join(self._text[max(0, start - 4) : start]), joined(self._text[start:])
            if start <= len(self._text):
                self._text[start:] = [marks.raised(before, text) if tag == "sup" else marks.lowered(before, text)]

    def _entered(self, tag: str, node: LexborNode) -> Iterator[Fragment]:
        if self._cells is None:
            yield from self._flush()
        else:
            self._text.append(" ")
        self._open.append(tag)
        self._preformatted += tag == "pre"
        if tag in {"ol", "ul"}:
            self._lists.append(_ordered(node, self._styles))
        elif tag == "li" and self._lists:
            ordered = self._lists[-1]
            number = ordered.next(node.attributes.get("value"), style_of(_list_style(node, self._styles)))
            marker = self._styles.beside(node, "marker")
            if "content" in marker:
                self._counters.enter({"counter-set": f"list-item {ordered.number - ordered.step}"}, self._depth)
                number = content(marker, node.attributes, self._counters).strip()
            if self._cells is None:
                self._number = number
            else:
                self._text.append(f"{number} ")
        elif tag == "table":
            self._grids.append(Grid())
        elif tag == "tr" and self._cells is None and not self._is_layout(node):
            self._cells = []
        elif tag in {"td", "th"} and self._cells is not None:
            self._cell_starts.append(len(self._text))

    def _left(self, tag: str, node: LexborNode) -> Iterator[Fragment]:
        if self._cells is None:
            yield from self._flush()
        elif tag in {"td", "th"} and self._cell_starts:
            start = self._cell_starts.pop()
            if not self._cell_starts:
                self._cells.append(_cell(joined(self._text[start:]), tag, node))
                self._text.clear()
        elif tag == "tr" and not self._cell_starts:
            yield from self._row(self._cells)
            self._cells = None
        if tag in {"ol", "ul"} and self._lists:
            self._lists.pop()
        elif tag == "table" and self._grids:
            self._grids.pop()
        self._preformatted -= tag == "pre"
        self._open.pop()

    def _row(self, cells: list[Cell]) -> Iterator[Fragment]:
        grid = self._grids[-1] if self._grids else Grid()
        yield from grid.row(cells, declared_header="thead" in self._open and len(cells) > 1)

    def _flush(self) -> Iterator[Fragment]:
        raw = joined(self._text)
        self._text.clear()
        self._raised.clear()
        text = raw.strip() if self._preformatted else collapse(raw)
        if not text:
            return
        if self._number:
            text, self._number = f"{self._number} {text}", ""
        tag = next((tag for tag in reversed(self._open) if tag in _KINDS), "")
        kind, level = _KINDS.get(tag, (BlockKind.PARAGRAPH, 0))
        yield Fragment(kind, text, level=level)

    def _is_layout(self, row: LexborNode) -> bool:
        table = row.parent
        while table is not None and table.tag != "table":
            table = table.parent
        return table is None or table.mem_id in self._layout_tables


def _ordered(node: LexborNode, styles: StyleSheet) -> OrderedList:
    items = len(node.css("li")) if "reversed" in node.attributes else 0
    said = _list_style(node, styles)
    return OrderedList.of(said if node.tag == "ol" or style_of(said) else {"style": "disc"}, items)


def _list_style(node: LexborNode, styles: StyleSheet) -> dict[str, str | None]:
    return {**node.attributes, "style": styles.of(node).get("list-style-type", "")}


def _cell(text: str, tag: str, node: LexborNode) -> Cell:
    return Cell(text, _span(node, "colspan"), _span(node, "rowspan"), is_header=tag == "th")


def _span(node: LexborNode, name: str) -> int:
    text = node.attributes.get(name) or "1"
    if name == "rowspan" and text == "0":
        return _WIDEST_SPAN  # to the end of the table
    return max(1, min(int(text), _WIDEST_SPAN)) if text.isdecimal() else 1


def _field(node: LexborNode) -> str:
    """Returns what a filled-in field shows."""
    attributes = node.attributes
    kind = (attributes.get("type") or "text").lower()
    if kind in {"checkbox", "radio"}:
        return " ☒ " if "checked" in attributes else " ☐ "
    return f" {attributes.get('value') or ''} " if kind in _FIELDS else ""


def _layout_tables(body: LexborNode) -> set[int]:
    """Returns the tables around other tables: mail programs lay out whole letters with them."""
    layout = set()
    for table in body.css("table table"):
        around = table.parent
        while around is not None and around.mem_id not in layout:
            if around.tag == "table":
                layout.add(around.mem_id)
            around = around.parent
    return layout


def _walk(root: LexborNode, styles: StyleSheet, findings: Findings) -> Iterator[tuple[bool, LexborNode]]:
    """Yields (entering, node) in document order without what a reader does not see; depth needs no stack."""
    node = root
    while True:
        visible = not node.is_element_node or is_visible(node, styles, findings)
        if visible:
            yield True, node
        child = node.first_child if node.is_element_node and visible and node.tag != "math" else None
        if child is not None:
            node = child
            continue
        while True:
            if not node.is_text_node and visible:
                yield False, node
            if node.mem_id == root.mem_id:
                return
            if node.next is not None:
                node = node.next
                break
            parent = node.parent
            if parent is None:
                return
            node, visible = parent, True
