"""On which side of a number something lies: "at most", "over", "the most you will owe is"."""

from collections.abc import Sequence
from enum import StrEnum

from backend.language.clauses import COORDINATING
from backend.language.quantities import Quantity
from backend.language.tokens import Token, TokenKind

_FAR_BOUND, _NEAR_BOUND = 20, 3  # tokens before a number: "the most you will owe is $50", "more than $50"
_FAR = frozenset({"most", "least"})
_UNBOUNDED = frozenset({"ordinal", "clock", "date", "weekday"})  # units of numbers that no distant "the most" is about
_TIMES = frozenset(
    {"after", "before", "nach", "vor", "apr\u00e8s", "avant", "despu\u00e9s", "antes", "dopo", "prima", "tras"}
)
_OF_TIME = frozenset({
    "minute", "hour", "day", "night", "workday", "week", "month", "quarter", "year", "cycle", "date", "clock", "weekday",
})  # fmt: skip
_ALWAYS_NEAR = frozenset({"at", "within", "up", "no", "not"})


class Bound(StrEnum):
    """On which side of a number something lies."""

    NONE = "none"
    MOST = "most"
    LEAST = "least"
    OVER = "over"
    UNDER = "under"
    NEAR = "near"


def bound(found: Sequence[Token], number: Quantity) -> tuple[Bound, int | None]:
    """Returns on which side of the number something lies, and the position of a negation that was read for it."""
    if number.unit == "ordinal":
        return Bound.NONE, None
    after = _after(found, number)
    if after is not None:
        return after, None
    for position in range(number.first - 1, max(number.first - _FAR_BOUND, -1), -1):
        if _ends_reach(found, position, number.first - position):
            break
        side = _side(found[position])
        if found[position].form in _TIMES and _counts_things(found, number):
            continue  # "after five failed attempts"
        if side is None or not _reaches(found, position, number, side):
            continue
        compares = side in {Bound.OVER, Bound.UNDER} and found[position].form not in _TIMES
        negation = _negation_before(found, position) if compares else None
        if negation is None:
            return side, None
        return (Bound.MOST if side is Bound.OVER else Bound.LEAST), negation
    return Bound.NONE, None


def _after(found: Sequence[Token], number: Quantity) -> Bound | None:
    """Reads "or more", "or less" and "or so" behind a number."""
    for place, token in enumerate(found[number.last + 1 : number.last + 4]):
        side = _side(token)
        if token.form in {"or", "oder", "ou", "o"} and side in {*_FAR, Bound.NEAR}:
            return side
        if place and token.has("condition"):
            break
    return _behind(found, number)


def _behind(found: Sequence[Token], number: Quantity) -> Bound | None:
    """Reads "at most" behind a number, where no other number follows it: "500 euros au maximum"."""
    place = number.last + 1
    if place >= len(found) or (side := _side(found[place])) not in _FAR:
        return None
    end = place + 1
    while end < len(found) and found[end].has("inner"):
        end += 1
    return side if end >= len(found) or found[end].kind is not TokenKind.WORD or found[end].has("link") else None


def _ends_reach(found: Sequence[Token], position: int, distance: int) -> bool:
    token = found[position]
    if token.form in {";", ":"} or (token.form == "," and distance > _NEAR_BOUND):
        return True
    following = found[position + 1]
    return token.form in COORDINATING and distance > 1 and (following.has("start") or following.has("finite"))


def _side(token: Token) -> Bound | None:
    return next((Bound(tag.removeprefix("bound.")) for tag in token.tags if tag.startswith("bound.")), None)


def _reaches(found: Sequence[Token], position: int, number: Quantity, side: Bound) -> bool:
    """Whether the phrase at `position` is near enough to be about the number: its own length and a few words more."""
    if side in _FAR and number.unit not in _UNBOUNDED and found[position].form not in _ALWAYS_NEAR:
        return True
    end = position + 1
    while end < number.first and found[end].has("inner"):
        end += 1
    return number.first - position <= _NEAR_BOUND + (end - position) - 1


def _counts_things(found: Sequence[Token], number: Quantity) -> bool:
    """Whether a number is of what is no time: a word without a unit follows it."""
    following = found[number.last + 1 : number.last + 2]
    return number.unit not in _OF_TIME and bool(following) and following[0].kind is TokenKind.WORD


def _negation_before(found: Sequence[Token], position: int) -> int | None:
    for place in range(position - 1, max(position - 10, -1), -1):
        if found[place].form in {";", ":"} or found[place].has("condition"):
            return None
        if found[place].has("negation"):
            return place
    return None
