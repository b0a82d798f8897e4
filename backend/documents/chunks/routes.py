"""Ingestion of ready-made chunks."""

from typing import Annotated

from fastapi import APIRouter, status

from backend.audit.recorder import Recorder
from backend.documents.chunks import service
from backend.documents.chunks.vectors import Vectorizer
from backend.documents.models import IngestedBatch, IngestedChunk, NewChunk, NewChunks
from backend.errors import InvalidInput, TooLarge
from backend.identity.callers.caller import Caller
from backend.identity.callers.guard import GuardedRoute, Requires
from backend.identity.callers.permissions import Permission
from backend.provided import Provided
from backend.settings import Settings
from backend.tenancy import Tenancy

router = APIRouter(tags=["documents"], route_class=GuardedRoute)

Writer = Annotated[Caller, Requires(Permission.DOCUMENTS_WRITE)]


@router.post("/ingest", status_code=status.HTTP_201_CREATED, summary="Ingest one chunk")
async def ingest(
    tenancy: Provided[Tenancy],
    vectorizer: Provided[Vectorizer],
    settings: Provided[Settings],
    recorder: Provided[Recorder],
    body: NewChunk,
    caller: Writer,
) -> IngestedChunk:
    """Stores one ready-made chunk; it is retrievable at once, unless its collection requires approval.

    The same text in the same document is stored once: ingesting it again returns the id that it has.
    """
    return (await _ingest(tenancy, vectorizer, settings, recorder, [body], caller))[0]


@router.post("/ingest/batch", status_code=status.HTTP_201_CREATED, summary="Ingest up to 1,000 chunks")
async def ingest_batch(
    tenancy: Provided[Tenancy],
    vectorizer: Provided[Vectorizer],
    settings: Provided[Settings],
    recorder: Provided[Recorder],
    body: NewChunks,
    caller: Writer,
) -> IngestedBatch:
    """Stores chunks together: all of them, or none."""
    limit = settings.max_batch_chunks
    if len(body.chunks) > limit:
        raise InvalidInput(f"chunks: has {len(body.chunks)} items, at most {limit} are taken at once")
    stored = await _ingest(tenancy, vectorizer, settings, recorder, body.chunks, caller)
    return IngestedBatch(ingested=len(stored), ids=[chunk.id for chunk in stored])


async def _ingest(
    tenancy: Tenancy,
    vectorizer: Vectorizer,
    settings: Settings,
    recorder: Recorder,
    chunks: list[NewChunk],
    caller: Caller,
) -> list[IngestedChunk]:
    longest = settings.max_chunk_chars
    for index, chunk in enumerate(chunks):
        if len(chunk.chunk_text) > longest:
            raise TooLarge(f"chunk_text of item {index} is longer than {longest} characters")
    async with tenancy.transaction(caller.claims()) as connection:
        collections = await service.collections_for(connection, caller, [chunk.collection for chunk in chunks])
    # Embedding takes long: no connection is held meanwhile.
    vectors = await vectorizer.vectors(
        [chunk.chunk_text for chunk in chunks],
        [collections[chunk.collection].language for chunk in chunks],
        [chunk.title or "" for chunk in chunks],
        [vectorizer.periods([chunk.doc_id, chunk.title or ""], chunk.metadata, chunk.chunk_text) for chunk in chunks],
    )
    async with tenancy.transaction(caller.claims(presented={"writing": "chunks"})) as connection:
        return await service.ingest(
            connection,
            caller,
            recorder,
            chunks,
            vectors,
            collections,
            vectorizer.model,
        )
