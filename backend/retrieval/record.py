"""What a retrieval leaves on record: the question, what was found, and what was sent to a reranker."""

from collections.abc import Sequence

import orjson

from backend.audit.actions.retrieval import (
    CandidatesSubmitted,
    RankingWeights,
    RecordedChunk,
    RecordedRetrieval,
    RetrievalExecuted,
    SentChunk,
    SubmittedCandidates,
)
from backend.audit.details import leading
from backend.audit.events import Event
from backend.retrieval.models import RetrievalRequest
from backend.retrieval.ranking.reranker import MICROS
from backend.retrieval.stages import Coverage, Hit, Question, Ranking, ValidityFilter


def retrieval_event(question: Question, ranking: Ranking, milliseconds: int, *, shown: bool = True) -> Event:
    """Returns the record of a retrieval: parameters, versions, and each chunk that was found; `shown` to somebody or not."""
    request, hits, reranking = question.request, ranking.hits, ranking.reranking
    chunks = [
        RecordedChunk(
            id=hit.chunk_id, doc_id=hit.doc_id, version=hit.version, sha256=hit.sha256, page=hit.span.page_start, rank=rank,
            recognition_confidence=hit.span.recognition_confidence,
            score_micros=round(hit.shown_score * MICROS),
            search_score_micros=None if hit.rerank_micros is None else round(hit.score * MICROS), used=shown,
        )
        for rank, hit in enumerate(hits, start=1)
    ]  # fmt: skip
    listed = leading(chunks)
    weights = RankingWeights(
        lexical_micros=round(question.weights.lexical * MICROS), page_micros=round(question.weights.page * MICROS),
        furniture_micros=round(question.weights.furniture * MICROS) or None,
    )  # fmt: skip
    retrieval = RecordedRetrieval(
        mode=request.mode, k=request.k, source_type=request.source_type, collection=request.collection,
        language=request.language, filtered=bool(request.filters or request.effective_from), as_of=question.moment,
        known_at=request.known_at, as_caller_then=request.as_caller_then or None,
        reading=None if question.validity is ValidityFilter.IN_FORCE else question.validity, explained=request.explain or None,
        quoted_phrases=len(question.phrases) or None, distinct=request.distinct or None,
        diversity_micros=round(request.diversity * MICROS) or None, reranking=reranking.described() if reranking else None,
        weights=weights, embedding_model=question.model, index=f"{ranking.coverage.partition}:{ranking.plan}",
        chunk_count=len(chunks), chunks=listed, milliseconds=milliseconds,
        personal_data=question.discretion.found or None,
    )  # fmt: skip
    payloads = asked_texts(request, ranking.coverage)
    payloads["contexts"] = _dump([_shown(hit) for hit in hits])
    if request.filters or request.effective_from:
        narrowed = request.model_dump(
            mode="json", by_alias=True, exclude_unset=True, include={"filters", "effective_from"}
        )
        payloads["filters"] = _dump(narrowed)
    if reranking is not None and reranking.scores:
        # All that was scored: a replay puts what it finds in this order, and asks no reranker, who may say something else.
        payloads["reranking"] = _dump({str(chunk): micros for chunk, micros in reranking.scores.items()})
    if len(listed) < len(chunks):
        payloads["chunks"] = _dump([chunk.members() for chunk in chunks])
    executed = RetrievalExecuted(retrieval=retrieval, conversation=request.conversation)
    return Event(executed, payloads=payloads, doc_ids=[hit.doc_id for hit in hits] if shown else [])


def _shown(hit: Hit) -> dict[str, str]:
    """Returns the words of a chunk that were shown; what a file calls its pages is among them, and can be erased with them."""
    shown = {"id": str(hit.chunk_id), "text": hit.text}
    return shown if hit.span.page_label is None else shown | {"page_label": hit.span.page_label}


def asked_texts(request: RetrievalRequest, coverage: Coverage) -> dict[str, str]:
    """Returns the texts of a record that are known before the search.

    What the question's words weighed is among them: without it, a later replay would rank by the statistics of its own day.
    """
    weights = {str(dimension): weight for dimension, weight in coverage.idf.items()}
    return {"query": request.query, "term_weights": _dump(weights)}


def submission_event(question: Question, model: str, sent: Sequence[Hit]) -> Event:
    """Returns the record of the candidates that are about to be sent to a reranking model."""
    chunks = [SentChunk(id=hit.chunk_id, doc_id=hit.doc_id, version=hit.version, sha256=hit.sha256) for hit in sent]
    listed = leading(chunks)
    payloads = {"query": question.request.query}
    if len(listed) < len(chunks):
        payloads["chunks"] = _dump([chunk.members() for chunk in chunks])
    submission = SubmittedCandidates(model=model, chunk_count=len(chunks), chunks=listed)
    submitted = CandidatesSubmitted(submission=submission, conversation=question.request.conversation)
    return Event(submitted, payloads=payloads, doc_ids=[hit.doc_id for hit in sent])


def _dump(value: object) -> str:
    return orjson.dumps(value).decode()
