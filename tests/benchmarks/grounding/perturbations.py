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
        r"(.{25,}?),? (?<!even )(?:if|unless|provided that|except|only if|as long as) [^.]{12,}\.", sentence, re.DOTALL
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


_MODALS = {
    "must": ("must", "has to", "have to", "needs to", "is required to", "are required to", "shall", "is obliged to"),
    "may": ("may", "can", "could", "might", "is allowed to", "are allowed to", "is permitted to", "is free to"),
    "should": ("should", "ought to"),
    "will": ("will",),
}
_MODAL = re.compile(
    rf"\b({'|'.join(sorted((one for many in _MODALS.values() for one in many), key=len, reverse=True))})\b(?= [a-z])(?! not\b|not\b|n't)"
)


def _modal_replaced(sentence: str, choice: random.Random) -> str | None:
    """Puts a modal verb of another meaning in the place of one that is not negated."""
    found = list(_MODAL.finditer(sentence))
    if not found:
        return None
    match = choice.choice(found)
    if sentence[: match.start()].rstrip().endswith(("may", "will", "might", "not", "n't", "could")):
        return None
    if re.match(r" (?:need|have) to\b", sentence[match.end() :]):
        return None  # "will need to" is a duty, as "must" is
    own = next(name for name, forms in _MODALS.items() if match[1] in forms)
    number = "are " if match[1].startswith("are") else "is "
    others = [
        form
        for name, forms in _MODALS.items()
        for form in forms
        if name != own and not form.startswith("are " if number == "is " else "is ")
    ]
    return sentence[: match.start()] + choice.choice(others) + sentence[match.end() :]


def _modal_left_out(sentence: str, choice: random.Random) -> str | None:
    """Makes a fact of what may or should be."""
    found = list(
        re.finditer(
            r"\b(?:[Yy]ou|[Tt]hey|\w+s) (may|might|could|should|can) (?=(?!be\b|have\b|not\b|also\b|only\b)[a-z]+ )",
            sentence,
        )
    )
    if not found:
        return None
    match = choice.choice(found)
    return sentence[: match.start(1)] + sentence[match.end() :]


def _modal_put_in(sentence: str, choice: random.Random) -> str | None:
    """Makes a duty, an option or advice of a fact."""
    found = list(
        re.finditer(
            r"\b(?:you|they|issuers|lenders|banks|borrowers|consumers|servicers|collectors) (?=(?:have|pay|make|receive|get|send|use|want|do|are(?! able| eligible| not))\b)",
            sentence,
        )
    )
    if not found:
        return None
    match = choice.choice(found)
    rest = re.sub(r"^are\b", "be", sentence[match.end() :])
    return f"{sentence[: match.end()]}{choice.choice(['must', 'should', 'may', 'need to', 'are allowed to'])} {rest}"


def _linked_otherwise(sentence: str, choice: random.Random) -> str | None:
    """Makes a reason, a purpose or what comes later of a condition."""
    match = re.search(r"(?<=\w )if (?=(?:you|the|your|it|they|a) )", sentence)
    if match is None or re.search(r"\b(?:even|only|ask|see|determine|know|check) if\b", sentence):
        return None
    return sentence[: match.start()] + choice.choice(["because", "before", "so that"]) + " " + sentence[match.end() :]


def _rate_put_in(sentence: str, choice: random.Random) -> str | None:
    """Makes an amount one by the day or by the week."""
    if re.search(r"\b(?:daily|weekly|day|days|week|weeks)\b", sentence):
        return None
    match = re.search(r"\$\d[\d,.]*\d(?! (?:million|billion|or|to|per|a)\b)", sentence)
    return (
        f"{sentence[: match.end()]} {choice.choice(['per day', 'a week'])}{sentence[match.end() :]}" if match else None
    )


def _claims_crossed(sentence: str, choice: random.Random) -> str | None:
    """Puts the subject of one claim before the predicate of the other."""
    del choice
    verb = r"(?:is|are|may|must|can|will|cannot|should)"
    match = re.fullmatch(
        rf"((?:The |An? )?[A-Z]?[\w ]{{4,40}}?) {verb} [^,;]+[,;] (?:but|and|while) ((?:the |an? )?[\w ]{{4,40}}?) ({verb} .+)",
        sentence,
    )
    if match is None or {"it", "they", "you", "this", "that"} & set(f"{match[1]} {match[2]}".casefold().split()):
        return None
    return f"{match[1]} {match[3]}"


_NEGATED = rf"\b({_AUXILIARY})(?! not\b| no\b|n't|not)\b"

# ruff: noqa: ARG005 - every kind is called alike
KINDS: dict[str, Perturbation] = {
    "link": _linked_otherwise,
    "rate": _rate_put_in,
    "claims crossed": _claims_crossed,
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
    "negation removed": _replaced(r"(?<!whether or) not\b|(?<=can)not\b|n't\b|(?<=\b(?:is|do|re|as|ve|es|id))n['’]t\b", lambda match, choice: ""),
    "negation verb": _replaced(r"\b(?:must|shall|will|can|may) (?=(?!not|be\b|have\b|also|only|need|generally)[a-z]+ (?:the|a|an|your|you|any|its))", lambda match, choice: choice.choice(["refuses to ", "fails to ", "never "])),
    "negation whole": lambda sentence, choice: _prefixed(choice.choice(["It is false that", "It is not the case that", "Nobody says that"]))(sentence, choice),
    "modality": _modal_replaced,
    "modality left out": _modal_left_out,
    "modality put in": _modal_put_in,
    "modality of a word": _swap([("required", "optional"), ("mandatory", "optional"), ("entitled to", "obliged to"), ("allows", "requires"), ("required to", "free to"), ("recommended", "required"), ("permitted", "obliged"), ("necessary", "possible"), ("the right to", "the duty to")]),
    "modality of a negation": _swap([("must not", "need not"), ("may not", "need not"), ("cannot", "need not"), ("should not", "must not"), ("do not have to", "must not"), ("is not required to", "is not allowed to"), ("are not required to", "are not allowed to"), ("should not", "need not")]),
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
