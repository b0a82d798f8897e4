"""Numbers with their units, and dates and times of day."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

from backend.language.languages import Language
from backend.language.number_words import is_number_word
from backend.language.numbers import PERIODS, Number, numbers
from backend.language.tokens import Token, TokenKind

_ISO_DATE = re.compile(r"(\d{4})-(\d\d)-(\d\d)")
_YEAR = re.compile(r"(?:1[89]|20)\d\d")
_REACH = 5  # tokens after a number among which its unit is looked for
_MONTHS_A_YEAR, _DAYS_A_WEEK, _POINTS_A_PERCENT = 12, 7, 100


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number with its unit; `first` and `last` are the tokens it is written in, `named` is False for "a month".

    Dates are of the unit "date" and have their known `parts`; the time of day is in minutes after midnight.
    """

    value: Decimal
    unit: str | None
    qualifiers: frozenset[str]
    first: int
    last: int
    named: bool = True
    parts: tuple[int | None, int | None, int | None] | None = None  # year, month, day

    def says(self, other: "Quantity") -> bool:
        """Whether the other quantity is the same, or a date of which this one leaves parts out."""
        if self.parts is not None and other.parts is not None:
            return all(mine is None or mine == theirs for mine, theirs in zip(self.parts, other.parts, strict=True))
        return (self.value, self.unit, self.qualifiers) == (other.value, other.unit, other.qualifiers)


def quantities(tokens: Sequence[Token], language: Language) -> list[Quantity]:
    """Returns the quantities in order."""
    dates = list(_dates(tokens, language))
    taken = {position for date in dates for position in range(date.first, date.last + 1)}
    found = [
        _with_unit(number, tokens, language)
        for number in numbers(tokens, language)
        if number.first not in taken
    ]  # fmt: skip
    ordered = sorted([*dates, *found, *_weekdays(tokens, language)], key=lambda quantity: quantity.first)
    ends = {quantity.last for quantity in ordered}
    return [one for one in ordered if one.named or one.first - 1 not in ends]  # "$500 a day" has one number


def named_units(tokens: Sequence[Token], language: Language) -> frozenset[str]:
    """Returns the units that are named anywhere, as in "USD in millions"."""
    return frozenset(language.units[token.form] for token in tokens if token.form in language.units)


def periods(tokens: Sequence[Token], language: Language) -> frozenset[str]:
    """Returns the units of time that are named anywhere, with a number or without, as in "each month" or "monthly"."""
    named = {language.units.get(token.form) or language.frequencies.get(token.form) for token in tokens}
    return frozenset(unit for unit in named if unit in PERIODS or unit == "workday")


def scales(tokens: Sequence[Token], language: Language) -> frozenset[Decimal]:
    """Returns the scales in which a table's numbers may be, as in "USD in millions"."""
    plural = language.numbers("plural_multipliers")
    return frozenset(plural[token.form] for token in tokens if token.form in plural)


def _with_unit(number: Number, tokens: Sequence[Token], language: Language) -> Quantity:
    if number.unit is not None and number.unit not in {"clock", "many"}:
        return _converted(Quantity(number.value, number.unit, frozenset(), number.first, number.last, number.named))
    unit, qualifiers, last = _unit_after(number, tokens, language)
    clock = _clock(number, tokens, language)
    if clock is not None:
        return clock
    before = language.units.get(tokens[number.first - 1].form) if number.first else None
    if before is not None and tokens[number.first - 1].form in language.rule("in_front"):
        currency = before in language.rule("currencies")
        unit, last = (before, number.last) if currency else (unit or before, last)
        qualifiers = frozenset() if currency else qualifiers
    unit = number.unit or unit
    around = {token.form for token in (*tokens[max(number.first - 2, 0) : number.first], *tokens[last + 1 : last + 4])}
    if unit is None and around & language.rule("age"):
        unit = "year"
    if unit is None and number.first == number.last and _YEAR.fullmatch(tokens[number.first].form):
        year = int(tokens[number.first].form)
        return Quantity(Decimal(year), "date", frozenset(), number.first, number.last, parts=(year, None, None))
    return _converted(Quantity(number.value, unit, qualifiers, number.first, last))


def _converted(quantity: Quantity) -> Quantity:
    """Counts years in months, weeks in days, and percent in basis points, so that either way of saying it is the same."""
    value, unit = quantity.value, quantity.unit
    if quantity.qualifiers - {"business"}:
        return quantity
    if unit == "year":
        value, unit = value * _MONTHS_A_YEAR, "month"
    elif unit == "week":
        value, unit = value * _DAYS_A_WEEK, "day"
    elif unit == "percent":
        value, unit = value * _POINTS_A_PERCENT, "basis"
    return Quantity(value, unit, quantity.qualifiers, quantity.first, quantity.last, quantity.named)


