"""Markdown (CommonMark with tables), through markdown-it-py."""

import re
from collections.abc import Iterator
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

from backend.documents.parsing.blocks import BlockKind, Findings, Fragment, collapse, row_text
from backend.documents.parsing.text import encoding_of
from backend.documents.parsing.webpage import html_fragments

_FRONT_MATTER = re.compile(r"---[ \t]*\n(.*?)\n(?:---|\.\.\.)[ \t]*(?:\n|$)", re.DOTALL)


def fragments(path: Path, findings: Findings) -> Iterator[Fragment]:
    """Yield headings, paragraphs, list items, table rows and code; the first heading is the title."""
    text = path.read_text(encoding_of(path, findings), errors="replace")
    for fragment in _fragments(text, findings):
        if fragment.kind is BlockKind.HEADING and findings.title is None:
            findings.title = fragment.text
        yield fragment


def _fragments(text: str, findings: Findings) -> Iterator[Fragment]:
    if front_matter := _FRONT_MATTER.match(text):
        yield Fragment(BlockKind.PARAGRAPH, front_matter[1])
        text = text[front_matter.end() :]
    reader = _Reader()
    for token in MarkdownIt("commonmark").enable("table").parse(text):
        if token.type == "html_block":
            yield from html_fragments(token.content, findings)
        else:
            yield from reader.read(token)


class _Reader:
    """Follows the open lists, heading and table row through the flat sequence of tokens."""

    def __init__(self) -> None:
        self._lists = 0
        self._level = 0
        self._cells: list[str] | None = None
        self._in_head = False

    def read(self, token: Token) -> Iterator[Fragment]:
        match token.type:
            case "list_item_open" | "list_item_close":
                self._lists += token.nesting
            case "heading_open":
                self._level = int(token.tag[1:])
            case "heading_close":
                self._level = 0
            case "thead_open" | "thead_close":
                self._in_head = token.nesting > 0
            case "tr_open":
                self._cells = []
            case "tr_close":
                yield from self._row()
            case "fence" | "code_block":
                yield from self._fragment(BlockKind.PARAGRAPH, token.content.rstrip())
            case "inline":
                yield from self._inline(_plain(token))

    def _row(self) -> Iterator[Fragment]:
        kind = BlockKind.TABLE_HEADER if self._in_head else BlockKind.TABLE_ROW
        yield from self._fragment(kind, row_text(self._cells or ()))
        self._cells = None

    def _inline(self, text: str) -> Iterator[Fragment]:
        if self._cells is not None:
            self._cells.append(text)
        elif self._level:
            yield from self._fragment(BlockKind.HEADING, text, self._level)
        else:
            yield from self._fragment(BlockKind.LIST_ITEM if self._lists else BlockKind.PARAGRAPH, text)

    @staticmethod
    def _fragment(kind: BlockKind, text: str, level: int = 0) -> Iterator[Fragment]:
        if text:
            yield Fragment(kind, text, level=level)


def _plain(token: Token) -> str:
    """Return the words of an inline token without its marks; tags written as HTML are left out."""
    pieces = []
    for child in token.children or ():
        if child.type in {"softbreak", "hardbreak"}:
            pieces.append(" ")
        elif child.type != "html_inline":
            pieces.append(child.content)
    return collapse("".join(pieces))
