"""The built-in generator: it answers with sentences of the passages, word for word, or refuses.

First the passage is chosen, then the sentence of it that answers, then what that sentence needs to be understood. A passage
about another product, the other side of a contrast, another company or another year is not asked at all.
"""

import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from backend.answers.asked import Asked, Kind, amounts
from backend.answers.generator import NOT_SUPPORTED, Claim, Generation, Passage, Prompt, Quote
from backend.answers.grounding.verdict import Support
from backend.answers.units import Unit, answers_alone, run, units
from backend.language import terms

Embed = Callable[[Sequence[str]], Awaitable[NDArray[np.float32]]]
"""Turns n texts into n unit vectors, as the rows of one array."""

NAME = "extractive-v2"

# Calibrated on support articles, on questions that their collection cannot answer, and on the demo's documents. Whether
# there is an answer, the passage tells better than any sentence of it; which sentence it is, both.
THRESHOLD = 0.6
SENTENCE_WEIGHT = 0.3  # of the sentence's cosine, where it is greater than the passage's
FULL_COVERAGE_BONUS = 0.08  # for a sentence that speaks of everything that is asked
COVERAGE_WEIGHT = 0.1  # of how much of what is asked the passage speaks of
FITNESS = {
    "sentence": 0.6,  # of its cosine
    "passage": 0.8,  # of its cosine
    "coverage": 0.25,  # of how much the sentence speaks of what is asked and not in the title
    "lead": 0.14,  # for the sentence with which a passage begins
    "kind": 0.1,  # for what the question asks for: a figure, a yes or no, what something is
    "person": 0.15,  # for what a customer has to do, when that is the question
    "condition": -0.15,  # for what holds under a condition of which the question does not speak
    "rank": -0.04,  # for each passage that is ranked before
    "aside": -0.1,  # for tips and notes
}
SIDE_BONUS = 0.1  # for a passage on the side of a contrast that is asked about
IDENTIFIER_BONUS = 0.35  # for a passage that is about the very case, when it speaks of what is asked about it
MARGIN = 0.06  # a further sentence of the same passage may be this much weaker than the best

_MOST_PASSAGES = 4
_NEAR = 3  # passages among which one has to name the side of a contrast, for the others to be left out
_MOST_CANDIDATES = 12  # sentences, 1 to 5 ms each to embed; 40 find no better answers
_MOST_CLAIMS = 2
_LONGEST_MEANING = 500  # characters
_ENOUGH_WORDS = 8  # for a sentence to be understood without what it refers to
_SHORT_QUOTE, _LONG_QUOTE = 180, 520  # characters
_REMEMBERED = 20_000  # vectors of sentences, 1.5 KB each


@dataclass(frozen=True, slots=True)
class Candidate:
    """A sentence that could answer, and the run of sentences that makes it readable alone."""

    passage: Passage
    unit: Unit
    lead: bool
    first: int
    last: int
    quote: str

    @property
    def meaning(self) -> str:
        """The text whose likeness to the question counts: the sentence, with what it refers to."""
        text = self.passage.text[self.unit.start : self.unit.end]
        alone = self.quote.startswith(text) or len(terms.stems(text)) >= _ENOUGH_WORDS
        return text if alone else self.quote[:_LONGEST_MEANING]


class ExtractiveGenerator:
    """Quotes the sentences that answer; needs no model server."""

    def __init__(self, embed: Embed) -> None:
        """Uses `embed` for sentences, and for a question whose vector is not known from its retrieval."""
        self._embed = embed
        self._vectors = SentenceVectors(embed)

    @property
    def name(self) -> str:
        """The generator's name and version, recorded as the model."""
        return NAME

    @property
    def parameters(self) -> Mapping[str, str | int]:
        """The threshold and weights of the decision."""
        weights = {"threshold": THRESHOLD, "sentence_weight": SENTENCE_WEIGHT, "coverage_weight": COVERAGE_WEIGHT}
        fitness = {f"fitness_{name}": weight for name, weight in FITNESS.items()}
        return {name: str(value) for name, value in (weights | fitness | {"margin": MARGIN}).items()}

    async def generate(self, prompt: Prompt) -> Generation:
        """Returns up to three quotes, the best first, or a refusal."""
        claims = await self._claims(prompt)
        return Generation(
            claims=tuple(claims),
            refusal=None if claims else NOT_SUPPORTED,
            completion=" ".join(claim.sentence for claim in claims),
            dropped=(),
            model_requested=NAME,
            model_served=NAME,
            finish_reason="stop",
            parameters=self.parameters,
        )

    async def stream(self, prompt: Prompt) -> AsyncGenerator[Claim | Generation]:
        """Yields the generation, which is there as a whole."""
        yield await self.generate(prompt)

    async def _claims(self, prompt: Prompt) -> list[Claim]:
        asked = Asked.read(prompt.question)
        if asked.unmentioned(prompt.passages):
            return []
        found = candidates(asked, prompt.passages)
        if not found:
            return []
        question = prompt.vector if prompt.vector is not None else (await self._embed([prompt.question]))[0]
        vectors = await self._vectors.of(found)
        return select(asked, found, vectors @ question)