def _unit_after(number: Number, tokens: Sequence[Token], language: Language) -> tuple[str | None, frozenset[str], int]:
    unit, qualifiers, last = None, set(), number.last
    between = language.rule("between")
    for position in range(number.last + 1, min(number.last + 1 + _REACH, len(tokens))):
        token = tokens[position]
        found = language.units.get(token.form)
        if found == "business":
            qualifiers.add(found)
        elif found in {"point", "basis"} and unit in {None, "percent"}:
            unit, last = ("points" if unit == "percent" else found), position
        elif found is not None and unit is None:
            unit, last = found, position
        elif unit is not None or not (
            token.kind is TokenKind.NUMBER or token.form in between or token.form in {"-", "("}
        ):
            if unit is None and is_number_word(tokens[position].form, language):
                continue
            break
    return unit, frozenset(qualifiers) if unit else frozenset(), last


def _clock(number: Number, tokens: Sequence[Token], language: Language) -> Quantity | None:
    """Reads "5 p.m.", "5:00 PM" and "17:00" as minutes after midnight."""
    following = tokens[number.last + 1].form.replace(".", "") if number.last + 1 < len(tokens) else ""
    names = str(language.tables["numbers"].get("clock", "")).split()
    if following in names and following in {"am", "pm"}:
        minutes = number.value if number.unit == "clock" else number.value * 60
        half_day = Decimal(12 * 60)
        minutes = minutes % half_day + (half_day if following == "pm" else 0)
        return Quantity(minutes, "clock", frozenset(), number.first, number.last + 1)
    if number.unit == "clock" or (following in names and language.code != "en"):
        minutes = number.value if number.unit == "clock" else number.value * 60
        return Quantity(minutes, "clock", frozenset(), number.first, number.last)
    return None


def _dates(tokens: Sequence[Token], language: Language) -> Iterator[Quantity]:
    for position, token in enumerate(tokens):
        if match := _ISO_DATE.fullmatch(token.form):
            year, month, day = map(int, match.groups())
            yield Quantity(Decimal(0), "date", frozenset(), position, position, parts=(year, month, day))
        elif token.form in language.months and _is_month(tokens, position, language):
            yield _date_around(tokens, position, language)


def _is_month(tokens: Sequence[Token], position: int, language: Language) -> bool:
    """Whether the word is a month; "may", "mar" and "sep" mostly are something else."""
    token = tokens[position]
    neighbours = [*tokens[max(position - 2, 0) : position], *tokens[position + 1 : position + 3]]
    dated = any(neighbour.kind is TokenKind.NUMBER for neighbour in neighbours)
    if len(token.form) <= 3 or token.form == "may":
        return token.capital and dated
    return token.capital or dated or language.code != "en"


def _date_around(tokens: Sequence[Token], position: int, language: Language) -> Quantity:
    first = last = position
    day = year = None
    before = _day(tokens, position - 1) or _day(tokens, position - 2)
    if before is not None and _joined(tokens, position, language):
        day = before
        first = position - 1 if _day(tokens, position - 1) else position - 2
    following = position + 1
    if following < len(tokens) and tokens[following].form in {".", "de", "di", ","}:
        following += 1
    if day is None and (after := _day(tokens, following)) is not None:
        day, last = after, following
        following += 1
        if following < len(tokens) and tokens[following].form == ",":
            following += 1
    if following < len(tokens) and tokens[following].form in {"de", "del", "of"}:
        following += 1
    if following < len(tokens) and _YEAR.fullmatch(tokens[following].form):
        year, last = int(tokens[following].form), following
    return Quantity(
        Decimal(0), "date", frozenset(), first, last, parts=(year, language.months[tokens[position].form], day)
    )


def _joined(tokens: Sequence[Token], position: int, language: Language) -> bool:
    """Whether nothing but a point or a preposition stands between a day and its month."""
    if _day(tokens, position - 1):
        return True
    return tokens[position - 1].form in {".", "of", "de", "di", "°"} or language.code == "xx"


def _day(tokens: Sequence[Token], position: int) -> int | None:
    if not 0 <= position < len(tokens) or tokens[position].kind is not TokenKind.NUMBER:
        return None
    digits = re.fullmatch(r"(\d{1,2})(?:st|nd|rd|th|er|e|º|ª)?", tokens[position].form)
    return int(digits[1]) if digits and 1 <= int(digits[1]) <= 31 else None


def _weekdays(tokens: Sequence[Token], language: Language) -> Iterator[Quantity]:
    for position, token in enumerate(tokens):
        if token.form in language.weekdays and (len(token.form) > 3 or token.capital):
            if language.code == "en" and not token.capital:
                continue
            yield Quantity(Decimal(language.weekdays[token.form]), "weekday", frozenset(), position, position)
