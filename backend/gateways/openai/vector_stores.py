"""Collections as vector stores, and versions of documents as their files."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Literal

import orjson
from fastapi import APIRouter, Query
from pydantic import ValidationError

from backend.documents.collections.models import CollectionView
from backend.documents.collections.service import list_collections
from backend.documents.models import DocumentSummary
from backend.documents.versions import service as versions
from backend.errors import InvalidInput, NotFound
from backend.gateways.openai.errors import RESPONSES
from backend.gateways.openai.filters import own_filters
from backend.gateways.openai.ids import file_id, parsed, parsed_file, spelled
from backend.gateways.openai.models import SearchRequest
from backend.gateways.openai.route import OpenAIRoute, Searcher
from backend.identity.callers.caller import Caller
from backend.identity.callers.guard import Requires
from backend.identity.callers.permissions import Permission
from backend.provided import Provided
from backend.retrieval.ask import Retrieval
from backend.retrieval.models import RetrievalRequest
from backend.retrieval.stages import Asked, Hit
from backend.tenancy import Tenancy

router = APIRouter(prefix="/v1", tags=["openai"], route_class=OpenAIRoute, responses=RESPONSES)

Reader = Annotated[Caller, Requires(Permission.DOCUMENTS_READ)]
Limit = Annotated[int, Query(ge=1, le=100, description="How many at most.")]
Order = Annotated[Literal["asc", "desc"], Query(description="By time of creation.")]
After = Annotated[str | None, Query(max_length=100, description="The last id of the page before.")]

_MAX_ATTRIBUTES, _MAX_TEXT = 16, 512  # of OpenAI's own, which its clients check


@router.get("/vector_stores", summary="List vector stores")
async def list_vector_stores(
    tenancy: Provided[Tenancy], caller: Searcher, limit: Limit = 20, order: Order = "desc", after: After = None
) -> dict[str, Any]:
    """Returns the collections that the caller may read."""
    stores = sorted(await _readable(tenancy, caller), key=lambda view: view.id, reverse=order == "desc")
    if after is not None:
        start = parsed("vs_", after)
        stores = [view for view in stores if (view.id < start if order == "desc" else view.id > start)]
    return page([_store(view) for view in stores[:limit]], has_more=len(stores) > limit)


@router.get("/vector_stores/{store_id}", summary="Get a vector store")
async def get_vector_store(store_id: str, tenancy: Provided[Tenancy], caller: Searcher) -> dict[str, Any]:
    """Returns one collection."""
    return _store(await _find(tenancy, caller, store_id))


@router.post("/vector_stores/{store_id}/search", summary="Search a vector store")
async def search_vector_store(
    store_id: str, body: SearchRequest, tenancy: Provided[Tenancy], retrieval: Provided[Retrieval], caller: Searcher
) -> dict[str, Any]:
    """Returns the best chunks that are approved and in force. Each query of a list is a retrieval of its own, on record."""
    view = await _find(tenancy, caller, store_id)
    queries = [body.query] if isinstance(body.query, str) else body.query
    found: list[dict[str, Any]] = []
    for query in queries:
        asked = await retrieval.ask(caller, _request(query, view.slug, body))
        found += _results(asked)
    found = [result for result in found if result["score"] >= body.ranking_options.score_threshold]
    found.sort(key=lambda result: -result["score"])
    return {
        "object": "vector_store.search_results.page", "search_query": queries, "data": found[: body.max_num_results],
        "has_more": False, "next_page": None,
    }  # fmt: skip


@router.get("/vector_stores/{store_id}/files", summary="List the files of a vector store")
async def list_files(
    store_id: str, tenancy: Provided[Tenancy], caller: Reader, limit: Limit = 20, after: After = None
) -> dict[str, Any]:
    """Returns the documents of a collection, each by its newest version, oldest first."""
    view = await _find(tenancy, caller, store_id)
    cursor = parsed_file(after)[0] if after is not None else None
    async with tenancy.transaction(caller.claims()) as connection:
        found = await versions.list_documents(
            connection, caller, collection=view.slug, doc_id=None, limit=limit, cursor=cursor
        )
    files = [_file(view, document) for document in found.documents if document.latest_version is not None]
    return page(files, has_more=found.next_cursor is not None)


@router.get("/vector_stores/{store_id}/files/{file}", summary="Get a file of a vector store")
async def get_file(store_id: str, file: str, tenancy: Provided[Tenancy], caller: Reader) -> dict[str, Any]:
    """Returns a version of a document. One that is in review is `completed` with the attribute `status`: `in_review`."""
    view = await _find(tenancy, caller, store_id)
    document_id, number = parsed_file(file)
    async with tenancy.transaction(caller.claims()) as connection:
        document = await versions.get_document(connection, caller, document_id)
    version = next((known for known in document.versions if known.document_version == number), None)
    if document.collection != view.slug or version is None:
        raise NotFound("There is no such file in this vector store.", reason="openai:file")
    return _described(view, document, number, version.status)


@router.get("/vector_stores/{store_id}/files/{file}/content", summary="Read a file of a vector store")
async def get_file_content(store_id: str, file: str, tenancy: Provided[Tenancy], caller: Reader) -> dict[str, Any]:
    """Returns the text of a version in the chunks that answers cite."""
    view = await _find(tenancy, caller, store_id)
    document_id, number = parsed_file(file)
    async with tenancy.transaction(caller.claims()) as connection:
        document = await versions.get_document(connection, caller, document_id)
        if document.collection != view.slug:
            raise NotFound("There is no such file in this vector store.", reason="openai:file")
        version = await versions.get_version(tenancy, connection, caller, document_id, number)
    parts = [{"type": "text", "text": chunk.text} for chunk in version.chunks]
    return {"object": "vector_store.file_content.page", "data": parts, "has_more": False, "next_page": None}


def page(objects: Sequence[dict[str, Any]], *, has_more: bool) -> dict[str, Any]:
    """Returns a page of a list as OpenAI's clients turn it."""
    first, last = (objects[0]["id"], objects[-1]["id"]) if objects else (None, None)
    return {"object": "list", "data": list(objects), "first_id": first, "last_id": last, "has_more": has_more}


