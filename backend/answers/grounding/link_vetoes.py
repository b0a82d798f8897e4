"""Rules on how clauses are joined: a condition of the evidence must not become a reason, a purpose or a time before."""

from collections.abc import Iterator
from itertools import pairwise

from backend.answers.grounding.alignment import Alignment
from backend.answers.grounding.role_vetoes import TIMES
from backend.answers.grounding.verdict import Reason
from backend.language.bounds import Bound
from backend.language.modals import Modality
from backend.language.parsed_sentences import Clause, ParsedSentence
from backend.language.tokens import TokenKind

_BEYOND = frozenset({"before", "until"})
_PREPOSITIONS = frozenset({
    "before", "after", "by", "within", "over", "under", "in", "on", "from", "to", "through", "at", "with", "without", "for",
    "during", "between", "above", "below", "of",
})  # fmt: skip
_PARTICIPLES = frozenset({
    "sent", "made", "held", "given", "paid", "bought", "sold", "lost", "stolen", "taken", "drawn", "written", "known", "left",
    "kept",
})  # fmt: skip
_DENIALS = frozenset({Modality.NOT, Modality.PROHIBITED, Modality.EXEMPT, Modality.PERHAPS_NOT})
_SPANS = frozenset({"minute", "hour", "day", "workday", "month", "quarter", "date"})
_NEAR = 4  # tokens before the first word of a clause among which is what it hangs by
_LONGEST_PHRASE = 16  # tokens


def links(alignment: Alignment) -> Reason | None:
    """Refuses a statement that makes a reason, a purpose or a time of a condition of the evidence, or a condition of those."""
    for own, theirs in alignment.matched():
        said, written = _link(alignment.statement, own), _link(alignment.source, theirs[0])
        if said and written and said != written:
            return Reason.CONDITION
    cases = [clause for clause in alignment.source.clauses if _link(alignment.source, clause) == "case"]
    return Reason.CONDITION if any(_hangs_otherwise(alignment, clause) for clause in cases) else None


def alternatives(alignment: Alignment) -> Reason | None:
    """Refuses "and" where a condition of the evidence has "or", and the reverse: "if it was lost and if it was stolen"."""
    statement, source = alignment.statement, alignment.source
    for one, other in pairwise(statement.content):
        if one not in alignment.pairs or other not in alignment.pairs:
            continue
        first, last = alignment.pairs[one].source, alignment.pairs[other].source
        said, written = _joins(statement, one, other), _joins(source, first, last)
        clause = source.clauses[source.clause_of(last)]
        if said and written and said.isdisjoint(written) and (clause.condition or clause.modality is Modality.MUST):
            return Reason.CONDITION
    return None


def _joins(reading: ParsedSentence, first: int, last: int) -> set[str]:
    """Returns by what two words are joined: by "and", by "or"."""
    forms = {token.form for token in reading.tokens[first + 1 : last]}
    return {name for name in ("joins_all", "joins_either") if forms & reading.language.rule(name)}


def _hangs_otherwise(alignment: Alignment, case: Clause) -> bool:
    """Whether the statement puts "before" or "because" where the evidence has a condition."""
    said = [pair.said for pair in alignment.pairs.values() if case.first <= pair.source <= case.last]
    before = alignment.statement.tokens[max(min(said) - _NEAR, 0) : min(said)] if said else ()
    known = {token.form for token in alignment.source.tokens}
    if any(token.has("condition") for token in before):
        return False
    return any(
        (token.has("reason") or TIMES.get(token.form) in _BEYOND) and token.form not in known for token in before
    )


def _link(reading: ParsedSentence, clause: Clause) -> str | None:
    """Returns by what a clause hangs on another: a case, a reason or purpose, or a time before which something else is."""
    for token in reading.tokens[clause.first : clause.first + 3]:
        if token.has("reason"):
            return "reason"
        if TIMES.get(token.form) in _BEYOND:
            return TIMES[token.form] if clause.condition else None
        if token.has("condition") and not token.has("negation") and not token.has("concession"):
            return "case"
    return None


