"""Sentences of a text as exact substrings of it."""

import re
from collections.abc import Iterable

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
_ABBREVIATION = re.compile(
    r"(?:\b(?:[A-Za-z]|cf|vs|approx|mr|mrs|ms|dr|prof|jr|sr|st|inc|ltd|corp|plc|dept|bzw|ggf|evtl|inkl|zzgl|vgl|mme|mlle|sra|núm|sig|dott|art)|\b[A-Za-z]\.[A-Za-z])$",
    re.IGNORECASE,
)
_BEFORE_NUMBER = re.compile(
    r"\b(?:nos?|arts?|secs?|paras?|ch|fig|pp?|jan|feb|mar|apr|jun|jul|aug|sept?|oct|nov|dec|abs|ziff|nr|núm|pág|pag)$",
    re.IGNORECASE,
)
_LONGEST_ABBREVIATION = 8  # characters to look back; a longer look would be paid at every full stop
_LIST_NUMBER = re.compile(r"(?:^|\n)[ \t]{0,4}\(?(?:\d{1,3}|[a-z]|[ivx]{2,4})$")


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
    if following.isdigit() and _BEFORE_NUMBER.search(before):
        return True
    return bool(following) and bool(_ABBREVIATION.search(before) or _LIST_NUMBER.search(before))


def _cut(text: str, span: tuple[int, int], longest: int) -> list[tuple[int, int]]:
    start, end = span
    if end - start <= longest:
        return [span]
    line_ends = [match.end() for match in re.finditer("\n", text[:end]) if match.start() >= start]
    return _pieces(text, start, [*line_ends, end])
