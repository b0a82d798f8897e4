"""Ingestion of ready-made chunks."""

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, status

from backend.audit.recorder import Recorder
from backend.documents import inspection
from backend.documents.chunks import service
from backend.documents.chunks.models import (
    DocumentChunks,
    IngestedBatch,
    IngestedChunk,
    NewChunk,
    NewChunks,
    ReplacingChunks,
    SingleChunk,
)
from backend.documents.chunks.service import PreparedChunk
from backend.documents.chunks.vectors import WRITING, Vectorizer
from backend.documents.models import DocId, Effective
from backend.documents.versions import replacement
from backend.errors import InvalidInput, TooLarge
from backend.identity.callers.caller import Caller
from backend.identity.callers.guard import GuardedRoute, Requires
from backend.identity.callers.permissions import Permission
from backend.personal_data.pseudonyms import PseudonymKeys
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
    keys: Provided[PseudonymKeys],
    body: SingleChunk,
    caller: Writer,
) -> IngestedChunk:
    """Stores one ready-made chunk; it is retrievable at once, unless its collection requires approval.

    It is added to what its document holds, which stays in force beside it: `chunks` says how much that is. With `replace` it
    makes a new version, which holds it alone. The same text in the same version is stored once: ingesting it again returns the
    id that it has.
    """
    return (
        await _ingest(
            tenancy, vectorizer, settings, recorder, keys, [body], caller, Effective() if body.replace else None
        )
    )[0]


@router.post("/ingest/batch", status_code=status.HTTP_201_CREATED, summary="Ingest up to 1,000 chunks")
async def ingest_batch(
    tenancy: Provided[Tenancy],
    vectorizer: Provided[Vectorizer],
    settings: Provided[Settings],
    recorder: Provided[Recorder],
    keys: Provided[PseudonymKeys],
    body: NewChunks,
    caller: Writer,
) -> IngestedBatch:
    """Stores chunks together: all of them, or none."""
    limit = settings.max_batch_chunks
    if len(body.chunks) > limit:
        raise InvalidInput(f"chunks: has {len(body.chunks)} items, at most {limit} are taken at once")
    replaces = Effective() if body.replace else None
    return _batch(await _ingest(tenancy, vectorizer, settings, recorder, keys, body.chunks, caller, replaces))


@router.put("/documents/by-doc-id/{doc_id:path}/chunks", summary="Replace the chunks of a document")
async def replace_chunks(
    tenancy: Provided[Tenancy],
    vectorizer: Provided[Vectorizer],
    settings: Provided[Settings],
    recorder: Provided[Recorder],
    keys: Provided[PseudonymKeys],
    doc_id: DocId,
    body: ReplacingChunks,
    caller: Writer,
) -> IngestedBatch:
    """Makes a version of a document with these chunks alone, which supersedes the one before from `effective_from` on.

    Where the collection requires approval, the version goes into review.
    """
    if len(body.chunks) > settings.max_batch_chunks:
        raise InvalidInput(
            f"chunks: has {len(body.chunks)} items, at most {settings.max_batch_chunks} are taken at once"
        )
    chunks = [
        NewChunk(
            doc_id=doc_id, chunk_text=chunk.chunk_text, source_type=body.source_type, metadata=chunk.metadata,
            collection=body.collection,
        )
        for chunk in body.chunks
    ]  # fmt: skip
    return _batch(await _ingest(tenancy, vectorizer, settings, recorder, keys, chunks, caller, body))


def _batch(stored: list[IngestedChunk]) -> IngestedBatch:
    documents: dict[tuple[str, str], DocumentChunks] = {}
    for chunk in stored:
        key = (chunk.collection, chunk.doc_id)
        before = documents[key].added if key in documents else 0
        documents[key] = DocumentChunks(
            doc_id=chunk.doc_id, collection=chunk.collection, document_version=chunk.document_version, status=chunk.status,
            added=before + chunk.added, chunks=chunk.chunks,
        )  # fmt: skip
    return IngestedBatch(ingested=len(stored), ids=[chunk.id for chunk in stored], documents=list(documents.values()))


async def _ingest(
    tenancy: Tenancy,
    vectorizer: Vectorizer,
    settings: Settings,
    recorder: Recorder,
    keys: PseudonymKeys,
    chunks: Sequence[NewChunk],
    caller: Caller,
    replaces: Effective | None,
) -> list[IngestedChunk]:
    """Adds chunks to their documents, or has them replace what those hold when that is to be in force."""
    longest = settings.max_chunk_chars
    for index, chunk in enumerate(chunks):
        if len(chunk.chunk_text) > longest:
            raise TooLarge(f"chunk_text of item {index} is longer than {longest} characters")
    async with tenancy.transaction(caller.claims()) as connection:
        collections = await service.collections_for(connection, caller, [chunk.collection for chunk in chunks])
    # Embedding takes long: no connection is held meanwhile.
    policies = [collections[chunk.collection].personal_data for chunk in chunks]
    texts = [chunk.chunk_text for chunk in chunks]
    inspected = await inspection.inspect(keys.of_tenant(caller.tenant_id), texts, policies)
    if found := inspection.refused(inspected, policies):
        await service.refuse(tenancy, recorder, caller, found)
    vectors = await vectorizer.vectors(
        [text.searched for text in inspected],
        [collections[chunk.collection].language for chunk in chunks],
        [chunk.title or "" for chunk in chunks],
        [vectorizer.periods([chunk.doc_id, chunk.title or ""], chunk.metadata, chunk.chunk_text) for chunk in chunks],
    )
    prepared = [PreparedChunk(*parts) for parts in zip(chunks, vectors, inspected, strict=True)]
    claims = caller.claims(presented=WRITING)
    async with tenancy.transaction(claims) as connection:
        if replaces is not None:
            renew = tenancy.renewal(connection, claims)
            return await replacement.replace(
                connection, caller, recorder, prepared, collections, replaces, vectorizer.model, renew
            )
        return await service.ingest(
            connection,
            caller,
            recorder,
            prepared,
            collections,
            vectorizer.model,
        )
