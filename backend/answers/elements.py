"""What a sentence must have to answer a question of a kind: a figure, a time, a verdict, something to do."""

import re

from backend.answers.asked import ParsedQuestion, QuestionKind
from backend.language import terms

# What a sentence gains for it, by kind: with .1 for all, three fewer of the second 50 support questions were answered. A rule
# ("may", "must") gains nothing for a question whether: that answered three fewer.
WEIGHTS = {"amount": 0.1, "figure": 0.2, "whether": 0.15, "meaning": 0.1, "decision": 0.2, "weak": 0.05}

_ASKS_TIME = re.compile(
    r"\bhow (?:long|soon|quickly|fast|late|early|old)\b|\bwhen\b|\bdeadline\b|\bcut-?off\b"
    r"|\b(?:within|in) how many\b|\bat (?:what|which) (?:hours?|times?)\b",
    re.IGNORECASE,
)
_ASKS_PRICE = re.compile(
    r"\bhow (?:much|high|large)\b|\b(?:fees?|costs?|price|charge|limits?|amount|maximum|minimum)\b", re.IGNORECASE
)
_TIME = re.compile(
    r"\b(?:minutes?|hours?|days?|nights?|weeks?|months?|quarters?|years?|age|noon|midnight|immediately|a\.?m|p\.?m|daily"
    r"|weekly|monthly|annually|once|twice)\b",
    re.IGNORECASE,
)
_WHEN = re.compile(r"\b(?:when|once|as soon as|before|after|until|by the time|if|unless|only)\b", re.IGNORECASE)
_PRICE = re.compile(
    r"\b(?:free|no (?:fee|charge|cost|limit)s?|amount|limit(?:s|ed)?|depends?|var(?:y|ies))\b", re.IGNORECASE
)
_ASKS_DECISION = re.compile(
    r"\b(?:was|were|been|is) (?:decided|ruled)\b|\b(?:decision|outcome|ruling)\b", re.IGNORECASE
)
_DECISION = re.compile(r"\b(?:decision|decided|ruled|denied|approved|upheld|settled|granted|rejected)\b", re.IGNORECASE)
_VERDICT = (
    "yes",
    "no,",
    "no.",
    "not necessarily",
    "it depends",
    "generally",
    "maybe",
    "in general",
    "usually",
    "probably",
)
_ACT = re.compile(
    r"\b(?:you|customers?|policyholders?|staff|employees?)(?: also| then| first| usually| generally)?"
    r" (?:can|should|must|may|need|have to|could|might want)\b"
    r"|(?:^|[.:;]\s*|(?:first|next|then|also|instead|please), )(?:call|contact|write|ask|tell|review|check|report|notify|send"
    r"|file|submit|visit|talk|reach out|let|make sure|consider|request|keep|use|add|get|look|find|apply|dispute|speak|explain"
    r"|read|open)\b",
    re.IGNORECASE,
)
_ASKS_ACT = re.compile(
    r"\bhow (?:do|can|could|should|would|may|must) (?:i|we|you|somebody|someone|one|customers?|staff)\b"
    r"|\bwhat (?:can|should|must|do) (?:i|we|you|customers?)\b",
    re.IGNORECASE,
)
_ASKS_WHICH = re.compile(r"which\b", re.IGNORECASE)
_CHOICE = re.compile(
    r"\b(?:only|includ(?:e|es|ing)|eligible|qualif(?:y|ies)|such as|except|following)\b|:", re.IGNORECASE
)


def bonus(asked: ParsedQuestion, quote: str) -> float:
    """Returns what a quote gains for having what the question asks for; less for words that only may be it."""
    if asked.amounts:
        return WEIGHTS["amount"] * asked.is_reached_by(quote)
    match asked.kind:
        case QuestionKind.FIGURE:
            return _bonus_of_figure(asked.text, quote)
        case QuestionKind.MEANING:
            return WEIGHTS["meaning"] * asked.is_explained_by(quote)
        case QuestionKind.WHETHER:
            return WEIGHTS["whether"] * quote.lower().startswith(_VERDICT)
        case QuestionKind.HOW:
            return WEIGHTS["weak"] * bool(_ASKS_ACT.search(asked.text) and _ACT.search(quote))
        case _:
            return _bonus_of_others(asked.text, quote)


def _bonus_of_others(question: str, quote: str) -> float:
    if _ASKS_DECISION.search(question):
        return WEIGHTS["decision"] * bool(_DECISION.search(quote))
    return WEIGHTS["weak"] * bool(_ASKS_WHICH.match(question) and _CHOICE.search(quote))


def _bonus_of_figure(question: str, quote: str) -> float:
    figures, time = terms.has_figure(quote), bool(_TIME.search(quote))
    if _ASKS_TIME.search(question):
        may_be = time or ("when" in question.casefold() and bool(_WHEN.search(quote)))
        return WEIGHTS["figure"] if figures and time else WEIGHTS["weak"] * may_be
    return (
        WEIGHTS["figure"] if figures else WEIGHTS["weak"] * bool(_ASKS_PRICE.search(question) and _PRICE.search(quote))
    )
