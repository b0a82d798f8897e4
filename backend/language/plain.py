"""Other ways of saying a thing, put in one: "should it lapse" is "if it lapses", "is entitled to" is "may".

The phrases of each language are in its data. A statement and its evidence are both put into plain words before they are
compared, so that none of it weakens a rule: what differed in meaning differs still.
"""

import re
from collections.abc import Iterator
from functools import cache

from backend.language.languages import Language, language

Rule = tuple[re.Pattern[str], str]


def plain(text: str, spoken: Language) -> str:
    """Returns a legible sentence in plain words; one with a negation keeps its modal verbs, whose meaning it may turn."""
    said = text
    for pattern, words in _rules(spoken.code, "always"):
        said = pattern.sub(words, said)
    if not _negations(spoken.code).search(said):
        for pattern, words in _rules(spoken.code, "unless_negated"):
            said = pattern.sub(words, said)
    return said[:1].upper() + said[1:] if said != text and text[:1].isupper() else said


@cache
def _rules(code: str, name: str) -> tuple[Rule, ...]:
    return tuple(_read(language(code), name))


def _read(spoken: Language, name: str) -> Iterator[Rule]:
    for line in str(spoken.tables.get("plain", {}).get(name, "")).strip().splitlines():
        phrase, _, words = line.partition(" => ")
        yield re.compile(rf"(?<!\w)(?:{phrase.strip()})(?!\w)", re.IGNORECASE), words.strip()


@cache
def _negations(code: str) -> re.Pattern[str]:
    """Returns what finds a negation of the language that stands in a word of its own."""
    listed = str(language(code).tables["tags"].get("negation auxiliary", "")).split(";")
    words = "|".join(re.escape(word.strip()) for word in listed if word.strip().isalpha())
    return re.compile(rf"(?<!\w)(?:{words})(?!\w)|n't(?!\w)|(?<!\w)cannot(?!\w)", re.IGNORECASE)
