"""Rules on words that change places: "the branch informs the bank" is not "the bank informs the branch"."""

from collections import Counter

from backend.answers.grounding.alignment import Alignment, Grade
from backend.answers.grounding.verdict import Reason
from backend.language.parsed_sentences import Clause, ParsedSentence
from backend.language.tokens import TokenKind

_ALIKE = frozenset({Grade.SAME, Grade.SYNONYM})
_INVERSION = 3  # words of a phrase, a verb and its subject, which may stand the other way round
_NEAR = 3  # tokens between a verb and a noun before or after it


def exchanges(alignment: Alignment) -> Reason | None:
    """Refuses a statement in which two nouns, words of two clauses or who acts stand for each other."""
    broken = (
        _turned_round(alignment)
        or _exchanged(alignment)
        or _change_places(alignment)
        or _acts_for_another(alignment)
        or _another_acts(alignment)
    )
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
            fronted = _is_governed(statement, one.said)
            if (
                reversed_order
                and near
                and not fronted
                and is_verb(statement, verb.said)
                and is_verb(source, verb.source)
            ):
                return True
    return False


def is_verb(reading: ParsedSentence, place: int) -> bool:
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


def _change_places(alignment: Alignment) -> bool:
    """Whether two phrases stand in each other's place and all else where it was: "A sends it to B" for "B sends it to A"."""
    statement, source = alignment.statement, alignment.source
    pairs = [alignment.pairs[place] for place in statement.content if place in alignment.pairs]
    places = [pair.source for pair in pairs]
    copied = all(pair.grade is Grade.SAME for pair in pairs) and len(set(places)) == len(places)
    if not copied or alignment.missing or any(clause.passive for clause in (*statement.clauses, *source.clauses)):
        return False
    swap = _swapped([sorted(places).index(place) for place in places])
    if swap is None:
        return False
    moved = [pairs[swap[0]], pairs[swap[-1]]]
    if any(_is_conditional(statement, pair.said) and _is_conditional(source, pair.source) for pair in moved):
        return False
    governed = [_is_governed(statement, pair.said) != _is_governed(source, pair.source) for pair in moved]
    bare = not any(_is_governed(statement, pair.said) for pair in moved)
    return any(governed) or (bare and len(swap) > _INVERSION)


def _is_conditional(reading: ParsedSentence, place: int) -> bool:
    return reading.clauses[reading.clause_of(place)].condition


def _is_governed(reading: ParsedSentence, place: int) -> bool:
    """Whether a preposition stands before a noun."""
    before = max((word for word in reading.content if word < place), default=-1)
    return any(token.form in reading.language.rule("prepositions") for token in reading.tokens[before + 1 : place])


def _swapped(ranks: list[int]) -> range | None:
    """Returns which words lie between two phrases that have changed places, with these; None if none have."""
    runs = _runs(ranks)
    starts = [sum(map(len, runs[:number])) for number in range(len(runs))]
    moved = [number for number, run in enumerate(runs) if run[0] != starts[number]]
    if not moved:
        return None
    one, other = moved[0], moved[-1]
    falling = len(moved) == 3 and runs[moved[0]][0] > runs[moved[1]][0] > runs[moved[2]][0]
    exchanged = len(moved) == 2 and other - one > 1
    return range(starts[one], starts[other] + len(runs[other])) if falling or exchanged else None


def _runs(ranks: list[int]) -> list[list[int]]:
    """Returns the longest runs of ranks that follow one on the other."""
    runs: list[list[int]] = []
    for rank in ranks:
        if runs and rank == runs[-1][-1] + 1:
            runs[-1].append(rank)
        else:
            runs.append([rank])
    return runs


def _another_acts(alignment: Alignment) -> bool:
    """Whether who does the same in both is who it is done to or from in the evidence, or a party that it does not know."""
    statement, source = alignment.statement, alignment.source
    for own, (other, *_) in alignment.matched():
        said, written = _actor(statement, own), _actor(source, other)
        if said is None or written is None:
            continue
        verb, subject = alignment.pairs.get(said[1]), alignment.pairs.get(said[0])
        if verb is None or verb.source != written[1]:
            continue
        if subject is not None and subject.source > written[1] and subject.source != written[0]:
            return True
        parties = [
            tag for reading, place in ((statement, said[0]), (source, written[0]))
            for tag in reading.tokens[place].tags if tag.startswith("party.")
        ]  # fmt: skip
        if subject is None and written[0] not in alignment.sources() and parties:
            return True
    return False


def _actor(reading: ParsedSentence, clause: Clause) -> tuple[int, int] | None:
    """Returns the subject's noun and the verb of a claim in the active voice; None where they are not plain to see."""
    if clause.passive:
        return None
    tokens, content = reading.tokens, clause.content
    modal = next(
        (at for at in range(clause.first, clause.last + 1) if any(tag.startswith("modal") for tag in tokens[at].tags)),
        None,
    )
    verb = next((at for at in content if (at > modal if modal is not None else is_verb(reading, at))), None)
    before = [at for at in content if at < (modal if modal is not None else verb or 0)]
    if verb is None or not before:
        return None
    suffered = any(token.has("passive") for token in tokens[verb - 2 : clause.last + 1] if modal is not None)
    if suffered or tokens[verb].form.endswith(tuple(reading.language.rule("reflexive_endings")) or "\0"):
        return None
    subject = before[-1]
    opening = [token.form for token in tokens[max(subject - 2, clause.first) : subject]]
    attached = any(form in reading.language.rule("prepositions") or form == "," for form in opening)
    return None if attached else (subject, verb)


def _acts_for_another(alignment: Alignment) -> bool:
    """Whether a word that the evidence lacks stands behind "by" of a passive that has another agent."""
    statement, source = alignment.statement, alignment.source
    said, written = _agents(statement), _agents(source)
    if not said or not written:
        return False
    missing = {*alignment.missing, *alignment.context}
    return any(place in missing for place in said) and not any(place in alignment.sources() for place in written)


def _agents(reading: ParsedSentence) -> list[int]:
    """Returns the content words that follow "by" in passive claims."""
    found = []
    for clause in reading.clauses:
        for place in range(clause.first, clause.last):
            if clause.passive and reading.tokens[place].form in reading.language.rule("agents"):
                found += [word for word in clause.content if place < word <= place + _NEAR][:2]
    return found
