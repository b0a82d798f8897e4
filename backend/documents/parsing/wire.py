"""The lines between the parser's process and the service: one JSON object each, of bounded length.

The parser has read a file that nobody vouches for, so the service checks every line as it checks an upload.
"""

from dataclasses import dataclass
from typing import Any

import orjson

from backend.documents.parsing import errors
from backend.documents.parsing.blocks import BlockKind, Fragment, clean
from backend.documents.parsing.errors import CorruptFile, ParseError
from backend.documents.parsing.findings import Findings, ParseWarning, WarningKind
from backend.documents.parsing.formats import Format

LONGEST_LINE = 262_144
_LONGEST_SENTENCE = 300
_LONGEST_PLACE = 200
_HIGHEST_LEVEL = 9


class Title(str):
    """What a document calls itself."""

    __slots__ = ()


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
    return _line(
        {"fragment": [fragment.kind, text, fragment.level, fragment.page, fragment.sheet, fragment.next_page_at]}
    )


def encode_title(title: str | None) -> bytes:
    """Returns the line that names the document, as soon as its name is known."""
    return _line({"title": clean(title or "")[:_LONGEST_SENTENCE]})


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


def decode(line: bytes) -> Fragment | DocumentInfo | Title:
    """Returns what the line says; raises the ParseError that it carries, or CorruptFile for any other line."""
    try:
        message = orjson.loads(line)
        if "fragment" in message:
            return _fragment(*message["fragment"])
        if "title" in message:
            return Title(clean(message["title"]))
        if "done" in message:
            return _info(*message["done"])
        reported = errors.from_code(*message["error"])
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise CorruptFile("The parser's answer makes no sense.") from error
    raise reported


def _line(message: dict[str, Any]) -> bytes:
    return orjson.dumps(message, option=orjson.OPT_APPEND_NEWLINE)


def _fragment(kind: str, text: str, level: int, page: int | None, sheet: str | None, next_page_at: int) -> Fragment:
    if not 0 <= level <= _HIGHEST_LEVEL or (page is not None and page < 1) or not 0 <= next_page_at <= len(text):
        raise ValueError(level, page)
    cleaned = clean(text)
    # Cleaning shortens; what follows the turn of the page keeps its length unless it holds what nobody sees.
    turn = max(len(cleaned) - len(clean(text[next_page_at:])), 0) if next_page_at else 0
    return Fragment(BlockKind(kind), cleaned, level, page, None if sheet is None else clean(sheet), turn)


def _info(found: str, title: str | None, page_count: int | None, warnings: list[list[str]]) -> DocumentInfo:
    if page_count is not None and page_count < 0:
        raise ValueError(page_count)
    cleaned = None if title is None else clean(title)
    told = (ParseWarning(WarningKind(kind), clean(place), clean(detail)) for kind, place, detail in warnings)
    return DocumentInfo(Format(found), cleaned, page_count, tuple(told))
