"""What the words of a text tell: stems of its content words, figures with their units, and negation."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from backend.language import stemming
from backend.language.languages import language
from backend.language.stop_words import SUBJECTS, stop_words

_TOKEN = re.compile(
    r"""
      (?P<date>\b\d{4}-\d{2}-\d{2}\b)
    | (?P<number>(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+|:\d{2})?)
    | (?P<clock>\b[ap]\.?m\b\.?)
    | (?P<word>[^\W\d_]+(?:['\u2019][^\W\d_]+)*)
    | (?P<sign>[$€£%])
    """,
    re.VERBOSE | re.IGNORECASE,
)
_MONTHS = language("en").month_names
_DIGITS = {
    "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9,
}  # fmt: skip
_TENS = {
    "twenty": 20, "thirty": 30, "forty": 40, "fifty": 50,
    "sixty": 60, "seventy": 70, "eighty": 80, "ninety": 90,
}  # fmt: skip
_NUMBER_WORDS = _DIGITS | _TENS | {
    "zero": 0, "ten": 10, "eleven": 11, "twelve": 12, "thirteen": 13, "fourteen": 14, "fifteen": 15,
    "sixteen": 16, "seventeen": 17, "eighteen": 18, "nineteen": 19,
}  # fmt: skip

_UNITS = {
    "$": "dollar", "usd": "dollar", "dollar": "dollar", "€": "euro", "eur": "euro", "euro": "euro",
    "£": "pound", "gbp": "pound", "pound": "pound", "cent": "cent",
    "%": "percent", "percent": "percent", "percentage": "percent", "point": "point",
    "thousand": "thousand", "million": "million", "billion": "billion", "trillion": "trillion",
    "am": "am", "pm": "pm", "minute": "minute", "hour": "hour", "day": "day", "night": "night",
    "week": "week",
    "month": "month", "quarter": "quarter", "year": "year", "cycle": "cycle",
    "foot": "foot", "feet": "foot", "mile": "mile", "degree": "degree",
    "business": "business", "working": "business", "banking": "business",
}  # fmt: skip
_UNITS_IN_FRONT = {
    "$",
    "€",
    "£",
    "usd",
    "eur",
    "gbp",
    "day",
    "week",
    "month",
    "quarter",
    "year",
}  # "$5", "day 60"
_CURRENCIES = {"dollar", "euro", "pound"}
_BETWEEN_FIGURE_AND_UNIT = {
    "to",
    "or",
    "and",
    "calendar",
    "consecutive",
    "full",
    "us",
    "billing",
    "statement",
}
_UNIT_DISTANCE = 4  # tokens; "5 to 10 business days"

_STOP_WORDS = stop_words(SUBJECTS)


@dataclass(frozen=True, slots=True)
class Figure:
    """A number as it is meant: `value` without formatting, and its units, such as {business, day}."""

    value: str
    units: frozenset[str]


def stems(text: str) -> list[str]:
    """Returns the Snowball stems of the content words, in order; numbers and their currencies are left out."""
    return stemming.stems(word for word in words(text) if _is_content(word))


def words(text: str) -> list[str]:
    """Returns the words in lower case, possessives without their ending, numbers left out."""
    return [_plain(token) for kind, token in _tokens(text) if kind == "word"]


def figures(text: str) -> frozenset[Figure]:
    """Returns the numbers, in digits or words, with their units; a date gives its day, month and year."""
    tokens = _with_compound_numbers(list(_tokens(text)))
    numbers = {
        Figure(_value(token), _units(tokens, position))
        for position, (kind, token) in enumerate(tokens)
        if kind == "number"
    }
    months = {Figure(token, frozenset()) for position, (_, token) in enumerate(tokens) if _is_month(tokens, position)}
    return frozenset(numbers | months)


def units(text: str) -> frozenset[str]:
    """Returns the units that are named anywhere, as in "USD in millions"."""
    return frozenset(unit for _, token in _tokens(text) if (unit := _unit(token)))


def _is_content(word: str) -> bool:
    return word not in _STOP_WORDS and not word.endswith("n't") and _unit(word) not in _CURRENCIES


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    for match in _TOKEN.finditer(text.replace("\u2019", "'")):
        kind, token = str(match.lastgroup), match[0].casefold()
        if kind == "date":
            year, month, day = map(int, token.split("-"))
            yield from _date(year, month, day)
        elif kind == "clock":
            yield "word", token.replace(".", "")
        elif token in _NUMBER_WORDS:
            yield "number", token
        else:
            yield kind, token


def _date(year: int, month: int, day: int) -> Iterator[tuple[str, str]]:
    yield "number", str(year)
    if 1 <= month <= len(_MONTHS):
        yield "word", _MONTHS[month - 1]
    yield "number", str(day)


def _is_month(tokens: list[tuple[str, str]], position: int) -> bool:
    _, word = tokens[position]
    if word != "may":
        return word in _MONTHS
    neighbours = tokens[max(position - 1, 0) : position + 2]
    return any(kind == "number" for kind, _ in neighbours)


def _plain(word: str) -> str:
    return word.removesuffix("'s").removesuffix("'")


def _with_compound_numbers(tokens: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Joins "twenty", "five" to "25"."""
    joined: list[tuple[str, str]] = []
    for kind, token in tokens:
        if joined and joined[-1][1] in _TENS and token in _DIGITS:
            joined[-1] = ("number", str(_TENS[joined[-1][1]] + _DIGITS[token]))
        else:
            joined.append((kind, token))
    return joined


def _value(token: str) -> str:
    if token in _NUMBER_WORDS:
        return str(_NUMBER_WORDS[token])
    if ":" in token:
        return token.removesuffix(":00")
    return format(Decimal(token.replace(",", "")).normalize(), "f")


def _units(tokens: list[tuple[str, str]], position: int) -> frozenset[str]:
    found = set()
    for kind, token in tokens[position + 1 : position + 1 + _UNIT_DISTANCE]:
        if unit := _unit(token):
            found.add(unit)
        elif found or (kind != "number" and token not in _BETWEEN_FIGURE_AND_UNIT):
            break
    before = tokens[position - 1][1] if position else ""
    if before in _UNITS_IN_FRONT and not (found and before.isalpha()):
        found.add(_UNITS[before])
    return frozenset(found)


def _unit(token: str) -> str | None:
    return _UNITS.get(token) or _UNITS.get(token.removesuffix("s"))
