"""Duties, permissions, advice and predictions: which modal verb stands where, and whether it is negated."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum

from backend.language.languages import Language
from backend.language.quantities import Quantity
from backend.language.tokens import Token, TokenKind

TAGS = ("modal.must", "modal.should", "modal.may", "modal.will")
_REACH = 4  # tokens on either side of a modal verb among which its negation is
_ADJECTIVES = frozenset({"optional", "voluntary", "mandatory", "compulsory", "obligatory"})
_NOUNS = frozenset({"will", "need", "needs"})
_ENDS = (*TAGS, "condition", "complement")  # where the words that belong to a modal verb end
_NOBODY = frozenset({"no", "nobody", "none", "neither"})  # as subject: "no fee may be charged"


class Modality(StrEnum):
    """How something is meant that is said."""

    PLAIN = "plain"
    WILL = "will"
    MUST = "must"
    SHOULD = "should"
    MAY = "may"
    ORDER = "order"  # an imperative
    NOT = "not"
    PROHIBITED = "prohibited"
    PERHAPS_NOT = "perhaps_not"  # "may not" of what happens, not of what somebody does
    EXEMPT = "exempt"  # need not
    SHOULD_NOT = "should_not"


NEGATED = {
    Modality.WILL: Modality.NOT,
    Modality.MUST: Modality.EXEMPT,
    Modality.SHOULD: Modality.SHOULD_NOT,
    Modality.MAY: Modality.PROHIBITED,
}
"""What the negation of each means; "must not" is read by the rule of its language."""


@dataclass(frozen=True, slots=True)
class Modal:
    """A modal verb, or a phrase that means one: where it stands, and what it says with its negation."""

    position: int
    modality: Modality


def modals(
    found: Sequence[Token],
    language: Language,
    content: Collection[int],
    numbers: Sequence[Quantity],
    consumed: Collection[int],
) -> tuple[Modal, ...]:
    """Returns the modal verbs of a sentence in order; negations that are `consumed` belong to a number's bound."""
    taken = {position for number in numbers for position in range(number.first, number.last + 1)}
    spoken: list[Modal] = []
    for position, token in enumerate(found):
        tag = next((tag for tag in TAGS if token.has(tag)), None)
        if tag is None or position in taken or _is_noun(found, position, language, content):
            continue
        if tag == "modal.will" and token.has("passive") and _completes(found, spoken, position):
            continue  # "muss erstattet werden"
        modal = Modal(position, _meaning(found, position, tag, language, content, consumed))
        before = spoken[-1] if spoken and _follows_on(found, spoken[-1].position, position, content) else None
        if before is None or position in content:
            spoken.append(modal)
        elif before.modality in {Modality.WILL, Modality.NOT}:  # "you will not have to"
            negated = before.modality is Modality.NOT
            meaning = NEGATED.get(modal.modality, modal.modality) if negated else modal.modality
            spoken[-1] = Modal(before.position, meaning)
        elif before.modality is not modal.modality:  # "may need to"; "may be able to" says it once
            spoken.append(modal)
    return tuple(spoken)


def _completes(found: Sequence[Token], spoken: Sequence[Modal], position: int) -> bool:
    """Whether a passive's auxiliary completes the modal verb before it, with no stop between."""
    if not spoken:
        return False
    between = found[spoken[-1].position + 1 : position]
    return all(token.kind is not TokenKind.PUNCTUATION and not token.has("link") for token in between)


def _follows_on(found: Sequence[Token], one: int, other: int, content: Collection[int]) -> bool:
    """Whether a modal verb only completes the one before, as in "may also need to", which is what counts."""
    between = range(one + 1, other)
    return len(between) < _REACH and all(
        place not in content and found[place].kind is TokenKind.WORD and not found[place].has("start")
        for place in between
    )


def _is_noun(found: Sequence[Token], position: int, language: Language, content: Collection[int]) -> bool:
    """Whether a word like "will" is part of a noun: "your will", "the need", "the required amount", "optional insurance"."""
    before, form = found[position - 1] if position else None, found[position].form
    if form in _ADJECTIVES and position + 1 in content:
        return True
    if before is None or not (before.has("possessive") or before.form in language.rule("articles")):
        return False
    return form in _NOUNS or form.endswith(("ed", "ary", "ible"))


def _meaning(
    found: Sequence[Token],
    position: int,
    tag: str,
    language: Language,
    content: Collection[int],
    consumed: Collection[int],
) -> Modality:
    modality = Modality(tag.removeprefix("modal."))
    if found[position].has("negation"):  # "is prohibited"
        return Modality.PROHIBITED
    if modality is Modality.MUST and found[position].form not in language.rule("prohibiting"):
        consumed = ()  # "must not exceed" sets a bound, "need not exceed" sets none
    if not _is_negated(found, position, language, content, consumed):
        return modality
    if found[position].form in language.rule("uncertain"):
        return modality
    if modality is Modality.MUST and found[position].form in language.rule("prohibiting"):
        nobody = found[position].form in language.rule("nobody_need") and _nobody_before(found, position)
        return Modality.EXEMPT if nobody else Modality.PROHIBITED  # "no one must" may only say that nobody has to
    if modality is Modality.MAY and found[position].form in language.rule("perhaps"):
        following = next((place for place in range(position + 1, len(found)) if place in content), None)
        acts = following is not None and found[following].has("act")
        return Modality.PROHIBITED if acts else Modality.PERHAPS_NOT
    return NEGATED[modality]


def _nobody_before(found: Sequence[Token], position: int) -> bool:
    return any(token.form in _NOBODY for token in found[max(position - _REACH, 0) : position])


def _is_negated(
    found: Sequence[Token], position: int, language: Language, content: Collection[int], consumed: Collection[int]
) -> bool:
    """Whether a negation belongs to the modal verb at a position; where negations stand apart, to its clause."""
    apart = bool(language.rule("negation_apart"))
    negations = 0
    for step in (1, -1):
        seen_content = False
        for place in range(position + step, len(found) if step > 0 else -1, step):
            token = found[place]
            if token.kind is TokenKind.PUNCTUATION or any(token.has(other) for other in _ENDS):
                break
            near = apart or (abs(place - position) <= _REACH and not seen_content)
            if token.has("auxiliary") and place not in consumed and (near or (step < 0 and token.form in _NOBODY)):
                negations += 1
                break
            seen_content = seen_content or (place in content and not token.form.endswith("ly"))
    return negations % 2 == 1
