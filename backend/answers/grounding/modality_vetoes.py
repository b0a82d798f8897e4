"""Rules on modal verbs: a statement must not make a duty of an option or of advice, nor a forecast of any, nor the reverse."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

from backend.answers.grounding.alignment import Alignment, Grade
from backend.answers.grounding.verdict import Reason
from backend.language.clauses import COORDINATING, has_predicate
from backend.language.modals import NEGATED, Modal, Modality
from backend.language.parsed_sentences import Clause, ParsedSentence
from backend.language.tokens import TokenKind

_SAYABLE: dict[Modality, frozenset[Modality]] = {
    Modality.PLAIN: frozenset({Modality.PLAIN, Modality.WILL}),
    Modality.WILL: frozenset({Modality.WILL, Modality.PLAIN}),
    Modality.MUST: frozenset({Modality.MUST, Modality.PLAIN, Modality.ORDER}),
    Modality.SHOULD: frozenset({Modality.SHOULD, Modality.ORDER}),
    Modality.MAY: frozenset({Modality.MAY, Modality.ORDER}),
    Modality.ORDER: frozenset({Modality.ORDER, Modality.SHOULD, Modality.MAY}),
    Modality.NOT: frozenset({Modality.NOT}),
    Modality.PROHIBITED: frozenset({Modality.PROHIBITED, Modality.PERHAPS_NOT}),
    Modality.PERHAPS_NOT: frozenset({Modality.PERHAPS_NOT}),
    Modality.EXEMPT: frozenset({Modality.EXEMPT}),
    Modality.SHOULD_NOT: frozenset({Modality.SHOULD_NOT}),
}
"""What a statement may say where its evidence says the key."""

_FACTS = frozenset({Modality.PLAIN, Modality.WILL, Modality.NOT})
_NEGATED = frozenset(NEGATED.values()) | {Modality.PERHAPS_NOT}
_BARE = frozenset({Modality.PLAIN, Modality.ORDER})
_REACH = 14  # tokens around a modal verb that tell what it is about
_MEANT = frozenset({Modality.MAY, Modality.SHOULD, Modality.MUST})
_LEFT_OUT = 0.15  # of the evidence's words, by a statement that has nearly all of them
_HEADS = 2  # content words after a modal verb, one of which the statement must have for it to be left out
_ABOUT_THE_SAME = 1.0  # of the weights below
_CONTENT, _SMALL, _BEFORE = (
    1.0,
    0.35,
    0.5,
)  # of a word that follows both, of a small one, of one that stands before both


def modality(alignment: Alignment) -> Reason | None:
    """Each modal verb of the statement stands in the evidence before the same words, and none is left out."""
    if _clauses_differ(alignment):
        return Reason.MODALITY
    partners = {modal: _partners(alignment, modal) for modal in alignment.statement.modals}
    if any(not _is_said(alignment, modal, found) for modal, found in partners.items()) or _is_repeated(
        alignment, partners
    ):
        return Reason.MODALITY
    if _has_fewer(alignment):
        return Reason.MODALITY
    used = {other for found in partners.values() for other in found}
    return (
        Reason.MODALITY
        if any(_is_lost(alignment, other) for other in alignment.source.modals if other not in used)
        else None
    )


def _clauses_differ(alignment: Alignment) -> bool:
    """Whether a clause that asserts something draws on none that asserts it in the same way."""
    for mine, theirs in alignment.clauses.items():
        said = alignment.statement.clauses[mine]
        if said.condition:
            continue
        if mine + 1 < len(alignment.statement.clauses) and _is_phrase(alignment.statement, said):
            continue  # "Without approval, …" says nothing by itself
        written = [alignment.source.clauses[number] for number in theirs]
        if said.modality in _BARE and any(clause.modality not in _BARE for clause in written):
            continue  # a modal verb that is left out is found by its words
        said = replace(said, negations=said.negations + _negations_before(alignment, mine))
        asserted = [clause for clause in written if not clause.condition] or written
        if not any(_allows(clause, said) or _allows_in_part(alignment.source, clause, said) for clause in asserted):
            return True
    return False


def _negations_before(alignment: Alignment, mine: int) -> int:
    """Returns the negations of phrases that stand before a claim and belong to it: "Without approval, …"."""
    statement, principal = alignment.statement, alignment.clauses[mine][0]
    phrases = [
        statement.clauses[other]
        for other, theirs in alignment.clauses.items()
        if other < mine and theirs[0] == principal and _is_phrase(statement, statement.clauses[other])
    ]
    return sum(phrase.negations for phrase in phrases)


def _is_phrase(reading: ParsedSentence, clause: Clause) -> bool:
    """Whether a clause is a preposition with its noun: "Without approval, "."""
    own = reading.tokens[clause.first : clause.last + 1]
    opens = own[0].form in reading.language.rule("prepositions") | reading.language.rule("lacking")
    return opens and not clause.condition and not has_predicate([token for token in own if token.form != "'s"])


def _allows_in_part(source: ParsedSentence, written: Clause, said: Clause) -> bool:
    """Whether one of several modal verbs of a clause may be said so: "should do this and must not do that"."""
    own = [modal for modal in source.modals if written.first <= modal.position <= written.last]
    return any(
        said.modality in _SAYABLE[modal.modality]
        and any(before.position < place < modal.position for place in written.content)
        for before, modal in pairwise(own)
    )


def _allows(written: Clause, said: Clause) -> bool:
    """Whether a clause may be said with the modality of another; only facts can be said by their opposites."""
    if (said.negations + written.negations) % 2:
        return said.modality in _FACTS and written.modality in _FACTS
    return said.modality in _SAYABLE[written.modality]


def _is_said(alignment: Alignment, modal: Modal, partners: list[Modal]) -> bool:
    """Whether the evidence has a modal verb that means this one, before the same words."""
    if partners:
        return any(modal.modality in _SAYABLE[other.modality] for other in partners)
    token = alignment.statement.tokens[modal.position]
    adjective = token.has("modal.must") and token.form in alignment.statement.language.rule("predicative")
    if (adjective or modal.position in alignment.statement.content) and any(
        token.stem == other.stem for other in alignment.source.tokens
    ):
        return True
    return any(modal.modality in _SAYABLE[_bare(alignment.source, number)] for number in _drawn_on(alignment, modal))


def _bare(reading: ParsedSentence, number: int) -> Modality:
    """Returns how a clause means words that follow none of its modal verbs; "must do this and send that" is one duty."""
    clause = reading.clauses[number]
    joined = reading.tokens[clause.first].form in COORDINATING
    return clause.modality if joined or clause.modality in _BARE else Modality.NOT


def _is_repeated(alignment: Alignment, partners: dict[Modal, list[Modal]]) -> bool:
    """Whether two modal verbs of the statement stand for one of the evidence, without "and" or the like between them."""
    tokens = alignment.statement.tokens
    for one, other in pairwise(partners):
        between = tokens[one.position : other.position]
        joined = any(token.form in COORDINATING or token.form in {",", ";"} for token in between)
        if len(partners[one]) == 1 and partners[one] == partners[other] and not joined:
            return True
    return False


def _drawn_on(alignment: Alignment, modal: Modal) -> list[int]:
    """Returns the clauses of the evidence that have the words after a modal verb."""
    following = _after(alignment.statement, modal)
    sources = [alignment.pairs[place].source for place in following if place in alignment.pairs]
    return [alignment.source.clause_of(place) for place in sources[:1]] or [
        theirs[0] for mine, theirs in alignment.clauses.items() if mine == alignment.statement.clause_of(modal.position)
    ]


def _has_fewer(alignment: Alignment) -> bool:
    """Whether the statement has nearly every word of the evidence, but fewer duties, options and pieces of advice."""
    source = alignment.source
    left = len(source.content) - len(alignment.sources() & set(source.content))
    if left > _LEFT_OUT * len(source.content):
        return False
    counted = [
        sum(
            modal.modality in _MEANT and not reading.clauses[reading.clause_of(modal.position)].condition
            for modal in reading.modals
        )
        for reading in (alignment.statement, source)
    ]
    return counted[0] + sum(_is_ordered(alignment, clause) for clause in alignment.statement.clauses) < counted[1]


def _is_ordered(alignment: Alignment, clause: Clause) -> bool:
    """Whether a clause begins with what stands after a modal verb in the evidence: "keep copies" for "you should keep"."""
    pair = alignment.pairs.get(clause.content[0]) if clause.content else None
    if clause.modality is not Modality.ORDER or pair is None:
        return False
    return any(pair.source in _after(alignment.source, modal) for modal in alignment.source.modals)


def _is_lost(alignment: Alignment, modal: Modal) -> bool:
    """Whether the statement has the word that a modal verb of the evidence stands before, without any modal verb."""
    sources = {pair.source: pair.said for pair in alignment.pairs.values() if pair.grade is not Grade.OPPOSITE}
    number = alignment.source.clause_of(modal.position)
    if not any(number in theirs for theirs in alignment.clauses.values()):
        return False
    following = [place for place in _after(alignment.source, modal) if place in alignment.source.content]
    said = next((sources[place] for place in following[:_HEADS] if place in sources), None)
    if said is None:
        return False
    if any(
        modal_.position < said and said in _after(alignment.statement, modal_) for modal_ in alignment.statement.modals
    ):
        return False
    own = alignment.statement.clauses[alignment.statement.clause_of(said)]
    if alignment.source.clauses[number].condition and not (own.condition and said - 1 >= own.first):
        return False
    if modal.modality is Modality.MUST and own.modality is Modality.PLAIN and _is_asserted(alignment, following, said):
        return True
    meant = Modality.ORDER if _is_ordered(alignment, own) else Modality.PLAIN
    if own.negated and (modal.modality in _NEGATED or not alignment.source.clauses[number].negated):
        meant = Modality.NOT
    return own.modality in {Modality.PLAIN, Modality.ORDER, Modality.NOT} and meant not in _SAYABLE[modal.modality]


def _is_asserted(alignment: Alignment, following: list[int], said: int) -> bool:
    """Whether the verb of a duty is said as a fact: "applicants provide"; "has 90 days to complete" states the duty otherwise."""
    pair, before = alignment.pairs[said], alignment.statement.tokens[max(said - 1, 0)]
    verb = pair.source == following[0] and pair.grade is Grade.SAME
    return verb and said - 1 in alignment.statement.content and not before.has("passive")


def _partners(alignment: Alignment, modal: Modal) -> list[Modal]:
    """Returns the modal verbs of the evidence that stand before the same words, the best ones only."""
    weights = {
        other: _weight(alignment, modal, other)
        for other in alignment.source.modals
        if _is_conditional(alignment.source, other) or not _is_conditional(alignment.statement, modal)
    }
    most = max(weights.values(), default=0.0)
    return [other for other, weight in weights.items() if weight >= max(most, _ABOUT_THE_SAME)]


def _is_conditional(reading: ParsedSentence, modal: Modal) -> bool:
    return reading.clauses[reading.clause_of(modal.position)].condition


def _weight(alignment: Alignment, said: Modal, written: Modal) -> float:
    """Returns how much two modal verbs are about the same."""
    statement, source = alignment.statement, alignment.source
    following, theirs = _after(statement, said), set(_after(source, written))
    if statement.tokens[said.position].form in statement.language.rule("predicative"):  # "a signature is mandatory"
        following = _before(statement, said) + following
    small = [source.tokens[place].form for place in theirs if place not in source.content]
    weight = 0.0
    for place in following:
        pair = alignment.pairs.get(place)
        if pair is not None:
            weight += _CONTENT * (pair.source in theirs)
        elif place not in statement.content:
            weight += _SMALL * (statement.tokens[place].form in small)
    weight += _CONTENT * sum(
        one.says(other)
        for one in statement.quantities
        for other in source.quantities
        if one.first in following and other.first in theirs
    )
    before = set(_before(source, written))
    return weight + sum(
        _BEFORE
        for place in _before(statement, said)
        if place in alignment.pairs and alignment.pairs[place].source in before
    )


def _after(reading: ParsedSentence, modal: Modal) -> list[int]:
    return list(_around(reading, modal.position, 1))


def _before(reading: ParsedSentence, modal: Modal) -> list[int]:
    return list(_around(reading, modal.position, -1))


def _around(reading: ParsedSentence, position: int, step: int) -> Iterator[int]:
    """Yields the words on one side of a modal verb, up to the next one or to a stop."""
    others = {modal.position for modal in reading.modals}.difference(reading.content)
    own = reading.clauses[reading.clause_of(position)]
    place, content = position + step, False
    while 0 <= place < len(reading.tokens) and abs(place - position) <= _REACH:
        token = reading.tokens[place]
        if (place in others and content) or token.form in {";", ":", "."}:
            return
        content = content or place in reading.content
        if not own.first <= place <= own.last and reading.clauses[reading.clause_of(place)].condition != own.condition:
            return
        if token.kind is not TokenKind.PUNCTUATION and not token.has("inner"):
            yield place
        place += step
