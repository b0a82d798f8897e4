"""Replaces the chunks of documents: a new version of each with exactly what is given, in place of adding to the latest."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from backend.audit.recorder import Recorder
from backend.database import Connection, Queries
from backend.documents.chunks import service
from backend.documents.chunks.models import IngestedChunk, NewChunk
from backend.documents.chunks.service import Collection, PreparedChunk
from backend.documents.chunks.vectors import fingerprint
from backend.documents.collections.metadata_schema import check_metadata
from backend.documents.inspection import found_in
from backend.documents.models import Effective
from backend.documents.versions.submission import Submission, SubmittedPassage, submit
from backend.identity.callers.caller import Caller
from backend.tenancy import Renewal

queries = Queries.beside(__file__)


async def replace(
    connection: Connection,
    caller: Caller,
    recorder: Recorder,
    prepared: Sequence[PreparedChunk],
    collections: Mapping[str, Collection],
    effective: Effective,
    model: str,
    renew: Renewal,
) -> list[IngestedChunk]:
    """Makes a version of each document named, which supersedes the one before at once or when it is to be in force.

    It takes further chunks, as a version made by adding does; where approval is required it goes into review instead. Raises as
    `submit` does.
    """
    chunks = [each.chunk for each in prepared]
    stored: dict[tuple[str, str], tuple[int, str, dict[bytes, UUID]]] = {}
    for key in dict.fromkeys((chunk.collection, chunk.doc_id) for chunk in chunks):
        of_document = [each for each in prepared if (each.chunk.collection, each.chunk.doc_id) == key]
        collection = collections[key[0]]
        for each in of_document:
            check_metadata(each.chunk.metadata, collection.metadata_schema)
        # The same text twice is one chunk, as when it is added.
        distinct = {fingerprint(each.chunk.chunk_text): each for each in reversed(of_document)}
        submission = Submission(
            doc_id=key[1], collection=collection, source_type=of_document[0].chunk.source_type,
            title=of_document[0].chunk.title,
            effective_from=effective.effective_from, effective_to=effective.effective_to, replaces=True,
            passages=[
                SubmittedPassage(each.chunk.chunk_text, each.vectors, metadata=each.chunk.metadata)
                for each in reversed(distinct.values())
            ],
            personal_data=found_in([each.inspected for each in of_document]),
        )  # fmt: skip
        submitted = await submit(connection, caller, recorder, submission, model, renew)
        rows = await connection.fetch(
            queries.chunks_of_version, caller.tenant_id, submitted.document_id, submitted.document_version
        )
        ids = {bytes(row["sha256"]): row["id"] for row in rows}
        stored[key] = (submitted.document_version, submitted.status, ids)
    return [_ingested(chunk, *stored[chunk.collection, chunk.doc_id]) for chunk in chunks]


def _ingested(chunk: NewChunk, number: int, status: str, ids: Mapping[bytes, UUID]) -> IngestedChunk:
    return IngestedChunk(
        id=ids[fingerprint(chunk.chunk_text)], doc_id=chunk.doc_id, collection=chunk.collection, document_version=number,
        status=status, added=True, chunks=len(ids), chunk_ids=list(ids.values())[: service.LISTED_CHUNKS],
    )  # fmt: skip
