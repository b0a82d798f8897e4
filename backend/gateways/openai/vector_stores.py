"""Collections as vector stores, and versions of documents as their files."""

from collections.abc import Mapping
from typing import Annotated, Any
from uuid import UUID

from fastapi import Query
from pydantic import ValidationError

from backend.database import Connection
from backend.documents.collections.contents import Contents, contents, version_sizes
from backend.documents.collections.models import CollectionView
from backend.documents.collections.service import list_collections, readable_collection
from backend.documents.files import uploads
from backend.documents.versions import service as versions
from backend.documents.versions.models import DocumentSummary
from backend.errors import NotFound
from backend.gateways.front_door import DoorRouter
from backend.gateways.openai import examples
from backend.gateways.openai.errors import RESPONSES, WrongParameter
from backend.gateways.openai.examples import shows
from backend.gateways.openai.filters import own_filters
from backend.gateways.openai.found import attributes_of, found_file
from backend.gateways.openai.ids import file_id, parsed, parsed_file, spelled
from backend.gateways.openai.models import FileState, SearchRequest
from backend.gateways.openai.pages import Page, PageQuery
from backend.gateways.openai.route import OpenAIRoute, Searcher
from backend.gateways.openai.stored import JOBS_OF, seconds, store_file, upload_id_of
from backend.identity.callers.caller import Caller
from backend.identity.callers.guard import Requires
from backend.identity.callers.permissions import Permission
from backend.provided import Provided
from backend.retrieval.ask import Retrieval
from backend.retrieval.models import RetrievalRequest
from backend.retrieval.stages import Asked, Hit
from backend.tenancy import Tenancy

router = DoorRouter(prefix="/v1", tags=["openai"], route_class=OpenAIRoute, responses=RESPONSES)

Reader = Annotated[Caller, Requires(Permission.DOCUMENTS_READ)]
InState = Annotated[FileState | None, Query(alias="filter", description="Only files in this state.")]


@router.get("/vector_stores", summary="List vector stores", responses=shows(examples.STORES))
async def list_vector_stores(tenancy: Provided[Tenancy], caller: Searcher, wanted: Page) -> dict[str, Any]:
    """Returns the collections that the caller may read."""
    span = wanted.span(lambda text: parsed("vs_", text))
    async with tenancy.transaction(caller.claims()) as connection:
        stores = [view for view in (await list_collections(connection, caller)).collections if view.readable]
        read = span.of(stores, lambda view: view.id)
        held = await contents(connection, caller, [view.id for view in read])
    return span.page(read, lambda view: _store(view, held[view.id]))


@router.get("/vector_stores/{store_id}", summary="Get a vector store", responses=shows(examples.STORE))
async def get_vector_store(store_id: str, tenancy: Provided[Tenancy], caller: Searcher) -> dict[str, Any]:
    """Returns one collection."""
    async with tenancy.transaction(caller.claims()) as connection:
        store = await find_store(connection, caller, store_id)
        return _store(store, (await contents(connection, caller, [store.id]))[store.id])


@router.post("/vector_stores/{store_id}/search", summary="Search a vector store", responses=shows(examples.SEARCH))
async def search_vector_store(
    store_id: str, body: SearchRequest, retrieval: Provided[Retrieval], caller: Searcher
) -> dict[str, Any]:
    """Returns the best chunks that are approved and in force. Each query of a list is a retrieval of its own, on record."""
    store = frozenset({parsed("vs_", store_id)})
    queries = [body.query] if isinstance(body.query, str) else body.query
    found: list[dict[str, Any]] = []
    for query in queries:
        asked = await retrieval.ask(caller, _request(query, body), within=store)
        found += _results(asked)
    found = [result for result in found if result["score"] >= body.ranking_options.score_threshold]
    found.sort(key=lambda result: -result["score"])
    return {
        "object": "vector_store.search_results.page", "search_query": queries, "data": found[: body.max_num_results],
        "has_more": False, "next_page": None,
    }  # fmt: skip


@router.get(
    "/vector_stores/{store_id}/files", summary="List the files of a vector store", responses=shows(examples.STORE_FILES)
)
async def list_files(
    store_id: str, tenancy: Provided[Tenancy], caller: Reader, wanted: Page, state: InState = None
) -> dict[str, Any]:
    """Returns the documents of a collection, each by its newest version, which is `completed`.

    In another state are the caller's own uploads of the last day, each by the id that it was given to the collection with.
    """
    if state is not None and state in JOBS_OF:
        return await _uploads_in(state, store_id, tenancy, caller, wanted)
    span = wanted.span(lambda text: parsed_file(text)[0])
    async with tenancy.transaction(caller.claims()) as connection:
        view = await find_store(connection, caller, store_id)
        documents = await versions.list_with_versions(
            connection, caller, view.slug, cursor=span.edge, newest_first=span.descending, limit=span.limit + 1
        )
        sizes = await version_sizes(connection, caller, [document.id for document in documents])
    return span.page(documents, lambda document: _file(view, document, sizes))


