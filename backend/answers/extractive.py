"""The built-in generator: it answers with sentences of the passages, word for word, or refuses.

First the passage is chosen, then the sentence of it that answers, then what that sentence needs to be understood and what
follows on it, and then another sentence of the passage, since the same question can ask for two things. A passage about another
product, the other side of a contrast, another company or another year is not asked at all.
"""

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from backend.answers import elements
from backend.answers.answerable import Answerable, PassageCandidates
from backend.answers.asked import ParsedQuestion
from backend.answers.candidates import Candidate, agreeing, candidates, context_of, eligible, extended
from backend.answers.generator import NOT_SUPPORTED, Claim, Generation, Passage, Prompt, Quote
from backend.answers.grounding.verdict import Support
from backend.answers.passage_reading import PassageReading, Reader, WordModel

NAME = "extractive-v8"

# Which passage answers: fitted on the titles of 484 articles, which are not in them.
CHOICE = {
    "passage": 1.0,  # of its cosine
    "bm25": 0.005,
    "lead": 0.26,  # of the cosine of its first sentence
    "sentence": 0.1,  # of its best sentence's
    "said": 0.5,  # of how well it meets the words of the question
    "side": 0.2,  # for naming the side of a contrast that is asked about
    "fitness": 0.4,  # of what its best sentence has
}
MARGIN = 0.1  # a second passage may be this much weaker than the first

# Which sentence of it does.
FITNESS = {
    "sentence": 0.8,  # of its cosine
    "lead": 0.2,  # for the sentence with which a passage begins
    "coverage": 0.2,  # of how much it speaks of what is asked and not in the title
    "element": 1.0,  # of what it gains for having what the question asks for
    "person": 0.3,  # for what a customer has to do, when that is the question
    "condition": -0.1,  # for what holds under a condition of which the question does not speak
    "aside": -0.2,  # for tips and notes
}

_MOST_CLAIMS = 3
_LONG, _MIDDLE, _SHORT = (350, 600), (250, 450), (150, 350)  # characters up to which a quote is extended, and at most
_LEAST_LIKENESS = 0.3  # of the cosine of a sentence that is shown beside the best
_LONGEST_ANSWER = 768  # tokens, of as many quotes of the longest


class ExtractiveGenerator:
    """Quotes the sentences that answer; needs no model server."""

    def __init__(self, model: WordModel, *, retrieves: bool = True) -> None:
        """Uses the built-in model, for which its weights were fitted.

        Where another one `retrieves`, what that says of question and passages is not used: its cosines mean something else.
        """
        self._model = model
        self._retrieves = retrieves
        self._reader = Reader(model)
        self._answerable = Answerable.load(model.model)

    @property
    def name(self) -> str:
        """The generator's name and version, recorded as the model."""
        return NAME

    @property
    def parameters(self) -> Mapping[str, str | int]:
        """The threshold and weights of the decision."""
        weights = {"threshold": self._answerable.threshold, "support_bias": self._answerable.bias, "margin": MARGIN}
        for kind, found in (
            ("support", self._answerable.weights),
            ("choice", CHOICE),
            ("fitness", FITNESS),
            ("element", elements.WEIGHTS),
        ):
            weights |= {f"{kind}_{name}": weight for name, weight in found.items()}
        return {name: str(value) for name, value in weights.items()}

    @property
    def longest_answer(self) -> int:
        """Tokens of its longest quotes, as estimated."""
        return _LONGEST_ANSWER

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
        asked, contexts = ParsedQuestion.read(prompt.question), [context_of(passage) for passage in prompt.passages]
        if asked.unmentioned(prompt.passages):
            return []
        asked = asked.among(contexts)
        passages = eligible(asked, prompt.passages)
        if not passages:
            return []
        known = prompt.vector if self._retrieves else None
        question = known if known is not None else (await self._model.embed_passages([prompt.question]))[0]
        if not self._retrieves:
            passages = await self._with_own_cosines(passages, question)
        readings = await self._reader.read(prompt.question, question, passages)
        found = [PassageCandidates(reading, candidates(asked, reading.passage)) for reading in readings]
        if self._answerable.probability(asked, found, asked.absent(contexts)) < self._answerable.threshold:
            return []
        return select(asked, found)

    async def _with_own_cosines(self, passages: Sequence[Passage], question: NDArray[np.float32]) -> list[Passage]:
        """Returns passages with the cosines that they have by the built-in model."""
        vectors = await self._model.embed_passages(
            [passage.text for passage in passages], [passage.title or "" for passage in passages]
        )
        cosines = vectors @ question
        return [replace(passage, cosine=float(cosine)) for passage, cosine in zip(passages, cosines, strict=True)]


def select(asked: ParsedQuestion, found: Sequence[PassageCandidates]) -> list[Claim]:
    """Returns a claim of the best passage, another one of it, and one of another document's that is nearly as good."""
    chosen = [(*of_passage, one) for one in found if (of_passage := _best_of(asked, one)) is not None]
    if not chosen:
        return []
    chosen.sort(key=lambda found: -found[0])
    score, best, passage = chosen[0]
    first = extended(best, _LONG)
    others = [
        extended(candidate, _MIDDLE)
        for other, candidate, _ in chosen[1:]
        if other >= score - MARGIN and candidate.passage.doc_id != best.passage.doc_id
    ]
    return _claims([agreeing(asked, one) for one in (first, *_second_aspect(asked, passage, first), *others)])


def _second_aspect(asked: ParsedQuestion, found: PassageCandidates, first: Candidate) -> list[Candidate]:
    """Returns what else of a passage answers best, if it has anything to do with the question."""
    left = [
        (_fitness(asked, found.reading, one), -one.position, one)
        for one in found.candidates
        if found.reading.sentences[one.position] > _LEAST_LIKENESS and not _overlap(one, first)
    ]
    return [extended(max(left)[2], _SHORT)] if left else []


def _best_of(asked: ParsedQuestion, found: PassageCandidates) -> tuple[float, Candidate] | None:
    """Returns the sentence of a passage that answers best, with how likely it is that this passage answers."""
    reading = found.reading
    fitting = [(_fitness(asked, reading, one), -one.position, one) for one in found.candidates]
    if not fitting:
        return None
    fitness, _, best = max(fitting)
    has = {
        "passage": found.cosine,
        "bm25": reading.passage.bm25 or 0.0,
        "lead": reading.lead,
        "sentence": max(reading.sentences, default=0.0),
        "said": reading.said,
        "side": asked.names_side(context_of(reading.passage)) is True,
        "fitness": fitness,
    }
    return sum(CHOICE[name] * float(value) for name, value in has.items()), best


def _fitness(asked: ParsedQuestion, reading: PassageReading, candidate: Candidate) -> float:
    """Returns how well a sentence answers, if its passage does."""
    has = {
        "sentence": reading.sentences[candidate.position],
        "lead": candidate.lead,
        "coverage": asked.coverage_beyond(reading.passage.title or "", candidate.quote),
        "element": elements.bonus(asked, candidate.quote),
        "person": asked.agrees_in_person(candidate.quote),
        "condition": asked.is_narrowed_by(candidate.quote),
        "aside": candidate.unit.aside,
    }
    return sum(FITNESS[name] * float(value) for name, value in has.items())


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
