"""Rules on words that change places: "the branch informs the bank" is not "the bank informs the branch"."""

from collections import Counter

from backend.answers.grounding.alignment import Alignment, Grade
from backend.answers.grounding.verdict import Reason
from backend.language.parsed_sentences import ParsedSentence
from backend.language.tokens import TokenKind

_ALIKE = frozenset({Grade.SAME, Grade.SYNONYM})
_NEAR = 3  # tokens between a verb and a noun before or after it


def exchanges(alignment: Alignment) -> Reason | None:
    """Refuses a statement in which two nouns, words of two clauses or who acts stand for each other."""
    broken = _turned_round(alignment) or _exchanged(alignment) or _acts_for_another(alignment)
    return Reason.ROLE if broken else None


def _turned_round(alignment: Alignment) -> bool:
    """Whether the nouns on both sides of a verb change places, in a claim of the same voice."""
    statement, source = alignment.statement, alignment.source
    for own, (other, *_) in alignment.matched():
        if own.passive != other.passive:
            continue
        pairs = sorted(
            (pair for pair in alignment.pairs.values() if own.first <= pair.said <= own.last and pair.grade in _ALIKE),
            key=lambda pair: pair.said,
        )
        for one, verb, two in zip(pairs, pairs[1:], pairs[2:], strict=False):
            reversed_order = one.source > verb.source > two.source
            near = verb.said - one.said <= _NEAR and verb.source - two.source <= _NEAR
            if reversed_order and near and _is_verb(statement, verb.said) and _is_verb(source, verb.source):
                return True
    return False


def _is_verb(reading: ParsedSentence, place: int) -> bool:
    """Whether a content word follows a noun and stands before an article, as no noun does: "bank informs the"."""
    before, after = reading.tokens[max(place - 1, 0)], reading.tokens[min(place + 1, len(reading.tokens) - 1)]
    articles = reading.language.rule("articles")
    preposition = before.form in reading.language.rule("prepositions") or before.form in articles
    opens = after.has("start") or after.form in articles
    return opens and not preposition and before.kind is TokenKind.WORD


def _exchanged(alignment: Alignment) -> bool:
    """Whether words of two clauses change places: "the borrower pays after the lender has sued the guarantor"."""
    statement, source = alignment.statement, alignment.source
    stems = Counter(source.tokens[place].stem for place in source.content)
    principal = {mine: theirs[0] for mine, theirs in alignment.clauses.items()}
    moved = {
        (principal[mine], source.clause_of(pair.source))
        for pair in alignment.pairs.values()
        if (mine := statement.clause_of(pair.said)) in principal
        and pair.grade is Grade.SAME
        and stems[source.tokens[pair.source].stem] == 1
    }
    return any(one != other and (other, one) in moved for one, other in moved)


def _acts_for_another(alignment: Alignment) -> bool:
    """Whether a word that the evidence lacks stands behind "by" of a passive that has another agent."""
    statement, source = alignment.statement, alignment.source
    said, written = _agents(statement), _agents(source)
    if not said or not written:
        return False
    missing = set(alignment.missing)
    return any(place in missing for place in said) and not any(place in alignment.sources() for place in written)


def _agents(reading: ParsedSentence) -> list[int]:
    """Returns the content words that follow "by" in passive claims."""
    found = []
    for clause in reading.clauses:
        for place in range(clause.first, clause.last):
            if clause.passive and reading.tokens[place].form in reading.language.rule("agents"):
                found += [word for word in clause.content if place < word <= place + _NEAR][:2]
    return found
