"""What must be exact whatever else is alike: each veto names the rule that a statement breaks against its evidence."""

from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial

from backend.answers.grounding.alignment import Alignment, Grade, Pair, is_complement
from backend.answers.grounding.quantity_vetoes import association, numbers
from backend.answers.grounding.role_vetoes import comparisons, directions, names, roles, times
from backend.answers.grounding.verdict import Reason
from backend.language.clauses import COORDINATING, is_condition
from backend.language.readings import MODALS, Clause, Modality, Reading
from backend.language.tokens import Kind

_MODALITIES: dict[Modality, frozenset[Modality]] = {
    Modality.PLAIN: frozenset({Modality.PLAIN, Modality.WILL}),
    Modality.WILL: frozenset({Modality.WILL, Modality.PLAIN}),
    Modality.MUST: frozenset({Modality.MUST, Modality.PLAIN, Modality.ORDER, Modality.WILL}),
    Modality.SHOULD: frozenset({Modality.SHOULD, Modality.ORDER}),
    Modality.MAY: frozenset({Modality.MAY, Modality.ORDER}),
    Modality.ORDER: frozenset({Modality.ORDER, Modality.SHOULD, Modality.MAY}),
    Modality.NOT: frozenset({Modality.NOT}),
    Modality.PROHIBITED: frozenset({Modality.PROHIBITED, Modality.NOT}),
    Modality.EXEMPT: frozenset({Modality.EXEMPT}),
    Modality.SHOULD_NOT: frozenset({Modality.SHOULD_NOT}),
}
"""What a statement may say where its evidence says the key."""

_FACTS = frozenset({Modality.PLAIN, Modality.WILL, Modality.NOT})
_ENOUGH_OF_CONDITION = 0.4  # of its words and numbers
_LEFT_OUT = 0.15  # of the evidence's words, by a statement that has nearly all of them
_MODAL_REACH = 5  # tokens


def broken(alignment: Alignment) -> Reason | None:
    """Returns the first rule that the statement breaks; None if it breaks none."""
    return next((reason for veto in _VETOES if (reason := veto(alignment)) is not None), None)


def matched(alignment: Alignment) -> Iterator[tuple[Clause, list[Clause]]]:
    """Yields each clause of the statement with those of the evidence that it draws on, the most important first."""
    for mine, theirs in alignment.clauses.items():
        yield alignment.statement.clauses[mine], [alignment.source.clauses[number] for number in theirs]


def negation(alignment: Alignment) -> Reason | None:
    """What is asserted must be negated as often, modulo two, as what it draws on; "not eligible" is "ineligible"."""
    statement, source = alignment.statement, alignment.source
    for mine, theirs in matched(alignment):
        if mine.negations > max(1, *(clause.negations for clause in theirs)):
            return Reason.NEGATION  # "do not have no" is said by nobody who means it
    for said, written in _components(alignment):
        count = sum(statement.clauses[number].negations for number in said)
        count += sum(source.clauses[number].negations for number in written)
        if (count + len(_flips(alignment, said))) % 2:
            return Reason.NEGATION
    unmatched = [clause for number, clause in enumerate(statement.clauses) if number not in alignment.clauses]
    if any(clause.negations % 2 for clause in unmatched):
        return Reason.NEGATION
    return Reason.NEGATION if _loses_one(alignment) else None


def _components(alignment: Alignment) -> list[tuple[set[int], set[int]]]:
    """Returns the clauses that belong together because they draw on the same clause of the evidence."""
    components: list[tuple[set[int], set[int]]] = []
    for mine, theirs in alignment.clauses.items():
        said, written = {mine}, set(theirs)
        for component in [component for component in components if component[1] & written]:
            components.remove(component)
            said |= component[0]
            written |= component[1]
        components.append((said, written))
    return components


