"""Who does what to whom, in which direction, and who is named."""

import re
from itertools import combinations, pairwise

from backend.answers.grounding.alignment import Alignment, Grade, is_complement, opposed
from backend.answers.grounding.verdict import Reason
from backend.language.bounds import Bound
from backend.language.parsed_sentences import Clause, ParsedSentence
from backend.language.tokens import TokenKind

_ADDRESS = re.compile(r"https?://\S+|\b[\w.+-]+@[\w-]+\.\w+|\b(?:[\w-]+\.)+[a-z]{2,}(?:/\S*)?", re.IGNORECASE)
_ANCHOR, _REACH = (
    4,
    6,
)  # tokens after a preposition among which its noun is, and before a noun among which its preposition is
_ONLY_NEAR = frozenset({"from", "to", "by", "with", "for"})
_MARKUP = re.compile(r"!\[|\]\(|<[a-z/!]|javascript:|&[a-z]+;|\bwww\.", re.IGNORECASE)


def names(alignment: Alignment) -> Reason | None:
    """Each name, acronym and address must be in the evidence, the sentences before it or the title."""
    text = alignment.unit.whole.casefold()
    if _MARKUP.search(alignment.statement.text) or any(
        match[0].casefold().rstrip(".") not in text for match in _ADDRESS.finditer(alignment.statement.text)
    ):
        return Reason.NAME
    written = {token.form for token in alignment.source.tokens} | alignment.unit.context_forms
    for position, token in enumerate(alignment.statement.tokens):
        if token.kind is not TokenKind.WORD or not token.capital or token.form in alignment.statement.language.units:
            continue
        acronym = alignment.statement.text[token.start : token.end].isupper() and len(token.form) > 1
        if (position or acronym) and token.form not in written and position in alignment.statement.content:
            singular = token.form.removesuffix("s")
            pair = alignment.pairs.get(position)
            if singular not in written and not (pair and pair.grade is not Grade.OPPOSITE and not acronym):
                return Reason.NAME
    return None


def directions(alignment: Alignment) -> Reason | None:
    """No word may stand where the evidence has its opposite."""
    for pair in alignment.pairs.values():
        if pair.grade is Grade.OPPOSITE and not is_complement(alignment, pair):
            return Reason.DIRECTION
    if _turned_round(alignment) or _opposite_left_out(alignment) or _qualified_otherwise(alignment):
        return Reason.DIRECTION
    return None


def _qualified_otherwise(alignment: Alignment) -> bool:
    """Whether a word stands before one before which the evidence has its opposite: "disputed", "undisputed portion"."""
    statement, source = alignment.statement, alignment.source
    for said, following in pairwise(statement.content):
        pair, anchor = alignment.pairs.get(said), alignment.pairs.get(following)
        if following - said > 2 or anchor is None or (pair is not None and 0 < anchor.source - pair.source <= _ANCHOR):
            continue
        before = source.tokens[max(anchor.source - 2, 0) : anchor.source]
        if any(opposed(statement.tokens[said], other, statement) for other in before):
            return not (pair is not None and is_complement(alignment, pair))
    return False


TIMES = {
    form: time
    for time, forms in {
        "before": "before bevor ehe avant antes prima",
        "until": "until till bis hasta finché",
        "after": "after once nachdem sobald après después dopo",
        "while": "while during während pendant mientras mentre",
        "unless": "unless",
    }.items()
    for form in forms.split()
}


def times(alignment: Alignment) -> Reason | None:
    """What holds before, after, while or until something does not hold at another time."""
    for mine, theirs in alignment.clauses.items():
        said = _time(alignment.statement, mine)
        written = _time(alignment.source, theirs[0])
        if said and written and said != written:
            return Reason.DIRECTION
    return None


def _time(reading: ParsedSentence, number: int) -> str | None:
    clause = reading.clauses[number]
    opening = [token.form for token in reading.tokens[clause.first : clause.first + 3]]
    return next((TIMES[form] for form in opening if form in TIMES), None) if clause.condition else None


def comparisons(alignment: Alignment) -> Reason | None:
    """What is compared with something that is no number is compared in the same direction."""
    sides_said, sides_written = _sides(alignment.statement), _sides(alignment.source)
    for pair in alignment.pairs.values():
        said, written = _comparison(alignment.statement, pair.said), _comparison(alignment.source, pair.source)
        if said == written:
            continue
        if (said and written) or (said and said not in sides_written) or (written and written not in sides_said):
            return Reason.COMPARISON
    return None


