"""Searching without an answer."""

from collections.abc import Sequence
from typing import Annotated

from fastapi import Query, Request
from fastapi.responses import Response
from pydantic import ValidationError

from backend.console.page import Signed, page, requires
from backend.console.page import router as pages
from backend.console.pages.ask import Collections
from backend.errors import InvalidInput
from backend.identity.callers.permissions import Permission
from backend.provided import Provided
from backend.retrieval.ask import Retrieval
from backend.retrieval.models import RetrievalRequest
from backend.retrieval.stages import Hit

router = pages()


@router.get("/search")
async def search(
    request: Request,
    visitor: Signed,
    collections: Collections,
    retrieval: Provided[Retrieval],
    q: Annotated[str, Query(max_length=4000)] = "",
    collection: Annotated[str, Query(max_length=63)] = "",
) -> Response:
    """Shows the passages that bear on some words; what was found is on record."""
    requires(visitor, Permission.RETRIEVAL_QUERY)
    hits: Sequence[Hit] = []
    said = None
    if q.strip():
        try:
            wanted = RetrievalRequest(query=q, k=10, collection=collection or None)
            hits = (await retrieval.ask(visitor.caller, wanted)).hits
        except (ValidationError, InvalidInput) as error:
            said = error.detail if isinstance(error, InvalidInput) else error.errors()[0]["msg"]
    return page(
        request, "search.html", visitor, q=q, collection=collection, collections=collections, hits=hits, said=said
    )
