"""Rates and amounts: 25 bps is 0.25 %, and also fünfundzwanzig Basispunkte; $1.5 million is 1,500,000, and also 1.500.000.

Whether a point or a comma begins the decimals, figures tell where they have both or several; otherwise the language does, and a
rate is read in both ways.
"""

import re
from collections.abc import Iterator
from decimal import Decimal
from functools import cache
from itertools import islice

from backend.language import written
from backend.language.languages import Language, language
from backend.language.number_words import is_number_word, number_in_words

# Repetition is bounded, as in the lexicon, so that no text costs more than linear time. All read lower-case text.
_FIGURE = r"\d{1,3}(?:[.,'\s]\d{3}){1,5}(?:[.,]\d{1,4})?(?!\d)|\d{1,9}(?:[.,]\d{1,6})?(?![.,]?\d)|[.,]\d{1,6}"
_BEFORE = r"(?<![a-z\d.,])"
_MARK = re.compile(r"[.,'\s]")
_GROUPED = re.compile(r"\d{1,3}[.,'\s]\d{3}")
_SPACE = re.compile(r"\s+")
_POINTS_OF = {"points": Decimal(1), "percent": Decimal(100), "permille": Decimal(10)}
_SUFFIXES = {"k": 10**3, "m": 10**6, "mn": 10**6, "mm": 10**6, "bn": 10**9, "b": 10**9, "tn": 10**12}
_MULTIPLIERS = {**written.multipliers(), "mln": 10**6, "mld": 10**9, "mia": 10**9, "mil millones": 10**9}
_RATE_UNITS = (
    rf"(?P<points>(?:{written.phrases('basis_points')})(?!\w)) | (?P<percent>(?:{written.phrases('percent')})(?!\w))"
    r" | (?P<permille>\u2030)"
)
_RATE = re.compile(rf"{_BEFORE}(?P<figure>{_FIGURE})\s?(?:{_RATE_UNITS})", re.VERBOSE)
_RATE_UNIT = re.compile(rf"\s(?:{_RATE_UNITS})", re.VERBOSE)
_AMOUNT = re.compile(
    rf"{_BEFORE}(?P<figure>{_FIGURE})(?:(?P<suffix>{written.any_of(_SUFFIXES)})(?!\w)"
    rf"|[\s-]?(?P<multiplier>{written.any_of(_MULTIPLIERS)})(?!\w))?"
)
_WORD = re.compile(r"[^\W\d_]+")
_COUNTED = re.compile(r"\s(?:([^\W\d_]+)\s)?([^\W\d_]+)")  # "business days"
_MOST_WORDS = 8  # of a number
_COMPOUNDING = frozenset({"de", "it"})
_LEAST = 2  # "one" is mostly no number


def rates(text: str) -> Iterator[str]:
    """Yields rates in basis points."""
    for match in _RATE.finditer(text):
        unit = next(unit for unit in _POINTS_OF if match[unit])
        yield from (_rate(value, unit) for value in _readings(match["figure"]))


def amounts(text: str, spoken: Language | None) -> Iterator[str]:
    """Yields amounts in plain digits where they are written otherwise."""
    decimal = "." if spoken is None else str(spoken.tables["decimal"])
    for match in _AMOUNT.finditer(text):
        factor = _SUFFIXES.get(match["suffix"]) or _MULTIPLIERS.get(_SPACE.sub(" ", match["multiplier"] or ""), 1)
        if factor > 1 or not match["figure"].isdigit():
            value = _reading(match["figure"], decimal)
            yield _plain(value * factor) if factor > 1 else f"{value:f}".removesuffix(".00")


def in_words(text: str, language: Language) -> Iterator[str]:
    """Yields rates whose number is in words, in basis points, and in digits how many of a unit there are: "thirty days"."""
    end = 0
    for match in _WORD.finditer(text):
        if match.start() < end or not _begins_number(match[0], language):
            continue
        following = list(islice(_WORD.finditer(text, match.start()), _MOST_WORDS))
        found = number_in_words([word[0] for word in following], language)
        if found is None or found[0] < _LEAST:
            continue
        end = following[found[1] - 1].end()
        if rate := _RATE_UNIT.match(text, end):
            yield _rate(found[0], next(unit for unit in _POINTS_OF if rate[unit]))
        elif (counted := _COUNTED.match(text, end)) and not language.units.keys().isdisjoint(counted.groups()):
            yield _plain(found[0])


def _begins_number(word: str, language: Language) -> bool:
    if is_number_word(word, language):
        return True
    return language.code in _COMPOUNDING and bool(_compound_parts(language.code).search(word))


@cache
def _compound_parts(code: str) -> re.Pattern[str]:
    return re.compile(written.any_of(language(code).numbers("words")))


def _rate(value: Decimal, unit: str) -> str:
    return _plain(value * _POINTS_OF[unit]) + "bp"


def _plain(value: Decimal) -> str:
    return f"{value.normalize():f}"


def _readings(figure: str) -> frozenset[Decimal]:
    """Returns what a figure may mean where its decimals begin with a point, and with a comma."""
    return frozenset(_reading(figure, mark) for mark in ".,")


def _reading(figure: str, decimal: str) -> Decimal:
    """Returns what a figure means in a language whose decimals begin with that mark, unless its own marks tell otherwise."""
    marks = _MARK.findall(figure)
    last = marks[-1] if marks else ""
    repeated, alone = marks.count(last) > 1, len(set(marks)) == 1
    grouped = alone and _GROUPED.fullmatch(figure) is not None and last != decimal
    if not marks or repeated or grouped:
        return Decimal(_MARK.sub("", figure))
    whole, _, fraction = figure.rpartition(last)
    return Decimal(f"{_MARK.sub('', whole) or 0}.{fraction}")