def _sides(reading: ParsedSentence) -> set[str]:
    """Returns every side that is named, for a number or for something else."""
    named = {tag for token in reading.tokens for tag in token.tags if tag in _SIDES}
    return named | {f"bound.{bound.value}" for bound in reading.bounds}


_SIDES = frozenset({"bound.over", "bound.under", "bound.most", "bound.least"})
_TIMES_AND_LIMITS = (
    "after before over under past above below beyond within minimum maximum min max highest lowest limit ceiling floor cap "
    "nach vor innerhalb binnen avant après antes después tras dopo prima oltre entro"
)
_NO_SIDE = frozenset(_TIMES_AND_LIMITS.split())


def _comparison(reading: ParsedSentence, position: int) -> str | None:
    """Returns the side on which something lies of the word at the position: "more than the minimum"."""
    for place in range(position - 1, max(position - 1 - _ANCHOR, -1), -1):
        token = reading.tokens[place]
        if (
            place in reading.content
            or token.kind is not TokenKind.WORD
            or any(q.first <= place <= q.last for q in reading.quantities)
        ):
            return None
        side = next((tag for tag in token.tags if tag in _SIDES), None)
        if side is not None and token.form not in _NO_SIDE:
            return side
    return None


def _opposite_left_out(alignment: Alignment) -> bool:
    """Whether a word that only relates others ("least", "before") is not in the evidence, and its opposite is."""
    statement, source = alignment.statement, alignment.source
    forms = {token.form for token in source.tokens}
    stems = {token.stem for token in source.tokens}
    said = {token.stem for token in statement.tokens}
    for position, token in enumerate(statement.tokens):
        if token.kind is not TokenKind.WORD or position in alignment.pairs or token.form in _ONLY_NEAR:
            continue
        opposites = statement.language.opposites.get(token.stem)
        if not opposites or token.form in forms or token.stem in stems or token.has("inner"):
            continue
        if _begins_a_period(statement, position):
            continue
        if _in_quantity(alignment, position) or any(tag.startswith("modal") for tag in token.tags):
            continue  # bounds of numbers are compared as such
        if any(other in stems and other not in said for other in opposites):
            return True
    return False


def _begins_a_period(reading: ParsedSentence, position: int) -> bool:
    """Whether "after" only says from when a period counts: "within ten days after the request" is "of the request"."""
    return TIMES.get(reading.tokens[position].form) == "after" and any(
        bound is Bound.MOST and quantity.last == position - 1
        for quantity, bound in zip(reading.quantities, reading.bounds, strict=True)
    )


def _in_quantity(alignment: Alignment, position: int) -> bool:
    return any(
        quantity.first - 4 <= position <= quantity.last + 3 for quantity in alignment.statement.quantities
    ) and any(tag.startswith("bound") for tag in alignment.statement.tokens[position].tags)  # fmt: skip


def _turned_round(alignment: Alignment) -> bool:
    """Whether a preposition stands before a word before which the evidence has its opposite."""
    statement, source = alignment.statement, alignment.source
    for position, token in enumerate(statement.tokens):
        opposites = statement.language.opposites.get(token.stem)
        if token.kind is not TokenKind.WORD or not opposites or position in statement.content:
            continue
        agent = (
            token.form in statement.language.rule("agents") and statement.clauses[statement.clause_of(position)].passive
        )
        if agent or _begins_a_period(statement, position):
            continue
        anchor = next(
            (
                alignment.pairs[place]
                for place in range(position + 1, position + 1 + _ANCHOR)
                if place in alignment.pairs
            ),
            None,
        )
        if anchor is None or anchor.grade is Grade.OPPOSITE:
            continue
        before = source.tokens[max(anchor.source - _REACH, 0) : anchor.source]
        related = [other.stem for other in before if other.stem == token.stem or other.stem in opposites]
        if related and related[-1] != token.stem and token.stem not in related:
            return True
    return False


def roles(alignment: Alignment) -> Reason | None:
    """Who does something in the evidence does it in the statement."""
    statement, source = alignment.statement, alignment.source
    for mine, theirs in alignment.clauses.items():
        own, other = statement.clauses[mine], source.clauses[_where_done(alignment, mine, theirs)]
        if not own.subject or not other.subject or own.subject == other.subject or _turns(alignment, own, other):
            continue
        if not _is_by_possession(alignment, own):
            return Reason.ROLE
    return Reason.ROLE if _swapped(alignment) or _replaced(alignment) else None


