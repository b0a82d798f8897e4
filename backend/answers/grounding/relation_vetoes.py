"""Rules on how facts are related: which causes which, what is compared with what, what was and what will be."""

from collections import Counter
from collections.abc import Iterable

from backend.answers.grounding.alignment import Alignment, Grade
from backend.answers.grounding.verdict import Reason
from backend.language.parsed_sentences import ParsedSentence
from backend.language.tokens import Token, TokenKind

_COMPARED = 8  # tokens after "than" among which is what something is compared with
_COMPARATIVE = 4  # tokens before it among which is the comparative
_NEAR = 3  # tokens before a verb among which is "will", or "did"
_PERIODS = frozenset({"day", "workday", "week", "month", "quarter", "year", "cycle"})

Sides = tuple[set[int], set[int]]
"""The content words on the two sides of what relates them: causes and effects, or what is compared with what."""


def causes(alignment: Alignment) -> Reason | None:
    """Refuses a cause of which the evidence knows nothing, or which it calls the effect."""
    said, written = _cause_and_effect(alignment.statement), _cause_and_effect(alignment.source)
    if said is None:
        return None
    if written is None:
        reasons = alignment.source.language.rule("reasons")
        return None if any(token.form in reasons for token in alignment.source.tokens) else Reason.ROLE
    return Reason.ROLE if _turned_round(alignment, said, written) else None


def compared(alignment: Alignment) -> Reason | None:
    """Refuses a statement that turns a comparison round: "A pays more than B" for "B pays more than A"."""
    said, written = _compared(alignment.statement), _compared(alignment.source)
    turned = said is not None and written is not None and _turned_round(alignment, said, written)
    return Reason.COMPARISON if turned else None


def tenses(alignment: Alignment) -> Reason | None:
    """Refuses what will be for what was, and another period than "last year" for it."""
    statement, source = alignment.statement, alignment.source
    for pair in alignment.pairs.values():
        if pair.grade is Grade.SAME and _will_be(statement, pair.said) and _was(source, pair.source):
            return Reason.DATE
    written = _pointed_periods(source)
    return (
        Reason.DATE
        if any(written.get(unit, when) != when for unit, when in _pointed_periods(statement).items())
        else None
    )


def _turned_round(alignment: Alignment, said: Sides, written: Sides) -> bool:
    """Whether on one side more words are of the other than of their own; only words that the evidence has once count."""
    stems = Counter(token.stem for token in alignment.source.tokens)
    for mine, (own, other) in zip(said, (written, written[::-1]), strict=True):
        sources = {alignment.pairs[place].source for place in mine if place in alignment.pairs}
        telling = {place for place in sources if stems[alignment.source.tokens[place].stem] == 1}
        if len(telling & own) < len(telling & other):
            return True
    return False


def _cause_and_effect(reading: ParsedSentence) -> Sides | None:
    """Returns the words of a cause and of its effect; None where nothing is said to be one."""
    for place, token in enumerate(reading.tokens):
        if token.has("inner") or not (token.has("cause") or token.has("effect")):
            continue
        joined = place > 0 and reading.tokens[place - 1].kind is TokenKind.PUNCTUATION
        if token.form in reading.language.rule("joined_effects") and not joined:
            continue  # "so many"
        after = {word for word in reading.content if word > place}
        if token.has("cause") and place <= 1:
            own = set(reading.clauses[reading.clause_of(place)].content)
            return own & after, after - own
        before = set(reading.content) - after
        if not before:
            return None  # it refers to the sentence before
        return (after, before) if token.has("cause") else (before, after)
    return None


def _compared(reading: ParsedSentence) -> Sides | None:
    """Returns the words before and after "than"; None where nothing is compared, or only with a number."""
    comparing, than = reading.language.rule("comparing"), reading.language.rule("than")
    for place, token in enumerate(reading.tokens):
        before = reading.tokens[max(place - _COMPARATIVE, 0) : place]
        comparative = token.form in than and any(one.form in reading.language.rule("comparatives") for one in before)
        if not (comparative or token.form in comparing) or any(
            q.first <= place + 2 <= q.last + 1 and q.last > place for q in reading.quantities
        ):
            continue
        clause = reading.clauses[reading.clause_of(place)]
        end = next(
            (at for at in range(place + 1, clause.last + 1) if reading.tokens[at].kind is TokenKind.PUNCTUATION),
            clause.last + 1,
        )
        right = {word for word in reading.content if place < word < min(end, place + 1 + _COMPARED)}
        left = {word for word in clause.content if word < place}
        if right and left:
            return left, right
    return None


def _will_be(reading: ParsedSentence, place: int) -> bool:
    return _has(reading.tokens[max(place - _NEAR, 0) : place], reading.language.rule("future"))


def _was(reading: ParsedSentence, place: int) -> bool:
    """Whether a verb is in the past: by its ending where no form of "be" or "will" stands before it, or by "did"."""
    language, before = reading.language, reading.tokens[max(place - _NEAR, 0) : place]
    if _has(before, language.rule("past")):
        return not _has(before, language.rule("future"))
    ended = (
        reading.tokens[place].form.endswith(tuple(language.rule("past_endings")))
        if language.rule("past_endings")
        else False
    )
    return ended and not any(token.has("passive") or token.has("finite") or token.has("modal.will") for token in before)


def _pointed_periods(reading: ParsedSentence) -> dict[str, str]:
    """Returns which of its kind each period is that is named by when it is: "last year", "this month"."""
    found = {}
    for place, token in enumerate(reading.tokens):
        unit = reading.language.units.get(token.form)
        if unit not in _PERIODS:
            continue
        for neighbour in reading.tokens[max(place - 1, 0) : place] + reading.tokens[place + 1 : place + 2]:
            for when in ("last", "this", "next"):
                if neighbour.form in reading.language.rule(f"{when}_period"):
                    found[unit] = when
    return found


def _has(tokens: Iterable[Token], forms: frozenset[str]) -> bool:
    return any(token.form in forms for token in tokens)
