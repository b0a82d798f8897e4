"""What must be exact whatever else is alike: each veto names the rule that a statement breaks against its evidence."""

from collections.abc import Callable
from dataclasses import dataclass

from backend.answers.grounding.agent_vetoes import doers
from backend.answers.grounding.alignment import Alignment, Grade, Pair, is_complement
from backend.answers.grounding.exchange_vetoes import exchanges
from backend.answers.grounding.link_vetoes import alternatives, links, restrictions
from backend.answers.grounding.modality_vetoes import modality
from backend.answers.grounding.omission_vetoes import omissions
from backend.answers.grounding.quantity_vetoes import association, attachments, numbers, rates
from backend.answers.grounding.relation_vetoes import causes, compared, tenses
from backend.answers.grounding.replacement_vetoes import limits, replacements
from backend.answers.grounding.role_vetoes import comparisons, directions, names, roles, times, voices
from backend.answers.grounding.scope_vetoes import placement, scope
from backend.answers.grounding.shortening_vetoes import hedges, otherwise, shortenings, unfinished
from backend.answers.grounding.splice_vetoes import (
    moved_numbers,
    spliced_clauses,
    spliced_parts,
    splicing,
    strange_clauses,
)
from backend.answers.grounding.verdict import Reason
from backend.language.clauses import COORDINATING, has_predicate, is_condition
from backend.language.parsed_sentences import Clause, ParsedSentence

_ENOUGH_OF_CONDITION = 0.4  # of its own words and numbers, by a statement that has a condition
_ENOUGH_UNSTATED = 0.5  # by one that says it otherwise
_LEFT_OUT = 0.15  # of the evidence's words, by a statement that has nearly all of them


@dataclass(frozen=True, slots=True)
class Held:
    """A word or number of a condition: whether the statement has it, and whether no other clause has it."""

    there: bool
    own: bool
    is_number: bool = False


def broken(alignment: Alignment) -> Reason | None:
    """Returns the first rule that the statement breaks; None if it breaks none."""
    return next((reason for veto in _VETOES if (reason := veto(alignment)) is not None), None)


def negation(alignment: Alignment) -> Reason | None:
    """What is asserted must be negated as often, modulo two, as what it draws on; "not eligible" is "ineligible"."""
    statement, source = alignment.statement, alignment.source
    for mine, theirs in alignment.matched():
        if mine.negations > max(1, *(clause.negations for clause in theirs)):
            return Reason.NEGATION  # "do not have no" is said by nobody who means it
    if any(is_complement(alignment, pair) and _tells_which(alignment, pair) for pair in alignment.pairs.values()):
        return Reason.NEGATION  # "unsolicited calls are not recorded" for "solicited calls are recorded"
    for said, written in _components(alignment):
        count = sum(statement.clauses[number].negations for number in said)
        count += sum(source.clauses[number].negations - _unsaid(alignment, number) for number in written)
        if (count + len(_flips(alignment, said))) % 2:
            return Reason.NEGATION
    unmatched = [clause for number, clause in enumerate(statement.clauses) if number not in alignment.clauses]
    if any(clause.negations % 2 for clause in unmatched):
        return Reason.NEGATION
    return Reason.NEGATION if _loses_one(alignment) else None


def _unsaid(alignment: Alignment, number: int) -> int:
    """Returns how many nouns of a clause are negated alone and left out: "with no grace period", "without approval"."""
    source, used = alignment.source, alignment.sources()
    clause, lacking = source.clauses[number], source.language.rule("lacking")
    count = 0
    for place in range(clause.first, clause.last + 1):
        token = source.tokens[place]
        alone = token.form == "no" and place > 0 and source.tokens[place - 1].form == "with"
        if token.has("negation") and (alone or token.form in lacking):
            noun = next((position for position in clause.content if position > place), None)
            count += noun is not None and noun not in used
    return count


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


def _tells_which(alignment: Alignment, pair: Pair) -> bool:
    """Whether both words of a pair of opposites stand before a noun, so that they negate nothing that is asserted."""
    both = (alignment.statement, pair.said), (alignment.source, pair.source)
    return pair.grade is Grade.OPPOSITE and all(place + 1 in reading.content for reading, place in both)


def _loses_one(alignment: Alignment) -> bool:
    """Whether the statement has nearly every word of the evidence, but another number of negations in all."""
    source, statement = alignment.source, alignment.statement
    left = [position for position in source.content if position not in alignment.sources()]
    if len(left) > _LEFT_OUT * len(source.content) or not source.content:
        return False
    count = sum(clause.negations for clause in (*statement.clauses, *source.clauses))
    return (count + len(_flips(alignment, set(range(len(statement.clauses)))))) % 2 == 1


