"""Rules on what narrows a claim: "the bank may freeze an account after two requests" is not "the bank may freeze an account"."""

from collections.abc import Iterator
from itertools import pairwise

from backend.answers.grounding.alignment import Alignment, alike
from backend.answers.grounding.verdict import Reason
from backend.language.clauses import COORDINATING, has_predicate
from backend.language.languages import Language
from backend.language.modals import Modality
from backend.language.numbers import PERIODS
from backend.language.parsed_sentences import Clause, ParsedSentence
from backend.language.quantities import Quantity, periods
from backend.language.tokens import Token, TokenKind

_NARROWED = frozenset({Modality.NOT, Modality.PROHIBITED, Modality.EXEMPT})
"""Denials: what is denied of one thing is not denied of all, so that "on" and "for" narrow them as well."""
_SHORTEST = 5  # letters of a word with a prefix
_LONGEST_INTRODUCTION = 16  # tokens up to its comma
_NEAR_NOUN = 6  # tokens before "who" among which is a word that is said: "the limit of customers who"
_NEAR_PREDICATE = 3  # tokens after "who" among which its own predicate is, if that is known

TIMED = frozenset({"minute", "hour", "day", "workday", "week", "month", "quarter", "year", "cycle", "date", "clock"})
"""Units of time: of two limits in time, one is enough."""

_BARE = frozenset({None, "many"})
"""Of numbers without a unit."""

Phrase = tuple[int, int]
"""The first and the last token of a preposition with what belongs to it, or of a relative clause."""


def omissions(alignment: Alignment) -> Reason | None:
    """Refuses a statement that leaves out under what, of whom or how the evidence says it."""
    for mine, theirs in alignment.clauses.items():
        source = alignment.source
        number = next((one for one in theirs if _predicate(source, source.clauses[one], -1) >= 0), theirs[0])
        said, written = alignment.statement.clauses[mine], source.clauses[number]
        if said.condition != written.condition and len(source.clauses) > 1:
            continue
        phrases = [
            *_introduction(alignment, number),
            *_prepositional(alignment, written),
            *_relative(alignment, written),
            *_relative_after_comma(alignment, number),
        ]
        if any(_is_left_out(alignment, phrase) for phrase in phrases) or _loses_its_kind(alignment, written):
            return Reason.CONDITION
        if _loses_an_adverb(alignment, written) or _loses_a_rate(alignment, written):
            return Reason.CONDITION
    return Reason.SCOPE if _loses_a_part(alignment) or _loses_the_whole(alignment) else None


def _loses_an_adverb(alignment: Alignment, clause: Clause) -> bool:
    """Whether the statement lacks an adverb that limits what is said: "temporarily", "in part"."""
    limiting, used = alignment.source.language.rule("narrowing_adverbs"), alignment.sources()
    return any(alignment.source.tokens[place].form in limiting and place not in used for place in clause.content)


def _loses_a_rate(alignment: Alignment, clause: Clause) -> bool:
    """Whether the statement has what the evidence limits to a period, without the period: "once per quarter"."""
    source, used, language = alignment.source, alignment.sources(), alignment.source.language
    said = periods(alignment.statement.tokens, language)
    for place in range(clause.first + 1, clause.last):
        if source.tokens[place].form not in language.rule("per"):
            continue
        following = range(place + 1, min(place + 3, clause.last + 1))
        unit = next(
            (found for at in following if (found := language.units.get(source.tokens[at].form)) in PERIODS), None
        )
        noun = next((at for at in following if at in source.content), None)
        kept = (
            unit in said
            if unit
            else noun is None or noun in used or source.tokens[place].form not in language.rule("per_each")
        )
        counted = any(quantity.first <= place - 1 <= quantity.last for quantity in source.quantities)
        if not kept and (
            counted or source.tokens[place - 1].form in language.rule("times") or (unit and place - 1 in used)
        ):
            return True
    return False


def _loses_a_part(alignment: Alignment) -> bool:
    """Whether the statement says of a whole what the evidence says of a part of it: "the bill" for "part of the bill"."""
    source, used = alignment.source, alignment.sources()
    for place, token in enumerate(source.tokens):
        if token.form not in source.language.rule("partitives") or place in used:
            continue
        linking = source.language.rule("of") | source.language.rule("articles")
        following = [word for word in source.content if word > place][:1]
        between = source.tokens[place + 1 : following[0]] if following else ()
        if (
            between
            and all(one.form in linking or one.has("start") or one.has("possessive") for one in between)
            and following[0] in used
        ):
            return not any(
                alignment.statement.tokens[said].form == token.form for said in range(len(alignment.statement.tokens))
            )
    return False


