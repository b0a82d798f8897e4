"""The lines between the parser's process and the service: one JSON object each, of bounded length.

The parser has read a file that nobody vouches for, so the service checks every line as it checks an upload.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import orjson

from backend.documents.parsing import errors
from backend.documents.parsing.blocks import BlockKind, Fragment, clean, collapse
from backend.documents.parsing.errors import CorruptFile, ParseError
from backend.documents.parsing.findings import LONGEST_LABEL, Findings, ParseWarning, WarningKind
from backend.documents.parsing.formats import Format

LONGEST_LINE = 262_144
_LONGEST_SENTENCE = 300
_LONGEST_PLACE = 200
_HIGHEST_LEVEL = 9
_CERTAIN = 100  # per cent


class Title(str):
    """What a document calls itself."""

    __slots__ = ()


class PageLabel(NamedTuple):
    """What a file calls one of its pages, which count from 1."""

    page: int
    label: str


@dataclass(frozen=True, slots=True)
class DocumentInfo:
    """What is known of a file once all of it is parsed; `characters` is the length of its text.

    `page_count` counts the pages of a PDF or the slides of a presentation, and is None for other formats.
    """

    format: Format
    title: str | None
    page_count: int | None
    warnings: tuple[ParseWarning, ...]
    characters: int = 0


def encode_fragment(fragment: Fragment) -> bytes:
    """Returns the line for a fragment no longer than LONGEST_FRAGMENT."""
    text = fragment.text.encode("utf-8", "replace").decode()
    kind, _, level, page, sheet, next_page_at, confidence = fragment
    return _line({"fragment": [kind, text, level, page, sheet, next_page_at, confidence]})


def encode_title(title: str | None) -> bytes:
    """Returns the line that names the document, as soon as its name is known."""
    return _line({"title": clean(title or "")[:_LONGEST_SENTENCE]})


def encode_label(page: int, label: str) -> bytes:
    """Returns the line that says what the file calls a page, before any fragment of it."""
    return _line({"label": [page, label]})


def encode_findings(found: Format, findings: Findings) -> bytes:
    """Returns the last line for a file that was parsed to its end."""
    title = clean(findings.title or "")[:_LONGEST_SENTENCE] or None
    warnings = [
        [kind, clean(place)[:_LONGEST_PLACE], clean(detail)[:_LONGEST_SENTENCE]]
        for kind, place, detail in findings.all_warnings()
    ]
    return _line({"done": [found, title, findings.page_count, warnings]})


def encode_error(error: ParseError) -> bytes:
    """Returns the last line for a file that cannot be parsed."""
    return _line({"error": [error.code, clean(error.detail)[:_LONGEST_SENTENCE]]})


def decode(line: bytes) -> Fragment | DocumentInfo | Title | PageLabel:
    """Returns what the line says; raises the ParseError that it carries, or CorruptFile for any other line."""
    try:
        message = orjson.loads(line)
        if "fragment" in message:
            return _fragment(*message["fragment"])
        if "title" in message:
            return Title(clean(message["title"]))
        if "label" in message:
            return _label(*message["label"])
        if "done" in message:
            return _info(*message["done"])
        reported = errors.from_code(*message["error"])
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise CorruptFile("The parser's answer makes no sense.") from error
    raise reported


def _line(message: dict[str, Any]) -> bytes:
    return orjson.dumps(message, option=orjson.OPT_APPEND_NEWLINE)


def _label(page: int, label: str) -> PageLabel:
    cleaned = collapse(clean(label))
    if page < 1 or not 0 < len(cleaned) <= LONGEST_LABEL:
        raise ValueError(page)
    return PageLabel(page, cleaned)


def _fragment(
    kind: str, text: str, level: int, page: int | None, sheet: str | None, next_page_at: int, confidence: int | None
) -> Fragment:
    if not 0 <= level <= _HIGHEST_LEVEL or (page is not None and page < 1) or not 0 <= next_page_at <= len(text):
        raise ValueError(level, page)
    if confidence is not None and not 0 <= confidence <= _CERTAIN:
        raise ValueError(confidence)
    cleaned = clean(text)
    # Cleaning shortens; what follows the turn of the page keeps its length unless it holds what nobody sees.
    turn = max(len(cleaned) - len(clean(text[next_page_at:])), 0) if next_page_at else 0
    return Fragment(BlockKind(kind), cleaned, level, page, None if sheet is None else clean(sheet), turn, confidence)


def _info(found: str, title: str | None, page_count: int | None, warnings: list[list[str]]) -> DocumentInfo:
    if page_count is not None and page_count < 0:
        raise ValueError(page_count)
    cleaned = None if title is None else clean(title)
    told = (ParseWarning(WarningKind(kind), clean(place), clean(detail)) for kind, place, detail in warnings)
    return DocumentInfo(Format(found), cleaned, page_count, tuple(told))
