"""Compares two versions of a document by paragraph."""

import re
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
    matcher = SequenceMatcher(a=before, b=after, autojunk=False)
    changes: dict[str, Literal["same", "added", "removed", "changed"]] = {
        "equal": "same", "insert": "added", "delete": "removed", "replace": "changed"
    }  # fmt: skip
    return [
        ParagraphDifference(changes[tag], tuple(before[a:b]), tuple(after[c:d]))
        for tag, a, b, c, d in matcher.get_opcodes()
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
    for tag, a, b, c, d in SequenceMatcher(a=old, b=new, autojunk=False).get_opcodes():
        for side, words in ((left, old[a:b]), (right, new[c:d])):
            if words:
                side.append((tag == "equal", "".join(words)))
    return left, right