def _introduction(alignment: Alignment, number: int) -> Iterator[Phrase]:
    """Yields what stands before a claim and its comma: "To open a joint account, both holders must come"."""
    source = alignment.source
    clause = source.clauses[number]
    before = source.clauses[number - 1] if number else clause
    first = clause.first if clause.condition or before.condition else before.first
    comma = next(
        (at for at in range(first, min(first + _LONGEST_INTRODUCTION, clause.last)) if source.tokens[at].form == ","),
        None,
    )
    if comma is None or has_predicate(source.tokens[first:comma]):
        return
    opening = next((token for token in source.tokens[first:comma] if token.kind is TokenKind.WORD), None)
    openers = source.language.rule("prepositions") | source.language.rule("purpose") | source.language.rule("openers")
    if opening is not None and opening.form in openers and not opening.has("condition"):
        yield first - 1 if opening.form in source.language.rule("openers") else first, comma


def _prepositional(alignment: Alignment, clause: Clause) -> Iterator[Phrase]:
    """Yields the phrases of a claim that narrow it, where the word that each belongs to is said."""
    source, used = alignment.source, alignment.sources()
    narrowing = _narrowing(source)
    if clause.modality in _NARROWED:
        narrowing |= source.language.rule("narrowing_denials")
    predicate = _predicate(source, clause, -1)
    left_out: set[int] = set()
    for place in range(clause.first, clause.last + 1):
        token = source.tokens[place]
        timed = token.form in source.language.rule("narrowing_times") and _is_time(source, place)
        of_subject = place < predicate and token.form in source.language.rule("narrowing_subjects")
        if not (token.form in narrowing or of_subject or timed) or token.has("inner"):
            continue
        phrase = place, _end(source, place, clause.last)
        belongs_to = [word for word in clause.content if word < place and word not in left_out][-1:]
        following = [word for word in clause.content if word > phrase[1]][:1]
        if _is_alternative(source, phrase) or not any(word in used for word in belongs_to or following):
            continue
        if of_subject and not (timed or token.form in narrowing) and belongs_to != list(clause.content[:1]):
            continue
        if _is_left_out(alignment, phrase):
            left_out |= set(range(phrase[0], phrase[1] + 1))
        yield phrase


def _relative(alignment: Alignment, clause: Clause) -> Iterator[Phrase]:
    """Yields the relative clauses without a comma, which tell of whom a claim is."""
    source, used = alignment.source, alignment.sources()
    for place in range(clause.first + 1, clause.last):
        if source.tokens[place].form not in source.language.rule("relative") or place - 1 not in source.content:
            continue
        before = next((word for word in reversed(clause.content) if word < place and word in used), None)
        if before is not None and place - before <= _NEAR_NOUN:
            yield before + 1, _end_of_relative(source, place, clause.last)


def _relative_after_comma(alignment: Alignment, number: int) -> Iterator[Phrase]:
    """Yields the relative clause behind a claim, where the language puts a comma before each: "Verträge, die vor 2020 …"."""
    source = alignment.source
    if number + 1 >= len(source.clauses):
        return
    following = source.clauses[number + 1]
    first = following.first
    relative = source.tokens[first].form in source.language.rule("relative_after_comma")
    a_noun_follows = first + 1 in source.content and source.tokens[first + 1].capital
    if relative and source.tokens[first - 1].form == "," and first - 2 in alignment.sources() and not a_noun_follows:
        yield first, following.last


def _loses_its_kind(alignment: Alignment, clause: Clause) -> bool:
    """Whether the subject stands without the word that tells which are meant: "new cards arrive", "federal loans"."""
    source, used = alignment.source, alignment.sources()
    predicate = _predicate(source, clause, clause.last)
    narrowed = {
        place
        for first, last in (*_introduction(alignment, source.clauses.index(clause)), *_prepositional(alignment, clause))
        for place in range(first, last + 1)
    }
    return any(
        other - one == 1 and one not in used and other in used and (other < predicate or other in narrowed)
        and _tells_a_kind(alignment, one, other)
        for one, other in pairwise(source.content)
        if clause.first <= other <= clause.last or other in narrowed
    )  # fmt: skip


def _tells_a_kind(alignment: Alignment, place: int, noun: int) -> bool:
    """Whether a word tells which are meant: by its meaning, or because the noun after it says little."""
    source = alignment.source
    token, language = source.tokens[place], source.language
    if token.form in language.rule("kinds") or _is_negative(token, language):
        return True
    generic = {language.stem(word) for word in language.rule("kinds_of")}
    known = token.stem in alignment.unit.context or token.form in language.rule("connectives")
    known = known or any(tag.startswith("party") for tag in token.tags)
    return source.tokens[noun].stem in generic and not known


