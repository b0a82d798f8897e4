"""Retrieval over HTTP."""

from typing import Annotated, cast

from fastapi import APIRouter, Request

from backend.audit.recorder import Recorder
from backend.identity.callers.caller import Caller
from backend.identity.callers.guard import GuardedRoute, Requires
from backend.identity.callers.permissions import Permission
from backend.retrieval import service, why
from backend.retrieval.embedding.embedder import Embedder
from backend.retrieval.models import RetrievalRequest, RetrievalResponse, WhyRequest, WhyResponse
from backend.retrieval.question import embed
from backend.tenancy import Tenancy

router = APIRouter(tags=["retrieval"], route_class=GuardedRoute)


@router.post("/retrieve", summary="Find the chunks that bear on a question")
async def retrieve(
    request: Request, body: RetrievalRequest, caller: Annotated[Caller, Requires(Permission.RETRIEVAL_QUERY)]
) -> RetrievalResponse:
    """Returns the best chunks that the caller may read and that are approved and in force, and records that it did."""
    tenancy, recorder = cast("Tenancy", request.app.state.tenancy), cast("Recorder", request.app.state.recorder)
    caller = await service.caller_then(tenancy, caller, body)
    embedder, reranker = cast("Embedder", request.app.state.embedder), request.app.state.reranker
    async with service.asking(tenancy, caller, recorder, body, embedder, reranker) as (connection, question):
        return await service.retrieve(connection, caller, recorder, question)


@router.post("/retrieve/why", summary="Ask why a document was or was not found")
async def retrieve_why(request: Request, body: WhyRequest, caller: Annotated[Caller, Requires()]) -> WhyResponse:
    """Says whether a document is returned for a question, outranked, filtered out, not in force, not approved or not granted.

    Anyone who may retrieve asks about itself (`retrieval:query`), and who manages users about others (`users:manage`). Of a
    document that the asking caller may not see, nothing is said: 404.
    """
    question = await embed(body, cast("Embedder", request.app.state.embedder))
    tenancy, recorder = cast("Tenancy", request.app.state.tenancy), cast("Recorder", request.app.state.recorder)
    return await why.explain_document(tenancy, caller, recorder, question, request.app.state.reranker)