def conditions(alignment: Alignment) -> Reason | None:
    """Every condition of the evidence must be in the statement as one, and the statement has none of its own."""
    if not all(_kept(alignment)) or _only_conditions(alignment):
        return Reason.CONDITION
    either = any(clause.alternative for clause in alignment.source.clauses)
    for own, theirs in alignment.matched():
        if not own.condition:
            continue
        if own.alternative and not either:
            return Reason.CONDITION  # "if A or B" for "if A and B"
        if not any(clause.condition for clause in theirs):
            moved = _is_time_in_front(alignment.statement, own)
            if any(clause.condition for clause in alignment.source.clauses) or (
                own.negations != theirs[0].negations and not moved
            ):
                return Reason.CONDITION
        elif theirs[0].condition and own.concession != theirs[0].concession:
            return Reason.CONDITION
    return None


def _is_time_in_front(reading: ParsedSentence, clause: Clause) -> bool:
    """Whether a clause is only a time that stands before its claim: "After the first three years, "."""
    own = reading.tokens[clause.first : clause.last + 1]
    return clause.first == 0 and own[0].has("temporal") and not clause.negations and not has_predicate(own)


def _kept(alignment: Alignment) -> list[bool]:
    """Returns whether the statement has each condition of the evidence.

    Of alternatives ("if A or if B and C") one is enough, with all that "and" joins to it.
    """
    statement, source = alignment.statement, alignment.source
    main = {theirs[0] for mine, theirs in alignment.clauses.items() if not statement.clauses[mine].condition}
    conditions: list[list[list[list[Held]]]] = []  # of alternatives, of parts that "and" joins, of words and numbers
    for number, clause in enumerate(source.clauses):
        if not clause.condition or clause.concession or number in main or _apart(alignment, number, main):
            continue
        held, opening = _held(alignment, number), source.tokens[clause.first]
        if conditions and opening.has("temporal") and source.tokens[clause.first - 1].form != ",":
            conditions[-1][-1][-1].extend(held)  # "if it is used before you report it"
        elif not conditions or not (clause.alternative or opening.form in COORDINATING or not is_condition(opening)):
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


def _is_enough(held: list[Held], *, stated: bool) -> bool:
    """Whether enough of a condition is there, with a number if it has one, and something of what only it says.

    Without own words, any condition is enough.
    """
    numbers = [one.there for one in held if one.is_number]
    if numbers and not any(numbers):
        return False
    own = [one.there for one in held if one.own]
    if not stated:
        return bool(own) and sum(own) >= _ENOUGH_UNSTATED * len(own)
    return not held or (sum(one.there for one in held) >= _ENOUGH_OF_CONDITION * len(held) and (any(own) or not own))


def _held(alignment: Alignment, number: int) -> list[Held]:
    """Returns the words and numbers of a condition: whether the statement has each, and whether nothing else has it."""
    source, used = alignment.source, alignment.sources()
    others = [clause for place, clause in enumerate(source.clauses) if place != number and not clause.condition]
    elsewhere = {source.tokens[position].stem for clause in others for position in clause.content}
    words = [
        Held(there=position in used or _echoed(alignment, position), own=source.tokens[position].stem not in elsewhere)
        for position in source.clauses[number].content
    ]
    counted = [index for index in range(len(source.quantities)) if source.quantity_clause(index) == number]
    repeated = [quantity for index, quantity in enumerate(source.quantities) if index not in counted]
    numbers = [
        Held(
            there=any(other.says(source.quantities[index]) for other in alignment.statement.quantities),
            own=not any(source.quantities[index].says(other) for other in repeated),
            is_number=source.quantities[index].unit != "ordinal",
        )
        for index in counted
    ]
    return words + numbers


def _limits(reading: ParsedSentence, clause: Clause) -> bool:
    """Whether the clause begins with "until" or the like: of two limits, neither can be left out."""
    return any(
        token.has("temporal") or token.has("negation") for token in reading.tokens[clause.first : clause.first + 3]
    )


def _only_conditions(alignment: Alignment) -> bool:
    """Whether what the statement asserts is in the evidence only as a condition."""
    asserted = [theirs for mine, theirs in alignment.matched() if not mine.condition]
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


_VETOES: tuple[Callable[[Alignment], Reason | None], ...] = (
    numbers, names, negation, placement, directions, times, comparisons, modality, association, rates, attachments,
    conditions, links, restrictions, scope, roles, voices, doers, splicing,
    spliced_clauses, spliced_parts, strange_clauses, moved_numbers, replacements, limits, omissions, exchanges,
    shortenings, otherwise, hedges, unfinished, alternatives, causes, compared, tenses,
)  # fmt: skip
