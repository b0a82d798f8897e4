"""The rules of deleting documents: their files, text, vectors and statistics go; that they went stays in the log.

Copies in the log's encrypted payloads follow the log's own rules of retention and erasure.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

import asyncpg
from pgvector import SparseVector

from backend.audit.actions.documents import DeletedDocument, DocumentErased
from backend.audit.details import leading
from backend.audit.events import Event
from backend.audit.holds import is_held
from backend.audit.recorder import Recorder
from backend.database import Connection, Queries, fetch_rows
from backend.documents.locks import lock_documents
from backend.documents.models import ErasedDocument, ErasedDocuments, SubjectErasure
from backend.errors import Conflict, NotFound
from backend.identity.callers.caller import Caller
from backend.identity.callers.permissions import Permission
from backend.storage.service import FileVault
from backend.tenancy import Purpose

queries = Queries.beside(__file__)

ERASING = {Purpose.ERASING: "documents"}


@dataclass(frozen=True, slots=True)
class ErasedChunk:
    """A chunk that was deleted; `was_counted` says whether the statistics had its terms."""

    document_id: UUID
    version_id: UUID
    collection_id: UUID
    sparse: SparseVector
    was_counted: bool


async def erase_document(
    connection: Connection, caller: Caller, recorder: Recorder, vault: FileVault, document_id: UUID, reason: str
) -> ErasedDocuments:
    """Deletes a document with all its versions; raises NotFound, and Conflict while a hold applies.

    The transaction must be bound with ERASING, also for the next one.
    """
    await _check(connection, caller, caller.tenant_id)
    await lock_documents(connection, caller.tenant_id, [document_id])
    chunks = await fetch_rows(connection, ErasedChunk, queries.erase_chunks_of_document, caller.tenant_id, document_id)
    return await _finish(connection, caller, recorder, vault, chunks, [document_id], reason)


async def erase_subject(
    connection: Connection, caller: Caller, recorder: Recorder, vault: FileVault, wanted: SubjectErasure
) -> ErasedDocuments:
    """Deletes every chunk whose metadata names a data subject, and the versions and documents that hold nothing else."""
    await _check(connection, caller, caller.subject_named(wanted.data_subject))
    holding = await connection.fetch(queries.documents_of_subject, caller.tenant_id, wanted.data_subject)
    documents = sorted(await lock_documents(connection, caller.tenant_id, [row["document_id"] for row in holding]))
    chunks = await fetch_rows(
        connection, ErasedChunk, queries.erase_chunks_of_subject, caller.tenant_id, wanted.data_subject, documents
    )
    return await _finish(connection, caller, recorder, vault, chunks, documents, wanted.reason)


async def _check(connection: Connection, caller: Caller, subject: UUID) -> None:
    caller.require(Permission.ERASURE_EXECUTE)
    caller.require(Permission.AUDIT_READ)  # who cannot see holds must not act against them
    if await is_held(connection, caller.tenant_id, subject):
        raise Conflict("A legal hold applies.", reason="erasure:held")


async def _finish(
    connection: Connection, caller: Caller, recorder: Recorder, vault: FileVault, chunks: Sequence[ErasedChunk],
    documents: Sequence[UUID], reason: str,
) -> ErasedDocuments:  # fmt: skip
    """Deletes what holds nothing any more, takes the chunks out of the statistics, and records it."""
    known = await connection.fetch(queries.documents_by_id, caller.tenant_id, documents)
    if len(known) < len(documents):
        raise NotFound(reason="document:unknown")
    emptied = await connection.fetch(queries.emptied_versions, caller.tenant_id, documents)
    versions = [row["id"] for row in emptied]
    # The original of a version goes with the first of its chunks: it holds the whole text.
    touched = {*versions, *(chunk.version_id for chunk in chunks)}
    files = await connection.fetch(queries.erase_files, caller.tenant_id, documents, list(touched))
    try:
        for statement in (queries.erase_approvals, queries.erase_history, queries.erase_versions):
            await connection.execute(statement, caller.tenant_id, versions)
        rows = await connection.fetch(queries.erase_documents, caller.tenant_id, documents)
        gone = {row["id"] for row in rows}
        columns = ("id", "collection_id", "doc_id", "created_by")
        await connection.execute(queries.forget_at_sources, *([row[column] for row in rows] for column in columns))
    except asyncpg.ForeignKeyViolationError as error:
        raise Conflict(
            "Somebody else has just added a file to this document; try again.", reason="erasure:concurrent"
        ) from error
    # Last, as writers do it: the other way round, each would wait for what the other has locked.
    await _uncount(connection, caller, chunks)
    erased = ErasedDocuments(
        documents=[ErasedDocument(id=row["id"], doc_id=row["doc_id"], whole=row["id"] in gone) for row in known],
        version_ids=versions, chunks=len(chunks),
    )  # fmt: skip
    await recorder.record(connection, caller, _event(erased, reason))
    # Before the commit: if that fails the deletion is repeated, while a file that was left behind nobody would look for.
    for file in files:
        await vault.delete(caller.tenant_id, file["id"])
    return erased


async def _uncount(connection: Connection, caller: Caller, chunks: Sequence[ErasedChunk]) -> None:
    terms: Counter[tuple[UUID, int]] = Counter()
    sizes: Counter[UUID] = Counter()
    for chunk in chunks:
        if chunk.was_counted:
            sizes[chunk.collection_id] += 1
            terms.update((chunk.collection_id, dimension) for dimension in chunk.sparse.indices())
    await connection.execute(
        queries.uncount_terms, caller.tenant_id, [c for c, _ in terms], [d for _, d in terms], list(terms.values())
    )
    await connection.execute(queries.uncount_chunks, caller.tenant_id, list(sizes), list(sizes.values()))
    await connection.execute(queries.forget_terms, caller.tenant_id)


def _event(erased: ErasedDocuments, reason: str) -> Event:
    documents = [
        DeletedDocument(id=document.id, doc_id=document.doc_id, whole=document.whole) for document in erased.documents
    ]
    deletion = DocumentErased(
        documents=leading(documents),
        document_count=len(documents),
        versions=len(erased.version_ids),
        chunks=erased.chunks,
    )
    return Event(deletion, payloads={"reason": reason}, doc_ids=[document.doc_id for document in documents])
