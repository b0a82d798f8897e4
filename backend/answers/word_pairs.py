"""Words that stand side by side in a question, and whether they do in a passage: a "margin loan" is no loan with a margin."""

import itertools
import re
from functools import lru_cache

from backend.language import terms

_TOKEN = re.compile(r"[^\W\d_]+|[.;:!?\n]")
_NEAR = 3  # tokens


def apart(question: str, text: str) -> float:
    """Returns the share of the question's pairs of neighbouring content words that stand nowhere together in a text."""
    tokens = _stems(question)
    pairs = [(one, other) for one, other in itertools.pairwise(tokens) if one and other]
    if not pairs:
        return 0.0
    places: dict[str, list[int]] = {}
    for place, stem in enumerate(_stems(text)):
        places.setdefault(stem, []).append(place)
    lost = sum(
        not any(abs(first - second) <= _NEAR for first in places.get(one, ()) for second in places.get(other, ()))
        for one, other in pairs
    )
    return lost / len(pairs)


@lru_cache(maxsize=256)
def _stems(text: str) -> tuple[str, ...]:
    """Returns the stem of each word and stop in order, "" for one that means nothing of its own."""
    return tuple(_stem(match[0]) for match in _TOKEN.finditer(text))


@lru_cache(maxsize=50_000)
def _stem(word: str) -> str:
    return next(iter(terms.stems(word)), "")
