"""Retrieval over HTTP."""

from typing import Annotated

from fastapi import APIRouter

from backend.identity.callers.caller import Caller
from backend.identity.callers.guard import Requires
from backend.identity.callers.permissions import Permission
from backend.provided import Provided
from backend.retrieval import why
from backend.retrieval.ask import Retrieval
from backend.retrieval.models import Context, RetrievalRequest, RetrievalResponse, WhyRequest, WhyResponse
from backend.retrieval.question_route import QuestionRoute
from backend.retrieval.stages import Asked

router = APIRouter(tags=["retrieval"], route_class=QuestionRoute)


@router.post("/retrieve", summary="Find the chunks that bear on a question")
async def retrieve(
    retrieval: Provided[Retrieval],
    body: RetrievalRequest,
    caller: Annotated[Caller, Requires(Permission.RETRIEVAL_QUERY)],
) -> RetrievalResponse:
    """Returns the best chunks that the caller may read and that are approved and in force, and records that it did."""
    asked = await retrieval.ask(caller, body)
    return RetrievalResponse(query=body.query, contexts=_contexts(asked), audit_event_id=asked.event_id)


@router.post("/retrieve/why", summary="Ask why a document was or was not found")
async def retrieve_why(
    retrieval: Provided[Retrieval], body: WhyRequest, caller: Annotated[Caller, Requires()]
) -> WhyResponse:
    """Says whether a document is returned for a question, outranked, filtered out, not in force, not approved or not granted.

    Anyone who may retrieve asks about itself (`retrieval:query`), and who manages users about others (`users:manage`). Of a
    document that the asking caller may not see, nothing is said: 404.
    """
    return await why.explain_document(retrieval, caller, body)


def _contexts(asked: Asked) -> list[Context]:
    return [
        Context(
            document_id=hit.document_id, doc_id=hit.doc_id, document_version=hit.version, **hit.span.model_dump(),
            chunk_id=hit.chunk_id, chunk_text=hit.text, metadata=dict(hit.metadata), source_type=hit.source_type,
            collection=hit.collection, score=hit.shown_score, rank=rank, explanation=asked.explanations.get(hit.chunk_id),
        )
        for rank, hit in enumerate(asked.hits, start=1)
    ]  # fmt: skip
