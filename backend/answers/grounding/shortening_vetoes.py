"""Rules on shortened copies: what is left out of a sentence that is said in its own words was meant."""

from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher

from backend.answers.grounding.alignment import Alignment, Grade
from backend.answers.grounding.verdict import Reason
from backend.language.clauses import COORDINATING
from backend.language.parsed_sentences import Clause, ParsedSentence
from backend.language.tokens import Token, TokenKind

_COPIED = 0.85  # of the statement's words and numbers, in a row with no other word between but those left out
_LEFT_OUT = 0.15  # of the evidence's words, by a statement that has nearly all of them
_OPENING = 3  # tokens of a clause among which "otherwise" opens it
_SEPARATING = frozenset({",", "(", ")", "/", ":"})

Run = tuple[int, int]
"""The first and the last token of words of the evidence that the statement leaves out, one after the other."""


def shortenings(alignment: Alignment) -> Reason | None:
    """Refuses a copy that leaves out a word or a number on which the claim depends: "bills of the last year" for "bills".

    One part of an enumeration, an aside and what only joins sentences may be left out.
    """
    source = alignment.source
    if _is_copy(alignment):
        copied = {number for theirs in alignment.clauses.values() for number in theirs}
    else:
        copied = {
            theirs[0] for mine, theirs in alignment.clauses.items() if _is_copied_condition(alignment, mine, theirs[0])
        }
    for number in copied:
        clause = source.clauses[number]
        runs = (run for run in _left_out(alignment, clause) if not _is_said_elsewhere(alignment, run))
        if any(_narrows(source, run, clause) for run in runs):
            return Reason.CONDITION
    return None


def otherwise(alignment: Alignment) -> Reason | None:
    """Refuses what holds only otherwise, said without any condition: "otherwise, the account costs 4 euros"."""
    if any(clause.condition for clause in alignment.statement.clauses):
        return None
    if any(_refers_to_a_case(alignment.statement, place) for place in range(len(alignment.statement.tokens))):
        return None
    source = alignment.source
    opens = (source.clauses[theirs[0]].first for theirs in alignment.clauses.values())
    places = {place for first in opens for place in range(first, min(first + _OPENING, len(source.tokens)))}
    return Reason.CONDITION if any(_refers_to_a_case(source, place) for place in places) else None


def _refers_to_a_case(reading: ParsedSentence, place: int) -> bool:
    """Whether "in that case", "otherwise" or, before a comma, "before" refers to what the sentence before says."""
    token, following = reading.tokens[place], reading.tokens[min(place + 1, len(reading.tokens) - 1)]
    alone = place == 0 and following.form == "," and token.form in reading.language.rule("alone_elsewhere")
    return alone or token.has("elsewhere")


def hedges(alignment: Alignment) -> Reason | None:
    """Refuses a copy with fewer hedges than the evidence: "you will usually pay a fee, and will likely be sued"."""
    statement, source = alignment.statement, alignment.source
    left = [place for place in source.content if place not in alignment.sources()]
    if len(left) > _LEFT_OUT * len(source.content):
        return None
    said, written = (
        sum(token.has("hedge") and not token.has("inner") for token in reading.tokens)
        for reading in (statement, source)
    )
    return Reason.SCOPE if said < written else None


def unfinished(alignment: Alignment) -> Reason | None:
    """Refuses a statement that is cut off after "and", "or" or "even": what followed may have been a condition."""
    words = [token.form for token in alignment.statement.tokens if token.kind is not TokenKind.PUNCTUATION]
    return Reason.CONDITION if words[-1] in alignment.statement.language.rule("cut") else None


def _is_copy(alignment: Alignment) -> bool:
    """Whether the evidence has every word of the statement in the same order, and nearly all in the same form."""
    statement, source = alignment.statement, alignment.source
    if alignment.missing or alignment.context or not alignment.pairs:
        return False
    pairs = [alignment.pairs[said] for said in statement.content]
    places = [pair.source for pair in pairs]
    if any(pair.grade is not Grade.SAME for pair in pairs) or places != sorted(set(places)):
        return False
    said, written = (
        [token.form for token in reading.tokens if token.kind is not TokenKind.PUNCTUATION]
        for reading in (statement, source)
    )
    blocks = SequenceMatcher(None, said, written, autojunk=False).get_matching_blocks()
    return sum(block.size for block in blocks) >= _COPIED * len(said)


def _is_copied_condition(alignment: Alignment, mine: int, number: int) -> bool:
    """Whether a clause of the statement has the words of a condition of the evidence, wherever it stands, and none of its own."""
    own, written = alignment.statement.clauses[mine], alignment.source.clauses[number]
    pairs = [alignment.pairs.get(place) for place in own.content]
    if not (own.condition and written.condition) or written.concession or not pairs:
        return False
    places = [pair.source for pair in pairs if pair is not None and pair.grade is Grade.SAME]
    inside = all(written.first <= place <= written.last for place in places)
    return len(places) == len(pairs) and inside and places == sorted(set(places))


