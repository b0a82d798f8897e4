"""Orders candidates by maximal marginal relevance: each says something that those before it do not.

Measured, and so not the default: with a diversity of 0.1, nDCG@10 falls by .001 on support articles, by .0003 on rulebooks
and by .010 on pages of filings; with 0.3 by .005, .002 and .016. Leaving out what has a cosine of .98 to a better one costs
.002 and .008 on the latter two.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float32]


def marginal_order(scores: Sequence[float], vectors: Sequence[Vector | None], diversity: float) -> list[int]:
    """Returns the candidates' indexes, first to last, as Carbonell and Goldstein (1998) choose them.

    Next comes what has the greatest (1 - diversity) * relevance - diversity * likeness. Relevance is the score, from 0 for the
    least to 1 for the greatest; likeness is the greatest cosine to what came already, of unit vectors, and 0 without one.
    """
    relevance, cosines = _relevance(scores), _cosines(vectors)
    likeness = np.zeros(len(scores))
    left = list(range(len(scores)))
    order: list[int] = []
    while left:
        marginal = (1 - diversity) * relevance[left] - diversity * likeness[left]
        chosen = left.pop(int(np.argmax(marginal)))  # the first of equals
        order.append(chosen)
        likeness = np.maximum(likeness, cosines[chosen])
    return order


def _relevance(scores: Sequence[float]) -> NDArray[np.float64]:
    given = np.array(scores, dtype=np.float64)
    spread = np.ptp(given) if scores else 0
    relevance: NDArray[np.float64] = (given - given.min()) / spread if spread else np.ones(len(given))
    return relevance


def _cosines(vectors: Sequence[Vector | None]) -> NDArray[np.float64]:
    cosines = np.zeros((len(vectors), len(vectors)))
    known = [index for index, vector in enumerate(vectors) if vector is not None]
    if known:
        units = np.stack([vector for vector in vectors if vector is not None])
        cosines[np.ix_(known, known)] = units @ units.T
    return cosines
