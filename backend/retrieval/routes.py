"""Retrieval over HTTP."""

from typing import Annotated

from fastapi import APIRouter

from backend.audit.recorder import Recorder
from backend.identity.callers.caller import Caller
from backend.identity.callers.guard import GuardedRoute, Requires
from backend.identity.callers.permissions import Permission
from backend.provided import Provided
from backend.retrieval import service, why
from backend.retrieval.embedding.embedder import Embedder
from backend.retrieval.models import RetrievalRequest, RetrievalResponse, WhyRequest, WhyResponse
from backend.retrieval.question import embed
from backend.retrieval.ranking.reranker import Reranker
from backend.tenancy import Tenancy

router = APIRouter(tags=["retrieval"], route_class=GuardedRoute)


@router.post("/retrieve", summary="Find the chunks that bear on a question")
async def retrieve(
    tenancy: Provided[Tenancy],
    recorder: Provided[Recorder],
    embedder: Provided[Embedder],
    reranker: Provided[Reranker | None],
    body: RetrievalRequest,
    caller: Annotated[Caller, Requires(Permission.RETRIEVAL_QUERY)],
) -> RetrievalResponse:
    """Returns the best chunks that the caller may read and that are approved and in force, and records that it did."""
    caller = await service.caller_then(tenancy, caller, body)
    async with service.asking(tenancy, caller, recorder, body, embedder, reranker) as (connection, question):
        return await service.retrieve(connection, caller, recorder, question)


@router.post("/retrieve/why", summary="Ask why a document was or was not found")
async def retrieve_why(
    embedder: Provided[Embedder],
    reranker: Provided[Reranker | None],
    tenancy: Provided[Tenancy],
    recorder: Provided[Recorder],
    body: WhyRequest,
    caller: Annotated[Caller, Requires()],
) -> WhyResponse:
    """Says whether a document is returned for a question, outranked, filtered out, not in force, not approved or not granted.

    Anyone who may retrieve asks about itself (`retrieval:query`), and who manages users about others (`users:manage`). Of a
    document that the asking caller may not see, nothing is said: 404.
    """
    question = await embed(body, embedder)
    return await why.explain_document(tenancy, caller, recorder, question, reranker)
