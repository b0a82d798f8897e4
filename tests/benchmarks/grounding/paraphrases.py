"""Says the same in other words: rewrites that keep number, unit, condition, negation, duty and role."""

import random
import re
from collections.abc import Callable

Rewrite = Callable[[str], str | None]

_NUMBERS = dict(
    enumerate(
        ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"]
    )
)


def _sub(pattern: str, new: str, flags: int = 0) -> Rewrite:
    def rewrite(sentence: str) -> str | None:
        changed, times = re.subn(pattern, new, sentence, count=1, flags=flags)
        return changed if times else None

    return rewrite


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _lower(text: str) -> str:
    return text if re.match(r"[A-Z]{2}|I\b|[A-Z][a-z]+ [A-Z]", text) else text[:1].lower() + text[1:]


def _condition_last(sentence: str) -> str | None:
    match = re.fullmatch(r"((?:If|When|Unless) [^,;:]{10,90}), (?:then )?([^,;:]{20,160})\.", sentence)
    return f"{_capital(match[2])} {_lower(match[1])}." if match else None


def _condition_first(sentence: str) -> str | None:
    match = re.fullmatch(r"([^,;:]{20,160}) ((?:if|when|unless) [^,;:]{10,90})\.", sentence)
    return f"{_capital(match[2])}, {_lower(match[1])}." if match else None


def _digits(sentence: str) -> str | None:
    for value, word in _NUMBERS.items():
        if value > 1 and re.search(rf"\b{word} (?=\w*(?:day|month|year|week)s?\b)", sentence):
            return re.sub(rf"\b{word}\b", str(value), sentence, count=1)
    return None


def _number_words(sentence: str) -> str | None:
    match = re.search(r"\b([2-9]|1[0-2]) (?=(?:business |calendar )?(?:day|month|year|week)s\b)", sentence)
    return sentence.replace(match[0], f"{_NUMBERS[int(match[1])]} ", 1) if match else None


REWRITES: dict[str, Rewrite] = {
    "condition last": _condition_last,
    "condition first": _condition_first,
    "digits": _digits,
    "number words": _number_words,
    "must": _sub(r"\bmust (?!not|be)", "has to "),
    "must be": _sub(r"\bmust be\b", "has to be"),
    "required": _sub(r"\b(?:is|are) required to\b", "must"),
    "cannot": _sub(r"\bcannot\b", "can't"),
    "may not": _sub(r"\bmay not (?=\w+ (?:the|a|an|your|you|any))", "cannot "),
    "not": _sub(r"\b(is|are|do|does|has|have|was|were) not\b", r"\1n't"),
    "can": _sub(r"\bcan (?!not)", "may "),
    "at least": _sub(r"\bat least\b", "no less than"),
    "no later": _sub(r"\bno later than (?=\d+ days? after)", "within "),
    "more than": _sub(r"\bmore than\b", "over"),
    "dollars": _sub(r"\$(\d+(?:,\d{3})*)(?![\d,.]\d|\s?(?:million|billion|k|to))", r"\1 dollars"),
    "percent": _sub(r"(?<=\d)%", " percent"),
    "generally": _sub(r"\bgenerally\b", "usually"),
    "provide": _sub(r"\bprovide\b", "give"),
    "contact": _sub(r"\b[Cc]ontact (?=your|the)", "reach out to "),
    "receive": _sub(r"\breceive\b", "get"),
    "purchase": _sub(r"\bpurchase\b", "buy"),
    "obtain": _sub(r"\bobtain\b", "get"),
    "home": _sub(r"\bhome\b", "house"),
    "mistake": _sub(r"\bmistake\b", "error"),
    "immediately": _sub(r"\bimmediately\b", "right away"),
    "additional": _sub(r"\badditional\b", "extra"),
    "prior": _sub(r"\bprior to\b", "before"),
    "lender": _sub(r"\b(?:[Yy]our|[Tt]he) lender\b", "the lending institution"),
    "however": _sub(r"^(?:However|Also|In addition|For example|Therefore), (\w)", r"\1"),
    "filing": _sub(r"\bsubmit\b", "file"),
    "tell": _sub(r"\binform\b", "tell"),
    "require": _sub(r"\bin order to\b", "to"),
}  # fmt: skip


def rewritten(sentence: str, choice: random.Random, most: int = 3) -> str | None:
    """Returns the sentence after one to `most` rewrites that apply; None when none does."""
    names = list(REWRITES)
    choice.shuffle(names)
    done = 0
    for name in names:
        changed = REWRITES[name](sentence)
        if changed is not None and changed != sentence:
            sentence, done = _capital(changed), done + 1
        if done == most:
            break
    return sentence if done else None
