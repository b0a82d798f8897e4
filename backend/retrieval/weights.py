"""How the parts of a score count, measured for each embedding model: what fits one model does not fit another."""

from dataclasses import dataclass

import structlog

from backend.retrieval.embedding.minilm import MINILM
from backend.retrieval.embedding.mpnet import MPNET

log = structlog.get_logger()

FURNITURE_WEIGHT = 0.2  # what tables of contents, indexes and heads of mails score less than body text
PERIOD_WEIGHT = 0.2  # of a document that is about a year that the question names; from 0.1 to 0.5 little changes


@dataclass(frozen=True, slots=True)
class Weights:
    """The score of a chunk is cosine + `lexical` * BM25. On a page of a file, the page's score has a share of `page`.

    BM25 stays raw on purpose: it grows with the number of specific terms that a question has, so that long, exact questions lean
    on their words and short, vague ones on their meaning. A page's score is the mean cosine of its chunks and their best BM25:
    people ask for pages, whose chunks say together what they are about. What only leads to words, such as a table of contents,
    scores `furniture` less.
    """

    lexical: float
    page: float = 0.67
    furniture: float = FURNITURE_WEIGHT


# Before weights were recorded, every retrieval had these.
UNRECORDED = Weights(0.0175, 0.0, 0.0)

# Of the first, rankings hardly change from 0.0125 to 0.0175.
_MEASURED = {MINILM.name: Weights(0.015), MPNET.name: Weights(0.0075)}
_UNKNOWN_MODEL = Weights(0.01)


def is_measured(model: str) -> bool:
    """Whether it is known how much words count beside an embedding model's meaning; `affidavit calibrate` measures it."""
    return model in _MEASURED


def weights_of(model: str, lexical: float | None = None, *, calibrated: str | None = None) -> Weights:
    """Returns the weights for an embedding model; `lexical`, as calibrated for it, replaces what is known of it.

    Where it is said for which model that was `calibrated`, it is not used for another.
    """
    if calibrated is not None and calibrated != model:
        log.warning(
            "lexical weight is another model's", model=model, calibrated=calibrated, command="affidavit calibrate"
        )
        lexical = None
    if lexical is None and not is_measured(model):
        log.warning("embedding model not calibrated", model=model, command="affidavit calibrate")
    known = _MEASURED.get(model, _UNKNOWN_MODEL)
    return known if lexical is None else Weights(lexical, known.page, known.furniture)
