"""Trains the likeness model, and measures it on kinds of falsehood that it was not trained on.

    nice -n 10 .venv/bin/python -m tests.benchmarks.grounding.train

Reads the statements beside this file and what the generator makes of ../shared/data; writes the weights, and no text.
"""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from backend.answers.grounding.features import NAMES
from tests.benchmarks.grounding.statements import Example, embedder, examples

WEIGHTS = Path(__file__).resolve().parents[3] / "backend" / "answers" / "grounding" / "likeness.json"
REGULARISATION = 1.0
FALSE_WEIGHT = 1.5  # showing a falsehood is worse than dropping a truth
ROUNDS = 60
THRESHOLD = (
    0.4  # of the thresholds that accept no more written falsehoods of unseen passages, one that drops few truths
)

Array = NDArray[np.float64]


def fitted(features: Array, supported: Array, weights: Array) -> Array:
    """Returns the coefficients of a logistic regression, by Newton's method."""
    scale = np.maximum(features.std(axis=0), 1e-6)
    scale[0] = 1.0
    scaled = features / scale
    coefficients = np.zeros(scaled.shape[1])
    penalty = np.full(scaled.shape[1], REGULARISATION)
    penalty[0] = 0.0
    for _ in range(ROUNDS):
        predicted = 1 / (1 + np.exp(-scaled @ coefficients))
        gradient = scaled.T @ (weights * (predicted - supported)) + penalty * coefficients
        curvature = (scaled * (weights * predicted * (1 - predicted))[:, None]).T @ scaled + np.diag(penalty + 1e-9)
        coefficients -= np.linalg.solve(curvature, gradient)
    found: Array = coefficients / scale
    return found


def train(chosen: Sequence[Example]) -> Array:
    """Returns the weights that fit the examples."""
    features = np.stack([example.features for example in chosen])
    supported = np.array([float(example.supported) for example in chosen])
    weights = np.array([example.weight * (1.0 if example.supported else FALSE_WEIGHT) for example in chosen])
    return fitted(features, supported, weights)


def probabilities(coefficients: Array, chosen: Sequence[Example]) -> Array:
    """Returns the probability of each example."""
    return 1 / (1 + np.exp(-np.stack([example.features for example in chosen]) @ coefficients))


def by_kind(found: Sequence[Example]) -> None:
    """Prints what a model that never saw a kind of falsehood accepts of it."""
    for kind in sorted({example.kind for example in found if not example.supported}):
        held_out = [example for example in found if example.kind == kind]
        coefficients = train([example for example in found if example.kind != kind])
        accepted = int((probabilities(coefficients, held_out) >= 0.5).sum())
        print(f"  {kind:<24} {accepted:>4} of {len(held_out):>4} that the rules let through")


def by_passage(found: Sequence[Example], folds: int = 10) -> None:
    """Prints what models accept and drop of statements about passages that they never saw."""
    names = sorted({example.passage for example in found})
    scores: list[tuple[float, bool]] = []
    for fold in range(folds):
        unseen = set(names[fold::folds])
        coefficients = train([example for example in found if example.passage not in unseen])
        tested = [example for example in found if example.passage in unseen and example.written]
        if not tested:
            continue
        scores += list(zip(probabilities(coefficients, tested), [example.supported for example in tested], strict=True))
    for threshold in (0.3, 0.4, 0.5, 0.6, 0.7, 0.8):
        false = sum(score >= threshold for score, supported in scores if not supported)
        dropped = sum(score < threshold for score, supported in scores if supported)
        print(
            f"  threshold {threshold}: {false} false accepted, {dropped} true dropped, of {len(scores)} past the rules"
        )


def main() -> None:
    """Trains on everything, after measuring without each part of it."""
    found = examples()
    print(
        f"{sum(e.supported for e in found)} true and {sum(not e.supported for e in found)} false statements pass the rules"
    )
    print("by kind of falsehood, trained on the others:")
    by_kind(found)
    print("by passage, trained on the others (written statements):")
    by_passage(found)
    coefficients = train(found)
    weights = dict(zip(NAMES, np.round(coefficients, 5).tolist(), strict=True))
    stored = {"model": embedder().model, "threshold": THRESHOLD, "weights": weights}
    WEIGHTS.write_text(json.dumps(stored, indent=1) + "\n", encoding="utf-8")
    for name, value in sorted(weights.items(), key=lambda pair: -abs(pair[1])):
        print(f"  {name:<18} {value:+.3f}")


if __name__ == "__main__":
    main()
