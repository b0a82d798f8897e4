"""Makes false statements out of true sentences: each kind changes one thing that must be exact."""

import random
import re
from collections.abc import Callable, Sequence

Perturbation = Callable[[str, random.Random], str | None]

_MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)
_WORDS = (
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "twelve",
    "twenty",
    "thirty",
    "ninety",
)
_UNITS = ("day", "week", "month", "year", "hour")
_FREQUENCIES = ("daily", "weekly", "monthly", "annual", "yearly")
_AUXILIARY = r"(?:is|are|was|were|must|may|can|will|should|shall|could|would|has|have|does|do)"


def _swap(pairs: Sequence[tuple[str, str]]) -> Perturbation:
    """Returns a perturbation that puts one of a pair in place of the other, once."""

    def perturb(sentence: str, choice: random.Random) -> str | None:
        ways = [(one, other) for pair in pairs for one, other in (pair, pair[::-1])]
        found = [(match, other) for one, other in ways for match in re.finditer(rf"\b{one}\b", sentence)]
        if not found:
            return None
        match, other = choice.choice(found)
        return sentence[: match.start()] + other + sentence[match.end() :]

    return perturb


def _replaced(pattern: str, new: Callable[[re.Match[str], random.Random], str | None], flags: int = 0) -> Perturbation:
    """Returns a perturbation that replaces one match of the pattern."""

    def perturb(sentence: str, choice: random.Random) -> str | None:
        found = list(re.finditer(pattern, sentence, flags))
        if not found:
            return None
        match = choice.choice(found)
        text = new(match, choice)
        return None if text is None or text == match[0] else sentence[: match.start()] + text + sentence[match.end() :]

    return perturb


def _other(options: Sequence[str]) -> Callable[[re.Match[str], random.Random], str]:
    def new(match: re.Match[str], choice: random.Random) -> str:
        word = match[0].casefold()
        plural = word.endswith("s") and word[:-1] in options
        other = choice.choice([option for option in options if option not in {word, word[:-1] if plural else word}])
        return other + "s" * plural

    return new


