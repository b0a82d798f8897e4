"""Compares two versions of a document by paragraph."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Literal

_BLANK_LINES = re.compile(r"\n\s*\n")


@dataclass(frozen=True, slots=True)
class ComparedText:
    """The text of one chunk; pieces of one file may overlap, and `char_start` (from 0) and `char_end` then say how far."""

    text: str
    char_start: int | None = None
    char_end: int | None = None


@dataclass(frozen=True, slots=True)
class ParagraphDifference:
    """One paragraph, or one run of them, that both versions have or only one has."""

    change: Literal["same", "added", "removed", "changed"]
    before: tuple[str, ...]
    after: tuple[str, ...]


def paragraphs(pieces: Sequence[ComparedText]) -> list[str]:
    """Returns the paragraphs of a version in order, each once though chunks overlap."""
    found: list[str] = []
    reached = 0
    for piece in pieces:
        text = piece.text
        if piece.char_start is not None and piece.char_end is not None:
            # A piece's text may carry headings that are not in its span: what it repeats is at the start of the span.
            repeated = max(0, min(reached, piece.char_end) - piece.char_start)
            text = text[repeated:] if len(text) == piece.char_end - piece.char_start else text
            reached = max(reached, piece.char_end)
        found.extend(part for raw in _BLANK_LINES.split(text) if (part := raw.strip()))
    return found


def compare(before: Sequence[str], after: Sequence[str]) -> list[ParagraphDifference]:
    """Returns the differences of two lists of paragraphs in reading order; paragraphs that both have stand between them."""
    changes: dict[str, Literal["same", "added", "removed", "changed"]] = {
        "equal": "same", "insert": "added", "delete": "removed", "replace": "changed"
    }  # fmt: skip
    return [
        ParagraphDifference(changes[tag], tuple(before[a:b]), tuple(after[c:d]))
        for tag, a, b, c, d in _opcodes(before, after)
    ]


_WORD = re.compile(r"\s+|\w+|[^\w\s]")
_MOST_WORDS = 6_000  # of two texts together; comparing takes time by their product

Words = list[tuple[bool, str]]


def compare_words(before: str, after: str) -> tuple[Words, Words]:
    """Returns both texts in runs of words, each with whether the other text has it in the same place."""
    old, new = _WORD.findall(before), _WORD.findall(after)
    if len(old) + len(new) > _MOST_WORDS:
        return [(False, before)], [(False, after)]
    left: Words = []
    right: Words = []
    for tag, a, b, c, d in _opcodes(old, new):
        for side, words in ((left, old[a:b]), (right, new[c:d])):
            if words:
                side.append((tag == "equal", "".join(words)))
    return left, right


_MOST_STEPS = 200_000_000  # some two seconds of one core
_Opcode = tuple[str, int, int, int, int]


def _opcodes(before: Sequence[str], after: Sequence[str]) -> list[_Opcode]:
    """Returns what is equal, and what takes the place of what, as difflib has it.

    That takes time by the pairs of equal parts, again for each run of them. Where this is too much, what is repeated often only
    goes with what stands beside it; where that is too much as well, all between a common beginning and end is one change.
    """
    for autojunk in (False, True):
        if _steps(before, after, autojunk=autojunk) <= _MOST_STEPS:
            return list(SequenceMatcher(a=before, b=after, autojunk=autojunk).get_opcodes())
    shorter = min(len(before), len(after))
    first = next((place for place in range(shorter) if before[place] != after[place]), shorter)
    left = range(shorter - first)
    last = next((place for place in left if before[-1 - place] != after[-1 - place]), len(left))
    ends = (len(before) - last, len(after) - last)
    parts: list[_Opcode] = [
        ("equal", 0, first, 0, first), (_kind(first, *ends), first, ends[0], first, ends[1]),
        ("equal", ends[0], len(before), ends[1], len(after)),
    ]  # fmt: skip
    return [part for part in parts if part[1] < part[2] or part[3] < part[4]]


def _kind(first: int, end_before: int, end_after: int) -> str:
    if first == end_before:
        return "insert"
    return "delete" if first == end_after else "replace"


def _steps(before: Sequence[str], after: Sequence[str], *, autojunk: bool) -> int:
    """Returns how many steps difflib takes at most; with `autojunk` it looks for nothing that is a hundredth of a long text."""
    counts, often = Counter(after), len(after) // 100 + 1
    if autojunk and len(after) >= 200:
        counts = Counter({part: count for part, count in counts.items() if count <= often})
    pairs = sum(count * counts[part] for part, count in Counter(before).items())
    return (len(before) + pairs) * min(len(before), len(after))