def _flips(alignment: Alignment, clauses: set[int]) -> list[Pair]:
    """Returns the words of the clauses that are the negation of the evidence's."""
    return [
        pair
        for pair in alignment.pairs.values()
        if pair.grade is Grade.OPPOSITE
        and alignment.statement.clause_of(pair.said) in clauses
        and is_complement(alignment, pair)
    ]


def _loses_one(alignment: Alignment) -> bool:
    """Whether the statement has nearly every word of the evidence, but another number of negations in all."""
    source, statement = alignment.source, alignment.statement
    left = [position for position in source.content if position not in alignment.sources()]
    if len(left) > _LEFT_OUT * len(source.content) or not source.content:
        return False
    count = sum(clause.negations for clause in (*statement.clauses, *source.clauses))
    return (count + len(_flips(alignment, set(range(len(statement.clauses)))))) % 2 == 1


def modality(alignment: Alignment) -> Reason | None:
    """A duty is no option, an option no duty, and advice neither."""
    for mine, theirs in matched(alignment):
        if mine.condition:
            continue
        asserted = [clause for clause in theirs if not clause.condition] or theirs
        if not any(_allows(clause, mine) for clause in asserted):
            return Reason.MODALITY
    return Reason.MODALITY if any(map(partial(_differs, alignment), alignment.pairs.values())) else None


def _allows(written: Clause, said: Clause) -> bool:
    """Whether a clause may be said with the modality of another; only facts can be said by their opposites."""
    if (said.negations + written.negations) % 2:
        return said.modality in _FACTS and written.modality in _FACTS
    return said.modality in _MODALITIES[written.modality]


def _differs(alignment: Alignment, pair: Pair) -> bool:
    """Whether a verb follows one modal verb in the statement and another one in the evidence."""
    said, written = _modal_before(alignment.statement, pair.said), _modal_before(alignment.source, pair.source)
    return said is not None and written is not None and said not in _MODALITIES[written]


def _modal_before(reading: Reading, position: int) -> Modality | None:
    """Returns the modal verb that stands before a verb with nothing but small words between; None when it is negated."""
    for place in range(position - 1, max(position - _MODAL_REACH, -1), -1):
        token = reading.tokens[place]
        tag = next((tag for tag in MODALS if token.has(tag)), None)
        if tag is not None:
            return Modality(tag.removeprefix("modal."))
        if token.has("negation") or place in reading.content or token.has("start") or token.kind is not Kind.WORD:
            return None
    return None


def conditions(alignment: Alignment) -> Reason | None:
    """Every condition of the evidence must be in the statement as one, and the statement has none of its own."""
    if not all(_kept(alignment)) or _only_conditions(alignment):
        return Reason.CONDITION
    for own, theirs in matched(alignment):
        if not own.condition:
            continue
        if not any(clause.condition for clause in theirs):
            if any(clause.condition for clause in alignment.source.clauses) or own.negations != theirs[0].negations:
                return Reason.CONDITION
        elif theirs[0].condition and own.concession != theirs[0].concession:
            return Reason.CONDITION
    return None


def _kept(alignment: Alignment) -> list[bool]:
    """Returns whether the statement has each condition of the evidence.

    Of alternatives ("if A or if B and C") one is enough, with all that "and" joins to it.
    """
    statement, source = alignment.statement, alignment.source
    main = {theirs[0] for mine, theirs in alignment.clauses.items() if not statement.clauses[mine].condition}
    conditions: list[list[list[list[bool]]]] = []  # of alternatives, of parts that "and" joins, of words and numbers
    for number, clause in enumerate(source.clauses):
        if not clause.condition or number in main or _apart(alignment, number, main):
            continue
        held, opening = _held(alignment, number), source.tokens[clause.first]
        if not conditions or not (clause.alternative or opening.form in COORDINATING or not is_condition(opening)):
            conditions.append([[held]])
        elif clause.alternative and not _limits(source, clause):
            conditions[-1].append([held])
        elif opening.form in COORDINATING or clause.alternative:
            conditions[-1][-1].append(held)
        else:
            conditions[-1][-1][-1].extend(held)
    stated = any(mine.condition for mine in statement.clauses)
    return [
        any(all(_is_enough(held, stated=stated) for held in parts) for parts in alternatives)
        for alternatives in conditions
    ]