async def _readable(tenancy: Tenancy, caller: Caller) -> list[CollectionView]:
    async with tenancy.transaction(caller.claims()) as connection:
        return [view for view in (await list_collections(connection, caller)).collections if view.readable]


async def _find(tenancy: Tenancy, caller: Caller, store_id: str) -> CollectionView:
    wanted = parsed("vs_", store_id)
    view = next((view for view in await _readable(tenancy, caller) if view.id == wanted), None)
    if view is None:
        raise NotFound("There is no such vector store that you may read.", reason="openai:vector_store")
    return view


def _request(query: str, collection: str, body: SearchRequest) -> RetrievalRequest:
    try:
        return RetrievalRequest.model_validate(
            {"query": query, "collection": collection, "k": body.max_num_results, "filters": own_filters(body.filters)}
        )
    except ValidationError as error:
        problem = error.errors()[0]
        raise InvalidInput(f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}") from error


def _results(asked: Asked) -> list[dict[str, Any]]:
    return [_result(hit) for hit in asked.hits]


def _result(hit: Hit) -> dict[str, Any]:
    """Returns a chunk that was found. Clients compare scores with thresholds from 0 to 1, so ours are put there."""
    score = max(0.0, hit.shown_score)
    return {
        "file_id": file_id(hit.document_id, hit.version), "filename": hit.doc_id, "score": round(score / (1 + score), 6),
        "attributes": attributes_of({**hit.metadata, "chunk_id": str(hit.chunk_id), "document_version": hit.version}),
        "content": [{"type": "text", "text": hit.text}],
    }  # fmt: skip


def attributes_of(metadata: dict[str, Any]) -> dict[str, str | float | bool]:
    """Returns metadata as attributes: at most 16, each a text of at most 512 characters, a number or a boolean."""
    told: dict[str, str | float | bool] = {}
    for key, value in list(metadata.items())[-_MAX_ATTRIBUTES:]:
        told[key[:64]] = value if isinstance(value, bool | int | float) else _text(value)
    return told


def _text(value: object) -> str:
    return (value if isinstance(value, str) else orjson.dumps(value).decode())[:_MAX_TEXT]


def _store(view: CollectionView) -> dict[str, Any]:
    return {
        "id": spelled("vs_", view.id), "object": "vector_store", "created_at": _seconds(view.created_at), "name": view.slug,
        "description": view.name, "usage_bytes": 0, "status": "completed", "expires_after": None, "expires_at": None,
        "last_active_at": None, "metadata": {},
        "file_counts": {"in_progress": 0, "completed": 0, "failed": 0, "cancelled": 0, "total": 0},
    }  # fmt: skip


def _file(view: CollectionView, document: DocumentSummary) -> dict[str, Any]:
    assert document.latest_version is not None
    return _described(view, document, document.latest_version, document.status or "draft")


def _described(view: CollectionView, document: DocumentSummary, number: int, status: str) -> dict[str, Any]:
    return {
        "id": file_id(document.id, number), "object": "vector_store.file", "created_at": _seconds(document.created_at),
        "usage_bytes": 0, "vector_store_id": spelled("vs_", view.id), "status": "completed", "last_error": None,
        "attributes": attributes_of({
            "doc_id": document.doc_id, "title": document.title or "", "source_type": document.source_type,
            "document_version": number, "status": status,
        }),
        "chunking_strategy": {"type": "other"},
    }  # fmt: skip


def _seconds(moment: datetime) -> int:
    return int(moment.timestamp())
