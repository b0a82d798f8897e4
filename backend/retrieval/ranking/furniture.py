"""Knows what only leads to a document's words: tables of contents, indexes, the heads of mails. They rank behind body text.

They hold the words of everything and say nothing of it: "Risk Factors | 12" is nearer to a question on risk factors than the
factors are. They stay to be found by who asks for nothing else.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from enum import StrEnum
from itertools import pairwise

from backend.retrieval.stages import Hit

_LONGEST = 8_000  # characters of a text that are looked at
_LEAST_ENTRIES = 4
_LEAST_SHARE = 0.6  # of lines that are entries, or head
_LEAST_ORDERED = 0.9  # of entries that come after the one before
_LONGEST_LINE = 300
_LAST_SIGNS = frozenset("0123456789ivxl")
_PAGE = re.compile(r"(?:\d{1,4}|[ivxl]{1,6})$")
_GAP = " .…|\t\u00b7_"
_DOTTED = (". . .", "....", "……")
_LED = re.compile(r"(?<![. …])(?: ?[.…]){4,}+ ?(\d{1,4}|[ivxl]{1,6})\b")
_NAMED = re.compile(
    r"(?i)(?:table of contents|contents|inhalt(?:sverzeichnis)?|sommaire|table des matières|índice|indice|sommario|contenido"
    r"|index|(?:page )?index to .{1,60})"
)
_PART = re.compile(
    r"(?i)(?:item|part|article|section|chapter|annex|appendix|schedule|exhibit|artikel|teil|kapitel|abschnitt|chapitre)\b"
)
_LETTER = re.compile(r"[^\W\d_]")
_PAGES = re.compile(r"[)\"']?,?\s+\d{1,4}(?:\s?[-\u2013]\s?\d{1,4})?(?:,\s?\d{1,4}(?:\s?[-\u2013]\s?\d{1,4})?)*")
_HEAD = re.compile(
    r"(?i)(?:from|to|cc|bcc|date|sent|subject|von|an|datum|gesendet|betreff|de|à|objet|envoyé|da|oggetto|fecha|asunto):\s"
)
_LEAST_HEAD_FIELDS = 2


class Furniture(StrEnum):
    """What leads to a document's words."""

    CONTENTS = "contents"
    INDEX = "index"
    MAIL_HEAD = "mail_head"


def furniture_of(text: str, path: Sequence[str]) -> Furniture | None:
    """Returns what a chunk is, under these headings; None for body text."""
    lines = [line for line in text[:_LONGEST].split("\n") if line]
    if any(":" in line for line in lines[:2]) and _is_mail_head(lines):
        return Furniture.MAIL_HEAD
    if any(dots in text for dots in _DOTTED) and _is_dotted(text[:_LONGEST]):
        return Furniture.CONTENTS
    # Most texts end here, which is why a hundred of them cost little.
    if sum(line[-1] in _LAST_SIGNS for line in lines) < max(_LEAST_ENTRIES, _LEAST_SHARE * len(lines)):
        return None
    named = any(_NAMED.fullmatch(title.strip()) for title in (*path[-1:], lines[0]))
    if _is_contents(lines, named=named):
        return Furniture.CONTENTS
    return Furniture.INDEX if _is_index(lines, named=named) else None


def set_back(hits: Sequence[Hit], weight: float) -> list[Hit]:
    """Returns the hits with what they are, and by so much less those that are no body text; best first if any is."""
    if not weight:
        return list(hits)
    known = [(hit, furniture_of(hit.text, hit.span.heading_path or ())) for hit in hits]
    if not any(kind for _, kind in known):
        return list(hits)
    counted = [hit if kind is None else replace(hit, furniture=kind, score=hit.score - weight) for hit, kind in known]
    return sorted(counted, key=lambda hit: (-hit.score, hit.chunk_id))


def _is_mail_head(lines: Sequence[str]) -> bool:
    fields = [line for line in lines if _HEAD.match(line)]
    names = {line.partition(":")[0].casefold() for line in fields}
    return len(names) >= _LEAST_HEAD_FIELDS and sum(map(len, fields)) >= _LEAST_SHARE * sum(map(len, lines))


def _is_contents(lines: Sequence[str], *, named: bool) -> bool:
    """Returns whether lines name pages that go up, and are led to them by dots, by their names or by what they are under.

    Rows of fees go up as well, so that ascending numbers alone are no sign.
    """
    entries = [entry for line in lines if (entry := _entry(line)) is not None]
    if len(entries) < max(_LEAST_ENTRIES, _LEAST_SHARE * len(lines)):
        return False
    pages = [int(page) for _, _, page in entries if page.isdecimal()]
    ordered = sum(a <= b for a, b in pairwise(pages)) >= _LEAST_ORDERED * (len(pages) - 1)
    led = sum("..." in gap.replace(" ", "") or "…" in gap for _, gap, _ in entries)
    parts = sum(bool(_PART.match(name)) for name, _, _ in entries)
    return ordered and (named or max(led, parts) * 2 >= len(entries))


def _is_dotted(text: str) -> bool:
    """Returns whether dots lead to pages that go up, also where entries stand in one line with one another."""
    pages = [int(page) for page in _LED.findall(text) if page.isdecimal()]
    return len(pages) >= _LEAST_ENTRIES and all(a <= b for a, b in pairwise(pages))


def _entry(line: str) -> tuple[str, str, str] | None:
    """Returns the name, what leads from it to its page, and the page; None for a line that is no entry of contents."""
    text = line.strip()
    page = _PAGE.search(text) if len(text) <= _LONGEST_LINE else None
    if page is None:
        return None
    before = text[: page.start()]
    name = before.rstrip(_GAP)
    return (name, before[len(name) :], page[0]) if name != before and _LETTER.search(name) else None


def _is_index(lines: Sequence[str], *, named: bool) -> bool:
    """Returns whether lines in the order of the alphabet end in numbers of pages, several of them in some."""
    entries = [entry for line in lines if (entry := _indexed(line)) is not None]
    if len(entries) < max(_LEAST_ENTRIES, _LEAST_SHARE * len(lines)):
        return False
    ordered = sum(a[0] <= b[0] for a, b in pairwise(entries)) >= _LEAST_ORDERED * (len(entries) - 1)
    return ordered and (named or 3 * sum(several for _, several in entries) >= len(entries))


def _indexed(line: str) -> tuple[str, bool] | None:
    """Returns the first letter of an entry of an index, and whether it names several pages; None for another line."""
    text = line.strip()
    letters = [found.start() for found in _LETTER.finditer(text)] if len(text) <= _LONGEST_LINE else []
    if not letters or letters[0]:
        return None
    tail = text[letters[-1] + 1 :]
    return (text[0].casefold(), any(sign in tail[1:] for sign in ",\u2013")) if _PAGES.fullmatch(tail) else None
