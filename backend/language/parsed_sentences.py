"""What a sentence says beside its content words: clauses, negation, modality, conditions, bounds of numbers, parties."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from backend.language.bounds import Bound, bound
from backend.language.clauses import COORDINATING, has_predicate, is_condition, segments
from backend.language.languages import Language
from backend.language.modals import TAGS, Modal, Modality, modals
from backend.language.numbers import PERIODS
from backend.language.plain import plain
from backend.language.quantities import Quantity, quantities
from backend.language.tokens import Token, TokenKind, tokens


@dataclass(frozen=True, slots=True)
class Clause:
    """A part of a sentence that has a predicate of its own; positions are those of its tokens."""

    first: int
    last: int
    condition: bool
    alternative: bool
    concession: bool
    negations: int
    modality: Modality
    hedged: bool
    partial: bool
    universal: bool
    exclusive: bool
    subject: str | None
    passive: bool
    content: tuple[int, ...]

    @property
    def negated(self) -> bool:
        """Whether an odd number of negations is left."""
        return self.negations % 2 == 1


@dataclass(frozen=True, slots=True)
class ParsedSentence:
    """A sentence, read by the rules of its language; bounds are those of its quantities, in their order."""

    text: str
    language: Language
    tokens: tuple[Token, ...]
    quantities: tuple[Quantity, ...]
    bounds: tuple[Bound, ...]
    clauses: tuple[Clause, ...]
    content: tuple[int, ...]
    modals: tuple[Modal, ...]

    def clause_of(self, position: int) -> int:
        """Returns which clause the token is in."""
        return next((number for number, clause in enumerate(self.clauses) if position <= clause.last), 0)

    def quantity_clause(self, index: int) -> int:
        """Returns which clause the quantity is in."""
        return self.clause_of(self.quantities[index].first)


_SILENT = frozenset({
    *TAGS, "negation", "hedge", "partial", "universal", "exclusive", "condition",
    "bound.most", "bound.least", "bound.over", "bound.under", "bound.near", "temporal", "inner", "idiom",
    "reason", "change", "degree.most", "degree.many", "degree.some", "degree.few",
})  # fmt: skip
_PREPOSITIONS = frozenset({"with", "to", "for", "at", "up", "about", "out"})


def parsed(text: str, language: Language) -> ParsedSentence:
    """Reads a legible sentence, in plain words."""
    text = plain(text, language)
    found = _with_inverted_condition(tokens(text, language), language)
    numbers = quantities(found, language)
    bounded = [bound(found, number) for number in numbers]
    consumed = {position for _, position in bounded if position is not None}
    taken = {position for number in numbers for position in range(number.first, number.last + 1)}
    content = tuple(
        position for position, token in enumerate(found) if position not in taken and _is_content(token, language)
    )
    clauses = _sharing_modals(found, [
        _clause(found, language, first, last, condition=condition, content=content, consumed=consumed)
        for first, last, condition in segments(found)
    ])  # fmt: skip
    sides = tuple(side for side, _ in bounded)
    spoken = modals(found, language, content, numbers, consumed)
    return ParsedSentence(text, language, tuple(found), tuple(numbers), sides, clauses, content, spoken)


def _with_inverted_condition(found: list[Token], language: Language) -> list[Token]:
    """Marks the verb with which a condition begins in place of "wenn": "Geht die Karte verloren, sperrt die Bank sie"."""
    comma = next((place for place, token in enumerate(found) if token.form == ","), None)
    if not language.rule("verb_second") or comma is None or comma + 2 >= len(found) or found[-1].form == "?":
        return found
    opens, main, after = found[:2], found[comma + 1], found[comma + 2]
    begun = opens[1].has("start") and not (opens[0].has("start") or is_condition(opens[0]))
    if begun and not (main.has("start") or main.has("link")) and (after.has("start") or after.has("pronoun")):
        found[0] = replace(found[0], tags=found[0].tags | {"condition"})
    return found


def _sharing_modals(found: Sequence[Token], clauses: Sequence[Clause]) -> tuple[Clause, ...]:
    """Gives a predicate that is joined by "and" without a subject the modality of the one before: "must A, and do B"."""
    shared: list[Clause] = []
    for clause in clauses:
        before = shared[-1] if shared else None
        following = found[clause.first + 1 : clause.first + 2]
        alone = found[clause.first].form in COORDINATING and following and not following[0].has("start")
        if (
            before
            and alone
            and clause.modality in {Modality.PLAIN, Modality.ORDER}
            and before.condition == clause.condition
        ):
            clause = replace(clause, modality=before.modality)  # noqa: PLW2901
        shared.append(clause)
    return tuple(shared)


def _is_content(token: Token, language: Language) -> bool:
    """Whether the token means something of its own; modal verbs and the like are compared apart."""
    if token.kind is not TokenKind.WORD or token.form.startswith("'"):
        return False
    if token.form in language.function_words or token.form in language.units:
        return False
    if token.form in language.rule("predicative") and any(token.has(tag) for tag in TAGS):
        return False
    if token.tags & {"negation", "modal.must", "modal.may"}:
        return token.form not in language.function_words and len(token.form) > 4 and not token.has("modal.may")
    return not (token.tags and token.tags <= _SILENT)


def _clause(
    found: Sequence[Token],
    language: Language,
    first: int,
    last: int,
    *,
    condition: bool,
    content: tuple[int, ...],
    consumed: set[int],
) -> Clause:
    own = found[first : last + 1]
    negations = _negations(own, language, consumed, first)
    subject, passive = _subject(own)
    passive = passive or _ends_passive(own, language)
    modality = _modality(own, language, consumed, first, content)
    return Clause(
        first, last, condition,
        alternative=_is_alternative(found, first),
        concession=any(token.has("concession") for token in own),
        negations=negations,
        modality=modality,
        hedged=any(token.has("hedge") for token in own),
        partial=any(token.has("partial") for token in own),
        universal=any(
            token.has("universal") and not _is_period(own[place + 1 : place + 2], language) for place, token in enumerate(own)
        ),
        exclusive=any(token.has("exclusive") for token in own),
        subject=None if modality is Modality.ORDER else subject, passive=passive,
        content=tuple(position for position in content if first <= position <= last),
    )  # fmt: skip


def _is_period(following: Sequence[Token], language: Language) -> bool:
    """Whether "each" only says how often, as in "each month"."""
    return bool(following) and language.units.get(following[0].form) in PERIODS


def _negations(own: Sequence[Token], language: Language, consumed: set[int], first: int) -> int:
    """Returns how often a clause is negated; in some languages "no", "never" and "nobody" say it together once."""
    negating = [token for place, token in enumerate(own) if token.has("negation") and first + place not in consumed]
    if language.tables.get("concord"):
        together = sum(token.has("auxiliary") for token in negating)
    else:
        together = sum(token.form in language.rule("neither") for token in negating)
    return len(negating) - together + min(together, 1)


def _is_alternative(found: Sequence[Token], first: int) -> bool:
    """Whether "or" joins the clause to the one before."""
    either = {"or", "oder", "ou", "o", "oppure", "u"}
    return found[first].form in either or (first > 0 and found[first - 1].form in either)


def _modality(
    own: Sequence[Token], language: Language, consumed: set[int], first: int, content: Collection[int]
) -> Modality:
    place, tag = next(
        (
            (place, tag)
            for place, token in enumerate(own)
            for tag in TAGS
            if token.has(tag) and not (token.form.endswith("ed") and first + place + 1 in content)  # "required amount"
        ),
        (0, None),
    )
    negated = [
        position
        for position, token in enumerate(own)
        if token.has("auxiliary")
        and first + position not in consumed
        # "can choose not to" is no prohibition
        and not (tag and any(first + between in content for between in range(place + 1, position)))
    ]
    prohibits = tag == "modal.may" and own[place].has("negation") and own[place].form != "without"
    if (len(negated) + prohibits) % 2:
        negated_first = bool(negated) and negated[0] < place
        if tag == "modal.must":
            exempts = own[place].form in language.rule("exempting") or (
                negated_first and own[place].form not in language.rule("prohibiting")
            )
            return Modality.EXEMPT if exempts else Modality.PROHIBITED
        if tag == "modal.may":
            return Modality.MAY if own[place].form in language.rule("uncertain") else Modality.PROHIBITED
        return Modality.SHOULD_NOT if tag == "modal.should" else Modality.NOT
    if tag is None:
        return Modality.ORDER if _is_order(own, first, content, language) else Modality.PLAIN
    return Modality(tag.removeprefix("modal."))


def _is_order(own: Sequence[Token], first: int, content: Collection[int], language: Language) -> bool:
    """Whether a clause begins with its verb, after a phrase like "For details," if there is one."""
    comma = next((place for place, token in enumerate(own[:8]) if token.form == ","), None)
    if comma is not None and own[0].form in {"for", "to", "in", "at", "with", "when"}:
        own, first = own[comma + 1 :], first + comma + 1
    words = [place for place, token in enumerate(own) if token.kind is TokenKind.WORD]
    if (
        len(words) < 2
        or first + words[0] not in content
        or own[words[0]].tags - {"asks", "act"}
        or has_predicate(own[:6])
    ):
        return False
    if _is_noun(own[words[0]].form, own, language):
        return False
    following = own[words[1]]
    if first and language.rule("verb_second"):
        return False  # "…, prüft der Berater": what stands before takes the first place
    after = own[words[2]] if len(words) > 2 else following
    if following.form in language.rule("relative") and not (after.has("start") or after.has("pronoun")):
        return False  # "payments that arrive"
    return (
        following.has("start")
        or following.has("refers")
        or following.form in COORDINATING
        or following.form in _PREPOSITIONS
    )


def _is_noun(form: str, own: Sequence[Token], language: Language) -> bool:
    """Whether a clause begins with its subject: "Orders for securities are executed", "Repaying a loan costs"."""
    if form.endswith(tuple(language.rule("gerund_endings")) or "\0") and form not in language.rule(
        "gerund_endings_not"
    ):
        return True
    plural = form.endswith(tuple(language.rule("plural_endings")) or "\0") and not form.endswith("ss")
    return plural and has_predicate(own)


def _subject(own: Sequence[Token]) -> tuple[str | None, bool]:
    """Returns the party named last before the predicate, if one is its subject, and whether the predicate is passive."""
    predicate = next(
        (
            place
            for place, token in enumerate(own)
            if token.has("finite") or any(tag.startswith("modal") for tag in token.tags)
        ),
        None,
    )
    passive = predicate is not None and _is_passive(own[predicate : predicate + 6])
    before = own[:predicate] if predicate is not None else own[:4]
    party = None
    for token in before:
        parties = [tag.removeprefix("party.") for tag in token.tags if tag.startswith("party.")]
        if parties:
            party = parties[0]
        elif token.kind is TokenKind.WORD and party and token.form in {"of", "for", "from", "by", "with", "to"}:
            break
    last_word = next((token for token in reversed(before) if token.kind is TokenKind.WORD), None)
    is_subject = last_word is not None and any(tag.startswith("party.") for tag in last_word.tags)
    if predicate is None:
        party, is_subject = _first_party(own), True
    possessive = last_word is not None and last_word.form in _POSSESSIVE
    hedged = last_word is not None and (last_word.has("hedge") or last_word.has("exclusive"))
    return (party if party and (is_subject or hedged) and not possessive else None), passive


def _first_party(own: Sequence[Token]) -> str | None:
    """Returns the party with which a clause begins whose verb is not known: "after the consumer sends"."""
    for place, token in enumerate(own[:6]):
        parties = [tag.removeprefix("party.") for tag in token.tags if tag.startswith("party.")]
        if parties and token.form not in _POSSESSIVE:
            following = own[place + 1 : place + 2]
            verb = bool(following) and following[0].kind is TokenKind.WORD and not following[0].has("start")
            return parties[0] if verb and following[0].form not in {"of", "for", "from", "by", "to", "in"} else None
        if (
            not token.has("start")
            and not is_condition(token)
            and token.kind is TokenKind.WORD
            and token.form in _LINKING
        ):
            return None
    return None


_POSSESSIVE = frozenset({"your", "votre", "su", "sus", "ihr", "ihre"})
_LINKING = frozenset({"of", "for", "from", "by", "to", "in", "with", "on"})


def _ends_passive(own: Sequence[Token], language: Language) -> bool:
    """Whether a form of "be" and a participle are in a clause of a language whose participles are not those of English."""
    endings = tuple(language.rule("passive_participles"))
    auxiliary = next((place for place, token in enumerate(own) if token.has("passive")), None)
    if auxiliary is None or not endings:
        return False
    words = [token for token in own[auxiliary + 1 :] if token.kind is TokenKind.WORD]
    if language.rule("verb_second"):
        words = [token for token in own if token.kind is TokenKind.WORD][-2:]  # "wird von der Bank informiert"
    return any(token.form.endswith(endings) and not token.has("start") for token in words[:4])


def _is_passive(own: Sequence[Token]) -> bool:
    return any(
        one.has("passive")
        and any(
            later.form.endswith(("ed", "en", "aid", "ent", "ade", "old", "ought"))
            for later in own[place + 1 : place + 4]
        )
        for place, one in enumerate(own)
    )
