"""Trains what decides whether passages hold an answer: `python -m tests.benchmarks.answers.train`.

Questions that were written here and may be read, and the titles of support articles, have one; questions near to the subject,
and far from it, have none. Sets that are only counted are never read. Prints what ten-fold cross-validation says, and writes the
weights, which apply to features as they are.
"""

import asyncio
import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from backend.answers import answerable
from backend.answers.answerable import PassageCandidates, features
from backend.answers.asked import ParsedQuestion
from backend.answers.candidates import candidates, context_of, eligible
from backend.answers.passage_reading import Reader
from tests.benchmarks.answers.__main__ import SUPPORT, FactQuestion, _read, collection, embedder, questions

WEIGHTS = Path(answerable.__file__).with_name("answerable.json")
COUNTED = ("fourth", "fifth", "seventh", "eighth", "ninth")
# What a question of the demo counts, of which there are few, and one without an answer of the sets that were harder than others.
DEMO, HARD = 16.0, 2.0
EASY = ("near, trained on", "near, told as stories")
PENALTY = 1.0
FOLDS, ROUNDS, STEPS = 10, 3, 12
BY_HAND = {"amount": 3.0, "case": 5.0}  # there are few such questions
THRESHOLD = 0.57

Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class TrainingQuestion:
    """A question, whether it has an answer, and what its passages say of that; None, if it is refused before."""

    set: str
    has_answer: bool
    features: dict[str, float]

    @property
    def by_hand(self) -> float:
        """What its score gains for what is too rare to be trained."""
        return sum(weight * self.features[name] for name, weight in BY_HAND.items())

    @property
    def weight(self) -> float:
        """What it counts in training."""
        if self.by_hand:
            return 0.0
        if self.set.startswith("demo"):
            return DEMO
        return HARD if self.set.startswith("near") and self.set not in EASY else 1.0


def example(reader: Reader, question: FactQuestion) -> TrainingQuestion | None:
    """Returns what the generator knows when it decides; None, if it refuses before."""
    retrieved = collection(question.collection).retrieve(question.text)
    asked = ParsedQuestion.read(question.text)
    contexts = [context_of(passage) for passage in retrieved]
    if asked.unmentioned(retrieved):
        return None
    asked = asked.among(contexts)
    if not (passages := eligible(asked, retrieved)):
        return None
    readings = asyncio.run(reader.read(question.text, embedder().encode_query(question.text), passages))
    found = [PassageCandidates(reading, candidates(asked, reading.passage)) for reading in readings]
    has_answer = question.set == "titles" or not question.set.startswith(("near", "far"))
    return TrainingQuestion(question.set, has_answer, features(asked, found, asked.absent(contexts)))


def fit(values: Numbers, labels: Numbers, weights: Numbers) -> Numbers:
    """Returns bias and weights of a logistic model, by Newton's method."""
    inputs = np.hstack([np.ones((len(values), 1)), values])
    penalty = 2 * PENALTY * np.diag([0.0, *np.ones(values.shape[1])])
    theta = np.zeros(inputs.shape[1])
    for _ in range(STEPS):
        likely = 1 / (1 + np.exp(-inputs @ theta))
        slope = inputs.T @ (weights * (likely - labels)) + penalty @ theta
        curvature = (inputs.T * (weights * likely * (1 - likely))) @ inputs + penalty
        theta -= np.linalg.solve(curvature, slope)
    return theta


def cross_validated(values: Numbers, labels: Numbers, weights: Numbers) -> Numbers:
    """Returns scores of questions by models that were trained on others."""
    scores, order = np.zeros(len(labels)), np.random.default_rng(0)
    for _ in range(ROUNDS):
        folds = order.permutation(len(labels)) % FOLDS
        for fold in range(FOLDS):
            own = folds == fold
            theta = fit(values[~own], labels[~own], weights[~own])
            scores[own] += (values[own] @ theta[1:] + theta[0]) / ROUNDS
    return scores


def main() -> None:
    """Trains, prints, and writes the weights."""
    reader = Reader(embedder())
    titles = [FactQuestion("titles", row["question"], SUPPORT, ()) for row in _read("queries_dev.jsonl")]
    asked = [one for one in questions() if not any(name in one.set for name in COUNTED)] + titles
    read = [(one, example(reader, one)) for one in asked]
    known = [found for _, found in read if found is not None]
    names = [name for name in answerable.NAMES if name not in BY_HAND]
    values = np.array([[one.features[name] for name in names] for one in known])
    mean, deviation = values.mean(axis=0), values.std(axis=0) + 1e-9
    scaled = (values - mean) / deviation
    labels = np.array([float(one.has_answer) for one in known])
    weights = np.array([one.weight for one in known])
    scores = cross_validated(scaled, labels, weights)
    answered: Counter[str] = Counter()
    for one, score in zip(known, scores, strict=True):
        answered[one.set] += bool(score + one.by_hand >= np.log(THRESHOLD / (1 - THRESHOLD)))
    print("| set | questions | answered, by cross-validation |\n|---|---|---|")
    for name, total in Counter(question.set for question, _ in read).items():
        print(f"| {name} | {total} | {answered[name]} |")
    theta = fit(scaled, labels, weights)
    raw = theta[1:] / deviation
    trained = {"bias": float(theta[0] - raw @ mean), **dict(zip(names, map(float, raw), strict=True)), **BY_HAND}
    stored = {
        "model": embedder().model,
        "threshold": THRESHOLD,
        "weights": {name: round(weight, 5) for name, weight in trained.items()},
    }
    WEIGHTS.write_text(json.dumps(stored, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
