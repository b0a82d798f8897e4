"""HTML, through lexbor; it never fetches anything."""

import re
from collections.abc import Iterator
from pathlib import Path

from selectolax.lexbor import LexborHTMLParser, LexborNode

from backend.documents.parsing.blocks import BlockKind, Findings, Fragment, collapse, row_text
from backend.documents.parsing.errors import XmlBomb
from backend.documents.parsing.text import encoding_of

_BLOCKS = frozenset(
    "address article aside blockquote body caption center dd details dialog div dl dt fieldset figcaption figure"  # noqa: SIM905 — or a line for each
    " footer form h1 h2 h3 h4 h5 h6 header hr li main nav ol p pre section summary table tbody td tfoot th thead tr ul".split()
)
_INVISIBLE = frozenset("script style template noscript head title iframe object svg select textarea".split())  # noqa: SIM905
_INVISIBLE_STYLE = re.compile(r"(?i)display\s*:\s*none|visibility\s*:\s*hidden|font-size\s*:\s*0(?![.\d])")
_ENTITY_HEAD_CHARACTERS = 65_536
_CHARSET = re.compile(rb"""<meta[^>]{1,200}charset\s*=\s*["']?\s*([\w-]{1,40})""", re.IGNORECASE)
_CHARSETS = re.compile(
    rb"(?i)(?:iso-8859-(?:[2-9]|1\d)|windows-125\d|koi8-[ru]|shift_jis|euc-jp|euc-kr|gbk|gb18030|big5)"
)


def fragments(path: Path, findings: Findings) -> Iterator[Fragment]:
    """Yield the visible text as headings, paragraphs, list items and table rows."""
    text = path.read_text(encoding_of(path, findings, _declared_charset(path)), errors="replace")
    yield from html_fragments(text, findings)


def html_fragments(text: str, findings: Findings) -> Iterator[Fragment]:
    """Yield the fragments of an HTML text; raises XmlBomb for one that declares entities."""
    if "<!ENTITY" in text[:_ENTITY_HEAD_CHARACTERS].upper():
        raise XmlBomb
    tree = LexborHTMLParser(text)
    title = tree.css_first("title")
    if title is not None and findings.title is None:
        findings.title = collapse(title.text()) or None
    if tree.body is not None:
        yield from _Reader(tree.body).fragments()


def _declared_charset(path: Path) -> str | None:
    """Return the character set that a meta element names, if it is one that pages are really written in."""
    with path.open("rb") as file:
        declared = _CHARSET.search(file.read(4096))
    return declared[1].decode() if declared and _CHARSETS.fullmatch(declared[1]) else None


_KINDS = {f"h{level}": (BlockKind.HEADING, level) for level in range(1, 7)} | {"li": (BlockKind.LIST_ITEM, 0)}


class _Reader:
    """Walks the tree once, gathering text until a block element begins or ends."""

    def __init__(self, body: LexborNode) -> None:
        self._body = body
        self._layout_tables = _layout_tables(body)
        self._text: list[str] = []
        self._cells: list[str] | None = None
        self._all_headers = True
        self._preformatted = 0
        self._open: list[str] = []

    def fragments(self) -> Iterator[Fragment]:
        for entering, node in _walk(self._body):
            if node.is_text_node:
                self._text.append(node.text_content or "")
                continue
            tag = node.tag or ""
            if tag == "br":
                self._text.append("\n")
            if tag in _BLOCKS:
                yield from self._entered(tag, node) if entering else self._left(tag)
        yield from self._flush()

    def _entered(self, tag: str, node: LexborNode) -> Iterator[Fragment]:
        if self._cells is None:
            yield from self._flush()
        else:
            self._text.append(" ")
        self._open.append(tag)
        self._preformatted += tag == "pre"
        if tag == "tr" and not self._is_layout(node):
            self._cells, self._all_headers = [], True
        if tag in {"td", "th"} and self._cells is not None:
            self._text.clear()

    def _left(self, tag: str) -> Iterator[Fragment]:
        if self._cells is None:
            yield from self._flush()
        elif tag in {"td", "th"}:
            self._cells.append("".join(self._text))
            self._text.clear()
            self._all_headers &= tag == "th"
        elif tag == "tr":
            yield from self._row(self._cells)
            self._cells = None
        self._preformatted -= tag == "pre"
        self._open.pop()

    def _row(self, cells: list[str]) -> Iterator[Fragment]:
        if text := row_text(cells):
            several = len(cells) > 1
            is_header = several and (self._all_headers or "thead" in self._open)
            row = BlockKind.TABLE_ROW if several else BlockKind.PARAGRAPH
            yield Fragment(BlockKind.TABLE_HEADER if is_header else row, text)

    def _flush(self) -> Iterator[Fragment]:
        raw = "".join(self._text)
        self._text.clear()
        text = raw.strip() if self._preformatted else collapse(raw)
        if not text:
            return
        tag = next((tag for tag in reversed(self._open) if tag in _KINDS), "")
        kind, level = _KINDS.get(tag, (BlockKind.PARAGRAPH, 0))
        yield Fragment(kind, text, level=level)

    def _is_layout(self, row: LexborNode) -> bool:
        table = row.parent
        while table is not None and table.tag != "table":
            table = table.parent
        return table is None or table.mem_id in self._layout_tables


def _layout_tables(body: LexborNode) -> set[int]:
    """Return the tables around other tables: mail programs lay out whole letters with them."""
    layout = set()
    for table in body.css("table table"):
        around = table.parent
        while around is not None and around.mem_id not in layout:
            if around.tag == "table":
                layout.add(around.mem_id)
            around = around.parent
    return layout


def _walk(root: LexborNode) -> Iterator[tuple[bool, LexborNode]]:
    """Yield (entering, node) in document order without what a reader does not see; depth needs no stack."""
    node = root
    while True:
        yield True, node
        child = node.first_child if node.is_element_node and not _is_invisible(node) else None
        if child is not None:
            node = child
            continue
        while True:
            if not node.is_text_node:
                yield False, node
            if node.mem_id == root.mem_id:
                return
            if node.next is not None:
                node = node.next
                break
            parent = node.parent
            if parent is None:
                return
            node = parent


def _is_invisible(node: LexborNode) -> bool:
    if node.tag in _INVISIBLE:
        return True
    attributes = node.attributes
    return "hidden" in attributes or bool(_INVISIBLE_STYLE.search(attributes.get("style") or ""))
