"""Whether a sentence of an answer says no more than the passages it cites.

The check is lexical and errs towards dropping. A sentence passes when some run of at most three sentences
of a cited passage (or one run of each, when only together they suffice)
- contains most of its content words;
- contains each of its figures with the same units, and each acronym;
- gives none of those figures to something else ("domestic wires cost 25, international wires cost 45");
- agrees with its clauses on negation, and with the sentence on words that have an opposite.
It cannot see a wrong relation between right words ("A owes B" for "B owes A"), nor that a passage is untrue.
"""

import re
from collections.abc import Iterator, Sequence

from backend.answers import sentences
from backend.answers.generator import Claim, Passage, Quote
from backend.answers.statements import Clause, Part, Statement
from backend.answers.terms import Figure

MINIMUM_COVERAGE = 0.7
"""Share of a sentence's content stems that its evidence must contain."""

_MAY_END = re.compile(r"[.!?\n]")  # without any of them the rest is not split again at every token
_LONGEST_RUN = 3  # sentences
_MARKER = re.compile(r"\s*\[(\d{1,3}(?:\s*,\s*\d{1,3})*)\]")

_OPPOSITES = (
    ("must", "may"), ("required", "optional"), ("mandatory", "optional"), ("always", "sometimes"),
    ("all", "some"),
    ("before", "after"), ("within", "after"), ("until", "after"), ("earlier", "later"),
    ("least", "most"), ("more", "less"), ("more", "fewer"), ("minimum", "maximum"), ("above", "below"),
    ("over", "under"), ("increase", "decrease"),
    ("debit", "credit"), ("incoming", "outgoing"), ("domestic", "international"), ("buy", "sell"),
    ("lend", "borrow"),
    ("approve", "decline"), ("approve", "deny"), ("accept", "reject"), ("include", "exclude"),
    ("cover", "exclude"),
    ("allow", "prohibit"), ("permitted", "prohibited"), ("free", "charge"),
)  # fmt: skip

# A sentence addressed to a language model is no evidence: it is how a document tries to give orders.
_ADDRESSES_A_MODEL = re.compile(
    r"""
      \b(?:ignore|disregard|forget|override)\s+(?:\w+\s+){0,3}
      (?:previous|prior|above|earlier|preceding|your|system)\s+(?:\w+\s+){0,2}(?:instruction|prompt|rule|context)
    | \b(?:system|developer)\s+(?:prompt|message)
    | \b(?:as|you\s+are)\s+(?:now\s+)?an?\s+(?:ai|large\s+language\s+model|language\s+model)\b
    | \b(?:ai|chat)\s*(?:assistants?|models?|bots?|systems?)\s*[,:]?\s+(?:must|should|shall|please)
    | \b(?:respond|reply|answer)\s+(?:only|exactly|just)\s+(?:with|that)\b
    """,
    re.VERBOSE | re.IGNORECASE,
)


def addresses_a_model(text: str) -> bool:
    """Whether the text reads like an instruction to a language model."""
    return bool(_ADDRESSES_A_MODEL.search(text))


class SentenceGate:
    """Takes an answer as it arrives, and lets each sentence through once it is complete and supported."""

    def __init__(self, passages: Sequence[Passage]) -> None:
        """Checks against `passages`."""
        self._evidence = Evidence(passages)
        self._unchecked = ""
        self.claims: list[Claim] = []
        self.dropped: list[str] = []

    def feed(self, text: str) -> list[Claim]:
        """Returns the claims that the text completes."""
        self._unchecked += text
        if not _MAY_END.search(self._unchecked):
            return []
        *complete, last = sentences.spans(self._unchecked) or [(0, 0)]
        if complete and self._unchecked.startswith("[", last[0]):
            complete.pop()  # the bracket may become its citation
        if not complete:
            return []
        checked = [self._unchecked[start:end] for start, end in complete]
        self._unchecked = self._unchecked[complete[-1][1] :]
        return self._check(checked)

    def close(self) -> list[Claim]:
        """Returns the claims among what was left."""
        return self._check(sentences.split(self._unchecked))

    def _check(self, complete: list[str]) -> list[Claim]:
        claims = [(sentence, self._evidence.claim(sentence)) for sentence in complete]
        self.dropped += [sentence for sentence, claim in claims if claim is None]
        supported = [claim for _, claim in claims if claim is not None]
        self.claims += supported
        return supported


