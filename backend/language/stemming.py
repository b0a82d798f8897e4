"""Snowball: the stems of words. Everything that compares words by their stems asks here."""

from collections.abc import Iterable
from functools import cache

import Stemmer

LANGUAGES = sorted(Stemmer.algorithms())


def stems(words: Iterable[str], language: str = "english") -> list[str]:
    """Returns the stem of each word in order; the words are in lower case, the language is one of LANGUAGES."""
    # A stemmer of its own for each call: one must not be used by two threads at once.
    found: list[str] = Stemmer.Stemmer(language).stemWords(words)
    return found


def stem(word: str, language: str) -> str:
    """Returns the stem of one word, where stems are asked for one by one and in one thread."""
    return str(_kept(language).stemWord(word))


@cache
def _kept(language: str) -> Stemmer.Stemmer:
    return Stemmer.Stemmer(language)
