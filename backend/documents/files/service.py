"""The rules of uploaded files: what is accepted, what is the same, and how a file and its pages are read."""

from dataclasses import dataclass
from pathlib import PurePath
from typing import Any
from uuid import UUID

import asyncpg
from uuid_utils.compat import uuid7

from backend.audit.events import Action, Event
from backend.audit.recorder import Recorder
from backend.database import Connection, Queries
from backend.documents.chunks import service
from backend.documents.collections.metadata_schema import check_metadata
from backend.documents.models import AcceptedFile, FileSummary, PageChunk, PageView, UploadFields
from backend.documents.versions import service as versions
from backend.errors import Conflict, NotFound
from backend.identity.callers.caller import Caller
from backend.identity.callers.permissions import Permission
from backend.jobs import service as jobs
from backend.storage.service import StoredFile
from backend.tenancy import Tenancy

queries = Queries.beside(__file__)

INGEST = "document:ingest"  # the kind of job


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that is stored already, and what came with it."""

    stored: StoredFile
    filename: str
    media_type: str
    fields: UploadFields

    @property
    def doc_id(self) -> str:
        """The document's name: the uploader's, or the file's."""
        return self.fields.doc_id or self.filename

    @property
    def title(self) -> str:
        """The version's title, unless the file has one: the uploader's, or the file's name without its extension."""
        return self.fields.title or PurePath(self.filename).stem

    @property
    def submitted(self) -> dict[str, Any]:
        """What is to become of the version, as JSON."""
        fields = self.fields.model_dump(mode="json", include={"metadata", "effective_from", "effective_to"})
        own_title = {} if self.fields.title else {"title_of_file": True}
        return {**fields, "title": self.title, **own_title}


async def accept(connection: Connection, caller: Caller, recorder: Recorder, upload: Upload) -> AcceptedFile:
    """Queues the making of a version from a file and records it, unless the latest version was made of the same bytes.

    Raises NotFound or Forbidden for the collection, InvalidInput for the metadata, and Conflict for a change of metadata or
    dates alone. The file itself is needed only if the answer has `accepted`.
    """
    caller.require(Permission.DOCUMENTS_WRITE)
    slug = upload.fields.collection
    collection = (await service.collections_for(connection, caller, [slug]))[slug]
    check_metadata(upload.fields.metadata, collection.metadata_schema)
    document_id = await _document(connection, caller, collection.id, upload)
    known = await connection.fetch(queries.document_files, caller.tenant_id, slug, upload.doc_id, 20)
    if same := _same(known, upload):
        return AcceptedFile(
            document_id=document_id, doc_id=upload.doc_id, collection=slug, accepted=False, sha256=same["sha256"].hex(),
            job_id=None if same["latest"] else same["job_id"], document_version=same["document_version"],
        )  # fmt: skip
    job_id, stored = uuid7(), upload.stored
    try:
        await connection.execute(
            queries.add_file, caller.tenant_id, stored.id, collection.id, document_id, job_id, upload.filename,
            upload.media_type, stored.size, stored.sha256, upload.submitted, caller.principal_id,
        )  # fmt: skip
    except asyncpg.ForeignKeyViolationError as error:
        raise Conflict(
            "Somebody else has just removed this document; try again.", reason="document:withdrawn"
        ) from error
    await jobs.enqueue(connection, caller, INGEST, {"file": str(stored.id)}, job_id=job_id)
    await recorder.record(connection, caller, _uploaded(upload, document_id, job_id))
    return AcceptedFile(
        document_id=document_id, doc_id=upload.doc_id, collection=slug, accepted=True, sha256=stored.sha256.hex(),
        job_id=job_id, document_version=None,
    )  # fmt: skip


async def list_files(
    connection: Connection, caller: Caller, collection: str, doc_id: str, *, limit: int
) -> list[FileSummary]:
    """Returns the files of a document that the caller may see, newest first."""
    rows = await connection.fetch(queries.document_files, caller.tenant_id, collection, doc_id, limit)
    return [
        FileSummary(
            **{name: row[name] for name in FileSummary.model_fields if name not in {"sha256", "is_latest"}},
            sha256=row["sha256"].hex(), is_latest=bool(row["latest"]),
        )
        for row in rows
    ]  # fmt: skip


async def open_file(
    connection: Connection, caller: Caller, recorder: Recorder, document_id: UUID, number: int
) -> asyncpg.Record:
    """Returns the row of a version's file and records that it is read; raises NotFound."""
    document, file = await _file_of(connection, caller, document_id, number)
    details = {"read": {**_named(document, number), "file_sha256": file["sha256"].hex()}}
    await recorder.record(
        connection, caller, Event(Action.DOCUMENT_READ, details=details, doc_ids=[document["doc_id"]])
    )
    return file


