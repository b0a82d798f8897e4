"""Markdown (CommonMark with tables and strike-through), through markdown-it-py."""

import re
from collections.abc import Iterator
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

from backend.documents.parsing import marks
from backend.documents.parsing.blocks import BlockKind, Fragment, collapse, row_text
from backend.documents.parsing.encodings import encoding_of
from backend.documents.parsing.findings import Findings, WarningKind
from backend.documents.parsing.webpage import html_fragments

_FRONT_MATTER = re.compile(r"(?:---[ \t]*\n(.*?)\n(?:---|\.\.\.)|\+\+\+[ \t]*\n(.*?)\n\+\+\+)[ \t]*(?:\n|$)", re.DOTALL)
_TITLE = re.compile(r"(?im)^title\s*[:=]\s*[\"']?(.+?)[\"']?\s*$")
_NOTE = re.compile(r"(?m)(?P<start>^)?\[\^(?P<mark>[\w-]{1,20})\](?(start):?)")
_TAG = re.compile(r"<(/?)(\w+)")


def fragments(path: Path, findings: Findings) -> Iterator[Fragment]:
    """Yield headings, paragraphs, list items with their numbers, table rows and code."""
    text = path.read_text(encoding_of(path, findings), errors="replace")
    if front_matter := _FRONT_MATTER.match(text):
        written = front_matter[1] or front_matter[2] or ""
        if title := _TITLE.search(written):
            findings.title = title[1]
        yield Fragment(BlockKind.PARAGRAPH, written)
        text = text[front_matter.end() :]
    text = _NOTE.sub(lambda found: marks.note(found.string[: found.start()], found["mark"]), text)
    reader = _Reader(findings)
    for token in MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(text):
        if token.type == "html_block":
            yield from html_fragments(token.content, findings)
        else:
            yield from reader.read(token)


class _Reader:
    """Follows the open lists, heading and table row through the flat sequence of tokens."""

    def __init__(self, findings: Findings) -> None:
        self._findings = findings
        self._lists = 0
        self._level = 0
        self._number = ""
        self._cells: list[str] | None = None
        self._in_head = False

    def read(self, token: Token) -> Iterator[Fragment]:
        match token.type:
            case "list_item_open" | "list_item_close":
                self._lists += token.nesting
                self._number = f"{token.info}{token.markup} " if token.info else ""
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
                yield from self._inline(self._plain(token))

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

    def _fragment(self, kind: BlockKind, text: str, level: int = 0) -> Iterator[Fragment]:
        if text:
            number, self._number = self._number, ""
            yield Fragment(kind, number + text, level=level)

    def _plain(self, token: Token) -> str:
        """Return the words of an inline token without its marks; struck-out text is left out and told."""
        pieces: list[str] = []
        struck = 0
        raised: int | None = None
        for child in token.children or ():
            name, closing = _tag(child)
            if name in {"s", "del", "strike"}:
                struck = max(0, struck + (-1 if closing else 1))
                self._findings.warn(WarningKind.STRUCK_OUT, "whole file", "Struck-out text is left out.")
            elif struck:
                continue
            elif name in {"sup", "sub"}:
                if not closing:
                    raised = len(pieces)
                elif raised is not None:
                    place = marks.raised if name == "sup" else marks.lowered
                    pieces[raised:] = [place("".join(pieces[:raised]), "".join(pieces[raised:]))]
                    raised = None
            elif child.type in {"softbreak", "hardbreak"} or name == "br":
                pieces.append(" ")
            elif child.type != "html_inline":
                pieces.append(child.content)
                if child.type == "image":
                    self._findings.warn(WarningKind.PICTURE, "whole file", "Pictures are not read.")
        return collapse("".join(pieces))


def _tag(token: Token) -> tuple[str, bool]:
    """Return the element that an inline token opens or closes, and whether it closes it."""
    if token.type in {"s_open", "s_close"}:
        return "s", token.nesting < 0
    found = _TAG.match(token.content) if token.type == "html_inline" else None
    return (found[2].lower(), bool(found[1])) if found else ("", False)