class Evidence:
    """The passages that an answer may cite; each is read once."""

    def __init__(self, passages: Sequence[Passage]) -> None:
        """Takes the passages by their numbers."""
        self._passages = {passage.number: passage for passage in passages}
        self._runs: dict[int, list[Statement]] = {}

    def claim(self, sentence: str) -> Claim | None:
        """Returns the sentence as a claim with the quotes that support it; None when it may not be shown.

        A citation that supports nothing is left out; one that does not exist condemns the sentence.
        """
        numbers = _cited_numbers(sentence)
        assertion = Statement.read(_MARKER.sub("", sentence).strip())
        if not numbers or not (assertion.stems or assertion.figures):
            return None
        if not all(number in self._passages for number in numbers):
            return None
        quotes = self._quotes(assertion, numbers)
        return Claim(assertion.text, quotes) if quotes else None

    def _quotes(self, assertion: Statement, numbers: list[int]) -> tuple[Quote, ...]:
        supporting = {number: _supporting_run(assertion, self._runs_of(number)) for number in numbers}
        alone = {number: run for number, run in supporting.items() if run is not None}
        if alone or len(numbers) == 1:
            return self._quoted(alone)
        closest = {number: _closest_run(assertion, runs) for number in numbers if (runs := self._runs_of(number))}
        together = Statement.joined("", list(closest.values()))
        return self._quoted(closest) if _supports(together, assertion) else ()

    def _quoted(self, runs: dict[int, Statement]) -> tuple[Quote, ...]:
        return tuple(Quote(self._passages[number], run.text) for number, run in runs.items())

    def _runs_of(self, number: int) -> list[Statement]:
        if number not in self._runs:
            self._runs[number] = list(_runs(self._passages[number].text))
        return self._runs[number]


def _cited_numbers(sentence: str) -> list[int]:
    lists = (match[1].split(",") for match in _MARKER.finditer(sentence))
    return list(dict.fromkeys(int(number) for numbers in lists for number in numbers))


def _runs(text: str) -> Iterator[Statement]:
    """Yields runs of consecutive sentences, shorter ones first, without those that address a model."""
    spans = sentences.spans(text)
    statements = [Statement.read(text[start:end]) for start, end in spans]
    for length in range(1, _LONGEST_RUN + 1):
        for first in range(len(spans) - length + 1):
            last = first + length - 1
            run = text[spans[first][0] : spans[last][1]]
            if not addresses_a_model(run):
                yield Statement.joined(run, statements[first : last + 1])


def _supporting_run(assertion: Statement, runs: list[Statement]) -> Statement | None:
    return next((run for run in runs if _supports(run, assertion)), None)


def _closest_run(assertion: Statement, runs: list[Statement]) -> Statement:
    return max(
        runs,
        key=lambda run: (len(assertion.figures & run.figures), _coverage(run, assertion), -len(run.text)),
    )


def _supports(source: Statement, assertion: Statement) -> bool:
    return (
        _coverage(source, assertion) >= MINIMUM_COVERAGE
        and all(_has_figure(source, figure) for figure in assertion.figures)
        and assertion.acronyms <= source.acronyms
        and not any(_is_about_another(source, part) for part in assertion.parts)
        and not _says_the_opposite(source, assertion)
        and all(_agrees(source, clause) for clause in assertion.clauses)
    )


def _coverage(source: Statement, assertion: Statement) -> float:
    if not assertion.stems:
        return 1.0
    return len(assertion.stems & source.stems) / len(assertion.stems)


def _has_figure(source: Statement, figure: Figure) -> bool:
    """Whether the figure occurs with the same units; a table may state them elsewhere ("USD in millions")."""
    return figure in source.figures or any(
        candidate.value == figure.value
        and candidate.units < figure.units
        and figure.units - candidate.units <= source.units
        for candidate in source.figures
    )


def _is_about_another(source: Statement, assertion: Part) -> bool:
    """Whether a part of the source that has another figure of the same kind resembles the assertion more."""
    kinds = {figure.units for figure in assertion.figures if figure.units}
    rivals = [part for part in source.parts if any(figure.units in kinds for figure in part.figures)]
    own = [len(assertion.stems & part.stems) for part in rivals if part.figures & assertion.figures]
    others = [len(assertion.stems & part.stems) for part in rivals if not part.figures & assertion.figures]
    return bool(own and others) and max(others) > max(own)


def _says_the_opposite(source: Statement, assertion: Statement) -> bool:
    return any(
        said in assertion.words and said not in source.words and opposite in source.words
        for pair in _OPPOSITES
        for said, opposite in (pair, pair[::-1])
    )


def _agrees(source: Statement, clause: Clause) -> bool:
    """Whether a clause of the source that resembles this one most is negated as it is."""
    overlaps = [(len(clause.stems & candidate.stems), candidate.negated) for candidate in source.clauses]
    most = max((overlap for overlap, _ in overlaps), default=0)
    return most == 0 or any(overlap == most and negated == clause.negated for overlap, negated in overlaps)
