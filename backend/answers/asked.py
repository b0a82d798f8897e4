"""What a question asks: by which kind of answer it is answered, about what, and about what it is not."""

import re
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum
from functools import lru_cache

from backend.answers.generator import Passage
from backend.answers.subjects import CONTRASTS, PRODUCTS, SAME
from backend.language import terms
from backend.language.languages import language

_NAME = re.compile(r"[^\W_][\w&'\u2019.]*")
_SENTENCE_START = re.compile(r"(?:^|[.?!:]\s+)$")
_NOT_A_NAME = re.compile(
    r"(?:i|ok|a|us|u\.s|usa|united|states|americans?|usd|eur|gbp|am|pm)(?:['\u2019]\w+)?|\w+n['\u2019]t"
    rf"|(?:{'|'.join(language('en').weekday_names)})s?|{'|'.join(language('en').month_names)}",
    re.IGNORECASE,
)
_MONEY = r"\s+(?:dollars?|bucks|euros?|pounds?|pesos?|yen|francs?|cents?)\b"  # behind it no number is a year
_IS_MONEY = re.compile(_MONEY, re.IGNORECASE)
_YEAR = re.compile(r"(?:FY)?((?:19|20)\d\d)", re.IGNORECASE)
_IDENTIFIER = re.compile(
    rf"(?<![\w$\u20ac\u00a3,.])(?:(?:FY)?(?:19|20)\d\d(?![\d,]|{_MONEY})(?:-\d+)?|\d+(?:-\d+)+|[A-Z]{{1,5}}-\d{{2,}})\b"
)
_FEW_WORDS = 3
_LONGEST_PREFIX = 40  # characters before a word that tell whether it begins a sentence
_IS = re.compile(r"\b(?:is|are|means?|refers? to|was|were)\b", re.IGNORECASE)
_CONDITION = re.compile(
    r"(?:if|when|during|for|unless|once|after|where|in case of|in the case of)\s((?:(?!, ).){5,120}),\s", re.IGNORECASE
)
_ASKER = re.compile(
    r"\b(?:i|my|me|customers?|policyholders?) (?:have|has|must|need|can|may)\b|\b(?:do|must|can|may|should) (?:i|customers?)\b",
    re.IGNORECASE,
)
_CUSTOMER = re.compile(r"\b(?:you|your|customers?|policyholders?|reported)\b", re.IGNORECASE)
_BANK = re.compile(r"(?:we|the (?:bank|\w+ team|adjuster|analyst))\b", re.IGNORECASE)
_AMOUNT = re.compile(r"[$\u20ac\u00a3]\s?(\d[\d,]*(?:\.\d+)?)")


_MEANING = re.compile(
    r"what(?:'s|\u2019s| is| are| was| does| do)\s+(?:(?:an?|the)\s+)?([^,?]{2,60}?)(?:\s+(?:mean|stand for)\b)?\s*(?:[,?]|$)",
    re.IGNORECASE,
)
# What something costs: the thing, without what it is of, for or to.
_PRICED = re.compile(
    r"how much (?:does|do|did|will|would) (?:(?:an?|the|my|your)\s+)?([^,?]{2,60}?)"
    r"\s+(?:(?:of|for|to|from|in|at|on|with|by)\s[^,?]*\s)?cost\b",
    re.IGNORECASE,
)
# Words of a question that say nothing about its subject.
_GENERAL = frozenset(
    terms.stems("long need due mean happen fact still able thing kind problem question tell get want possible")
)


class QuestionKind(StrEnum):
    """What an answer has to have."""

    WHETHER = "whether"
    FIGURE = "figure"
    HOW = "how"
    WHO = "who"
    MEANING = "meaning"
    OTHER = "other"


_KINDS = (
    (
        QuestionKind.FIGURE,
        r"\bhow (?:much|many|long|soon|quickly|fast|old|often|late|early|high|large|far|warm|hot|cold)\b"
        r"|\bdeadline\b|\bcut-?off\b"
        r"|(?:^|[,.?!]\s+|\b(?:by|from|since|until|and|or)\s)when\b|\bat (?:what|which) (?:hours?|times?)\b"
        r"|\b(?:maximum|minimum|most|least)\b"
        r"|^what (?:is|are|was|were|does|do)\b.*"
        r"\b(?:fees?|costs?|price|limits?|charge|rate|amount|percent\w*|time|temperature)\b",
    ),
    (QuestionKind.WHO, r"\bwho(?:m|se)?\b|\bwhich (?:department|office|team|committee|person)\b"),
    (
        QuestionKind.HOW,
        r"\bhow (?:do|does|can|could|should|to|would|may|must|is|are)\b|\bwhat (?:can|should|must|do) (?:i|we|you)\b",
    ),
    (
        QuestionKind.WHETHER,
        r"(?:^|[,.?!]\s+|\band )(?:is|are|was|were|do|does|did|can|could|may|might|must|should|will|would|has|have|am)\b",
    ),
)  # fmt: skip
_ASKS_WHETHER = re.compile(_KINDS[-1][1], re.IGNORECASE)
_KINDS_READ = tuple((kind, re.compile(pattern, re.IGNORECASE)) for kind, pattern in _KINDS)


