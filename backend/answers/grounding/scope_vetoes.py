"""Rules on "only", "all" and "not": a statement must not widen what the evidence limits, nor deny another part of it."""

from collections.abc import Callable, Iterable

from backend.answers.grounding.alignment import Alignment
from backend.answers.grounding.verdict import Reason
from backend.language.parsed_sentences import Clause, ParsedSentence
from backend.language.tokens import Token

_REACH = 4  # tokens after "not" or "only" among which the word is that it is about
_ADVERBS = frozenset({"not", "n't", "never"})


def scope(alignment: Alignment) -> Reason | None:
    """Refuses a statement that says of all things what the evidence says of some, as a rule, or of these only."""
    said = [mine for mine, _ in alignment.matched()]
    written = [clause for _, theirs in alignment.matched() for clause in theirs]
    if any(clause.hedged for clause in said) != any(clause.hedged for clause in written):
        return Reason.SCOPE
    if any(clause.partial for clause in said) != any(clause.partial for clause in written):
        return Reason.SCOPE
    if not _degrees(alignment.statement, said) <= _degrees(alignment.source, written):
        return Reason.SCOPE  # "often" for "sometimes"
    if any(clause.exclusive for clause in said) != any(clause.exclusive for clause in written):
        return Reason.SCOPE
    passive = any(clause.passive for own, theirs in alignment.matched() for clause in (own, *theirs))
    if _tells_a_change(alignment) or (not passive and _is_moved(alignment, lambda token: token.has("exclusive"))):
        return Reason.SCOPE
    universal = any(clause.universal and not clause.negated and not clause.condition for clause in said)
    return Reason.SCOPE if universal and not any(clause.universal for clause in written) else None


def placement(alignment: Alignment) -> Reason | None:
    """Refuses a statement whose negation belongs to another word: "not charged, if paid" is not "charged, if not paid"."""
    if alignment.statement.language.rule("negation_apart"):
        return None
    return Reason.NEGATION if _is_moved(alignment, lambda token: token.form in _ADVERBS) else None


def _degrees(reading: ParsedSentence, clauses: Iterable[Clause]) -> set[str]:
    """Returns of how many or how often clauses speak: "most" and "usually" say the same of it."""
    found = (token for clause in clauses for token in reading.tokens[clause.first : clause.last + 1])
    return {tag for token in found for tag in token.tags if tag.startswith("degree.")}


def _tells_a_change(alignment: Alignment) -> bool:
    """Whether the statement says "no longer" or "not yet", and the evidence only that something is not."""
    said, written = (any(token.has("change") for token in r.tokens) for r in (alignment.statement, alignment.source))
    return said and not written


def _is_moved(alignment: Alignment, is_it: Callable[[Token], bool]) -> bool:
    """Whether such a word is about something of which the evidence does not say it, and the other way round."""
    said, written = _objects(alignment.statement, is_it), _objects(alignment.source, is_it)
    if not said or not written:
        return False
    found = {pair.source: place for place, pair in alignment.pairs.items()}
    taken = [alignment.pairs[place].source for place in said if place in alignment.pairs]
    return any(place not in written for place in taken) and any(
        place in found and found[place] not in said for place in written
    )


def _objects(reading: ParsedSentence, is_it: Callable[[Token], bool]) -> set[int]:
    """Returns the content words that such words stand right before."""
    found = set()
    for position, token in enumerate(reading.tokens):
        if is_it(token):
            following = range(position + 1, min(position + 1 + _REACH, len(reading.tokens)))
            found |= set([place for place in following if place in reading.content][:1])
    return found