_WHEN = re.compile(r"when\b", re.IGNORECASE)
_TELLS_WHEN = re.compile(r"\b(?:when|once|as soon as|before|after|until|by the time)\b", re.IGNORECASE)


class SentenceVectors:
    """Remembers the vectors of sentences by their chunk, so that what is asked often is embedded once."""

    def __init__(self, embed: Embed) -> None:
        self._embed = embed
        self._known: dict[tuple[UUID, int, int], NDArray[np.float32]] = {}

    async def of(self, found: Sequence[Candidate]) -> NDArray[np.float32]:
        """Returns the vectors of the candidates' sentences, as the rows of one array."""
        keys = [(candidate.passage.chunk_id, candidate.unit.start, candidate.unit.end) for candidate in found]
        missing = {key: candidate.meaning for key, candidate in zip(keys, found, strict=True) if key not in self._known}
        if missing:
            vectors = dict(zip(missing, await self._embed(list(missing.values())), strict=True))
            found_now = {key: vectors[key] if key in vectors else self._known[key] for key in keys}
            self._known.update(vectors)
            for oldest in list(self._known)[: max(0, len(self._known) - _REMEMBERED)]:
                del self._known[oldest]
        else:
            found_now = {key: self._known[key] for key in keys}
        return np.stack([found_now[key] for key in keys])


def candidates(asked: Asked, passages: Sequence[Passage]) -> list[Candidate]:
    """Returns the sentences that could answer; of too many, those of better passages that share most with the question."""
    eligible = [passage for passage in passages if _is_eligible(asked, _context(passage))]
    if any(asked.names_side(passage.text) for passage in eligible[:_NEAR]):
        eligible = [passage for passage in eligible if asked.names_side(passage.text)]
    found = [candidate for passage in eligible[:_MOST_PASSAGES] for candidate in _candidates_in(asked, passage)]
    if len(found) > _MOST_CANDIDATES:
        found.sort(key=lambda c: -(asked.coverage(c.quote) + 0.3 * c.lead - 0.15 * c.passage.number))
    return found[:_MOST_CANDIDATES]


def _is_eligible(asked: Asked, context: str) -> bool:
    """Whether a passage speaks of what is asked at all, of the very product, and of the very year or case."""
    return asked.coverage(context) > 0 and not asked.is_beside(context) and asked.is_identified_by(context)


def _candidates_in(asked: Asked, passage: Passage) -> list[Candidate]:
    text, context = passage.text, _context(passage)
    found = units(text)
    candidates = []
    for position, unit in enumerate(found):
        if not answers_alone(text, unit):
            continue
        first, last = run(text, found, position)
        last = _reaching(asked, text, found, last)
        quote = text[found[first].start : found[last].end]
        if quote.endswith(("?", ":")) or asked.is_about_another(quote, context):
            continue
        candidates.append(Candidate(passage, unit, position == 0, first, last, quote))
    return candidates


def _reaching(asked: Asked, text: str, found: list[Unit], last: int) -> int:
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


