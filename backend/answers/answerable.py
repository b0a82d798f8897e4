"""Whether passages hold an answer at all, by a logistic model with weights of a few hundred bytes."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Self

import numpy as np

from backend.answers.asked import ParsedQuestion
from backend.answers.candidates import Candidate, context_of
from backend.answers.passage_reading import PassageReading
from backend.language import terms

NAMES = (
    "passage",  # the greatest cosine of a passage
    "sentence",  # and of a sentence
    "lead",  # and of a sentence with which a passage begins
    "said",  # how well a passage meets the words of the question
    "said_of_rare",  # and those that are rare
    "passage_with_everything",  # whether a passage speaks of all that is asked
    "sentence_with_everything",
    "words",  # of the question: a long one is met less
    "absent",  # how much of what is asked no passage speaks of
    "amount",  # whether a sentence with everything reaches the amount that is asked about
    "case",  # whether passages are about the very case
)
_WEIGHTS = "answerable.json"  # written by `python -m tests.benchmarks.answers.train`
_MOST_WORDS = 12


@dataclass(frozen=True, slots=True)
class PassageCandidates:
    """A passage as it was read, and its sentences that could answer."""

    reading: PassageReading
    candidates: Sequence[Candidate]

    @property
    def cosine(self) -> float:
        """The passage's likeness to the question."""
        return cosine(self.reading)


@dataclass(frozen=True, slots=True)
class Answerable:
    """Weights of the features, and the probability from which on a question is answered."""

    weights: Mapping[str, float]
    bias: float
    threshold: float

    @classmethod
    def load(cls, words: str) -> Self:
        """Loads the trained model; raises ValueError when it was trained on other features, or by another model of `words`."""
        stored = json.loads(files("backend.answers").joinpath(_WEIGHTS).read_text(encoding="utf-8"))
        if stored["model"] != words:
            message = f"{_WEIGHTS} was trained on what {stored['model']} makes of words, not {words}"
            raise ValueError(message)
        bias = stored["weights"].pop("bias")
        if set(stored["weights"]) != set(NAMES):
            message = f"{_WEIGHTS} was trained on other features; run tests.benchmarks.answers.train"
            raise ValueError(message)
        return cls(stored["weights"], bias, stored["threshold"])

    def probability(self, asked: ParsedQuestion, found: Sequence[PassageCandidates], absent: float) -> float:
        """Returns how likely it is that there is an answer; `absent` is what no passage speaks of."""
        has = features(asked, found, absent)
        score = self.bias + sum(weight * has[name] for name, weight in self.weights.items())
        return float(1 / (1 + np.exp(-np.clip(score, -50, 50))))


def features(asked: ParsedQuestion, found: Sequence[PassageCandidates], absent: float) -> dict[str, float]:
    """Returns what tells whether there is an answer, by NAMES."""
    readings = [one.reading for one in found]
    contexts = [context_of(reading.passage) for reading in readings]
    quotes = [one.quote for passage in found for one in passage.candidates]
    with_everything = [quote for quote in quotes if asked.coverage(quote) == 1]
    return {
        "passage": max(map(cosine, readings)),
        "sentence": max(max(reading.sentences, default=0.0) for reading in readings),
        "lead": max(reading.lead for reading in readings),
        "said": max(reading.said for reading in readings),
        "said_of_rare": max(reading.said_of_rare for reading in readings),
        "passage_with_everything": float(any(asked.coverage(context) == 1 for context in contexts)),
        "sentence_with_everything": float(bool(with_everything)),
        "words": min(len(terms.stems(asked.text)), _MOST_WORDS),
        "absent": absent,
        "amount": float(any(asked.is_reached_by(quote) for quote in with_everything)),
        "case": float(asked.is_about_a_case),
    }


def cosine(reading: PassageReading) -> float:
    """Returns a passage's likeness to the question: as it was found, or as its best sentence's."""
    return reading.passage.cosine if reading.passage.cosine is not None else max(reading.sentences, default=0.0)
