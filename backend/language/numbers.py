"""Numbers in a sentence: in digits, in words, in both, as ordinals and fractions, and within words such as "decade"."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

from backend.language.languages import Language
from backend.language.number_words import number_in_words
from backend.language.tokens import Token, TokenKind

_CLOCK = re.compile(r"(\d{1,2}):(\d{2})")
_SUFFIXED = re.compile(r"([\d.,']+)(k|mn|mm|m|bn|b|tn)")
_ORDINAL = re.compile(r"(\d+)(?:st|nd|rd|th|er|e|º|ª)")
_FRACTION = re.compile(r"(\d+)/(\d+)(?:st|nd|rd|th)?")
_LONGEST_NUMBER = 16  # words
PERIODS = frozenset({"minute", "hour", "day", "week", "month", "quarter", "year", "cycle"})


@dataclass(frozen=True, slots=True)
class Number:
    """A number without the unit that stands beside it; `first` and `last` are the tokens it is written in."""

    value: Decimal
    first: int
    last: int
    unit: str | None = None
    named: bool = True


def numbers(tokens: Sequence[Token], language: Language) -> Iterator[Number]:
    """Yields the numbers in order."""
    position = 0
    while position < len(tokens):
        number = _number_at(tokens, position, language)
        if number is None:
            position += 1
        else:
            yield number
            position = number.last + 1


def _number_at(tokens: Sequence[Token], position: int, language: Language) -> Number | None:
    token = tokens[position]
    if token.kind is TokenKind.NUMBER:
        return _written_in_digits(tokens, position, language)
    if token.kind is not TokenKind.WORD:
        return None
    collective = _collective(tokens, position, language)
    if collective is not None:
        return collective
    return _written_in_words(tokens, position, language) or _ordinal_or_fraction(tokens, position, language)


def _written_in_digits(tokens: Sequence[Token], position: int, language: Language) -> Number | None:
    form = tokens[position].form
    if match := _CLOCK.fullmatch(form):
        return Number(Decimal(int(match[1]) * 60 + int(match[2])), position, position, "clock")
    if match := _ORDINAL.fullmatch(form):
        return Number(Decimal(match[1]), position, position, "ordinal")
    if match := _FRACTION.fullmatch(form):
        if int(match[2]) == 0:
            return None
        return Number(Decimal(match[1]) / Decimal(match[2]), position, position)
    suffix = Decimal(1)
    if match := _SUFFIXED.fullmatch(form):
        form, suffix = match[1], language.numbers("suffixes").get(match[2], Decimal(1))
    last = position
    if " " in str(language.tables["thousands"]) and form.isdigit() and len(form) <= 3:
        while _goes_on(tokens, last):
            last += 1
            form += tokens[last].form
    value = _value(form, language)
    if value is None:
        return None
    following = tokens[last + 1].form if last + 1 < len(tokens) else ""
    if (half := _FRACTION.fullmatch(following)) and int(half[2]):
        value, last = value + Decimal(half[1]) / Decimal(half[2]), last + 1
    return _multiplied(Number(value * suffix, position, last), tokens, language)


def _goes_on(tokens: Sequence[Token], last: int) -> bool:
    """Whether three digits follow after one space: "1 500"."""
    return (
        last + 1 < len(tokens)
        and tokens[last + 1].kind is TokenKind.NUMBER
        and re.match(r"\d{3}(?!\d)", tokens[last + 1].form) is not None
        and tokens[last + 1].start == tokens[last].end + 1
    )


def _value(form: str, language: Language) -> Decimal | None:
    """Reads digits by the language's marks; "1.500" is one and a half in English, and 1500 in German."""
    thousands, decimal = str(language.tables["thousands"]), str(language.tables["decimal"])
    whole, _, fraction = form.partition(decimal)
    for mark in thousands + "'":
        if mark != decimal:
            parts = whole.split(mark)
            if len(parts) > 1 and not all(len(part) == 3 for part in parts[1:]):
                if fraction or len(parts) > 2:
                    return None
                return Decimal(f"{parts[0]}.{parts[1]}") if parts[0].isdigit() and parts[1].isdigit() else None
            whole = "".join(parts)
    if not whole.isdigit() or (fraction and not fraction.isdigit()):
        return None
    return Decimal(f"{whole}.{fraction or 0}").normalize()


def _multiplied(number: Number, tokens: Sequence[Token], language: Language) -> Number:
    """Reads "2.87 million", and "5 dozen"; and "two and a half"."""
    value, last = number.value, number.last
    multipliers = {**language.numbers("multipliers"), **language.numbers("plural_multipliers")}
    if language.code == "en":
        value, last = _and_a_half(value, last, tokens, language)
    while last + 1 < len(tokens) and tokens[last + 1].form in multipliers:
        last += 1
        value *= multipliers[tokens[last].form]
    return Number(value, number.first, last, number.unit, number.named)


def _and_a_half(value: Decimal, last: int, tokens: Sequence[Token], language: Language) -> tuple[Decimal, int]:
    following = [token.form for token in tokens[last + 1 : last + 4]]
    if following[:1] == ["and"] and following[1:2] in (["a"], ["one"]) and following[2:] == ["half"]:
        return value + language.numbers("fractions")["half"], last + 3
    return value, last


def _written_in_words(tokens: Sequence[Token], position: int, language: Language) -> Number | None:
    plural = language.numbers("plural_multipliers")
    if tokens[position].form in plural:
        return Number(plural[tokens[position].form], position, position, "many")
    found = number_in_words([token.form for token in tokens[position : position + _LONGEST_NUMBER]], language)
    if found is None:
        return None
    value, length = found
    return _multiplied(Number(value, position, position + length - 1), tokens, language)


def _ordinal_or_fraction(tokens: Sequence[Token], position: int, language: Language) -> Number | None:
    form = tokens[position].form
    ordinals, fractions = language.numbers("ordinals"), language.numbers("fractions")
    if form in ordinals:
        return Number(ordinals[form], position, position, "ordinal")
    if form in fractions:
        multipliers = language.numbers("multipliers")
        following = [token.form for token in tokens[position + 1 : position + 3]]
        for distance, word in enumerate(following, start=1):
            if word in multipliers:
                return Number(fractions[form] * multipliers[word], position, position + distance)
            if word not in language.rule("one"):
                break
        return Number(fractions[form], position, position)
    return None


def _collective(tokens: Sequence[Token], position: int, language: Language) -> Number | None:
    """Reads "a decade" as 10 years, and "a month" as one, though it may mean each month."""
    form = tokens[position].form
    collectives = dict(_collectives(language))
    if form in collectives:
        value, unit = collectives[form]
        return Number(value, position, position, unit)
    if form in language.rule("one") and position + 1 < len(tokens):
        unit_word = tokens[position + 1].form
        if language.units.get(unit_word) in PERIODS and unit_word not in collectives:
            return Number(Decimal(1), position, position + 1, language.units[unit_word], named=False)
    return None


def _collectives(language: Language) -> Iterator[tuple[str, tuple[Decimal, str]]]:
    for entry in str(language.tables["unit_rules"].get("collective", "")).split(";"):
        if "=" in entry:
            name, _, meaning = entry.strip().partition("=")
            value, unit = meaning.split()
            yield name, (Decimal(value), unit)