def _is_negative(token: Token, language: Language) -> bool:
    prefixes, others = tuple(language.rule("kind_prefixes")), tuple(language.rule("kind_prefixes_not"))
    return token.form.startswith(prefixes) and not token.form.startswith(others) and len(token.form) > _SHORTEST


def _loses_the_whole(alignment: Alignment) -> bool:
    """Whether the statement says nothing of how much of a thing is meant: "the price" for "the full price"."""
    statement, wholes = alignment.statement, alignment.source.language.rule("wholes")
    for pair in alignment.pairs.values():
        before = statement.tokens[max(pair.said - 1, 0)]
        said = before.has("universal") or before.form in wholes
        if pair.source and alignment.source.tokens[pair.source - 1].form in wholes and not said:
            return True
    return False


def _is_left_out(alignment: Alignment, phrase: Phrase) -> bool:
    """Whether the statement has no word and no number of a phrase, which has some."""
    first, last = phrase
    source, used = alignment.source, alignment.sources()
    own = source.tokens[first + 1 : last + 1]
    content = [
        place
        for place in source.content
        if first < place <= last and source.tokens[place].form not in source.language.rule("connectives")
    ]
    numbers = [quantity for quantity in source.quantities if first < quantity.first <= last]
    pointing = source.language.rule("pointing")
    narrows_nothing = any(token.has("refers") or token.has("universal") or token.form in pointing for token in own[:1])
    if narrows_nothing or not (content or numbers):
        return False
    if any(other.says(quantity) for quantity in numbers for other in alignment.statement.quantities):
        return False
    said = [alignment.statement.tokens[place] for place in alignment.statement.content]
    if any(place in used or any(alike(one, source.tokens[place], source) for one in said) for place in content):
        return False
    # Of two limits one is enough: "within two billing cycles, and no later than 90 days".
    said_of = {_measure(quantity) for quantity in alignment.statement.quantities}
    return not any(said_of and (quantity.unit in _BARE or _measure(quantity) in said_of) for quantity in numbers)


def _measure(quantity: Quantity) -> str | None:
    return "time" if quantity.unit in TIMED else quantity.unit


def _narrowing(reading: ParsedSentence) -> frozenset[str]:
    return reading.language.rule("narrowing")


def _predicate(reading: ParsedSentence, clause: Clause, otherwise: int) -> int:
    places = range(clause.first, clause.last + 1)
    return next((place for place in places if _is_predicate(reading.tokens[place])), otherwise)


def _is_predicate(token: Token) -> bool:
    return token.has("finite") or any(tag.startswith("modal") for tag in token.tags)


def _is_time(reading: ParsedSentence, place: int) -> bool:
    """Whether a number or an ordinal follows right after, as in "from the first day"."""
    return any(place < quantity.first <= place + 2 for quantity in reading.quantities)


def _is_alternative(reading: ParsedSentence, phrase: Phrase) -> bool:
    """Whether "and" or "or" joins a phrase to another: "by phone or in the app"."""
    first, last = phrase
    before, after = reading.tokens[max(first - 1, 0)], reading.tokens[min(last + 1, len(reading.tokens) - 1)]
    return before.form in COORDINATING or after.form in COORDINATING


def _end(reading: ParsedSentence, first: int, bound: int) -> int:
    """Returns where a preposition's noun ends: before the next preposition, verb, stop or article."""
    content = False
    for place in range(first + 1, bound + 1):
        token = reading.tokens[place]
        preposition = token.form in reading.language.rule("prepositions")
        ends = (
            token.kind is TokenKind.PUNCTUATION or token.has("link") or token.has("condition") or token.has("temporal")
        )
        if ends or preposition or _is_predicate(token) or (content and token.has("start")):
            return place - 1
        if reading.language.rule("verb_second") and content and _is_verb_behind_noun(reading, place):
            return place - 1
        content = content or place in reading.content
    return bound


def _is_verb_behind_noun(reading: ParsedSentence, place: int) -> bool:
    """Whether a word in small letters stands behind a noun, which has a capital in German: "Bei Diebstahl haftet"."""
    before, token = reading.tokens[place - 1], reading.tokens[place]
    return before.capital and not token.capital and place in reading.content


def _end_of_relative(reading: ParsedSentence, first: int, bound: int) -> int:
    """Returns where a relative clause ends: before the claim's own predicate, or a stop."""
    predicates = 0
    for place in range(first + 1, bound + 1):
        token = reading.tokens[place]
        if token.kind is TokenKind.PUNCTUATION:
            return place - 1
        if _is_predicate(token) and not _is_predicate(reading.tokens[place - 1]):
            predicates += 1
            if predicates > 1 or place - first > _NEAR_PREDICATE:
                return place - 1
    return bound
