"""Where a sentence's clauses begin, and which of them state conditions."""

from collections.abc import Iterator, Sequence

from backend.language.tokens import Token, TokenKind

COORDINATING = frozenset({
    "and", "or", "but", "und", "oder", "aber", "et", "ou", "mais", "y", "o", "pero", "e", "ma",
})  # fmt: skip
_CONTRASTING = frozenset({"although", "though", "whereas", "obwohl", "aunque", "sebbene"})
_WORDS_OF_ASIDE = 4  # in parentheses; fewer name or abbreviate
_LONGEST_INTRODUCTION = 4  # tokens, with its comma: "For example, if"
_LONGEST_CLAUSE = 20  # tokens after a comma among which a predicate is looked for


def segments(found: Sequence[Token]) -> Iterator[tuple[int, int, bool]]:
    """Yields the clauses as (first token, last token, whether it states a condition)."""
    starts = [0]
    for position in range(1, len(found)):
        if (_starts_clause(found, position) and _says_something(found[starts[-1] : position])) or (
            found[starts[-1]].has("condition")
            and _ends_time(found[starts[-1] : position], found[position : position + 6])
        ):
            starts.append(position)
    found_clauses = list(_flagged(found, starts))
    if all(condition for _, _, condition in found_clauses) and (main := _main(found, found_clauses[-1][0])):
        found_clauses = list(_flagged(found, [*starts, main]))
    yield from found_clauses


def _flagged(found: Sequence[Token], starts: Sequence[int]) -> Iterator[tuple[int, int, bool]]:
    """Yields the clauses that begin at `starts`, with whether each states a condition."""
    condition = outside = False
    for start, following in zip(starts, [*starts[1:], len(found)], strict=True):
        opening = _opening(found, start)
        if found[start].form == "(":
            outside, condition = condition, is_condition(opening)
        elif start and found[start - 1].form == ")":
            condition = is_condition(opening) or (
                outside and opening.kind is TokenKind.WORD and found[start].form != ","
            )
        elif is_condition(opening):
            condition = True
        elif start and found[start].has("complement") and found[start - 1].form not in {",", ";"}:
            pass  # what a condition is about is part of it
        elif not (start and found[start].form in COORDINATING) or (
            found[start - 1].form == "," and following == len(found)
        ):
            condition = False
        yield start, following - 1, condition


def _main(found: Sequence[Token], start: int) -> int | None:
    """Returns where what holds under a condition begins, when only a comma tells: "If you are late, call the bank"."""
    commas = [position + 1 for position in range(start + 2, len(found) - 2) if found[position].form == ","]
    return next((after for after in reversed(commas) if found[after].form not in COORDINATING), None)


def _ends_time(before: Sequence[Token], after: Sequence[Token]) -> bool:
    """Whether a clause like "the first time you are late" is over, though no comma says so."""
    if len(before) < 3 or "time" not in {token.form for token in before[1:3]} or not has_predicate(before):
        return False
    return after[0].has("start") and any(tag.startswith("modal") for token in after for tag in token.tags)


def _says_something(found: Sequence[Token]) -> bool:
    """Whether tokens are more than an introduction, such as "However," or "Generally,"."""
    return sum(token.kind is TokenKind.WORD and not token.has("inner") for token in found) > 1 or (
        bool(found) and is_condition(found[0])
    )


def _opening(found: Sequence[Token], start: int) -> Token:
    """Returns the token with which a clause begins, after punctuation and words like "then" or "Also,"."""
    for comma in range(start + 1, min(start + _LONGEST_INTRODUCTION, len(found) - 1)):
        if found[comma].form == "," and is_condition(found[comma + 1]):
            return found[comma + 1]
    if start + 1 < len(found) and found[start].form in COORDINATING and found[start + 1].has("condition"):
        return found[start + 1]  # "and if"
    while start + 1 < len(found) and (
        found[start].kind is TokenKind.PUNCTUATION
        or (found[start].form in {"but", "then", "even"} and not is_condition(found[start]))
    ):
        start += 1
    return found[start]


def is_condition(token: Token) -> bool:
    """Whether a clause that begins with the token says when or whether another one holds."""
    return token.has("condition") or token.has("temporal")


def _starts_clause(found: Sequence[Token], position: int) -> bool:
    token, before = found[position], found[position - 1]
    if token.form == "(" or before.form == ")":
        return _is_aside(found, position if token.form == "(" else position - 1)
    following = _following(found, position)
    if token.has("condition"):
        return _opens_condition(found, position, following)
    if token.has("temporal"):
        return _opens_time(following)
    if before.form in {";", ":"} or (before.form == "-" and before.start > 0 and before.end < token.start):
        return True
    return _joined_on(found, position, following) or token.form in _CONTRASTING


def _following(found: Sequence[Token], position: int) -> Sequence[Token]:
    """Returns the two tokens after the phrase at a position."""
    after = position + 1
    while after < len(found) and found[after].has("inner"):
        after += 1
    return found[after : after + 2]


def _opens_condition(found: Sequence[Token], position: int, following: Sequence[Token]) -> bool:
    """Whether a word like "if" states a condition, and neither asks ("check if") nor stands in a list ("when and how")."""
    before = found[position - 1]
    if not following or following[0].kind is TokenKind.PUNCTUATION or following[0].form in {*COORDINATING, "to"}:
        return False
    asked = found[position].form == "if" and any(one.has("asks") for one in found[max(position - 2, 0) : position])
    asked = asked or (before.form in COORDINATING and found[max(position - 2, 0)].has("complement"))  # "why and when"
    return not asked and not is_condition(before) and before.form not in {"but", "even"}


def _opens_time(following: Sequence[Token]) -> bool:
    """Whether a word like "before" is followed by somebody who acts, and not by a noun or a number."""
    return bool(following) and (
        following[0].has("pronoun")
        or following[0].form.endswith("ing")
        or any(tag.startswith("party") for one in following for tag in one.tags)
    )


def _joined_on(found: Sequence[Token], position: int, following: Sequence[Token]) -> bool:
    """Whether a predicate of its own follows a comma, "and", or "that"."""
    token = found[position]
    if found[position - 1].form == ",":
        return token.has("start") or token.has("link") or has_predicate(found[position : position + _LONGEST_CLAUSE])
    if token.has("complement"):
        return bool(following) and (following[0].has("start") or following[0].has("negation"))
    if token.form not in COORDINATING or not following:
        return False
    begins = following[0].has("start") or any(tag.startswith("party") for tag in following[0].tags)
    return begins and has_predicate(_until_boundary(found, position + 1))


def _is_aside(found: Sequence[Token], bracket: int) -> bool:
    """Whether the parenthesis at a bracket holds more than a few words."""
    step = 1 if found[bracket].form == "(" else -1
    words, position = 0, bracket + step
    while 0 <= position < len(found) and found[position].form not in {"(", ")"}:
        words += found[position].kind is TokenKind.WORD
        position += step
    return words >= _WORDS_OF_ASIDE


def _until_boundary(found: Sequence[Token], start: int) -> Sequence[Token]:
    end = next(
        (position for position in range(start, len(found)) if found[position].form in {",", ";", ":"}), len(found)
    )
    return found[start:end]


def has_predicate(found: Sequence[Token]) -> bool:
    """Whether a finite verb is among the tokens, as far as the language's data name them."""
    return any(token.has("finite") or any(tag.startswith("modal") for tag in token.tags) for token in found)