@dataclass(frozen=True, slots=True)
class ParsedQuestion:
    """A question, read once. `subject` are the stems that tell what is asked; a name only tells about whom."""

    text: str
    kind: QuestionKind
    subject: frozenset[str]
    names: tuple[str, ...]
    identifiers: tuple[str, ...]
    amounts: tuple[Decimal, ...]

    @classmethod
    def read(cls, question: str) -> "ParsedQuestion":
        """Reads the question."""
        kind = next((kind for kind, pattern in _KINDS_READ if pattern.search(question)), QuestionKind.OTHER)
        if _ASKS_WHETHER.match(question):
            kind = QuestionKind.WHETHER
        stems, names = frozenset(terms.stems(question)), tuple(_names(question))
        about = stems.difference(_GENERAL, *map(terms.stems, names))
        if kind is QuestionKind.OTHER and _MEANING.search(question):
            kind = QuestionKind.MEANING
        return cls(question, kind, about or stems, names, tuple(_IDENTIFIER.findall(question)), amounts(question))

    def among(self, contexts: Sequence[str]) -> "ParsedQuestion":
        """Returns the question with the names in its subject that some of the texts have and some have not.

        What all have, such as the company whose report they are, tells nothing of which one answers.
        """
        found = [_stems(context) for context in contexts]
        telling = {
            stem
            for stem in terms.stems(" ".join(self.names))
            if any(stem in text for text in found) and not all(stem in text for text in found)
        }
        return replace(self, subject=self.subject | telling)

    def coverage(self, text: str) -> float:
        """Returns the share of the subject that a text speaks of, in these words or in others for the same."""
        found = _stems(text)
        return sum(_speaks_of(found, stem) for stem in self.subject) / max(len(self.subject), 1)

    def absent(self, texts: Sequence[str]) -> float:
        """Returns the share of the subject that none of the texts speaks of: whoever asks about a houseboat means one."""
        found = frozenset().union(*map(_stems, texts))
        return sum(not _speaks_of(found, stem) for stem in self.subject) / max(len(self.subject), 1)

    def coverage_beyond(self, title: str, text: str) -> float:
        """Returns the share of what the title leaves open of the subject, which is true of all that stands below it."""
        known = _stems(title)
        left = [stem for stem in self.subject if not _speaks_of(known, stem)]
        found = _stems(text)
        return sum(_speaks_of(found, stem) for stem in left) / len(left) if left else self.coverage(text)

    def unmentioned(self, passages: Sequence[Passage]) -> list[str]:
        """Returns the names and years that occur in no passage or title: a question about another company, or another year."""
        mentioned = {
            word.casefold()
            for passage in passages
            for word in re.findall(r"\w+", f"{passage.title or ''} {passage.text}")
        }
        return [name for name in self.names if not set(re.findall(r"\w+", name.casefold())) <= mentioned]

    def is_identified_by(self, context: str) -> bool:
        """Whether a text has the years and the case numbers of the question: what is said of another year is no answer."""
        return all(re.search(rf"(?<![\w-]){re.escape(one)}(?![\w-]|\.\d)", context) for one in self.identifiers)

    @property
    def is_about_a_case(self) -> bool:
        """Whether the question names a case, a form or the like by its number."""
        return any("-" in identifier for identifier in self.identifiers)

    def is_reached_by(self, sentence: str) -> bool:
        """Whether a sentence goes up to the greatest amount of the question; not when it names none."""
        bounds = amounts(sentence)
        return bool(self.amounts and bounds) and max(bounds) >= max(self.amounts)

    def names_side(self, text: str) -> bool | None:
        """Whether a text names the side of a contrast that the question names; None when it names none."""
        own = [side for sides in CONTRASTS for side in self._own_side(sides)]
        return any(side.search(text) for side in own) if own else None

    def _own_side(self, sides: tuple[re.Pattern[str], ...]) -> list[re.Pattern[str]]:
        named = [side for side in sides if side.search(self.text)]
        return named if len(named) == 1 else []

    def is_explained_by(self, sentence: str) -> bool:
        """Whether a sentence says what the thing is that the question asks about."""
        asked = _MEANING.search(self.text)
        if self.kind is not QuestionKind.MEANING or asked is None:
            return False
        head, verb, _ = _IS.sub("\0", sentence, count=1).partition("\0")
        thing = set(terms.stems(asked[1]))
        return bool(verb) and bool(thing) and thing <= _stems(head) and len(head.split()) <= len(asked[1].split()) + 6

    def is_narrowed_by(self, sentence: str) -> bool:
        """Whether a sentence begins with a condition of which the question does not speak."""
        condition = _CONDITION.match(sentence)
        return condition is not None and not any(_speaks_of(self.subject, stem) for stem in terms.stems(condition[1]))

    def agrees_in_person(self, sentence: str) -> float:
        """Returns 1 when both are about what a customer does, and -1 when the sentence is about the bank.

        An answer to "how long do I have" is not how long the bank takes.
        """
        if not _ASKER.search(self.text):
            return 0.0
        return -1.0 if _BANK.match(sentence) else float(bool(_CUSTOMER.search(sentence)))

    def is_about_another(self, sentence: str, context: str) -> bool:
        """Whether a sentence, within its context, speaks of the other side of what is asked about."""
        for sides in CONTRASTS:
            if not (named := self._own_side(sides)):
                continue
            own, other = named[0], sides[sides[0] is named[0]]
            if own.search(sentence):
                continue
            if other.search(sentence) or (other.search(context) and not own.search(context)):
                return True
        return False

    def is_beside(self, context: str) -> bool:
        """Whether a text mentions none of the products that are asked about, or not the thing whose price is asked."""
        products = _products(self.text)
        if products and not any(product.search(context) for product in products):
            return True
        priced, found = _PRICED.search(self.text), _stems(context)
        things = terms.stems(priced[1]) if priced else []
        return bool(things) and not any(_speaks_of(found, thing) for thing in things)