async def read_page(
    tenancy: Tenancy,
    connection: Connection,
    caller: Caller,
    recorder: Recorder,
    document_id: UUID,
    number: int,
    page: int,
) -> PageView:
    """Returns the text of one page, chunk by chunk, and records that it is read; raises NotFound."""
    document = await versions.find_document(connection, caller, document_id)
    version = await versions.find_version(connection, caller, document_id, number)
    file = await connection.fetchrow(queries.file_of_version, caller.tenant_id, version["id"])
    rows = await versions.read_chunks(tenancy, connection, caller, version)
    paged = [(row["page_start"], row["page_end"] or row["page_start"], row) for row in rows if row["page_start"]]
    # A version that was submitted as text has the pages that its chunks say.
    page_count = (file and file["page_count"]) or max((last for _, last, _ in paged), default=0)
    if page > page_count:
        raise NotFound("The version has no such page.", reason="page:unknown")
    details = {"read": {**_named(document, number), "page": page}}
    await recorder.record(
        connection, caller, Event(Action.DOCUMENT_READ, details=details, doc_ids=[document["doc_id"]])
    )
    chunks = [
        PageChunk(chunk_id=row["id"], **{name: row[name] for name in PageChunk.model_fields if name != "chunk_id"})
        for first, last, row in paged
        if first <= page <= last
    ]
    return PageView(
        doc_id=document["doc_id"], document_version=number, page=page, page_count=page_count,
        text="\n".join(chunk.text for chunk in chunks), chunks=chunks,
    )  # fmt: skip


async def _document(connection: Connection, caller: Caller, collection_id: UUID, upload: Upload) -> UUID:
    """Returns the id of the document, created if need be."""
    await connection.execute(
        queries.add_documents, caller.tenant_id, [uuid7()], [collection_id], [upload.doc_id], [upload.fields.source_type],
        [upload.fields.title], caller.principal_id,
    )  # fmt: skip
    row = await connection.fetchrow(queries.documents, caller.tenant_id, [collection_id], [upload.doc_id])
    if row is None:
        raise NotFound("You may write to this collection but not read it.", reason="collection:not_readable")
    document_id: UUID = row["id"]
    return document_id


def _same(known: list[asyncpg.Record], upload: Upload) -> asyncpg.Record | None:
    """Returns the file of the latest version, or one that is waiting to become it, if it has the same bytes."""
    for row in known:
        current = row["latest"] and row["version_status"] not in {"rejected", "retired"}
        waiting = row["document_version"] is None and row["job_status"] in {"queued", "running"}
        if not current and not waiting:
            continue
        if row["sha256"] != upload.stored.sha256:
            return None
        if _without_origin(row["submitted"]) == _without_origin(upload.submitted):
            return row
        if current:
            detail = (
                "The latest version was made of the same file; metadata and dates do not change without a new text."
            )
            raise Conflict(detail, reason="version:same_content")
    return None


def _without_origin(submitted: dict[str, Any]) -> dict[str, Any]:
    """Returns what was submitted without who gave the title, which older uploads do not say."""
    return {name: value for name, value in submitted.items() if name != "title_of_file"}


async def _file_of(
    connection: Connection, caller: Caller, document_id: UUID, number: int
) -> tuple[asyncpg.Record, asyncpg.Record]:
    """Returns the rows of a version's document and file; raises NotFound."""
    document = await versions.find_document(connection, caller, document_id)
    version = await versions.find_version(connection, caller, document_id, number)
    file = await connection.fetchrow(queries.file_of_version, caller.tenant_id, version["id"])
    if file is None:
        raise NotFound("This version was submitted as text; there is no file.", reason="file:none")
    return document, file


def _named(document: asyncpg.Record, number: int) -> dict[str, object]:
    return {
        "document": str(document["id"]), "doc_id": document["doc_id"], "collection": document["collection"], "version": number
    }  # fmt: skip


def _uploaded(upload: Upload, document_id: UUID, job_id: UUID) -> Event:
    file = {
        "id": str(upload.stored.id), "document": str(document_id), "doc_id": upload.doc_id,
        "collection": upload.fields.collection, "sha256": upload.stored.sha256.hex(), "bytes": upload.stored.size,
        "media_type": upload.media_type, "job": str(job_id),
    }  # fmt: skip
    return Event(
        Action.DOCUMENT_UPLOADED,
        details={"file": file},
        payloads={"filename": upload.filename},
        doc_ids=[upload.doc_id],
    )