def select(asked: Asked, found: list[Candidate], cosines: NDArray[np.float32]) -> list[Claim]:
    """Returns the claims of the supported candidates, the most fitting first."""
    scored = [Score.of(asked, candidate, float(cosine)) for candidate, cosine in zip(found, cosines, strict=True)]
    scored.sort(key=lambda score: -score.fitness)
    supported = [score for score in scored if score.support >= THRESHOLD]
    if not supported:
        return []
    best = supported[0]
    close = [score.candidate for score in supported if score.fitness >= best.fitness - MARGIN]
    return _claims([_extended(asked, one) for one in close if one.passage.number == best.candidate.passage.number])


def _extended(asked: Asked, candidate: Candidate) -> Candidate:
    """Returns a short quote with the sentences that follow it, unless a figure is all that is asked for."""
    text = candidate.passage.text
    found, last = units(text), candidate.last
    while (
        asked.kind is not Kind.FIGURE
        and last + 1 < len(found)
        and found[last].end - found[candidate.first].start < _SHORT_QUOTE
        and found[last + 1].end - found[candidate.first].start <= _LONG_QUOTE
        and not (found[last + 1].aside or found[last + 1].introduces)
        and not text[found[last].end : found[last + 1].start].strip()
        and asked.coverage(text[found[last + 1].start : found[last + 1].end]) > 0
    ):
        last += 1
    return replace(candidate, last=last, quote=text[found[candidate.first].start : found[last].end])


@dataclass(frozen=True, slots=True)
class Score:
    """How well a candidate answers: `support` decides whether it may, `fitness` which one does."""

    candidate: Candidate
    support: float
    fitness: float

    @classmethod
    def of(cls, asked: Asked, candidate: Candidate, cosine: float) -> "Score":
        """Scores a candidate whose sentence has this cosine with the question."""
        passage, quote = candidate.passage, candidate.quote
        likeness = cosine if passage.cosine is None else passage.cosine
        covered = asked.coverage(_context(passage))
        whole = FULL_COVERAGE_BONUS * (0.6 * (covered == 1.0) + 0.4 * (asked.coverage(quote) == 1.0))
        support = (1 - SENTENCE_WEIGHT) * likeness + SENTENCE_WEIGHT * max(cosine, likeness) + whole
        support += COVERAGE_WEIGHT * covered
        support += SIDE_BONUS * (asked.names_side(passage.text) is True)
        support += IDENTIFIER_BONUS * (asked.is_about_a_case and asked.coverage(quote) > 0)
        has = {
            "sentence": cosine,
            "passage": likeness,
            "coverage": asked.coverage_beyond(passage.title or "", quote),
            "lead": candidate.lead,
            "kind": _has_what_is_asked(asked, quote),
            "person": asked.agrees_in_person(quote),
            "condition": asked.is_narrowed_by(quote),
            "rank": passage.number - 1,
            "aside": candidate.unit.aside,
        }
        return cls(candidate, support, sum(FITNESS[name] * float(value) for name, value in has.items()))


def _has_what_is_asked(asked: Asked, quote: str) -> bool:
    if asked.amounts:
        bounds = amounts(quote)
        return bool(bounds) and max(bounds) >= max(asked.amounts)
    if asked.kind is Kind.FIGURE:
        return bool(terms.figures(quote) or (_WHEN.match(asked.text) and _TELLS_WHEN.search(quote)))
    if asked.kind is Kind.MEANING:
        return asked.is_explained_by(quote)
    if asked.kind is Kind.WHETHER:
        return quote.lower().startswith(("yes", "no,", "no.", "it depends", "generally"))
    return False


def _claims(chosen: list[Candidate]) -> list[Claim]:
    """Returns the first few candidates as claims, without those that another one already quotes."""
    kept: list[Candidate] = []
    for candidate in chosen:
        if not any(_overlap(candidate, other) for other in kept):
            kept.append(candidate)
    quotes = [Quote(candidate.passage, candidate.quote) for candidate in kept[:_MOST_CLAIMS]]
    return [Claim(" ".join(quote.text.split()), (quote,), Support.VERBATIM) for quote in quotes]


def _overlap(one: Candidate, other: Candidate) -> bool:
    if one.passage.number == other.passage.number:
        return one.first <= other.last and other.first <= one.last
    return one.quote in other.quote or other.quote in one.quote


def _context(passage: Passage) -> str:
    headings = " ".join(passage.span.heading_path or ())
    return f"{passage.title or ''} {headings} {passage.text}"
