"""What must be exact whatever else is alike: each veto names the rule that a statement breaks against its evidence."""

from collections.abc import Callable, Iterator

from backend.answers.grounding.alignment import Alignment, Grade, alike, is_complement
from backend.answers.grounding.quantity_vetoes import association, numbers
from backend.answers.grounding.role_vetoes import comparisons, directions, names, roles, times
from backend.answers.grounding.verdict import Reason
from backend.language.readings import Clause, Modality

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

_ENOUGH_OF_CONDITION = 0.4


def broken(alignment: Alignment) -> Reason | None:
    """Returns the first rule that the statement breaks; None if it breaks none."""
    return next((reason for veto in _VETOES if (reason := veto(alignment)) is not None), None)


def matched(alignment: Alignment) -> Iterator[tuple[Clause, list[Clause]]]:
    """Yields each clause of the statement with those of the evidence that it draws on, the most important first."""
    for mine, theirs in alignment.clauses.items():
        yield alignment.statement.clauses[mine], [alignment.source.clauses[number] for number in theirs]


def negation(alignment: Alignment) -> Reason | None:
    """Every clause must be negated as often, modulo two, as what it draws on; "not eligible" is "ineligible"."""
    for mine, theirs in matched(alignment):
        flips = sum(
            pair.grade is Grade.OPPOSITE
            for pair in alignment.pairs.values()
            if mine.first <= pair.said <= mine.last and is_complement(alignment, pair)
        )
        if mine.negations > max(1, *(clause.negations for clause in theirs)):
            return Reason.NEGATION  # "do not have no" is said by nobody who means it
        if (mine.negations + sum(clause.negations for clause in theirs) + flips) % 2:
            return Reason.NEGATION
    unmatched = [clause for number, clause in enumerate(alignment.statement.clauses) if number not in alignment.clauses]
    return Reason.NEGATION if any(clause.negations % 2 for clause in unmatched) else None


def modality(alignment: Alignment) -> Reason | None:
    """A duty is no option, an option no duty, and advice neither."""
    for mine, theirs in matched(alignment):
        of_kind = [clause for clause in theirs if clause.condition == mine.condition] or theirs
        flipped = (mine.negations + of_kind[0].negations) % 2 == 1
        if not flipped and mine.modality not in _MODALITIES[of_kind[0].modality] and not mine.condition:
            return Reason.MODALITY
    return None


def conditions(alignment: Alignment) -> Reason | None:
    """Every condition of the evidence must be in the statement as one, and the statement has none of its own."""
    if not all(any(group) for group in _kept(alignment)) or _only_conditions(alignment):
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


def _kept(alignment: Alignment) -> list[list[bool]]:
    """Returns whether the statement has each condition of the evidence; of alternatives ("if … or if …") one is enough."""
    used = alignment.sources()
    main = {theirs[0] for mine, theirs in alignment.clauses.items() if not alignment.statement.clauses[mine].condition}
    groups: list[list[bool]] = []
    for number, clause in enumerate(alignment.source.clauses):
        if not clause.condition or number in main or not clause.content or _apart(alignment, number, main):
            continue
        held = sum(position in used or _echoed(alignment, position) for position in clause.content)
        kept = held / len(clause.content) >= _ENOUGH_OF_CONDITION
        if clause.alternative and groups:
            groups[-1].append(kept)
        else:
            groups.append([kept])
    return groups


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
    """Whether a semicolon stands between the condition and everything that the statement is about."""
    tokens, clause = alignment.source.tokens, alignment.source.clauses[number]
    for other in main:
        first, last = sorted((clause.first, alignment.source.clauses[other].first))
        if not any(token.form == ";" for token in tokens[first:last]):
            return False
    return bool(main)


def _echoed(alignment: Alignment, position: int) -> bool:
    """Whether the statement has the word anywhere, though another word was aligned with it."""
    token = alignment.source.tokens[position]
    return any(
        alike(alignment.statement.tokens[said], token, alignment.statement) for said in alignment.statement.content
    )


def scope(alignment: Alignment) -> Reason | None:
    """Nothing holds for all that holds for some, or generally, or only."""
    said = [mine for mine, _ in matched(alignment)]
    written = [clause for _, theirs in matched(alignment) for clause in theirs]
    if any(clause.hedged for clause in said) != any(clause.hedged for clause in written):
        return Reason.SCOPE
    if any(clause.exclusive for clause in said) != any(clause.exclusive for clause in written):
        return Reason.SCOPE
    universal = any(clause.universal and not clause.negated and not clause.condition for clause in said)
    return Reason.SCOPE if universal and not any(clause.universal for clause in written) else None


_VETOES: tuple[Callable[[Alignment], Reason | None], ...] = (
    numbers, names, negation, directions, times, comparisons, modality, association, conditions, scope, roles,
)  # fmt: skip