def _where_done(alignment: Alignment, mine: int, theirs: tuple[int, ...]) -> int:
    """Returns the clause of the evidence that has the verb of a clause's modal verb; without one, that with most words."""
    statement = alignment.statement
    for modal in statement.modals:
        verb = next((place for place in statement.clauses[mine].content if place > modal.position), None)
        if statement.clause_of(modal.position) == mine and verb in alignment.pairs:
            place = alignment.source.clause_of(alignment.pairs[verb].source)
            return place if place in theirs else theirs[0]
    return theirs[0]


def _is_by_possession(alignment: Alignment, own: Clause) -> bool:
    """Whether the evidence has who acts in a condition before a noun: "after you request it" for "of your request"."""
    before = [
        alignment.source.tokens[pair.source - 1]
        for pair in alignment.pairs.values()
        if own.first <= pair.said <= own.last and pair.source
    ]
    return own.condition and any(one.has("possessive") and one.has(f"party.{own.subject}") for one in before)


def _replaced(alignment: Alignment) -> bool:
    """Whether a party that the evidence does not know stands in the place of one that it does."""
    statement, source, used = alignment.statement, alignment.source, alignment.sources()
    known = {_party(source, position) for position in range(len(source.tokens))} | {None}
    new = any(
        _party(statement, place) not in known and statement.tokens[place].stem not in alignment.unit.context
        for place in (*alignment.missing, *_misread(alignment))
    )
    return new and any(_party(source, place) and place not in used for place in source.content)


def _misread(alignment: Alignment) -> list[int]:
    """Returns the parties for which only another word of the same stem was found: "applicant" for "application"."""
    statement, source = alignment.statement, alignment.source
    return [
        said for said, pair in alignment.pairs.items() if _party(statement, said) and not _party(source, pair.source)
    ]


def voices(alignment: Alignment) -> Reason | None:
    """Who does something is not who it is done to, by the same verb: "you notify the bank", "you are notified by the bank"."""
    statement, source = alignment.statement, alignment.source
    for own, (other, *_) in alignment.matched():
        if not own.subject or own.subject != other.subject or own.passive == other.passive:
            continue
        for pair in alignment.pairs.values():
            inside = own.first <= pair.said <= own.last and other.first <= pair.source <= other.last
            reading, place = (statement, pair.said) if own.passive else (source, pair.source)
            if inside and pair.grade is Grade.SAME and _is_participle(reading, place):
                return Reason.ROLE
    return None


def _is_participle(reading: ParsedSentence, position: int) -> bool:
    """Whether the word makes a passive with the one before it, or the one before that."""
    before = reading.tokens[max(position - 2, 0) : position]
    return reading.tokens[position].form.endswith(("ed", "en")) and any(token.has("passive") for token in before)


def _turns(alignment: Alignment, own: Clause, other: Clause) -> bool:
    """Whether the clauses see the same act from two sides: in the passive, or by "get" for "give"."""
    if own.passive != other.passive:
        return True
    said = alignment.statement.tokens[own.first : own.last + 1]
    written = alignment.source.tokens[other.first : other.last + 1]
    return any(token.has("converse") for token in said) != any(token.has("converse") for token in written)


def _swapped(alignment: Alignment) -> bool:
    """Whether two parties stand the other way round than in the evidence, though the clauses do not."""
    statement, source = alignment.statement, alignment.source
    parties = sorted(
        (pair for pair in alignment.pairs.values() if _party(statement, pair.said)), key=lambda pair: pair.said
    )  # fmt: skip
    for one, two in combinations(parties, 2):
        mine = statement.clause_of(one.said), statement.clause_of(two.said)
        theirs = source.clause_of(one.source), source.clause_of(two.source)
        if _party(statement, one.said) == _party(statement, two.said) or one.source <= two.source:
            continue
        if (mine[0] == mine[1]) != (theirs[0] == theirs[1]) or _reordered(alignment):
            continue
        voices = {
            (statement.clauses[own].passive, source.clauses[other].passive)
            for own, other in zip(mine, theirs, strict=True)
        }
        if all(said == written for said, written in voices):
            return True
    return False


def _party(reading: ParsedSentence, position: int) -> str | None:
    return next((tag for tag in sorted(reading.tokens[position].tags) if tag.startswith("party.")), None)


def _reordered(alignment: Alignment) -> bool:
    """Whether the statement has the clauses in another order, as when a condition comes last."""
    order = [theirs[0] for _, theirs in sorted(alignment.clauses.items())]
    return order != sorted(order)
