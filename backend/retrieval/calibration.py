"""How much words count beside meaning for an embedding model, learned from texts whose questions nobody has judged.

A sentence is taken out of a text and asked as a question; the weight is best that finds the text without it before the others: an
inverse cloze task (Lee, Chang and Toutanova, "Latent Retrieval for Weakly Supervised Open Domain Question Answering", 2019).
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from backend.language import sentences
from backend.retrieval import lexicon
from backend.retrieval.embedding.embedder import Embedder, EmbedderUnavailable, Vectors, unit

WEIGHTS = (0.0025, 0.005, 0.0075, 0.01, 0.0125, 0.015, 0.0175, 0.02, 0.03, 0.04)
FEWEST_QUESTIONS = 50
MOST_QUESTIONS = 200
_AS_GOOD = 0.005  # of the mean reciprocal rank: weights that differ by less are equally good
_SHORTEST, _LONGEST = 6, 40  # words of a sentence that can be a question
_LEAST_LEFT = 25  # words of a text without it
_FEWEST_TOKENS, _MOST_TOKENS = 128, 8192
_SAME = 0.9999  # cosine of two texts that differ only in what the model does not read


@dataclass(frozen=True, slots=True)
class SampledText:
    """A text as it is found: with its title, its language, and its vector by the embedder."""

    text: str
    title: str
    language: str
    vector: Vectors


@dataclass(frozen=True, slots=True)
class Calibration:
    """What was measured: `found` is the mean reciprocal rank of the right text by each weight, and by meaning alone at 0."""

    questions: int
    texts: int
    found: dict[float, float]

    @property
    def weight(self) -> float:
        """The middle of the weights that are as good as the best: rankings hardly change between them."""
        best = max(self.found[weight] for weight in WEIGHTS)
        good = [weight for weight in WEIGHTS if self.found[weight] >= best - _AS_GOOD]
        return float(f"{math.sqrt(good[0] * good[-1]):.2g}")


@dataclass(frozen=True, slots=True)
class _Question:
    place: int  # of the text that it was taken out of
    asked: str
    left: str


async def calibrate(passages: Sequence[SampledText], embedder: Embedder) -> Calibration | None:
    """Measures every weight on texts; None when too few of them have a sentence to spare. Raises EmbedderUnavailable."""
    asked = _questions([passage.text for passage in passages])
    if len(asked) < FEWEST_QUESTIONS:
        return None
    left = await embedder.embed_passages(
        [question.left for question in asked], [passages[question.place].title for question in asked]
    )
    vectors = np.stack([await embedder.embed_query(question.asked) for question in asked])
    cosines = vectors @ np.stack([passage.vector for passage in passages]).T
    cosines[range(len(asked)), [question.place for question in asked]] = np.sum(vectors * left, axis=1)
    own = np.array([question.place for question in asked])
    bm25 = _bm25(asked, passages)
    found = {weight: _mean_reciprocal_rank(cosines + weight * bm25, own) for weight in (0.0, *WEIGHTS)}
    return Calibration(len(asked), len(passages), found)


async def longest_read(embedder: Embedder) -> int | None:
    """Returns how many tokens, as they are counted here, a model reads of a text; None for more than are ever sent.

    A model that reads no further makes the same vector of texts whose last eighth differs; a server may also refuse them.
    """
    tokens = _FEWEST_TOKENS
    while tokens <= _MOST_TOKENS:
        last = tokens // 8
        beginning = "fee " * (tokens - last)
        try:
            one, other = await embedder.embed_passages([beginning + "wire " * last, beginning + "roof " * last])
        except EmbedderUnavailable:
            if tokens == _FEWEST_TOKENS:
                raise
            return tokens // 2
        if float(unit(one) @ unit(other)) > _SAME:
            return tokens // 2
        tokens *= 2
    return None


def _questions(texts: Sequence[str]) -> list[_Question]:
    """Returns a sentence of each text that has one to spare: the one in its middle, since the first often repeats the title."""
    found = []
    for place, text in enumerate(texts):
        spans = sentences.spans(text)
        fit = [(start, end) for start, end in spans if _SHORTEST <= len(text[start:end].split()) <= _LONGEST]
        if not fit:
            continue
        start, end = fit[len(fit) // 2]
        left = f"{text[:start]} {text[end:]}".strip()
        if len(left.split()) >= _LEAST_LEFT:
            found.append(_Question(place, text[start:end], left))
    return found[:: math.ceil(len(found) / MOST_QUESTIONS)] if found else []


def _bm25(asked: Sequence[_Question], passages: Sequence[SampledText]) -> NDArray[np.float64]:
    """Returns the BM25 of each text for each question (questions, texts); of its own text without it."""
    vectors = [lexicon.passage_vector(f"{one.title}\n{one.text}", one.language) for one in passages]
    frequencies = Counter(term for vector in vectors for term in vector)
    scores = np.zeros((len(asked), len(passages)))
    for row, question in enumerate(asked):
        own = passages[question.place]
        idf = lexicon.query_vector(question.asked, frequencies, len(passages), own.language)
        without = lexicon.passage_vector(f"{own.title}\n{question.left}", own.language)
        for column, vector in enumerate(vectors):
            read = without if column == question.place else vector
            scores[row, column] = sum(weight * read.get(term, 0.0) for term, weight in idf.items())
    return scores


def _mean_reciprocal_rank(scores: NDArray[np.float64], own: NDArray[np.int64]) -> float:
    right = scores[np.arange(len(own)), own]
    return float(np.mean(1 / (1 + np.sum(scores > right[:, None], axis=1))))