def replaced_side(earlier: str, question: str) -> str | None:
    """Returns an earlier question about the other side of a contrast, when a short question names only that.

    None when the question is about something else.
    """
    for sides in CONTRASTS:
        for own, other in (sides, sides[::-1]):
            named, before = own.search(question), other.search(earlier)
            if named and before and not own.search(earlier) and len(terms.stems(question)) <= _FEW_WORDS:
                return f"{earlier[: before.start()]}{named[0]}{earlier[before.end() :]}"
    return None


def _products(text: str) -> list[re.Pattern[str]]:
    """Returns what a text is about, without what only stands within a longer name, as "mortgage" in "reverse mortgage"."""
    found = [(match.start(), match.end(), product) for product in PRODUCTS for match in product.finditer(text)]
    return [
        product
        for start, end, product in found
        if not any(first <= start and end <= last and last - first > end - start for first, last, _ in found)
    ]


def amounts(text: str) -> tuple[Decimal, ...]:
    """Returns the sums of money in figures."""
    return tuple(Decimal(found.replace(",", "")) for found in _AMOUNT.findall(text))


@lru_cache(maxsize=2_000)
def _stems(text: str) -> frozenset[str]:
    return frozenset(terms.stems(text))


def _speaks_of(found: AbstractSet[str], stem: str) -> bool:
    return stem in found or any(stem in same and not found.isdisjoint(same) for same in SAME)


def _names(question: str) -> list[str]:
    """Returns years, words in capitals, capitalised words within a sentence, and such as "3M"."""
    names = []
    for match in _NAME.finditer(question):
        word = re.sub(r"['\u2019]s?$", "", match[0]).rstrip(".")
        before = question[max(match.start() - _LONGEST_PREFIX, 0) : match.start()]
        starts = match.start() == 0 or bool(_SENTENCE_START.search(before) and before.strip())
        if (year := _YEAR.fullmatch(word)) and not _IS_MONEY.match(question, match.end()):
            names.append(year[1])
        elif _is_name(word, starts_sentence=starts):
            names.append(word)
    return names


def _is_name(word: str, *, starts_sentence: bool) -> bool:
    if len(word) <= 1 or _NOT_A_NAME.fullmatch(word):
        return False
    if word[0].isdigit():
        return any(map(str.isupper, word))
    return word[0].isupper() and (not starts_sentence or word.isupper())
