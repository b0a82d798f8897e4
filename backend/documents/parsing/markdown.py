"""Markdown (CommonMark with tables and strike-through), through markdown-it-py."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.rules_block.table import escapedSplit
from markdown_it.token import Token

from backend.documents.parsing import marks
from backend.documents.parsing.blocks import BlockKind, Fragment, collapse, row_text
from backend.documents.parsing.encodings import encoding_of
from backend.documents.parsing.findings import Findings
from backend.documents.parsing.webpage import html_fragments

_FRONT_MATTER = re.compile(r"(?:---[ \t]*\n(.*?)\n(?:---|\.\.\.)|\+\+\+[ \t]*\n(.*?)\n\+\+\+)[ \t]*(?:\n|$)", re.DOTALL)
_TITLE = re.compile(r"(?im)^title\s*[:=]\s*[\"']?(.+?)[\"']?\s*$")
_NOTE = re.compile(r"(?m)(?P<start>^)?\[\^(?P<mark>[\w-]{1,20})\](?(start):?)")
_MARKDOWN = MarkdownIt("commonmark").enable(["table", "strikethrough"])
_HTML = RendererHTML()
_PLAIN = {"text", "softbreak", "hardbreak", "code_inline"}
_ADDRESS = re.compile(r"(?i)[a-z][a-z\d+.-]*:|[/#.?<]|www\.|[^\s]*(?:/|#|@|\.[a-z]{2,6}$)")


def fragments(path: Path, findings: Findings) -> Iterator[Fragment]:
    """Yields headings, paragraphs, list items with their numbers, table rows and code."""
    text = path.read_text(encoding_of(path, findings), errors="replace")
    if front_matter := _FRONT_MATTER.match(text):
        written = front_matter[1] or front_matter[2] or ""
        if title := _TITLE.search(written):
            findings.title = title[1]
        yield Fragment(BlockKind.PARAGRAPH, written)
        text = text[front_matter.end() :]
    text = _NOTE.sub(lambda found: marks.note(found.string[: found.start()], found["mark"]), text)
    environment: dict[str, Any] = {}
    tokens = _MARKDOWN.parse(text, environment)
    lines = text.split("\n")
    reader = _MarkdownReader(findings, lines)
    said = _said(environment, lines)
    for token in tokens:
        while said and token.map and said[0][0] < token.map[0]:
            yield Fragment(BlockKind.PARAGRAPH, said.pop(0)[1])
        if token.type == "html_block":
            yield from html_fragments(token.content, findings)
        else:
            yield from reader.read(token)
    yield from (Fragment(BlockKind.PARAGRAPH, text) for _, text in said)


def _said(environment: dict[str, Any], lines: list[str]) -> list[tuple[int, str]]:
    """Returns lines such as "[Fee]: $25", which a page takes for the address of a link and does not show."""
    references = [r for r in environment.get("references", {}).values() if not _ADDRESS.match(r["href"])]
    return sorted((r["map"][0], " ".join(lines[slice(*r["map"])]).strip()) for r in references)


class _MarkdownReader:
    """Follows the open lists, heading and table row through the flat sequence of tokens."""

    def __init__(self, findings: Findings, lines: list[str]) -> None:
        self._findings = findings
        self._source = lines
        self._lists: list[int | None] = []
        self._level = 0
        self._number = ""
        self._cells: list[str] | None = None
        self._line = ""
        self._in_head = False

    def read(self, token: Token) -> Iterator[Fragment]:
        """Takes the next token; yields what it completes."""
        match token.type:
            case "ordered_list_open" | "bullet_list_open":
                self._lists.append(int(token.attrGet("start") or 1) if token.tag == "ol" else None)
            case "ordered_list_close" | "bullet_list_close":
                self._lists.pop()
            case "list_item_open":
                self._number = self._next_number(token.markup)
            case "heading_open" | "heading_close":
                self._level = int(token.tag[1:]) if token.nesting > 0 else 0
            case "thead_open" | "thead_close":
                self._in_head = token.nesting > 0
            case "tr_open":
                self._cells = []
                self._line = self._source[token.map[0]] if token.map and token.map[0] < len(self._source) else ""
            case "tr_close":
                yield from self._row()
            case "fence" | "code_block":
                yield from self._fragment(BlockKind.PARAGRAPH, token.content.rstrip())
            case "inline":
                yield from self._inline(self._plain(token))

    def _next_number(self, mark: str) -> str:
        """Counts an item as a page does: on from the first number, whatever numbers are written."""
        number = self._lists[-1]
        if number is None:
            return ""
        self._lists[-1] = number + 1
        return f"{number}{mark} "

    def _row(self) -> Iterator[Fragment]:
        kind = BlockKind.TABLE_HEADER if self._in_head else BlockKind.TABLE_ROW
        cells = self._cells or []
        written = escapedSplit(self._line.strip().lstrip(">").strip().removeprefix("|"))
        # A page leaves out the cells of a row beyond those of the header.
        beyond = [] if self._in_head else written[len(cells) :]
        beyond = [self._plain(_MARKDOWN.parseInline(cell.strip())[0]) for cell in beyond]
        yield from self._fragment(kind, row_text([*cells, *beyond]))
        self._cells = None

    def _inline(self, text: str) -> Iterator[Fragment]:
        if self._cells is not None:
            self._cells.append(text)
        elif self._level:
            yield from self._fragment(BlockKind.HEADING, text, self._level)
        else:
            yield from self._fragment(BlockKind.LIST_ITEM if self._lists else BlockKind.PARAGRAPH, text)

    def _fragment(self, kind: BlockKind, text: str, level: int = 0) -> Iterator[Fragment]:
        if text:
            number, self._number = self._number, ""
            yield Fragment(kind, number + text, level=level)

    def _plain(self, token: Token) -> str:
        """Returns the words of an inline token as a page made of it shows them."""
        children = _with_signs(token.children or [])
        if all(child.type in _PLAIN for child in children):
            return collapse("".join(child.content or " " for child in children))
        page = _HTML.renderInline(children, _MARKDOWN.options, {})
        return " ".join(fragment.text for fragment in html_fragments(page, self._findings))


def _with_signs(children: list[Token]) -> list[Token]:
    """Returns an inline token's parts, in which the asterisks between figures (5*3*2) are signs and no emphasis."""
    signs: set[int] = set()
    begun: list[int] = []
    for index, child in enumerate(children):
        if child.type in {"em_open", "strong_open"}:
            begun.append(index)
        elif child.type in {"em_close", "strong_close"} and begun:
            opened = begun.pop()
            before = children[opened - 1].content if opened else ""
            if before[-1:].isdigit() and children[opened + 1].content[:1].isdigit():
                signs |= {opened, index}
    return [Token("text", "", 0, content=c.markup) if i in signs else c for i, c in enumerate(children)]