async def _uploads_in(
    state: FileState, store_id: str, tenancy: Tenancy, caller: Caller, wanted: PageQuery
) -> dict[str, Any]:
    span = wanted.span(upload_id_of)
    async with tenancy.transaction(caller.claims()) as connection:
        view = await find_store(connection, caller, store_id)
        rows = await uploads.listed(
            connection, caller, collection=view.id, job_states=JOBS_OF[state], cursor=span.edge,
            newest_first=span.descending, limit=span.limit + 1,
        )  # fmt: skip
    return span.page(rows, lambda row: store_file(view, row))


@router.get(
    "/vector_stores/{store_id}/files/{file}/content",
    summary="Read a file of a vector store",
    responses=shows(examples.CONTENT),
)
async def get_file_content(store_id: str, file: str, tenancy: Provided[Tenancy], caller: Reader) -> dict[str, Any]:
    """Returns the text of a version in the chunks that answers cite."""
    document_id, number = parsed_file(file)
    async with tenancy.transaction(caller.claims()) as connection:
        view = await find_store(connection, caller, store_id)
        document = await versions.get_document(connection, caller, document_id)
        if document.collection != view.slug:
            raise NotFound("There is no such file in this vector store.", reason="openai:file")
        version = await versions.get_version(tenancy, connection, caller, document_id, number)
    parts = [{"type": "text", "text": chunk.text} for chunk in version.chunks]
    return {"object": "vector_store.file_content.page", "data": parts, "has_more": False, "next_page": None}


async def version_file(connection: Connection, caller: Caller, store: CollectionView, file: str) -> dict[str, Any]:
    """Returns a version of a document as a file of a vector store; raises NotFound."""
    document_id, number = parsed_file(file)
    document = await versions.get_document(connection, caller, document_id)
    version = next((known for known in document.versions if known.document_version == number), None)
    if document.collection != store.slug or version is None:
        raise NotFound("There is no such file in this vector store.", reason="openai:file")
    sizes = await version_sizes(connection, caller, [document_id])
    return _described(store, document, number, version.status, sizes.get((document_id, number), 0))


async def find_store(connection: Connection, caller: Caller, store_id: str) -> CollectionView:
    """Returns the collection that a vector store is; raises NotFound."""
    return await readable_collection(connection, caller, parsed("vs_", store_id))


def _request(query: str, body: SearchRequest) -> RetrievalRequest:
    try:
        return RetrievalRequest.model_validate(
            {"query": query, "k": body.max_num_results, "filters": own_filters(body.filters)}
        )
    except ValidationError as error:
        problem = error.errors()[0]
        raise WrongParameter(str(problem["loc"][0]), problem["msg"]) from error


def _results(asked: Asked) -> list[dict[str, Any]]:
    return [_result(hit) for hit in asked.hits]


def _result(hit: Hit) -> dict[str, Any]:
    return {**found_file(hit), "content": [{"type": "text", "text": hit.text}]}


def _store(view: CollectionView, held: Contents) -> dict[str, Any]:
    counts = {
        "in_progress": held.in_progress, "completed": held.documents, "failed": held.failed, "cancelled": held.cancelled,
    }  # fmt: skip
    return {
        "id": spelled("vs_", view.id), "object": "vector_store", "created_at": seconds(view.created_at), "name": view.slug,
        "description": view.name, "usage_bytes": held.bytes, "status": "in_progress" if held.in_progress else "completed",
        "expires_after": None, "expires_at": None, "last_active_at": None, "metadata": {},
        "file_counts": {**counts, "total": sum(counts.values())},
    }  # fmt: skip


def _file(view: CollectionView, document: DocumentSummary, sizes: Mapping[tuple[UUID, int], int]) -> dict[str, Any]:
    number = document.latest_version
    assert number is not None
    return _described(view, document, number, document.status or "draft", sizes.get((document.id, number), 0))


def _described(view: CollectionView, document: DocumentSummary, number: int, status: str, size: int) -> dict[str, Any]:
    return {
        "id": file_id(document.id, number), "object": "vector_store.file", "created_at": seconds(document.created_at),
        "usage_bytes": size, "vector_store_id": spelled("vs_", view.id), "status": "completed", "last_error": None,
        "attributes": attributes_of({
            "doc_id": document.doc_id, "title": document.title or "", "source_type": document.source_type,
            "document_version": number, "status": status,
        }),
        "chunking_strategy": {"type": "other"},
    }  # fmt: skip
