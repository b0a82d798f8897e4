"""Says why a document was or was not among the results of a question, to the caller or about another principal."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from uuid import UUID

import asyncpg

from backend.audit.events import Action, Event, without_nulls
from backend.database import Connection
from backend.errors import NotFound
from backend.identity.callers.caller import Caller
from backend.identity.callers.permissions import Permission, Role, permissions_of
from backend.retrieval.ask import Retrieval
from backend.retrieval.models import DocumentReason, Reason, WhyRequest, WhyResponse
from backend.retrieval.ranking.ordering import ranked
from backend.retrieval.ranking.reranker import Reranking
from backend.retrieval.search import candidates_of, conditions_of, queries, scope_of, survey
from backend.retrieval.stages import Hit, Question, Ranking, embed

_SENTENCES = {
    Reason.RETURNED: "It is returned, at rank {rank}.",
    Reason.OUTRANKED: "It is outranked: its best chunk is at rank {rank}, and {k} are returned.",
    Reason.DUPLICATE: "A chunk of it has the same text as one that is returned.",
    Reason.MISSED: "Its best chunk is at rank {rank} of all, and the indexes, which approximate, did not find it.",
    Reason.NO_MATCH: "None of its chunks has a word of the question.",
    Reason.FILTERED: "The request narrows the search to other collections, source types, languages, dates or metadata.",
    Reason.NOT_IN_FORCE: "No version of it is in force at the moment asked about.",
    Reason.NOT_APPROVED: "No version of it has been approved.",
    Reason.NOT_GRANTED: "Its collection is not granted.",
}


async def explain_document(retrieval: Retrieval, caller: Caller, request: WhyRequest) -> WhyResponse:
    """Asks the question as it would be asked, and returns and records the reasons.

    Raises NotFound for a document that the caller may not see or a principal that does not exist.
    """
    caller.require(Permission.RETRIEVAL_QUERY if request.principal is None else Permission.USERS_MANAGE)
    question = await embed(request, retrieval.embedder, retrieval.weights)
    async with retrieval.tenancy.transaction(question.claims(caller)) as connection:
        documents = await connection.fetch(
            queries.documents_by_doc_id, caller.tenant_id, request.doc_id, list(caller.readable)
        )
        if not documents:
            raise NotFound(f"There is no document {request.doc_id!r} that you may see.", reason="document:unknown")
        asker = caller if request.principal is None else await _principal(connection, caller, request.principal)
    reranking = None
    with suppress(NotFound):  # it names a collection that the principal may not read, which is among the reasons
        reranking = await retrieval.rerank(caller, question, asker)
    async with retrieval.tenancy.transaction(question.claims(asker)) as connection:
        reasons = await _reasons(connection, asker, question, reranking, documents)
        await retrieval.tenancy.bind(connection, question.claims(caller))
        event_id = await retrieval.recorder.record(connection, caller, _event(request, reranking, asker, reasons))
    return WhyResponse(doc_id=request.doc_id, k=request.k, documents=reasons, audit_event_id=event_id)


async def _principal(connection: Connection, caller: Caller, name: str) -> Caller:
    """Returns another principal of the caller's tenant, as it would search."""
    row = await connection.fetchrow(queries.principal_by_name, caller.tenant_id, name)
    if row is None:
        raise NotFound(f"There is no user or key {name!r}.", reason="principal:unknown")
    granted = permissions_of(Role(role) for role in row["roles"]) | {Permission(p) for p in row["permissions"]}
    return replace(
        caller, principal_id=row["id"], kind=row["kind"], name=name, roles=tuple(row["roles"]), permissions=granted,
        readable=frozenset(row["readable"]), writable=frozenset(), session_id=None,
    )  # fmt: skip


async def _reasons(
    connection: Connection,
    asker: Caller,
    question: Question,
    reranking: Reranking | None,
    documents: list[asyncpg.Record],
) -> list[DocumentReason]:
    try:
        coverage = await survey(connection, asker, question.request, question.weights)
    except NotFound:  # it names a collection that the principal may not read: nothing is searched
        return [_described(row["slug"], _unsearched(row, asker), None, question) for row in documents]
    ranking = await ranked(connection, asker, question, coverage, reranking)
    conditions = conditions_of(question.request, first_parameter=10)
    statement = queries.document_ranks.replace("{filters}", str(conditions)).replace(
        "{candidates}", candidates_of(question)
    )
    ids = [row["id"] for row in documents]
    scope = scope_of(asker, question, coverage)
    shown = [bytes.fromhex(hit.sha256) for hit in ranking.hits]
    rows = await connection.fetch(statement, *scope, question.weights.lexical, ids, shown, *conditions.values)
    found: dict[UUID, asyncpg.Record] = {row["document_id"]: row for row in rows}
    reasons = []
    for document in documents:
        standing = found.get(document["id"])
        rank = None
        if document["collection_id"] not in coverage.collections:
            reason = _unsearched(document, asker)
        elif standing is None:
            reason = Reason.NOT_IN_FORCE if document["ever_approved"] else Reason.NOT_APPROVED
        elif not standing["passes"]:
            reason = Reason.FILTERED
        else:
            reason, rank = _standing(question, ranking, standing)
        reasons.append(_described(document["slug"], reason, rank, question))
    return reasons


def _standing(question: Question, ranking: Ranking, compared: asyncpg.Record) -> tuple[Reason, int | None]:
    """Returns the reason and the final rank of a document that passes, given what comparing everything says of it."""
    final = _position(ranking.hits, compared["document_id"])
    if final is not None:
        return Reason.RETURNED, final
    if compared["rank"] is None:
        return Reason.NO_MATCH, None
    if question.request.distinct and compared["repeats"]:
        return Reason.DUPLICATE, None
    rank: int = _position(ranking.candidates, compared["document_id"]) or compared["rank"]
    return (Reason.OUTRANKED if rank > len(ranking.hits) else Reason.MISSED), rank


def _position(hits: Sequence[Hit], document_id: UUID) -> int | None:
    return next((rank for rank, hit in enumerate(hits, start=1) if hit.document_id == document_id), None)


def _unsearched(document: asyncpg.Record, asker: Caller) -> Reason:
    return Reason.FILTERED if document["collection_id"] in asker.readable else Reason.NOT_GRANTED


def _described(collection: str, reason: Reason, rank: int | None, question: Question) -> DocumentReason:
    sentence = _SENTENCES[reason].format(rank=rank, k=question.request.k)
    return DocumentReason(collection=collection, reason=reason, rank=rank, sentence=sentence)


def _event(request: WhyRequest, reranking: Reranking | None, asker: Caller, reasons: list[DocumentReason]) -> Event:
    details = {
        "reranking": reranking and reranking.described(),
        "about": str(asker.principal_id) if request.principal is not None else None,
        "mode": request.mode, "k": request.k,
        "reasons": [without_nulls({"collection": r.collection, "reason": r.reason, "rank": r.rank}) for r in reasons[:40]],
    }  # fmt: skip
    return Event(
        Action.RETRIEVAL_EXPLAINED, details={"why": without_nulls(details)}, payloads={"query": request.query},
        doc_ids=[request.doc_id],
    )  # fmt: skip
