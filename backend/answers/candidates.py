"""The sentences that could answer a question, each with the run of sentences that makes it readable alone."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from backend.answers.asked import ParsedQuestion, amounts
from backend.answers.generator import Passage
from backend.answers.units import LONGEST_QUOTE, Unit, answers_alone, run, units, without_verdict

_MOST_PASSAGES = 3  # 5 to 25 ms each to read, once
_MOST_SENTENCES = 200  # of a passage, which seldom has more than 50; each is compared with the question
_SAME_QUESTION = 0.6  # of what is asked, spoken of by what stands behind "No."


@dataclass(frozen=True, slots=True)
class Candidate:
    """A sentence that could answer, and the run of sentences that makes it readable alone, both by position."""

    passage: Passage
    unit: Unit
    position: int
    first: int
    last: int
    quote: str

    @property
    def lead(self) -> bool:
        """Whether its passage begins with it."""
        return self.position == 0


def eligible(asked: ParsedQuestion, passages: Sequence[Passage]) -> list[Passage]:
    """Returns the passages that may answer, the best ranked first: of the very product, the very year or case."""
    return [passage for passage in passages if _is_eligible(asked, context_of(passage))][:_MOST_PASSAGES]


def _is_eligible(asked: ParsedQuestion, context: str) -> bool:
    return not asked.is_beside(context) and not asked.is_about_another("", context) and asked.is_identified_by(context)


def candidates(asked: ParsedQuestion, passage: Passage) -> list[Candidate]:
    """Returns the sentences of a passage that could answer."""
    text, context = passage.text, context_of(passage)
    found = units(text)
    possible = []
    for position, unit in enumerate(found[:_MOST_SENTENCES]):
        if not answers_alone(text, unit):
            continue
        first, last = run(text, found, position)
        last = _reaching(asked, text, found, last)
        quote = text[found[first].start : found[last].end]
        if len(quote) > LONGEST_QUOTE or quote.endswith(("?", ":")) or asked.is_about_another(quote, context):
            continue
        possible.append(Candidate(passage, unit, position, first, last, quote))
    return possible


def _reaching(asked: ParsedQuestion, text: str, found: Sequence[Unit], last: int) -> int:
    """Returns up to where sentences follow on that raise a limit, until it reaches the amount that is asked about."""
    wanted = max(asked.amounts, default=None)
    if wanted is None or not (bounds := amounts(text[found[last].start : found[last].end])):
        return last
    reached = last
    while max(bounds) < wanted and reached + 1 < len(found):
        reached += 1
        if not (bounds := amounts(text[found[reached].start : found[reached].end])):
            return last
    return reached if max(bounds) >= wanted else last


def agreeing(asked: ParsedQuestion, candidate: Candidate) -> Candidate:
    """Returns a quote without its "Yes." or "No.", unless what follows speaks of most of what is asked: the rule tells."""
    rule = without_verdict(candidate.quote)
    if rule == candidate.quote or asked.coverage(rule) >= _SAME_QUESTION:
        return candidate
    return replace(candidate, quote=rule)


def extended(candidate: Candidate, lengths: tuple[int, int]) -> Candidate:
    """Returns a quote with the sentences that follow it: what answers is often said in the second.

    `lengths` are the characters from which on a quote is long enough, and those that it must not exceed by a sentence more.
    """
    enough, most = lengths
    text = candidate.passage.text
    found, last = units(text), candidate.last
    start = found[candidate.first].start
    while (
        last + 1 < len(found)
        and found[last].end - start < enough
        and found[last + 1].end - start <= most
        and not (found[last + 1].aside or found[last + 1].introduces)
        and not text[found[last].end : found[last + 1].start].strip()
    ):
        last += 1
    return replace(candidate, last=last, quote=text[start : found[last].end])


def context_of(passage: Passage) -> str:
    """Returns a passage with the title and the headings above it."""
    headings = " ".join(passage.span.heading_path or ())
    return f"{passage.title or ''} {headings} {passage.text}"
