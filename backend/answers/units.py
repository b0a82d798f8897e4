"""The pieces of a passage that can be quoted alone: whole sentences, with what one needs to be understood and nothing else."""

import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from backend.answers.grounding.evidence import addresses_a_model
from backend.language import sentences

LONGEST = 600  # characters of a sentence; beyond it is a table, which is no answer
LONGEST_RUN = 900
LONGEST_QUOTE = 3_600  # with all that a sentence needs before it; beyond it, nobody finds the answer in it
_SHORTEST = 3  # words; below it is a heading

_REFERS_BACK = re.compile(
    r"(?:(?:when|if|unless|until|once|after|in|for|without|while|from|under)\s)?"
    r"(?:it|they|them|this|these|those|that|such|he|she|its|their|otherwise|however|instead|then|also|yes|no|but|and|or|so"
    r"|anything|the (?:rest|latter|former|same)|\w+ed (?:within|later|before|after|by))\b",
    re.IGNORECASE,
)
_VERDICT = re.compile(
    r"(?:yes|no|maybe|usually|probably|sometimes|it depends|generally,? (?:yes|no)|not (?:always|necessarily))[.!]",
    re.IGNORECASE,
)
_BARE_VERDICT = re.compile(r"(?:yes|no)[.!]\s+", re.IGNORECASE)
_HEADER = re.compile(r"\s*(?:from|to|cc|bcc|subject|sent|date|reply-to|received|message-id)\s*:\s", re.IGNORECASE)
_MARKED_HEADING = re.compile(r"\s*#{1,6}\s")
_ITEM = re.compile(r"\s*(?:[-*\u2022\u2013\u25aa\u25cf]|\(?[0-9a-z]{1,3}[.)])\s")
_END = re.compile(r"[.!?:;\u3002]['\")\]\u2019\u201d]*$")
_TIP = re.compile(
    r"\s*(?:tip|note|warning|important|(?:for )?more information|learn more|read more|see also)\b", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Unit:
    """A sentence of a passage: `start` and `end` in its text, and whether a list follows from it or it is an item of one."""

    start: int
    end: int
    introduces: bool
    item: bool
    aside: bool


@lru_cache(maxsize=512)
def units(text: str) -> Sequence[Unit]:
    """Returns the sentences in order, without headings and the header of a mail."""
    found: list[Unit] = []
    for start, end in sentences.spans(text, longest=LONGEST):
        for first, last in _without_headings(text, start, end):
            sentence = text[first:last]
            item = bool(_ITEM.match(text[text.rfind("\n", 0, first) + 1 : last]))
            if found and _VERDICT.fullmatch(text[found[-1].start : found[-1].end]) and not item:
                found[-1] = Unit(found[-1].start, last, sentence.endswith(":"), found[-1].item, found[-1].aside)
            elif not _is_heading(text, first, last, item=item):
                found.append(Unit(first, last, sentence.endswith(":"), item, bool(_TIP.match(sentence))))
    return tuple(found)


def answers_alone(text: str, unit: Unit) -> bool:
    """Whether a sentence can be what answers: it is long enough, no table, no question, and speaks to people."""
    sentence = text[unit.start : unit.end]
    return len(sentence.split()) >= _SHORTEST and len(sentence) <= LONGEST and not addresses_a_model(sentence)


def without_verdict(quote: str) -> str:
    """Returns a quote without the "No." in front of it, which answers the question that its document asks."""
    return _BARE_VERDICT.sub("", quote, count=1) if _BARE_VERDICT.match(quote) else quote


def run(text: str, found: Sequence[Unit], position: int) -> tuple[int, int]:
    """Returns the first and last unit, inclusive, of the shortest run that can be understood alone.

    "It is waived for students." is no answer alone, and "The fee is 10 USD." without it may mislead. An item of a list says
    nothing without what introduces the list, and that nothing without all items.
    """
    firsts, lasts, ends = _reaches(text)
    first = firsts[position]
    longest = bisect_right(ends, found[first].start + LONGEST_RUN) - 1
    return first, max(position, min(lasts[position], longest))


@lru_cache(maxsize=512)
def _reaches(text: str) -> tuple[Sequence[int], Sequence[int], Sequence[int]]:
    """Returns from which unit to which each needs what stands around it, and where units end; read once for all of them."""
    found = units(text)
    firsts, lasts = list(range(len(found))), list(range(len(found)))
    for position in range(1, len(found)):
        if _needs_what_stands_before(text, found, position):
            firsts[position] = firsts[position - 1]
    for position in reversed(range(len(found) - 1)):
        if _needs_what_follows(text, found, position):
            lasts[position] = lasts[position + 1]
    return firsts, lasts, [unit.end for unit in found]


def _needs_what_stands_before(text: str, found: Sequence[Unit], position: int) -> bool:
    unit, before = found[position], found[position - 1]
    if unit.item:
        return before.item or before.introduces
    return bool(_REFERS_BACK.match(text, unit.start)) or (before.introduces and _adjoins(text, before, unit))


def _needs_what_follows(text: str, found: Sequence[Unit], position: int) -> bool:
    unit, following = found[position], found[position + 1]
    if unit.introduces:
        return True
    if unit.item:
        return following.item and _adjoins(text, unit, following)
    return bool(_REFERS_BACK.match(text, following.start)) and _adjoins(text, unit, following)


def _adjoins(text: str, one: Unit, other: Unit) -> bool:
    """Whether nothing but white space stands between them; a heading would."""
    return not text[one.end : other.start].strip(" \t\r\n-*\u2022\u2013\u25aa\u25cf")


def _without_headings(text: str, start: int, end: int) -> list[tuple[int, int]]:
    """Returns a sentence without the headings, or header lines, that stand in front of it on lines of their own."""
    while (line_end := text.find("\n", start, end)) != -1:
        line = text[start:line_end]
        own = _HEADER.match(line) or _MARKED_HEADING.match(line) or _looks_like_heading(line, text[line_end:end])
        if not own:
            break
        start = line_end + len(text[line_end:end]) - len(text[line_end:end].lstrip())
    return [(start, end)] if start < end else []


def _looks_like_heading(line: str, rest: str) -> bool:
    words = line.split()
    return (
        len(words) <= 8
        and not _END.search(line.rstrip())
        and not _ITEM.match(line)
        and rest.lstrip()[:1].isupper()
        and line[:1].isupper()
    )


def _is_heading(text: str, start: int, end: int, *, item: bool) -> bool:
    sentence = text[start:end]
    if _HEADER.match(sentence) or _MARKED_HEADING.match(sentence):
        return True
    alone = (start == 0 or text[:start].rstrip(" \t").endswith("\n")) and text[end : end + 1] in {"\n", ""}
    return alone and not item and not _END.search(sentence) and len(sentence.split()) <= 10 and "\n" in text
