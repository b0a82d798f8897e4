"""How the parts of a score count, measured for each embedding model: what fits one model does not fit another."""

from dataclasses import dataclass

from backend.retrieval.embedding import minilm

PERIOD_WEIGHT = 0.2  # of a document that is about a year that the question names; from 0.1 to 0.5 little changes


@dataclass(frozen=True, slots=True)
class Weights:
    """A score is cosine + `lexical` * BM25; of a chunk on a page of a file, `page` of it is that of the page.

    BM25 stays raw on purpose: it grows with the number of specific terms that a question has, so that long, exact questions lean
    on their words and short, vague ones on their meaning. A page's score is the mean cosine of its chunks and their best BM25:
    people ask for pages, whose chunks say together what they are about.
    """

    lexical: float
    page: float = 0.67


# Before weights were recorded, every retrieval had these.
UNRECORDED = Weights(0.0175, 0.0)

_MEASURED = {minilm.NAME: Weights(0.015)}  # from 0.0125 to 0.0175 rankings hardly change
_UNKNOWN_MODEL = Weights(0.01)


def weights_of(model: str, lexical: float | None = None) -> Weights:
    """Returns the weights for an embedding model; `lexical`, as calibrated for it, replaces what is known of it."""
    known = _MEASURED.get(model, _UNKNOWN_MODEL)
    return known if lexical is None else Weights(lexical, known.page)
