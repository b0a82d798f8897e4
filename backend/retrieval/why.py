"""Says why a document was or was not among the results of a question, to the caller or about another principal."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from uuid import UUID

from backend.audit.actions.retrieval import RetrievalExplained, WhyNot
from backend.audit.events import Event
from backend.database import Connection, fetch_rows
from backend.errors import NotFound
from backend.identity.callers.caller import Caller
from backend.identity.callers.permissions import Permission, Role, permissions_of
from backend.retrieval.ask import Retrieval
from backend.retrieval.models import DocumentReason, WhyReason, WhyRequest, WhyResponse
from backend.retrieval.ranking.ordering import ranked
from backend.retrieval.ranking.reranker import Reranking
from backend.retrieval.search import candidates_of, conditions_of, queries, scope_of, survey
from backend.retrieval.stages import Hit, Question, Ranking, embed

_SENTENCES = {
    WhyReason.RETURNED: "It is returned, at rank {rank}.",
    WhyReason.OUTRANKED: "It is outranked: its best chunk is at rank {rank}, and {k} are returned.",
    WhyReason.DUPLICATE: "A chunk of it has the same text as one that is returned.",
    WhyReason.MISSED: "Its best chunk is at rank {rank} of all, and the indexes, which approximate, did not find it.",
    WhyReason.NO_MATCH: "None of its chunks has a word of the question.",
    WhyReason.FILTERED: "The request narrows the search to other collections, source types, languages, dates or metadata.",
    WhyReason.NOT_IN_FORCE: "No version of it is in force at the moment asked about.",
    WhyReason.NOT_APPROVED: "No version of it has been approved.",
    WhyReason.NOT_GRANTED: "Its collection is not granted.",
}


@dataclass(frozen=True, slots=True)
class NamedDocument:
    """A document under the doc_id that is asked about, in the collection `slug`; whether a version of it was ever approved."""

    id: UUID
    collection_id: UUID
    slug: str
    ever_approved: bool


@dataclass(frozen=True, slots=True)
class RankedDocument:
    """Where the best chunk of a document stands; whether one passes the filters, and one has a text that is returned already."""

    document_id: UUID
    passes: bool
    repeats: bool
    rank: int | None


async def explain_document(retrieval: Retrieval, caller: Caller, request: WhyRequest) -> WhyResponse:
    """Asks the question as it would be asked, and returns and records the reasons.

    Raises NotFound for a document that the caller may not see or a principal that does not exist.
    """
    caller.require(Permission.RETRIEVAL_QUERY if request.principal is None else Permission.USERS_MANAGE)
    request, discretion = await retrieval.discreetly(caller, request)
    question = await embed(request, retrieval.embedder, retrieval.weights, discretion)
    async with retrieval.tenancy.transaction(question.claims(caller)) as connection:
        documents = await fetch_rows(
            connection,
            NamedDocument,
            queries.documents_by_doc_id,
            caller.tenant_id,
            request.doc_id,
            list(caller.readable),
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
    documents: list[NamedDocument],
) -> list[DocumentReason]:
    try:
        coverage = await survey(connection, asker, question.request, question.weights)
    except NotFound:  # it names a collection that the principal may not read: nothing is searched
        return [_described(found.slug, _unsearched(found, asker), None, question) for found in documents]
    ranking = await ranked(connection, asker, question, coverage, reranking, whole=True)
    conditions = conditions_of(question.request, first_parameter=10)
    statement = queries.document_ranks.replace("{filters}", str(conditions)).replace(
        "{candidates}", candidates_of(question)
    )
    ids = [document.id for document in documents]
    scope = scope_of(asker, question, coverage)
    shown = [bytes.fromhex(hit.sha256) for hit in ranking.hits]
    values = (*scope, question.weights.lexical, ids, shown, *conditions.values)
    found = {row.document_id: row for row in await fetch_rows(connection, RankedDocument, statement, *values)}
    reasons = []
    for document in documents:
        standing = found.get(document.id)
        rank = None
        if document.collection_id not in coverage.collections:
            reason = _unsearched(document, asker)
        elif standing is None:
            reason = WhyReason.NOT_IN_FORCE if document.ever_approved else WhyReason.NOT_APPROVED
        elif not standing.passes:
            reason = WhyReason.FILTERED
        else:
            reason, rank = _standing(question, ranking, standing)
        reasons.append(_described(document.slug, reason, rank, question))
    return reasons


def _standing(question: Question, ranking: Ranking, compared: RankedDocument) -> tuple[WhyReason, int | None]:
    """Returns the reason and the final rank of a document that passes, given what comparing everything says of it."""
    final = _position(ranking.hits, compared.document_id)
    if final is not None:
        return WhyReason.RETURNED, final
    if compared.rank is None:
        return WhyReason.NO_MATCH, None
    if question.request.distinct and compared.repeats:
        return WhyReason.DUPLICATE, None
    rank = _position(ranking.candidates, compared.document_id) or compared.rank
    return (WhyReason.OUTRANKED if rank > len(ranking.hits) else WhyReason.MISSED), rank


def _position(hits: Sequence[Hit], document_id: UUID) -> int | None:
    return next((rank for rank, hit in enumerate(hits, start=1) if hit.document_id == document_id), None)


def _unsearched(document: NamedDocument, asker: Caller) -> WhyReason:
    return WhyReason.FILTERED if document.collection_id in asker.readable else WhyReason.NOT_GRANTED


def _described(collection: str, reason: WhyReason, rank: int | None, question: Question) -> DocumentReason:
    sentence = _SENTENCES[reason].format(rank=rank, k=question.request.k)
    return DocumentReason(collection=collection, reason=reason, rank=rank, sentence=sentence)


def _event(request: WhyRequest, reranking: Reranking | None, asker: Caller, reasons: list[DocumentReason]) -> Event:
    explained = RetrievalExplained(
        reranking=reranking.described() if reranking else None,
        about=asker.principal_id if request.principal is not None else None,
        mode=request.mode,
        k=request.k,
        reasons=[WhyNot(collection=r.collection, reason=r.reason, rank=r.rank) for r in reasons[:40]],
    )
    return Event(explained, payloads={"query": request.query}, doc_ids=[request.doc_id])
