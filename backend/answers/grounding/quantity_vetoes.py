"""Numbers: each must be in the evidence with its unit, on the same side of it, and about the same thing."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from backend.answers.grounding.alignment import Alignment
from backend.answers.grounding.verdict import Reason
from backend.language.bounds import Bound
from backend.language.languages import Language
from backend.language.numbers import PERIODS
from backend.language.parsed_sentences import ParsedSentence
from backend.language.quantities import Quantity, periods
from backend.language.tokens import Token, TokenKind

_COMPATIBLE = {
    Bound.NONE: frozenset({Bound.NONE}),
    Bound.MOST: frozenset({Bound.MOST}),
    Bound.LEAST: frozenset({Bound.LEAST}),
    Bound.OVER: frozenset({Bound.OVER}),
    Bound.UNDER: frozenset({Bound.UNDER}),
    Bound.NEAR: frozenset({Bound.NEAR}),
}
_TWO = 2
_DEADLINES = frozenset({"minute", "hour", "day", "month", "quarter", "cycle", "workday", "clock", "date"})
_CEILINGS = frozenset({"up", "most", "maximum", "longer", "h\u00f6chstens", "maximal", "jusqu'", "hasta", "fino"})
_MOTION = {"by": "by", "to": "to", "from": "from"}
_MOTION_NEAR = 3  # tokens before an ordinal among which its preposition is
_BARRIER = 6  # tokens that a comma or a conjunction is worth
_NEAR = 5  # tokens before a number among which an "of" is about it
_REACH = 8  # tokens on either side of a number that say what it is about


def numbers(alignment: Alignment) -> Reason | None:
    """Each number, unit and date must be in the evidence, and its bound the same."""
    for index, quantity in enumerate(alignment.statement.quantities):
        found = same(alignment, quantity)
        if not found:
            return _missing(alignment, quantity)
        if all(_compares_otherwise(alignment, index, other) for other in found):
            return Reason.COMPARISON
    statement, source = alignment.statement, alignment.source
    counted = {position for quantity in statement.quantities for position in range(quantity.first, quantity.last + 1)}
    bare = [token for position, token in enumerate(statement.tokens) if position not in counted]
    written = {token.form for token in source.tokens}
    if any(token.kind is TokenKind.NUMBER and token.form not in written for token in bare):
        return Reason.NUMBER  # what is no number that is known is the same character by character
    if _is_multiplied(alignment):
        return Reason.NUMBER
    unknown = periods(bare, statement.language) - periods(source.tokens, source.language)
    other = bool(unknown) or _is_counted_otherwise(bare, source) or _is_of_another_period(alignment)
    return Reason.UNIT if other else None


def _is_counted_otherwise(bare: Sequence[Token], source: ParsedSentence) -> bool:
    """Whether a unit stands twice where the evidence has it once, and another: "day and day" for "day and hour"."""
    units = source.language.units
    said, written = (
        Counter(units[token.form] for token in found if token.form in units) for found in (bare, source.tokens)
    )
    return any(said[unit] > written[unit] > 0 for unit in said) and any(
        written[unit] > said[unit] == 0 for unit in written
    )


def _is_multiplied(alignment: Alignment) -> bool:
    """Whether the statement has a thing "double" or "twice", and the evidence neither that nor a number of times."""
    multiples = alignment.statement.language.rule("multiples")
    said, written = (
        [token.form for token in r.tokens if token.form in multiples] for r in (alignment.statement, alignment.source)
    )
    return bool(said) and not written and not any(quantity.value == _TWO for quantity in alignment.source.quantities)


def _is_of_another_period(alignment: Alignment) -> bool:
    """Whether a word like "monthly" stands where the evidence only has others of the kind: "the annual return"."""
    frequencies = alignment.statement.language.frequencies
    said, written = (
        {frequencies[token.form] for token in reading.tokens if token.form in frequencies}
        for reading in (alignment.statement, alignment.source)
    )
    tokens = alignment.source.tokens
    rates = {_rate(tokens, place, alignment.source.language) for place in range(len(tokens))}
    return bool(written) and not said <= written | rates


def same(alignment: Alignment, quantity: Quantity) -> list[int]:
    """Returns which quantities of the evidence are this one."""
    return [
        number
        for number, other in enumerate(alignment.source.quantities)
        if quantity.says(other) or _stated_by_table(alignment, quantity, other)
    ]  # fmt: skip


def _stated_by_table(alignment: Alignment, quantity: Quantity, other: Quantity) -> bool:
    """Whether a table has the number without its unit, which it states once for all ("USD in millions")."""
    unit = alignment.unit
    if other.unit is not None or not unit.table_scales or quantity.unit not in {None, *unit.table_units}:
        return False
    return any(
        replace(quantity, unit=None).says(replace(other, value=other.value * scale)) for scale in unit.table_scales
    )


def _missing(alignment: Alignment, quantity: Quantity) -> Reason:
    if quantity.unit in {"date", "weekday", "clock"}:
        return Reason.DATE
    alike = any(quantity.value == other.value for other in alignment.source.quantities)
    return Reason.UNIT if alike else Reason.NUMBER


def _compares_otherwise(alignment: Alignment, index: int, other: int) -> bool:
    statement, source = alignment.statement, alignment.source
    mine, theirs = statement.bounds[index], source.bounds[other]
    if statement.quantities[index].unit == "ordinal":
        said, written = (
            _end_of_span(statement, statement.quantities[index]),
            _end_of_span(source, source.quantities[other]),
        )
        return said is not None and written is not None and said != written
    quantity = statement.quantities[index]
    if _moves_otherwise(alignment, quantity, source.quantities[other]):
        return True
    if _lies_otherwise(alignment, quantity, source.quantities[other]):
        return True
    if mine is theirs or mine in _COMPATIBLE[theirs]:
        return False
    within = {mine, theirs} == {Bound.NONE, Bound.MOST}
    if not within or quantity.unit not in _DEADLINES:
        return True
    return _is_ceiling(statement, quantity) or _is_ceiling(source, source.quantities[other])


def _end_of_span(reading: ParsedSentence, quantity: Quantity) -> str | None:
    """Returns whether something begins or ends with an ordinal: "from the fourth day", "up to the fourth day"."""
    before = [token.form for token in reading.tokens[max(quantity.first - _MOTION_NEAR, 0) : quantity.first]]
    ends = ("begins_with", "ends_with")
    return next((end for form in before[::-1] for end in ends if form in reading.language.rule(end)), None)


def _is_ceiling(reading: ParsedSentence, quantity: Quantity) -> bool:
    """Whether a time is the longest that something takes, and no deadline: "for up to seven days"."""
    return any(token.form in _CEILINGS for token in reading.tokens[max(quantity.first - _NEAR, 0) : quantity.first])


def _moves_otherwise(alignment: Alignment, mine: Quantity, theirs: Quantity) -> bool:
    """Whether one is "by" and the other "to" or "from" the number."""
    said = _preposition(alignment.statement.tokens, mine.first)
    written = _preposition(alignment.source.tokens, theirs.first)
    return said is not None and written is not None and said != written


def _lies_otherwise(alignment: Alignment, mine: Quantity, theirs: Quantity) -> bool:
    """Whether one is as long before something, and the other as long after it: "one month before", "one month later"."""
    sides = []
    for reading, quantity in ((alignment.statement, mine), (alignment.source, theirs)):
        following = {token.form for token in reading.tokens[quantity.last + 1 : quantity.last + 2]}
        sides.append({side for side in ("earlier", "later") if following & reading.language.rule(side)})
    return bool(sides[0] and sides[1]) and sides[0] != sides[1]


def _preposition(tokens: tuple[Token, ...], first: int) -> str | None:
    for position in range(first - 1, max(first - 3, -1), -1):
        token = tokens[position]
        form, tags = token.form, token.tags
        if form in _MOTION and not tags:
            return form
        if form not in {"$", "€", "£", "the", "a", "only"}:
            return None
    return None


def association(alignment: Alignment) -> Reason | None:
    """A number must not be given to something of which the evidence says another number of the same unit."""
    for quantity in alignment.statement.quantities:
        found = same(alignment, quantity)
        rivals = [
            number
            for number, other in enumerate(alignment.source.quantities)
            if other.unit == quantity.unit and number not in found
        ]
        if rivals and quantity.unit not in {None, "ordinal"} and _votes(alignment, quantity, found, rivals) < 0:
            return Reason.ASSOCIATION
    return None


def rates(alignment: Alignment) -> Reason | None:
    """An amount is by the day or the month only where the evidence says so, of this amount if it says it of each."""
    source, language = alignment.source, alignment.source.language
    known = {_rate(source.tokens, position, language) for position in range(len(source.tokens))}
    for quantity in alignment.statement.quantities:
        rate = _rate(alignment.statement.tokens, quantity.last + 1, language)
        own = {_rate(source.tokens, source.quantities[n].last + 1, language) for n in same(alignment, quantity)}
        if rate is not None and rate not in (known if None in own or not own else own):
            return Reason.UNIT
    return None


def _rate(tokens: Sequence[Token], position: int, language: Language) -> str | None:
    """Returns the unit of time of "per day" or "daily" at a position."""
    if position >= len(tokens):
        return None
    if tokens[position].form in language.frequencies:
        return language.frequencies[tokens[position].form]
    if position + 1 >= len(tokens) or tokens[position].form not in language.rule("per"):
        return None
    unit = language.units.get(tokens[position + 1].form)
    return unit if unit in PERIODS else None


def attachments(alignment: Alignment) -> Reason | None:
    """A number belongs to the noun to which it belongs in the evidence: "a fee of $25" is no "transfer of $25"."""
    found = {pair.source for pair in alignment.pairs.values()}
    for quantity in alignment.statement.quantities:
        said = _noun(alignment.statement, quantity)
        pair = None if said is None else alignment.pairs.get(said)
        nouns = {_noun(alignment.source, alignment.source.quantities[number]) for number in same(alignment, quantity)}
        if pair is not None and nouns and None not in nouns and pair.source not in nouns and nouns & found:
            return Reason.ASSOCIATION
    return None


def _noun(reading: ParsedSentence, quantity: Quantity) -> int | None:
    """Returns the noun before "of" and a number."""
    of = reading.language.rule("of")
    before = range(quantity.first - 1, max(quantity.first - 1 - _NEAR, -1), -1)
    for place in before:
        if place in reading.content:
            return None
        if reading.tokens[place].form in of:
            return place - 1 if place - 1 in reading.content else None
    return None


def _votes(alignment: Alignment, quantity: Quantity, found: list[int], rivals: list[int]) -> int:
    """Returns how many words around the number stand nearer to it in the evidence than to a rival, less those that do not."""
    source = alignment.source
    stems = Counter(token.stem for token in source.tokens)
    votes = 0
    for said, pair in alignment.pairs.items():
        near = min(abs(said - quantity.first), abs(said - quantity.last)) <= _REACH
        if not near or stems[source.tokens[pair.source].stem] > 1:
            continue
        own = min(_distance(alignment, pair.source, source.quantities[number]) for number in found)
        other = min(_distance(alignment, pair.source, source.quantities[number]) for number in rivals)
        votes += (own < other) - (other < own)
    return votes


def _distance(alignment: Alignment, position: int, quantity: Quantity) -> int:
    """Returns how many tokens lie between, commas and conjunctions counting more."""
    first, last = sorted((position, quantity.first if position < quantity.first else quantity.last))
    between = alignment.source.tokens[first + 1 : last]
    return last - first + _BARRIER * sum(token.form in {",", ";", "and", "or"} for token in between)
