"""Reads a follow-up together with what was said before, so that its search needs no memory: "And abroad?" alone finds nothing."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from backend.answers.asked import ParsedQuestion, replaced_side
from backend.language import terms

LONGEST = 1_000  # characters of a question that is read with an earlier one
_MOST_CARRIED = 8  # words
_ENOUGH = 3  # content words with which a question stands alone, unless it refers back

_REFERS_BACK = re.compile(
    r"^(?:and|but|or|so|then|also|what about|how about|what if|why|why not|really|ok(?:ay)?)\b"
    r"|\b(?:it|its|they|them|their|this|these|those|that one|that|there|he|she|him|her|the same|(?:the )?others?|ones?"
    r"|instead|either|too|the (?:former|latter|second|first|last))\b",
    re.IGNORECASE,
)
_QUESTION_WORD = re.compile(
    r"(?:what|which|who|whom|whose|when|where|why|how|much|many|long|soon|can|could|may|must|do|does|did|is|are|was|were|will|would|"
    r"should|have|has|i|we|you|my|our|your|the|a|an|of|for|to|in|on|at|by|with|from|and|or|if)$",
    re.IGNORECASE,
)
_WORD = re.compile(r"[^\W_][\w$%&'\u2019.,-]*[\w%]|[^\W_]")


@dataclass(frozen=True, slots=True)
class PastTurn:
    """An earlier question, how it was read, and its answer."""

    question: str
    read_as: str
    answer: str


def read_with(history: Sequence[PastTurn], question: str) -> str | None:
    """Returns the question with the terms that it lacks from the one before; None when it stands alone.

    "And an international one?" after "What does a domestic wire cost?" is read as "What does a international wire cost?".
    """
    if not history or not _follows_up(question):
        return None
    earlier = history[-1].read_as
    if (swapped := replaced_side(earlier, question)) is not None:
        return swapped[:LONGEST]
    known = set(terms.stems(question))
    carried = [
        word
        for word in dict.fromkeys(_WORD.findall(earlier))
        if not _QUESTION_WORD.match(word) and (stems := terms.stems(word)) and known.isdisjoint(stems)
    ]
    if not carried:
        return None
    return f"{question.rstrip(' ?.!')}: {' '.join(carried[:_MOST_CARRIED])}?"[:LONGEST]


def _follows_up(question: str) -> bool:
    return bool(_REFERS_BACK.search(question)) or len(ParsedQuestion.read(question).subject) < _ENOUGH
