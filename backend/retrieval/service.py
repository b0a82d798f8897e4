"""The rules of retrieval: what is found for a caller is recorded before it is shown."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from uuid import UUID

import orjson

from backend.audit.events import Action, Event, leading, timestamp, without_nulls
from backend.audit.recorder import Recorder
from backend.database import Connection
from backend.identity.callers.caller import Caller
from backend.identity.callers.permissions import Permission
from backend.identity.callers.principals import readable_at
from backend.retrieval.embedding.embedder import Embedder
from backend.retrieval.explanation import explain
from backend.retrieval.models import Context, Explanation, RetrievalRequest, RetrievalResponse
from backend.retrieval.question import Hit, Question, Ranking, Reading, Space, embed, unembedded
from backend.retrieval.ranking.ordering import ranked
from backend.retrieval.ranking.reranker import MICROS, Reranker
from backend.retrieval.ranking.reranking import reranked
from backend.retrieval.search import survey
from backend.tenancy import Tenancy

__all__ = [
    "Hit",
    "Question",
    "Ranking",
    "Reading",
    "asking",
    "caller_then",
    "milliseconds",
    "ranked",
    "retrieval_event",
    "retrieve",
]


async def retrieve(connection: Connection, caller: Caller, recorder: Recorder, question: Question) -> RetrievalResponse:
    """Searches and records what is returned; raises Forbidden when an explanation is asked for without permission."""
    if question.request.explain:
        caller.require(Permission.DOCUMENTS_REVIEW)
    started = time.perf_counter()
    ranking = await ranked(connection, caller, question)
    explanations: Mapping[UUID, Explanation] = {}
    if question.request.explain:
        explanations = await explain(connection, caller, question, ranking)
    event = retrieval_event(question, ranking, milliseconds(started))
    event_id = await recorder.record(connection, caller, event, question.draft)
    contexts = [
        Context(
            document_id=hit.document_id, doc_id=hit.doc_id, document_version=hit.version, **hit.span._asdict(),
            chunk_id=hit.chunk_id, chunk_text=hit.text, metadata=dict(hit.metadata), source_type=hit.source_type,
            collection=hit.collection, score=hit.shown_score, rank=rank, explanation=explanations.get(hit.chunk_id),
        )
        for rank, hit in enumerate(ranking.hits, start=1)
    ]  # fmt: skip
    return RetrievalResponse(query=question.request.query, contexts=contexts, audit_event_id=event_id)


@asynccontextmanager
async def asking(
    tenancy: Tenancy,
    caller: Caller,
    recorder: Recorder,
    request: RetrievalRequest,
    embedder: Embedder,
    reranker: Reranker | None,
) -> AsyncIterator[tuple[Connection, Question]]:
    """Opens the transaction of a question: in which it is searched for, and by whose end what was found is on record.

    A model in this process embeds the query while the transaction opens, learns what the search covers and drafts its record;
    for a model
    behind a network, and for a reranker, no connection waits. Raises Unavailable when the embedder is away, and NotFound for
    a collection that the caller may not read.
    """
    if reranker is not None:
        question = await reranked(tenancy, caller, recorder, await embed(request, embedder), reranker)
        async with tenancy.transaction(question.claims(caller), reuse_plans=True) as connection:
            yield connection, question
        return
    embedding = asyncio.create_task(embed(request, embedder))
    try:
        await asyncio.sleep(0)  # begins it; what follows keeps the loop busy for a while
        if not embedder.in_process:
            await embedding
        async with tenancy.transaction(unembedded(request, embedder).claims(caller), reuse_plans=True) as connection:
            space = await survey(connection, caller, request)
            draft = await recorder.draft(connection, caller, _asked(request, space))
            yield connection, replace(await embedding, space=space, draft=draft)
    finally:
        if not embedding.cancel():
            embedding.exception()  # seen, so that nobody warns of it


async def caller_then(tenancy: Tenancy, caller: Caller, request: RetrievalRequest) -> Caller:
    """Returns the caller for a request: with `as_caller_then`, confined to what it could read at `known_at`.

    Confined to both: access that was withdrawn does not come back by asking about the past.
    """
    if not request.as_caller_then or request.known_at is None:
        return caller
    caller.require(Permission.DOCUMENTS_REVIEW)
    async with tenancy.transaction(caller.claims()) as connection:
        then = await readable_at(connection, caller.tenant_id, caller.principal_id, request.known_at)
    return replace(caller, readable=caller.readable & then)


def milliseconds(started: float) -> int:
    """Returns how long ago `time.perf_counter` told `started`."""
    return round((time.perf_counter() - started) * 1000)


def retrieval_event(question: Question, ranking: Ranking, searched: int, *, shown: bool = True) -> Event:
    """Returns the record of a retrieval: parameters, versions, and each chunk that was found; `shown` to somebody or not.

    `searched` is how long the search took, in milliseconds.
    """
    request, hits = question.request, ranking.hits
    chunks = [
        without_nulls({
            "id": str(hit.chunk_id), "doc_id": hit.doc_id, "version": hit.version, "sha256": hit.sha256,
            "page": hit.span.page_start, "rank": rank, "score_micros": round(hit.shown_score * MICROS),
            "search_score_micros": None if hit.rerank_micros is None else round(hit.score * MICROS), "used": shown,
        })
        for rank, hit in enumerate(hits, start=1)
    ]  # fmt: skip
    listed = leading(chunks)
    retrieval = {
        "mode": request.mode, "k": request.k, "source_type": request.source_type, "collection": request.collection,
        "language": request.language, "filtered": bool(request.filters or request.effective_from),
        "as_of": timestamp(question.moment) if question.moment else None,
        "known_at": timestamp(request.known_at) if request.known_at else None,
        "as_caller_then": request.as_caller_then or None,
        "reading": None if question.reading is Reading.IN_FORCE else question.reading, "explained": request.explain or None,
        "quoted_phrases": len(question.phrases) or None, "distinct": request.distinct or None,
        "diversity_micros": round(request.diversity * MICROS) or None,
        "reranking": question.reranking and question.reranking.described(),
        "embedding_model": question.embedding_model, "index": f"{ranking.space.tier}:{ranking.plan}",
        "chunk_count": len(chunks), "chunks": listed, "milliseconds": searched,
    }  # fmt: skip
    payloads = _asked(request, ranking.space)
    payloads["contexts"] = _dump([{"id": str(hit.chunk_id), "text": hit.text} for hit in hits])
    if request.filters or request.effective_from:
        narrowed = request.model_dump(
            mode="json", by_alias=True, exclude_unset=True, include={"filters", "effective_from"}
        )
        payloads["filters"] = _dump(narrowed)
    if question.reranking is not None and question.reranking.scores:
        # All that was scored: a replay puts what it finds in this order, and asks no reranker, who may say something else.
        payloads["reranking"] = _dump({str(chunk): micros for chunk, micros in question.reranking.scores.items()})
    if len(listed) < len(chunks):
        payloads["chunks"] = _dump(chunks)
    return Event(
        Action.RETRIEVAL_EXECUTED, payloads=payloads, doc_ids=[hit.doc_id for hit in hits] if shown else [],
        details={"retrieval": without_nulls(retrieval), "conversation": request.conversation and str(request.conversation)},
    )  # fmt: skip


def _asked(request: RetrievalRequest, space: Space) -> dict[str, str]:
    """Returns the texts of a record that are known before the search.

    What the question's words weighed is among them: without it, a later replay would rank by the statistics of its own day.
    """
    weights = {str(dimension): weight for dimension, weight in space.idf.items()}
    return {"query": request.query, "term_weights": _dump(weights)}


def _dump(value: object) -> str:
    return orjson.dumps(value).decode()
