"""Finds personal data in a text."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from backend.personal_data.kinds import PATTERNS, Pattern, PersonalKind, compact, is_iban

_CUE_DISTANCE = 60  # characters before a match in which its cue is looked for
# What every form has: an @, seven figures close together, or letters of a kind; of most texts, nothing else is asked.
_POSSIBLE = re.compile(
    r"@|[0-9](?:[^0-9]{0,3}[0-9]){6}|BIC|SWIFT|[A-Z]{6}[0-9LMNPQRSTUV]{2}[A-Z][0-9LMNPQRSTUV]{2}[A-Z]", re.IGNORECASE
)
_IBAN_LENGTHS = range(34, 14, -1)
_LETTER_OR_FIGURE = re.compile("[0-9A-Za-z]")


@dataclass(frozen=True, slots=True)
class Occurrence:
    """Personal data where it stands, in code points; `value` is the same however it is written."""

    kind: PersonalKind
    start: int
    end: int
    value: str


def find(text: str) -> list[Occurrence]:
    """Returns the personal data in a text, in order; of two that overlap the more certain one."""
    if not _POSSIBLE.search(text):
        return []
    found: list[Occurrence] = []
    taken = bytearray(len(text))
    for pattern in PATTERNS:
        for finding in _matches(pattern, text):
            if not any(taken[finding.start : finding.end]):
                taken[finding.start : finding.end] = b"\1" * (finding.end - finding.start)
                found.append(finding)
    return sorted(found, key=lambda finding: finding.start)


def _matches(pattern: Pattern, text: str) -> Iterator[Occurrence]:
    position = 0
    while match := pattern.form.search(text, position):
        start, written = match.start(), match[0]
        if pattern.kind is PersonalKind.IBAN:
            written = _cut_to_length(written, following=text[match.end() : match.end() + 1])
        if written and _is_cued(pattern, text, start) and pattern.holds(written):
            position = start + len(written)
            yield Occurrence(pattern.kind, start, position, _value(pattern.kind, written))
        else:
            position = start + 1  # what is none may cover the beginning of one


def _is_cued(pattern: Pattern, text: str, start: int) -> bool:
    return pattern.cue is None or pattern.cue.search(text[max(start - _CUE_DISTANCE, 0) : start]) is not None


def _cut_to_length(written: str, following: str) -> str:
    """Returns the longest beginning that is an account number and no part of a longer word; empty without one."""
    ends = [match.end() for match in _LETTER_OR_FIGURE.finditer(written)]
    for end in (ends[length - 1] for length in _IBAN_LENGTHS if length <= len(ends)):
        behind = written[end : end + 1] or following
        if not behind.isalnum() and is_iban(written[:end]):
            return written[:end]
    return ""


def _value(kind: PersonalKind, written: str) -> str:
    return written.casefold() if kind is PersonalKind.EMAIL else compact(written)