def _is_enough(held: list[bool], *, stated: bool) -> bool:
    """Whether enough of a condition's words and numbers are there; one without any only needs some condition."""
    return sum(held) / len(held) >= _ENOUGH_OF_CONDITION if held else stated


def _held(alignment: Alignment, number: int) -> list[bool]:
    """Returns of each word and number of a condition whether the statement has it."""
    clause, used = alignment.source.clauses[number], alignment.sources()
    words = [position in used or _echoed(alignment, position) for position in clause.content]
    numbers = [
        any(quantity.says(other) for quantity in alignment.statement.quantities)
        for index, other in enumerate(alignment.source.quantities)
        if alignment.source.quantity_clause(index) == number
    ]
    return words + numbers


def _limits(reading: Reading, clause: Clause) -> bool:
    """Whether the clause begins with "until" or the like: of two limits, neither can be left out."""
    return any(
        token.has("temporal") or token.has("negation") for token in reading.tokens[clause.first : clause.first + 3]
    )


def _only_conditions(alignment: Alignment) -> bool:
    """Whether what the statement asserts is in the evidence only as a condition."""
    asserted = [theirs for mine, theirs in matched(alignment) if not mine.condition]
    drawn_on = [clause.condition for theirs in asserted for clause in theirs]
    return (
        bool(drawn_on)
        and all(drawn_on)
        and any(not clause.condition and clause.content for clause in alignment.source.clauses)
    )


def _apart(alignment: Alignment, number: int, main: set[int]) -> bool:
    """Whether a semicolon or a parenthesis stands between the condition and everything that the statement is about."""
    tokens, clause = alignment.source.tokens, alignment.source.clauses[number]
    for other in main:
        asserted = alignment.source.clauses[other]
        if tokens[asserted.first].form == "(" and tokens[clause.first].form != "(":
            continue
        first, last = sorted((clause.first, asserted.first))
        if not any(token.form == ";" for token in tokens[first:last]):
            return False
    return bool(main)


def _echoed(alignment: Alignment, position: int) -> bool:
    """Whether the statement has the word elsewhere as well, for which another place of the evidence was found."""
    stem = alignment.source.tokens[position].stem
    return any(alignment.statement.tokens[said].stem == stem for said in alignment.statement.content)


def scope(alignment: Alignment) -> Reason | None:
    """Nothing holds for all that holds for some, or generally, or only."""
    said = [mine for mine, _ in matched(alignment)]
    written = [clause for _, theirs in matched(alignment) for clause in theirs]
    if any(clause.hedged for clause in said) != any(clause.hedged for clause in written):
        return Reason.SCOPE
    if any(clause.partial for clause in said) != any(clause.partial for clause in written):
        return Reason.SCOPE
    if any(clause.exclusive for clause in said) != any(clause.exclusive for clause in written):
        return Reason.SCOPE
    universal = any(clause.universal and not clause.negated and not clause.condition for clause in said)
    return Reason.SCOPE if universal and not any(clause.universal for clause in written) else None


def splicing(alignment: Alignment) -> Reason | None:
    """Two statements that a semicolon parts are not one."""
    source = alignment.source
    if any(token.form == ";" for token in alignment.statement.tokens):
        return None
    stems = Counter(source.tokens[position].stem for position in source.content)
    own = [position for position in alignment.sources() if stems[source.tokens[position].stem] == 1]
    for place, token in enumerate(source.tokens[:-1]):
        if token.form == ";" and source.tokens[place + 1].has("start") and own and min(own) < place < max(own):
            return Reason.SPLICED
    return None


_VETOES: tuple[Callable[[Alignment], Reason | None], ...] = (
    numbers, names, negation, directions, times, comparisons, modality, association, conditions, scope, roles, splicing,
)  # fmt: skip
