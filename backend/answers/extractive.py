"""The built-in generator: it answers with sentences of the passages, word for word, or refuses.

First the passage is chosen, then the sentence of it that answers, then what that sentence needs to be understood and what
follows on it. A passage about another product, the other side of a contrast, another company or another year is not asked
at all.
"""

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from backend.answers import elements
from backend.answers.asked import ParsedQuestion
from backend.answers.candidates import Candidate, agreeing, candidates, context_of, eligible, extended
from backend.answers.generator import NOT_SUPPORTED, Claim, Generation, Passage, Prompt, Quote
from backend.answers.grounding.verdict import Support
from backend.answers.passage_reading import PassageReading, Reader, WordModel
from backend.answers.word_pairs import apart
from backend.language import terms

NAME = "extractive-v7"

# Whether there is an answer: fitted on support articles, questions that their collection cannot answer, and the demo's documents.
THRESHOLD = 1.69
SUPPORT = {
    "passage": 1.0,  # of the greatest cosine of a passage
    "sentence": 0.8,  # of the greatest cosine of a sentence
    "lead": 0.2,  # of the greatest cosine of a sentence with which a passage begins
    "said": 0.5,  # of how well a passage meets the words of the question
    "passage_with_everything": 0.2,  # for a passage that has every word that tells what is asked
    "sentence_with_everything": 0.3,  # for a sentence that has
    "side": 0.06,  # for a passage on the side of a contrast that is asked about
    "case": 0.6,  # for passages about the very case
    "words": 0.045,  # for each word of the question: a long one is met less
    "absent": -0.25,  # of how much of what is asked no passage speaks of
    "apart": -0.1,  # of words that belong together in the question and not in a passage
}
_MOST_WORDS, _MOST_ABSENT = 12, 0.34

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

_MOST_CLAIMS = 2
_LONGEST_ANSWER = 512  # tokens, of as many quotes of the longest


class ExtractiveGenerator:
    """Quotes the sentences that answer; needs no model server."""

    def __init__(self, model: WordModel, *, retrieves: bool = True) -> None:
        """Uses the built-in model, for which its weights were fitted.

        Where another one `retrieves`, what that says of question and passages is not used: its cosines mean something else.
        """
        self._model = model
        self._retrieves = retrieves
        self._reader = Reader(model)

    @property
    def name(self) -> str:
        """The generator's name and version, recorded as the model."""
        return NAME

    @property
    def parameters(self) -> Mapping[str, str | int]:
        """The threshold and weights of the decision."""
        weights = {"threshold": THRESHOLD, "margin": MARGIN}
        for kind, found in (
            ("support", SUPPORT),
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
        """Returns up to two quotes, the best first, or a refusal."""
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
        if support(asked, found, asked.absent(contexts)) < THRESHOLD:
            return []
        return select(asked, found)

    async def _with_own_cosines(self, passages: Sequence[Passage], question: NDArray[np.float32]) -> list[Passage]:
        """Returns passages with the cosines that they have by the built-in model."""
        vectors = await self._model.embed_passages(
            [passage.text for passage in passages], [passage.title or "" for passage in passages]
        )
        cosines = vectors @ question
        return [replace(passage, cosine=float(cosine)) for passage, cosine in zip(passages, cosines, strict=True)]


@dataclass(frozen=True, slots=True)
class PassageCandidates:
    """A passage as it was read, and its sentences that could answer."""

    reading: PassageReading
    candidates: Sequence[Candidate]


def support(asked: ParsedQuestion, found: Sequence[PassageCandidates], absent: float) -> float:
    """Returns how likely it is that there is an answer; `absent` is the share of what is asked that no passage speaks of."""
    readings = [one.reading for one in found]
    contexts = [context_of(reading.passage) for reading in readings]
    sentences = [candidate.quote for one in found for candidate in one.candidates]
    has = {
        "passage": max(map(_cosine, readings)),
        "lead": max(reading.lead for reading in readings),
        "sentence": max(max(reading.sentences, default=0.0) for reading in readings),
        "said": max(reading.said for reading in readings),
        "passage_with_everything": any(asked.coverage(context) == 1 for context in contexts),
        "sentence_with_everything": any(asked.coverage(sentence) == 1 for sentence in sentences),
        "side": any(asked.names_side(context) for context in contexts),
        "case": asked.is_about_a_case,
        "words": min(len(terms.stems(asked.text)), _MOST_WORDS),
        "absent": min(absent, _MOST_ABSENT),
        "apart": min(apart(asked.text, context) for context in contexts),
    }
    return sum(SUPPORT[name] * float(value) for name, value in has.items())


def select(asked: ParsedQuestion, found: Sequence[PassageCandidates]) -> list[Claim]:
    """Returns a claim of the best passage, and a shorter one of another document's that is nearly as good."""
    chosen = [best for one in found if (best := _best_of(asked, one)) is not None]
    chosen.sort(key=lambda found: -found[0])
    close = [candidate for score, candidate in chosen if score >= chosen[0][0] - MARGIN]
    others = [candidate for candidate in close[1:] if candidate.passage.doc_id != close[0].passage.doc_id]
    return _claims([agreeing(asked, one) for one in (*map(extended, close[:1]), *others)])


def _best_of(asked: ParsedQuestion, found: PassageCandidates) -> tuple[float, Candidate] | None:
    """Returns the sentence of a passage that answers best, with how likely it is that this passage answers."""
    reading = found.reading
    fitting = [(_fitness(asked, reading, one), -one.position, one) for one in found.candidates]
    if not fitting:
        return None
    fitness, _, best = max(fitting)
    has = {
        "passage": _cosine(reading),
        "bm25": reading.passage.bm25 or 0.0,
        "lead": reading.lead,
        "sentence": max(reading.sentences, default=0.0),
        "said": reading.said,
        "side": asked.names_side(context_of(reading.passage)) is True,
        "fitness": fitness,
    }
    return sum(CHOICE[name] * float(value) for name, value in has.items()), best


def _cosine(reading: PassageReading) -> float:
    return reading.passage.cosine if reading.passage.cosine is not None else max(reading.sentences, default=0.0)


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
