"""Sentences of a text as exact substrings of it, in two readings.

`spans` and `split` read what is asked, cited and answered, in all languages that have rules. They know list items, citation
markers, and full stops whose space was lost.

`of_document` reads the paragraphs of documents, of which chunks are filled. It knows English abbreviations and the stops of
Chinese and Japanese, and keeps all white space. It stays as it is: stored chunks were cut by it, and a document that is ingested
once more must give the same ones.
"""

import re
from collections.abc import Iterable, Iterator
from functools import cache

from backend.language.languages import CODES, language

_TERMINAL = r"[.!?]['\")\]\u2019\u201d]*"
_MARKERS = r"(?:\s*\[\d{1,3}(?:\s*,\s*\d{1,3})*\])*"
_BULLET = r"(?:[-*\u2022\u2013\u25cf\u25aa]\s|\(?[0-9a-z]{1,3}[.)]\s)"

_BOUNDARY = re.compile(
    rf"""(?P<stop>{_TERMINAL}{_MARKERS})(?=\s|$)     # a full stop, its closing quotes and citation markers
    | (?<=[a-z)\]])[.!?](?=[A-Z](?:[a-z]|\s[a-z]))    # a full stop whose space was lost with the markup
    | \n\s*\n                                        # a blank line
    | \n(?=\s*{_BULLET})                             # a list item
    | (?<=:)\n                                       # the end of a line that introduces something
    """,
    re.VERBOSE,
)
_LONGEST_ABBREVIATION = 8  # characters to look back; a longer look would be paid at every full stop
_LIST_NUMBER = re.compile(r"(?:^|\n)[ \t]{0,4}\(?(?:\d{1,3}|[a-z]|[ivx]{2,4})$")
_DOCUMENT_BOUNDARY = re.compile(r"[.!?…][\"'”’)\]]*\s+|[。！？]+\s*|\n\s*\n\s*")


def split(text: str, longest: int | None = None) -> list[str]:
    """Returns the sentences in order; those of more than `longest` characters are cut at line ends."""
    return [text[start:end] for start, end in spans(text, longest)]


def spans(text: str, longest: int | None = None) -> list[tuple[int, int]]:
    """Returns where each sentence starts and ends, white space and text without a letter or digit left out."""
    ends = [match.end() for match in _BOUNDARY.finditer(text) if not _continues(text, match)]
    found = _pieces(text, 0, [*ends, len(text)])
    if longest is not None:
        found = [piece for span in found for piece in _cut(text, span, longest)]
    return [(start, end) for start, end in found if any(map(str.isalnum, text[start:end]))]


def _pieces(text: str, start: int, ends: Iterable[int]) -> list[tuple[int, int]]:
    pieces = []
    for end in ends:
        stripped = text[start:end].strip()
        first = text.index(stripped, start)
        pieces.append((first, first + len(stripped)))
        start = end
    return pieces


def _continues(text: str, match: re.Match[str]) -> bool:
    """Whether the full stop belongs to an abbreviation or a list number, or a small letter follows it."""
    stop = match["stop"]
    if not stop or not stop.startswith(".") or "[" in stop:
        return False
    before = text[max(match.start() - _LONGEST_ABBREVIATION, 0) : match.start()]
    following = text[match.end() : match.end() + 3].lstrip()[:1]
    if following.islower():
        return True
    if stop != ".":
        return False
    if following.isdigit() and _before_number().search(before):
        return True
    return bool(following) and bool(_abbreviation().search(before) or _LIST_NUMBER.search(before))


def _cut(text: str, span: tuple[int, int], longest: int) -> list[tuple[int, int]]:
    start, end = span
    if end - start <= longest:
        return [span]
    line_ends = [match.end() for match in re.finditer("\n", text[:end]) if match.start() >= start]
    return _pieces(text, start, [*line_ends, end])


def of_document(text: str) -> Iterator[tuple[int, str]]:
    """Yields the start and text of each sentence of a paragraph; white space within and before them is kept."""
    start = 0
    for boundary in _DOCUMENT_BOUNDARY.finditer(text):
        if not _continues_in_document(text, start, boundary):
            yield start, text[start : boundary.end()].rstrip()
            start = boundary.end()
    if start < len(text):
        yield start, text[start:]


def _continues_in_document(text: str, start: int, boundary: re.Match[str]) -> bool:
    """Whether a full stop ends an abbreviation or a list number, or a small letter follows it."""
    if not boundary[0].startswith("."):
        return False
    if text[boundary.end() : boundary.end() + 1].islower():
        return True
    before = text[max(start, boundary.start() - _LONGEST_ABBREVIATION) : boundary.start()]
    return bool(_document_abbreviation().search(before)) or text[start : boundary.start()].strip("(").isdigit()


@cache
def _abbreviation() -> re.Pattern[str]:
    words = _any_of(*(known.abbreviations for known in map(language, CODES)))
    return re.compile(rf"(?:\b(?:[A-Za-z]|{words})|\b[A-Za-z]\.[A-Za-z])$", re.IGNORECASE)


@cache
def _before_number() -> re.Pattern[str]:
    return re.compile(rf"\b(?:{_any_of(*(known.before_numbers for known in map(language, CODES)))})$", re.IGNORECASE)


@cache
def _document_abbreviation() -> re.Pattern[str]:
    words = _any_of(language("en").document_abbreviations)
    return re.compile(rf"(?:^|[\s(\[“\"])(?:[a-z]|[a-z]\.[a-z](?:\.[a-z])?|{words})$", re.IGNORECASE)


def _any_of(*words: Iterable[str]) -> str:
    return "|".join(sorted(frozenset().union(*words)))
