"""Rules on joined claims: a statement must not give the subject of one claim of the evidence what another claim says."""

from collections import Counter
from collections.abc import Iterator
from itertools import permutations

from backend.answers.grounding.alignment import Alignment
from backend.answers.grounding.exchange_vetoes import is_verb
from backend.answers.grounding.quantity_vetoes import same
from backend.answers.grounding.verdict import Reason
from backend.language.clauses import COORDINATING, has_predicate, is_condition
from backend.language.parsed_sentences import Clause, ParsedSentence

Part = tuple[set[int], set[int]]
"""The words of a subject, and those of what is said of it with the first tokens of its numbers."""


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


def spliced_parts(alignment: Alignment) -> Reason | None:
    """Refuses a statement that mixes two parts of a sentence: "A is free, B for a fee of $10", "opened by A and closed by B"."""
    source, used = alignment.source, alignment.sources()
    stems = Counter(token.stem for token in source.tokens)
    said = {place for place in used if stems[source.tokens[place].stem] == 1}
    said |= {
        quantity.first
        for quantity in source.quantities
        if any(other.says(quantity) for other in alignment.statement.quantities)
        and sum(other.says(quantity) for other in source.quantities) == 1
    }
    for left, right in _joined_parts(source):
        (mine, predicate), (theirs, other) = left, right
        if theirs and mine & said and other & said and not theirs & used:
            return Reason.SPLICED
        if theirs & said and predicate & said and not mine & used and other and not other & said:
            return Reason.SPLICED
    return None


def _joined_parts(reading: ParsedSentence) -> Iterator[tuple[Part, Part]]:
    """Yields the neighbouring parts of a sentence, of which the second has a subject of its own."""
    stops = [place for place, token in enumerate(reading.tokens) if token.form in {",", ";"} or _joins(reading, place)]
    edges = [-1, *stops, len(reading.tokens)]
    for before, stop, end in zip(edges, edges[1:], edges[2:], strict=False):
        opening = reading.tokens[before + 1]
        aside = opening.has("condition") or opening.has("temporal")
        if aside or opening.form in reading.language.rule("prepositions"):
            continue
        end = next((at for at in range(stop + 1, end) if is_condition(reading.tokens[at])), end)  # noqa: PLW2901
        left, right = _part(reading, before + 1, stop), _part(reading, stop + 1, end)
        if not _has_verb(reading, before + 1, stop):
            continue
        if reading.tokens[stop].form in COORDINATING and not _has_verb(reading, stop + 1, end):
            continue  # "banks and credit unions"
        if left is not None and right is not None and not any(_is_participle(reading, at) for at in right[0]):
            yield left, right


def _has_verb(reading: ParsedSentence, first: int, end: int) -> bool:
    return has_predicate(reading.tokens[first:end]) or any(
        is_verb(reading, at) for at in reading.content if first <= at < end
    )


def _is_participle(reading: ParsedSentence, place: int) -> bool:
    return reading.tokens[place].form.endswith("ed")


def _joins(reading: ParsedSentence, place: int) -> bool:
    return reading.tokens[place].form in COORDINATING and place > 0 and reading.tokens[place - 1].form != ","


def _part(reading: ParsedSentence, first: int, end: int) -> Part | None:
    """Returns the words of a part's subject and all others; None for a part that does not begin with a noun of its own."""
    place = first
    while place < end and reading.tokens[place].form in COORDINATING:
        place += 1
    articles = reading.language.rule("articles")
    article = place < end and (reading.tokens[place].form in articles or reading.tokens[place].has("possessive"))
    relative = place < end and reading.tokens[place].form in reading.language.rule("relative")
    if relative and first > 1 and first - 2 in reading.content:
        subject = {first - 2}
    else:
        place += article
        subject = set()
        while place < end and place in reading.content and (article or not subject or place + 1 < end):
            subject.add(place)
            place += 1
        if article:
            subject = set(sorted(subject)[:1]) if len(subject) > 1 else subject
    rest = {at for at in reading.content if first <= at < end} - subject
    rest |= {quantity.first for quantity in reading.quantities if first <= quantity.first < end}
    return (subject, rest) if subject and rest else None


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
        if sum(other.says(quantity) for other in statement.quantities) > len(found):
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
