"""Rules on joined claims: a statement must not give the subject of one claim of the evidence what another claim says."""

from collections import Counter
from itertools import permutations

from backend.answers.grounding.alignment import Alignment
from backend.answers.grounding.quantity_vetoes import same
from backend.answers.grounding.verdict import Reason
from backend.language.parsed_sentences import Clause, ParsedSentence


def splicing(alignment: Alignment) -> Reason | None:
    """Refuses a statement that joins two claims which the evidence separates by a semicolon."""
    source = alignment.source
    if any(token.form == ";" for token in alignment.statement.tokens):
        return None
    stems = Counter(source.tokens[position].stem for position in source.content)
    own = [position for position in alignment.sources() if stems[source.tokens[position].stem] == 1]
    for place, token in enumerate(source.tokens[:-1]):
        separates = source.tokens[place + 1].has("start") or not _is_list(source)
        if token.form == ";" and separates and own and min(own) < place < max(own):
            return Reason.SPLICED
    return None


def _is_list(reading: ParsedSentence) -> bool:
    """Whether semicolons part the items of a list: there are several, or a colon introduces them."""
    forms = [token.form for token in reading.tokens]
    return forms.count(";") > 1 or ":" in forms


def spliced_clauses(alignment: Alignment) -> Reason | None:
    """Refuses a statement that takes its subject from one claim and its predicate from another: "X is free, but Y costs"."""
    source = alignment.source
    stems = Counter(source.tokens[position].stem for position in source.content)
    parts = [part for clause in source.clauses if (part := _parts(source, clause))]
    for number, own in enumerate(alignment.statement.clauses):
        if own.condition:
            continue
        used = {
            pair.source
            for pair in alignment.pairs.values()
            if alignment.statement.clause_of(pair.said) == number and stems[source.tokens[pair.source].stem] == 1
        }
        for one, other in permutations(parts, 2):
            if one[0] & used and other[1] & used and not one[1] & used and not other[0] & used:
                return Reason.SPLICED
    return None


def strange_clauses(alignment: Alignment) -> Reason | None:
    """Refuses a statement with a clause of which the evidence, the sentences before it and the title have no word."""
    missing = set(alignment.missing)
    own = [clause.content for clause in alignment.statement.clauses]
    return Reason.SPLICED if any(len(words) > 1 and missing.issuperset(words) for words in own) else None


def moved_numbers(alignment: Alignment) -> Reason | None:
    """A number of one claim is not said in another that has a subject of its own, nor oftener than in the evidence."""
    statement, source = alignment.statement, alignment.source
    used = alignment.sources()
    for quantity in statement.quantities:
        found = same(alignment, quantity)
        if quantity.unit is not None and sum(other.says(quantity) for other in statement.quantities) > len(found):
            return Reason.ASSOCIATION
        drawn_on = Counter(
            source.clause_of(pair.source)
            for pair in alignment.pairs.values()
            if statement.clause_of(pair.said) == statement.clause_of(quantity.first)
        )
        if not drawn_on:
            continue
        own = _parts(source, source.clauses[drawn_on.most_common(1)[0][0]])
        others = [_parts(source, source.clauses[source.quantity_clause(number)]) for number in found]
        if own and all(other is not None and not (other[0] | other[1]) & used for other in others):
            return Reason.ASSOCIATION
    return None


def _parts(reading: ParsedSentence, clause: Clause) -> tuple[set[int], set[int]] | None:
    """Returns the content words of a claim's own subject and of its predicate; None for one that lacks either."""
    if clause.condition:
        return None
    predicate = next(
        (
            place
            for place in range(clause.first, clause.last + 1)
            if reading.tokens[place].has("finite") or any(tag.startswith("modal") for tag in reading.tokens[place].tags)
        ),
        None,
    )
    if predicate is None:
        return None
    subject = {place for place in clause.content if place < predicate}
    rest = set(clause.content) - subject - {predicate}
    return (subject, rest) if subject and rest else None
