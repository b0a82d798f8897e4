"""Decides whether an alignment that breaks no rule says the same, by a logistic model with weights of a few hundred bytes."""

import json
from dataclasses import dataclass
from importlib.resources import files
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from backend.answers.grounding.alignment import Alignment
from backend.answers.grounding.features import NAMES, Features, TokenVectors

_WEIGHTS = "likeness.json"  # written by `python -m tests.benchmarks.grounding.train`


class ContextModel(Protocol):
    """The built-in model, which knows words in their context."""

    @property
    def model(self) -> str:
        """The model's name."""

    @property
    def token_vectors(self) -> TokenVectors:
        """Returns where the tokens of a text stand in it, and the unit vectors that they have there."""


@dataclass(frozen=True, slots=True)
class Model:
    """Weights of the features, and the probability from which on a statement passes."""

    weights: NDArray[np.float64]
    threshold: float

    @classmethod
    def load(cls, words: str) -> Self:
        """Loads the trained model; raises ValueError when it was trained on other features, or by another model of `words`."""
        stored = json.loads(files("backend.answers.grounding").joinpath(_WEIGHTS).read_text(encoding="utf-8"))
        if stored["model"] != words:
            message = f"{_WEIGHTS} was trained on what {stored['model']} makes of words, not {words}"
            raise ValueError(message)
        if set(stored["weights"]) != set(NAMES):
            message = f"{_WEIGHTS} was trained on other features; run tests.benchmarks.grounding.train"
            raise ValueError(message)
        return cls(np.array([stored["weights"][name] for name in NAMES]), float(stored["threshold"]))

    def probability(self, features: NDArray[np.float64]) -> float:
        """Returns the probability that the evidence says the same."""
        return float(1 / (1 + np.exp(-np.clip(self.weights @ features, -50, 50))))


class Likeness:
    """The probability that an alignment's evidence says the same as its statement."""

    def __init__(self, words: ContextModel) -> None:
        """Takes the model of words in context; raises ValueError when the weights were trained on another's."""
        self._features = Features(words.token_vectors)
        self._model = Model.load(words.model)

    @property
    def threshold(self) -> float:
        """The probability from which on a statement passes."""
        return self._model.threshold

    def __call__(self, alignment: Alignment) -> float:
        """Returns the probability; takes 2 to 10 ms."""
        return self._model.probability(self._features(alignment))
