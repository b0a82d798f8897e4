"""What a person is told when there is no answer: why, and what used to apply."""

from backend.answers.generator import MODEL_REFUSED, MODEL_SILENT, NOT_SUPPORTED, UNSUPPORTED
from backend.answers.models import AnswerResponse

_SENTENCES = {
    NOT_SUPPORTED: "The approved documents that you may read do not answer this.",
    UNSUPPORTED: "An answer was written, but the documents do not bear it out, so it is not shown.",
    MODEL_REFUSED: "The model declined to answer this.",
    MODEL_SILENT: "The model ended without an answer. Try again.",
}


def shown_text(response: AnswerResponse) -> str:
    """Returns the answer; for a refusal, the sentence that says why, and what used to apply if anything did."""
    text = response.answer
    if response.refused and not text:
        text = _SENTENCES.get(response.reason or NOT_SUPPORTED, _SENTENCES[NOT_SUPPORTED])
    return f"{text}\n\n{response.notice}" if response.notice else text
