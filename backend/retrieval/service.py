"""The rules of retrieval: what is searched for a caller, and what is recorded of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from pgvector import HalfVector, SparseVector

from backend.audit.events import Action, Event, timestamp, without_nulls
from backend.audit.recorder import Recorder
from backend.database import Connection, Queries
from backend.errors import NotFound, Unavailable
from backend.identity.caller import Caller
from backend.retrieval import lexicon
from backend.retrieval.embedding import Embedder, EmbedderUnavailable
from backend.retrieval.filters import conditions
from backend.retrieval.fusion import LEXICAL_WEIGHT
from backend.retrieval.models import Context, Mode, RetrievalRequest, RetrievalResponse

queries = Queries.beside(__file__)

CANDIDATES = 100  # of each ranking, before fusion
INDEX_VERSION = "exact-1"
_LISTED_IN_EVENT = 40  # chunks described in one envelope; with more, the whole list is a payload


@dataclass(frozen=True, slots=True)
class Question:
    """A retrieval request with its embedding, ready for the database."""

    request: RetrievalRequest
    moment: datetime | None
    dense: HalfVector | None
    embedding_model: str


@dataclass(frozen=True, slots=True)
class Hit:
    """A retrieved chunk with its scores."""

    chunk_id: UUID
    document_id: UUID
    doc_id: str
    version: int
    title: str | None
    text: str
    sha256: str
    metadata: Mapping[str, Any]
    source_type: str
    collection: str
    cosine: float
    bm25: float
    score: float


async def prepare(request: RetrievalRequest, embedder: Embedder) -> Question:
    """Embeds the query, before any connection is taken; raises Unavailable when the embedder is away."""
    dense = None
    if request.mode is not Mode.LEXICAL:
        try:
            dense = HalfVector(await embedder.embed_query(request.query))
        except EmbedderUnavailable as error:
            raise Unavailable(reason="embedder") from error
    return Question(request, request.as_of, dense, embedder.model)


async def search(connection: Connection, caller: Caller, question: Question) -> list[Hit]:
    """Returns the best chunks for the caller; raises NotFound for a collection that it may not read."""
    request = question.request
    collections = await _searched_collections(connection, caller, request.collection)
    if not collections:
        return []
    moment = question.moment or await connection.fetchval("select now()")
    sparse = None
    if request.mode is not Mode.SEMANTIC:
        sparse = await _sparse_query(connection, caller, request.query, list(collections))
    if question.dense is None and sparse is None:
        return []
    filters, values = conditions(request.filters, request.source_type, first_parameter=10)
    rows = await connection.fetch(
        queries.search.replace("{filters}", filters), caller.tenant_id, list(collections), moment, question.embedding_model,
        question.dense, sparse, LEXICAL_WEIGHT, max(CANDIDATES, request.k), request.k, *values,
    )  # fmt: skip
    return [
        Hit(
            chunk_id=row["id"], document_id=row["document_id"], doc_id=row["doc_id"], version=row["version"],
            title=row["title"], text=row["text"], sha256=row["sha256"].hex(), metadata=row["metadata"],
            source_type=row["source_type"], collection=collections[row["collection_id"]],
            cosine=row["cosine"], bm25=row["bm25"], score=row["score"],
        )
        for row in rows
    ]  # fmt: skip


async def retrieve(connection: Connection, caller: Caller, recorder: Recorder, question: Question) -> RetrievalResponse:
    """Searches and records what is returned."""
    hits = await search(connection, caller, question)
    event_id = await recorder.record(connection, caller, retrieval_event(question, hits))
    contexts = [
        Context(
            doc_id=hit.doc_id, chunk_id=hit.chunk_id, chunk_text=hit.text, metadata=dict(hit.metadata),
            source_type=hit.source_type, collection=hit.collection, document_version=hit.version,
            score=hit.score, rank=rank,
        )
        for rank, hit in enumerate(hits, start=1)
    ]  # fmt: skip
    return RetrievalResponse(query=question.request.query, contexts=contexts, audit_event_id=event_id)


def retrieval_event(question: Question, hits: Sequence[Hit]) -> Event:
    """Returns the record of a retrieval: parameters, versions, and each chunk that was found."""
    request = question.request
    chunks = [
        {
            "id": str(hit.chunk_id), "doc_id": hit.doc_id, "version": hit.version, "sha256": hit.sha256,
            "rank": rank, "score_micros": round(hit.score * 1_000_000), "used": True,
        }
        for rank, hit in enumerate(hits, start=1)
    ]  # fmt: skip
    retrieval = {
        "mode": request.mode, "k": request.k, "source_type": request.source_type, "collection": request.collection,
        "filtered": bool(request.filters), "as_of": timestamp(question.moment) if question.moment else None,
        "embedding_model": question.embedding_model, "index": INDEX_VERSION,
        "chunk_count": len(chunks), "chunks": chunks[:_LISTED_IN_EVENT],
    }  # fmt: skip
    payloads = {
        "query": request.query,
        "contexts": _dump([{"id": c["id"], "text": h.text} for c, h in zip(chunks, hits, strict=True)]),
    }
    if request.filters:
        payloads["filters"] = _dump(request.filters)
    if len(chunks) > _LISTED_IN_EVENT:
        payloads["chunks"] = _dump(chunks)
    return Event(
        Action.RETRIEVAL_EXECUTED, details={"retrieval": without_nulls(retrieval)}, payloads=payloads,
        doc_ids=[hit.doc_id for hit in hits],
    )  # fmt: skip


async def _searched_collections(connection: Connection, caller: Caller, slug: str | None) -> dict[UUID, str]:
    rows = await connection.fetch(queries.readable_collections, caller.tenant_id, list(caller.readable))
    readable = {row["id"]: row["slug"] for row in rows}
    if slug is None:
        return readable
    chosen = {identifier: name for identifier, name in readable.items() if name == slug}
    if not chosen:
        raise NotFound(f"There is no collection {slug!r} that you may read.", reason="collection:unknown")
    return chosen


async def _sparse_query(
    connection: Connection, caller: Caller, query: str, collections: Sequence[UUID]
) -> SparseVector | None:
    """Returns the IDF of each term of the query as this caller's collections have it; None when they have none of them."""
    wanted = list(lexicon.query_terms(query))
    rows = await connection.fetch(queries.term_statistics, caller.tenant_id, collections, wanted)
    statistics = {row["dimension"]: row["chunks"] for row in rows}
    size = statistics.pop(-1, 0)
    weights = lexicon.query_vector(query, statistics, size)
    return SparseVector(weights, lexicon.DIMENSIONS) if weights else None


def _dump(value: object) -> str:
    return orjson.dumps(value).decode()