def _left_out(alignment: Alignment, clause: Clause) -> Iterator[Run]:
    """Yields the runs of words and numbers of a clause that the statement lacks."""
    source, used = alignment.source, alignment.sources()
    said = {
        place
        for quantity in source.quantities
        if any(other.says(quantity) for other in alignment.statement.quantities)
        for place in range(quantity.first, quantity.last + 1)
    }
    counted = {place for quantity in source.quantities for place in range(quantity.first, quantity.last + 1)}
    run: list[int] = []
    depth = 0  # of parentheses, which hold asides
    if not any(place in used for place in clause.content):
        return
    for place in range(clause.first, clause.last + 1):
        word = place in source.content and place not in used
        depth += {"(": 1, ")": -1}.get(source.tokens[place].form, 0)
        lacking = not depth and ((place in counted and place not in said) or word)
        if lacking:
            run.append(place)
        elif run and (place in used or place in said or source.tokens[place].kind is TokenKind.PUNCTUATION):
            yield run[0], run[-1]
            run = []
    if run:
        yield run[0], run[-1]


def _is_said_elsewhere(alignment: Alignment, run: Run) -> bool:
    """Whether a run is of words only, each of which the statement has in another place."""
    source, spoken = alignment.source, {alignment.statement.tokens[place].stem for place in alignment.statement.content}
    words = [source.tokens[place].stem for place in range(run[0], run[1] + 1) if place in source.content]
    counted = any(run[0] <= quantity.first <= run[1] for quantity in source.quantities)
    return not counted and bool(words) and spoken.issuperset(words)


def _narrows(reading: ParsedSentence, run: Run, clause: Clause) -> bool:
    """Whether a run of words tells of which things or when a claim holds."""
    first, last = run
    tokens, language = reading.tokens, reading.language
    before = _neighbour(reading, first, -1)
    between = tokens[first - 1 if before is None else before + 1 : first]
    if _is_joined(reading, run, clause) or _is_spare(reading, run, between):
        return False
    attaching = language.rule("prepositions") | language.rule("relative")
    counted = any(first <= quantity.first <= last for quantity in reading.quantities)
    return (
        counted
        or any(token.form in language.rule("times") for token in tokens[first : last + 1])
        or any(token.form in attaching for token in between)
        or (first > 0 and tokens[first - 1].has("finite"))  # the predicate itself
        or _tells_which(reading, run)
    )


def _is_joined(reading: ParsedSentence, run: Run, clause: Clause) -> bool:
    """Whether a run is a part of an enumeration or an aside."""
    before, after = _neighbour(reading, run[0], -1), _neighbour(reading, run[1], 1)
    if after == clause.last and clause.condition:
        after = None  # the comma behind a condition
    forms = [reading.tokens[place].form for place in (before, after) if place is not None]
    return any(form in COORDINATING or form in _SEPARATING for form in forms)


def _is_spare(reading: ParsedSentence, run: Run, between: Sequence[Token]) -> bool:
    """Whether a run only points, joins sentences, or says "as claimed"."""
    first, last = run
    if any(token.form in reading.language.rule("pointing") or token.has("refers") for token in between):
        return True
    if [token.form for token in between] == ["as"] and first == last and reading.tokens[first].form.endswith("ed"):
        return True
    content = [place for place in range(first, last + 1) if place in reading.content]
    spare = reading.language.rule("connectives") | reading.language.rule("light_verbs")
    return bool(content) and all(
        reading.tokens[place].form in spare or any(tag.startswith("modal") for tag in reading.tokens[place].tags)
        for place in content
    )


def _tells_which(reading: ParsedSentence, run: Run) -> bool:
    """Whether a run is an adjective or a noun beside the noun that it belongs to."""
    first, last = run
    if reading.language.rule("adjectives_follow") and first - 1 in reading.content:
        return True
    noun = last + 1 if last + 1 in reading.content else None
    return noun is not None and first - 1 not in reading.content and not reading.tokens[noun].has("party.firm")


def _neighbour(reading: ParsedSentence, place: int, step: int) -> int | None:
    """Returns the next token that means or separates something."""
    place += step
    while 0 <= place < len(reading.tokens) and _is_small(reading, place):
        place += step
    return place if 0 <= place < len(reading.tokens) else None


def _is_small(reading: ParsedSentence, place: int) -> bool:
    """Whether a token has no meaning of its own and joins nothing."""
    token = reading.tokens[place]
    return token.kind is TokenKind.WORD and place not in reading.content and token.form not in COORDINATING
