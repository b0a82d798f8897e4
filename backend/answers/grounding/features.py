"""What an alignment looks like in numbers, for the classifier that decides whether it says the same."""

from collections.abc import Callable
from functools import lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from backend.answers.grounding.alignment import Alignment, Grade
from backend.language.parsed_sentences import ParsedSentence

Vectors = NDArray[np.float32]
TokenVectors = Callable[[str], tuple[list[tuple[int, int]], Vectors]]
"""Returns where the tokens of a text stand in it, and the unit vectors (tokens, dimensions) that they have there."""

NAMES = (
    "bias", "content", "missing", "context", "synonyms", "opposites", "coverage", "worst", "novelty", "worst_same",
    "mean_same", "sentence", "inversions", "apart", "unused_of_clause", "unused", "shorter", "quantities", "clauses",
    "substituted", "new",
)  # fmt: skip
_NEAR = 4  # tokens
_NEW = 0.55  # novelty of a word from which on the evidence has none like it


class Features:
    """Computes the features of alignments; the vectors of the last sentences are kept."""

    def __init__(self, token_vectors: TokenVectors) -> None:
        """Takes the model of words in context."""
        self._token_vectors = token_vectors
        self._words = lru_cache(maxsize=512)(self._word_vectors)

    def __call__(self, alignment: Alignment) -> NDArray[np.float64]:
        """Returns the features (len(NAMES),) in the order of `NAMES`; takes 2 to 10 ms when the sentences are new."""
        statement, source = alignment.statement, alignment.source
        said, written = self._words(statement.text, statement), self._words(source.text, source)
        content = max(len(statement.content), 1)
        lost = [*alignment.missing, *alignment.context]
        grades = [pair.grade for pair in alignment.pairs.values()]
        nearest = {position: _nearest(said[position], written) for position in lost}
        same = [
            float(said[pair.said] @ written[pair.source])
            for pair in alignment.pairs.values()
            if pair.grade in {Grade.SAME, Grade.PARTY}
        ]  # fmt: skip
        novelties = [1 - likeness for _, likeness in nearest.values()]
        used = alignment.sources()
        principal = {theirs[0] for theirs in alignment.clauses.values()}
        own = [position for number in principal for position in source.clauses[number].content]
        return np.array([
            1.0,
            np.log(content),
            len(alignment.missing) / content,
            len(alignment.context) / content,
            sum(grade is Grade.SYNONYM for grade in grades) / content,
            sum(grade is Grade.OPPOSITE for grade in grades),
            alignment.coverage,
            max(novelties, default=0.0),
            sum(novelties),
            min(same, default=0.5),
            float(np.mean(same)) if same else 0.5,
            float(_mean(said) @ _mean(written)),
            _inversions(alignment),
            _apart(alignment),
            sum(position not in used for position in own) / max(len(own), 1),
            sum(position not in used for position in source.content) / max(len(source.content), 1),
            min(len(statement.tokens) / max(len(source.tokens), 1), 2.0),
            min(len(statement.quantities), 3),
            len(statement.clauses) - len(principal),
            sum(place not in used and place in source.content for place, _ in nearest.values()) / content,
            min(sum(novelty > _NEW for novelty in novelties), 3),
        ])  # fmt: skip

    def _word_vectors(self, text: str, reading: ParsedSentence) -> Vectors:
        """Returns a vector for each of the reading's tokens: the mean of those of its pieces."""
        offsets, vectors = self._token_vectors(text)
        dimensions = vectors.shape[1]
        words = np.zeros((len(reading.tokens), dimensions), dtype=np.float32)
        piece = 0
        for number, token in enumerate(reading.tokens):
            while piece < len(offsets) and offsets[piece][1] <= token.start:
                piece += 1
            last = piece
            while last < len(offsets) and offsets[last][0] < token.end:
                last += 1
            if last > piece:
                words[number] = vectors[piece:last].mean(axis=0)
        norms = np.linalg.norm(words, axis=1, keepdims=True)
        unit: Vectors = words / np.maximum(norms, 1e-9)
        return unit


def _nearest(vector: Vectors, others: Vectors) -> tuple[int, float]:
    likenesses = others @ vector
    best = int(likenesses.argmax())
    return best, float(likenesses[best])


def _mean(vectors: Vectors) -> Vectors:
    mean: Vectors = vectors.mean(axis=0)
    unit: Vectors = mean / max(float(np.linalg.norm(mean)), 1e-9)
    return unit


def _inversions(alignment: Alignment) -> float:
    """Returns the share of neighbouring words that stand the other way round in the evidence."""
    pairs = sorted(alignment.pairs.values(), key=lambda pair: pair.said)
    return sum(later.source < earlier.source for earlier, later in pairwise(pairs)) / max(len(pairs) - 1, 1)


def _apart(alignment: Alignment) -> float:
    """Returns the share of words that stand side by side here, and not in the evidence."""
    neighbours = [
        (alignment.pairs.get(first), alignment.pairs.get(second))
        for first, second in pairwise(alignment.statement.content)
        if second - first <= 1
    ]  # fmt: skip
    together = [(one, other) for one, other in neighbours if one and other]
    return sum(abs(one.source - other.source) > _NEAR for one, other in together) / max(len(together), 1)