def restrictions(alignment: Alignment) -> Reason | None:
    """What is said of things of one kind is not said of all: "transfers sent before 4 p.m. are" is not "transfers are"."""
    if any(_is_lost(alignment, *phrase) for phrase in _phrases(alignment.source)):
        return Reason.CONDITION
    return Reason.CONDITION if _loses_a_threshold(alignment) or _denies_more(alignment) else None


def _loses_a_threshold(alignment: Alignment) -> bool:
    """Whether the number that bounds what a claim is about is left out: "checks over $5,000 may be held"."""
    source = alignment.source
    for index, quantity in enumerate(source.quantities):
        clause = source.clauses[source.quantity_clause(index)]
        predicate = next(
            (place for place in range(clause.first, clause.last + 1) if _is_predicate(source, place)), clause.first
        )
        head = [place for place in clause.content if place < quantity.first][-1:]
        bounded = source.bounds[index] in {Bound.OVER, Bound.UNDER, Bound.LEAST} and quantity.unit != "ordinal"
        said = any(other.says(quantity) for other in alignment.statement.quantities)
        spoken_of = quantity.last < predicate and not clause.condition and head and head[0] in alignment.sources()
        if bounded and spoken_of and not said:
            return True
    return False


def _denies_more(alignment: Alignment) -> bool:
    """Whether what is denied for some time is denied without it: "cannot charge after three years"."""
    for own, theirs in alignment.matched():
        if theirs[0].modality not in _DENIALS or own.condition or theirs[0].condition:
            continue
        for index, quantity in enumerate(alignment.source.quantities):
            inside = theirs[0].first <= quantity.first <= theirs[0].last
            timed = quantity.unit in _SPANS and alignment.source.bounds[index] is not Bound.NONE
            if inside and timed and not any(said.says(quantity) for said in alignment.statement.quantities):
                return True
    return False


def _is_predicate(reading: ParsedSentence, place: int) -> bool:
    token = reading.tokens[place]
    return token.has("finite") or any(tag.startswith("modal") for tag in token.tags)


def _phrases(reading: ParsedSentence) -> Iterator[tuple[int, int]]:
    """Yields the first and last token of each participle with what belongs to the noun before it: "purchases made in person"."""
    tokens = reading.tokens
    for position in range(1, len(tokens) - 1):
        form = tokens[position].form
        participle = form in _PARTICIPLES or (form.endswith("ed") and len(form) > 4)
        beyond = tokens[min(position + 2, len(tokens) - 1)].form
        followed = participle and (
            tokens[position + 1].form in _PREPOSITIONS
            or (beyond in _PREPOSITIONS and not tokens[position + 1].has("start"))
        )
        acting = form.endswith("ing") and len(form) > 5 and position in reading.content
        noun = position - 2 if tokens[position - 1].form == "," else position - 1
        if not (followed or acting) or noun not in reading.content:
            continue
        for end in range(position + 2, min(position + _LONGEST_PHRASE, len(tokens))):
            token = tokens[end]
            ends = token.kind is TokenKind.PUNCTUATION or token.has("link") or token.has("condition")
            predicate = token.has("finite") or any(tag.startswith("modal") for tag in token.tags)
            if predicate or (ends and followed):
                yield position, end - 1
            if predicate or ends:
                break


def _is_lost(alignment: Alignment, first: int, last: int) -> bool:
    """Whether the statement has the noun, and of what restricts it not every number, or no word."""
    source, used = alignment.source, alignment.sources()
    if not {first - 1, first - 2} & used:
        return False
    numbers = [quantity for quantity in source.quantities if first <= quantity.first <= last]
    if any(not any(said.says(quantity) for said in alignment.statement.quantities) for quantity in numbers):
        return True
    content = [place for place in source.content if first < place <= last]
    return bool(content) and not numbers and not any(place in used for place in content)
