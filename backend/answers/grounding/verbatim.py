"""Quotes: a sentence that stands in a passage word for word, but for white space and typographic marks."""

import re

from backend.answers.grounding.evidence import PassageEvidence
from backend.language.legible import legible

_SPACE = re.compile(r"\s+")
_ITEM = re.compile(r"^(?:[-*\u2022\u25cf\u25aa]|\(?[0-9a-z]{1,3}[.)])\s+")
_MOST_SENTENCES = 6  # that one quote may run over


def quoted(sentence: str, evidence: PassageEvidence) -> tuple[int, int] | None:
    """Returns where the passage says the sentence in whole sentences of its own; None when it does not.

    A part of a sentence is no quote, since what was left out may be a condition or a negation; nor is an item of a
    list without the line that introduces it.
    """
    wanted = _written(sentence)
    if not wanted:
        return None
    introduced = {unit.start for unit in evidence.units if unit.lead}
    for first, (start, _) in enumerate(evidence.spans):
        if start in introduced:
            continue
        for last in range(first, min(first + _MOST_SENTENCES, len(evidence.spans))):
            end = evidence.spans[last][1]
            said = _written(evidence.text[start:end])
            if said == wanted:
                return start, end
            if len(said) > len(wanted) + 8:
                break
    return None


def _written(text: str) -> str:
    """Returns the text in one way of writing; the first letter's size and the final full stop count for nothing."""
    written = _SPACE.sub(" ", _ITEM.sub("", legible(text).text.strip())).rstrip(".!; ")
    return written[:1].casefold() + written[1:]
