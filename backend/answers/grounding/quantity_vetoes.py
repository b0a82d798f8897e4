"""Numbers: each must be in the evidence with its unit, on the same side of it, and about the same thing."""

from collections import Counter
from dataclasses import replace

from backend.answers.grounding.alignment import Alignment
from backend.answers.grounding.verdict import Reason
from backend.language.bounds import Bound
from backend.language.quantities import Quantity, periods
from backend.language.tokens import Token

_COMPATIBLE = {
    Bound.NONE: frozenset({Bound.NONE}),
    Bound.MOST: frozenset({Bound.MOST}),
    Bound.LEAST: frozenset({Bound.LEAST}),
    Bound.OVER: frozenset({Bound.OVER}),
    Bound.UNDER: frozenset({Bound.UNDER}),
    Bound.NEAR: frozenset({Bound.NEAR}),
}
_DEADLINES = frozenset({"minute", "hour", "day", "month", "quarter", "cycle", "workday", "clock", "date"})
_MOTION = {"by": "by", "to": "to", "from": "from"}
_BARRIER = 6  # tokens that a comma or a conjunction is worth
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
    unknown = periods(bare, statement.language) - periods(source.tokens, source.language)
    return Reason.UNIT if unknown else None


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
    quantity = statement.quantities[index]
    if _moves_otherwise(alignment, quantity, source.quantities[other]):
        return True
    if mine is theirs or mine in _COMPATIBLE[theirs]:
        return False
    within = {mine, theirs} == {Bound.NONE, Bound.MOST}
    return not (within and quantity.unit in _DEADLINES)


def _moves_otherwise(alignment: Alignment, mine: Quantity, theirs: Quantity) -> bool:
    """Whether one is "by" and the other "to" or "from" the number."""
    said = _preposition(alignment.statement.tokens, mine.first)
    written = _preposition(alignment.source.tokens, theirs.first)
    return said is not None and written is not None and said != written


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