def _number(match: re.Match[str], choice: random.Random) -> str:
    value = int(match[0].replace(",", ""))
    return str(choice.choice([value + 1, value * 10, value + 15, max(value // 2, 1) if value > 3 else value + 2]))


def _clause_dropped(sentence: str, choice: random.Random) -> str | None:
    del choice
    match = re.fullmatch(r"(?:If|When|Unless|Where|Once) [^,]{12,}, (?:then )?(.{25,})", sentence, re.DOTALL)
    if match:
        return match[1][:1].upper() + match[1][1:]
    match = re.fullmatch(
        r"(.{25,}?),? (?:if|unless|provided that|except|only if|as long as) [^.]{12,}\.", sentence, re.DOTALL
    )
    return f"{match[1]}." if match else None


def _condition_negated(sentence: str, choice: random.Random) -> str | None:
    del choice
    match = re.search(r"\b([Ii])f (you|the \w+|your \w+|it|they) (are|is|have|has|can|do|does)\b(?! not)", sentence)
    if not match:
        return None
    return f"{sentence[: match.end()]} not{sentence[match.end() :]}"


_PARTIES = (
    r"(?:[Yy]ou|[Tt]he (?:bank|lender|card issuer|creditor|servicer|consumer|customer|financial institution|insurer|merchant|seller|collector)"
    r"|[Aa]n? (?:consumer|financial institution|creditor|Authorised Person|Client))"
)


def _roles(sentence: str, choice: random.Random) -> str | None:
    del choice
    match = re.match(rf"({_PARTIES}) (.+?) ({_PARTIES})\b(.*)", sentence, re.DOTALL)
    if not match or match[1].casefold() == match[3].casefold():
        return None
    return f"{match[3][:1].upper()}{match[3][1:]} {match[2]} {match[1][:1].lower()}{match[1][1:]}{match[4]}"


def _only(sentence: str, choice: random.Random) -> str | None:
    if re.search(r"\bonly\b", sentence):
        return re.sub(r"\bonly ", "", sentence, count=1)
    found = list(re.finditer(r"\b(?:if|for|to|by|when) ", sentence))
    match = choice.choice(found) if found else None
    return f"{sentence[: match.start()]}only {sentence[match.start() :]}" if match else None


def _prefixed(prefix: str) -> Perturbation:
    return lambda sentence, choice: f"{prefix} {sentence[:1].lower()}{sentence[1:]}"


def _appended(extra: str) -> Perturbation:
    return lambda sentence, choice: f"{sentence.rstrip('.')}{extra}"


_NEGATED = rf"\b({_AUXILIARY})(?! not\b| no\b|n't|not)\b"

# ruff: noqa: ARG005 - every kind is called alike
KINDS: dict[str, Perturbation] = {
    "number": _replaced(r"(?<![\w.,§-])\d{1,3}(?:,\d{3})*(?![\w%.)-]|,\d)", _number),
    "number word": _replaced(rf"\b(?:{'|'.join(_WORDS)})\b", _other(_WORDS)),
    "magnitude": _replaced(r"\$\d[\d,.]*\d(?! (?:million|billion|thousand))", lambda match, choice: match[0] + choice.choice(["k", " million", "0", " thousand"])),
    "unit": _replaced(rf"\b(?:{'|'.join(_UNITS)})s?\b", _other(_UNITS)),
    "currency": _replaced(r"\$(?=\d)", lambda match, choice: choice.choice(["€", "£"])),
    "percent": _replaced(r"\d+(?:\.\d+)?(?= ?(?:%|percent))", lambda match, choice: str(round(float(match[0]) + choice.choice([0.5, 1, 5, 10]), 2))),
    "frequency": _replaced(rf"\b(?:{'|'.join(_FREQUENCIES)})\b", _other(("daily", "weekly", "monthly", "yearly"))),
    "date": _replaced(rf"\b(?:{'|'.join(_MONTHS)})(?= \d)", _other(_MONTHS)),
    "year": _replaced(r"\b(?:19|20)\d\d\b", lambda match, choice: str(int(match[0]) + choice.choice([-1, 1, 5]))),
    "clock": _replaced(r"\b\d{1,2}(?=(?::\d\d)? ?[ap]\.?m)", lambda match, choice: str(int(match[0]) % 12 + 1)),
    "ordinal": _swap([("first", "second"), ("first", "last"), ("second", "third")]),
    "negation added": _replaced(_NEGATED, lambda match, choice: f"{match[1]} not"),
    "negation removed": _replaced(r" not\b|(?<=can)not\b|n't\b|(?<=\b(?:is|do|re|as|ve|es|id))n['’]t\b", lambda match, choice: ""),
    "negation verb": _replaced(r"\b(?:must|shall|will|can|may) (?=(?!not|be\b|have\b|also|only|need|generally)[a-z]+ (?:the|a|an|your|you|any|its))", lambda match, choice: choice.choice(["refuses to ", "fails to ", "never "])),
    "negation whole": lambda sentence, choice: _prefixed(choice.choice(["It is false that", "It is not the case that", "Nobody says that"]))(sentence, choice),
    "modality": _swap([("must", "may"), ("may", "will"), ("should", "must"), ("can", "must"), ("shall", "may"), ("might", "will"), ("could", "will")]),
    "modality removed": _swap([("is required to", "is allowed to"), ("are required to", "are allowed to"), ("required", "optional"), ("has to", "can"), ("have to", "can")]),
    "comparison": _swap([("at least", "at most"), ("more than", "less than"), ("up to", "at least"), ("no later than", "no earlier than"), ("within", "after"), ("minimum", "maximum"), ("no more than", "more than")]),
    "direction": _swap([
        ("before", "after"), ("increase", "decrease"), ("higher", "lower"), ("raise", "lower"), ("include", "exclude"), ("until", "after"), ("over", "under"),
        ("above", "below"), ("buyer", "seller"), ("debit", "credit"), ("approve", "deny"), ("increased", "reduced"), ("previous", "next"), ("earlier", "later"),
    ]),
    "condition dropped": _clause_dropped,
    "condition negated": _condition_negated,
    "condition inverted": _swap([("if", "unless"), ("If", "Unless"), ("even if", "only if"), ("when", "unless")]),
    "scope widened": _swap([("some", "all"), ("Some", "All"), ("many", "all"), ("Many", "All"), ("most", "all"), ("Most", "All"), ("generally", "always"), ("usually", "always"), ("often", "always"), ("sometimes", "always"), ("typically", "always")]),
    "hedge removed": _replaced(r"\b(?:generally|usually|often|typically|sometimes|normally|in general,?|Generally,|In general,) ", lambda match, choice: ""),
    "only": _only,
    "roles": _roles,
    "forged address": _appended(", see refunds.example."),
    "forged padding": _appended(", and our partners may sell your house."),
}  # fmt: skip
"""A function for each kind of falsehood; None where a sentence has nothing to change."""

CONTENT = re.compile(r"\b[a-z]{4,}\b")


def substituted(sentence: str, others: Sequence[str], choice: random.Random, avoided: frozenset[str]) -> str | None:
    """Puts a content word of another text in the place of one of the sentence's."""
    found = [match for match in CONTENT.finditer(sentence) if match[0] not in avoided]
    candidates = [word for word in others if word not in sentence and word not in avoided]
    if not found or not candidates:
        return None
    match = choice.choice(found)
    return sentence[: match.start()] + choice.choice(candidates) + sentence[match.end() :]
