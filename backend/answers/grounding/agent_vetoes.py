"""Rules on who does something, said in the active voice of what the evidence says in the passive, or the reverse."""

from backend.answers.grounding.alignment import Alignment, Grade
from backend.answers.grounding.verdict import Reason
from backend.language.modals import Modality
from backend.language.parsed_sentences import Clause, ParsedSentence

_FACTS = frozenset({Modality.PLAIN, Modality.WILL, Modality.NOT})
_NEAR = 4  # tokens after "by" among which is who acts
_BEFORE = 3  # tokens before a participle among which is its form of "be"
_ALIKE = frozenset({Grade.SAME, Grade.SYNONYM})


def doers(alignment: Alignment) -> Reason | None:
    """Refuses a statement in which another does what the evidence says is done, or by whom it is done."""
    for own, (other, *_) in alignment.matched():
        if own.passive != other.passive:
            broken = _acts(alignment, own, other) if other.passive else _suffers(alignment, own, other)
        else:
            broken = not own.passive and _stranger_acts(alignment, own, other)
        if broken:
            return Reason.ROLE
    return _cases_change(alignment)


def _acts(alignment: Alignment, own: Clause, other: Clause) -> bool:
    """Whether who acts in the statement is not who the evidence says it is done by, or is whom it is done for."""
    statement, source = alignment.statement, alignment.source
    verb = next((place for place in own.content if _is_done(alignment, place, other)), None)
    if verb is None:
        return False
    agents = _agents(source, other, alignment.pairs[verb].source)
    subjects = [place for place in own.content if place < verb and not _is_governed(statement, place)]
    if not subjects:
        return own.subject == "customer" and not own.condition and not agents and other.modality in _FACTS
    pair = alignment.pairs.get(subjects[-1])
    if agents:
        return not any(place in alignment.pairs and alignment.pairs[place].source in agents for place in subjects)
    return (
        pair is not None
        and pair.source > alignment.pairs[verb].source
        and _is_governed(source, pair.source, by="recipients")
    )


def _suffers(alignment: Alignment, own: Clause, other: Clause) -> bool:
    """Whether the statement says by whom something is done that another does, or that is done to them."""
    statement, source = alignment.statement, alignment.source
    verb = next((place for place in own.content if place in alignment.pairs and _is_participle(statement, place)), None)
    if verb is None or alignment.pairs[verb].grade not in _ALIKE:
        return False
    agents = _agents(statement, own, verb)
    if not agents:
        return False
    acts = alignment.pairs[verb].source
    found = [alignment.pairs[place].source for place in agents if place in alignment.pairs]
    subjects = [place for place in other.content if place < acts]
    if not found:
        return bool(subjects) or other.subject is not None
    return all(other.first <= place <= other.last and place > acts for place in found) and not source.language.rule(
        "verb_second"
    )


def _stranger_acts(alignment: Alignment, own: Clause, other: Clause) -> bool:
    """Whether somebody of whom the evidence knows nothing does what "you" or "we" must or may do in it."""
    if own.subject or not other.subject:
        return False
    modal = next((one for one in alignment.source.modals if other.first <= one.position <= other.last), None)
    written = next((place for place in other.content if modal is not None and place > modal.position), None)
    verb = next(
        (place for place in own.content if place in alignment.pairs and alignment.pairs[place].source == written), None
    )
    subjects = [place for place in own.content if verb is not None and place < verb]
    known = any(place in alignment.pairs for place in subjects)
    return bool(subjects) and not known and not _is_governed(alignment.statement, subjects[-1])


def _cases_change(alignment: Alignment) -> Reason | None:
    """Refuses what turns "der Berater … den Kunden" into "der Kunde … den Berater"."""
    statement, source = alignment.statement, alignment.source
    subject, objects = statement.language.rule("subject_articles"), statement.language.rule("object_articles")
    turned = set()
    for pair in alignment.pairs.values():
        said = statement.tokens[max(pair.said - 1, 0)].form
        written = source.tokens[max(pair.source - 1, 0)].form
        own, other = (r.clauses[r.clause_of(p)] for r, p in ((statement, pair.said), (source, pair.source)))
        if own.passive == other.passive:
            turned |= {1} if said in subject and written in objects else set()
            turned |= {2} if said in objects and written in subject else set()
    return Reason.ROLE if len(turned) == 2 else None


def _is_done(alignment: Alignment, place: int, other: Clause) -> bool:
    """Whether a word of the statement is what is done in a passive clause of the evidence."""
    pair = alignment.pairs.get(place)
    inside = pair is not None and pair.grade in _ALIKE and other.first <= pair.source <= other.last
    return inside and pair is not None and _is_participle(alignment.source, pair.source)


def _is_participle(reading: ParsedSentence, place: int) -> bool:
    """Whether a form of "be" and this word make a passive."""
    before = reading.tokens[max(place - _BEFORE, 0) : place]
    endings = tuple(reading.language.rule("passive_participles")) or ("ed", "en", "id", "ent", "ade", "old", "ought")
    return reading.tokens[place].form.endswith(endings) and any(token.has("passive") for token in before)


def _agents(reading: ParsedSentence, clause: Clause, verb: int) -> list[int]:
    """Returns the content words behind the first "by" near a participle: after it, or before it in German."""
    places = range(verb + 1, min(verb + 1 + _NEAR, clause.last))
    if reading.language.rule("verb_second"):
        places = range(clause.first, clause.last)
    by = next((at for at in places if reading.tokens[at].form in reading.language.rule("agents")), None)
    if by is None or any(by < quantity.first <= by + 2 for quantity in reading.quantities):
        return []
    return [place for place in clause.content if by < place <= by + _NEAR and place != verb]


def _is_governed(reading: ParsedSentence, place: int, by: str = "prepositions") -> bool:
    """Whether a preposition stands before a noun and the words that tell which is meant."""
    while place - 1 in reading.content:
        place -= 1  # "to the state treasury"
    before = max((word for word in reading.content if word < place), default=-1)
    return any(token.form in reading.language.rule(by) for token in reading.tokens[before + 1 : place])
