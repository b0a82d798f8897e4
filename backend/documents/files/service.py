"""The rules of uploaded files: what is accepted, what is the same, and how a file and its pages are read."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePath
from typing import Any
from uuid import UUID

import asyncpg
from uuid_utils.compat import uuid7

from backend.audit.actions.documents import DocumentUploaded
from backend.audit.events import Event
from backend.audit.recorder import Recorder
from backend.database import Connection, Queries, fetch_row, fetch_rows
from backend.documents.chunks import service
from backend.documents.collections.metadata_schema import check_metadata
from backend.documents.files.models import AcceptedFile, FileSummary, PageChunk, PageView, UploadFields
from backend.documents.tables import DocumentRow, FileRow
from backend.documents.versions import service as versions
from backend.errors import Conflict, NotFound
from backend.identity.callers.caller import Caller
from backend.identity.callers.permissions import Permission
from backend.jobs import service as jobs
from backend.storage.service import StoredFile
from backend.tenancy import Tenancy

queries = Queries.beside(__file__, file=FileRow)

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


@dataclass(frozen=True, slots=True)
class KnownFile:
    """A file of a document, with the version that was made of it and its job as far as the caller sees them."""

    id: UUID
    document_id: UUID
    doc_id: str
    filename: str
    media_type: str
    size: int
    sha256: bytes
    submitted: dict[str, Any]
    job_id: UUID
    job_status: str | None
    document_version: int | None
    version_status: str | None
    created_at: datetime
    latest: bool | None

    @property
    def is_latest(self) -> bool:
        """Whether the latest version was made of it."""
        return bool(self.latest)

    @property
    def is_current(self) -> bool:
        """Whether that version says, or may come to say, what the document says."""
        return self.is_latest and self.version_status not in {"rejected", "retired"}

    @property
    def is_waiting(self) -> bool:
        """Whether a version may yet be made of it."""
        return self.document_version is None and self.job_status in {"queued", "running"}


async def accept(connection: Connection, caller: Caller, recorder: Recorder, upload: Upload) -> AcceptedFile:
    """Queues the making of a version from a file and records it, unless the latest version was made of the same bytes.

    Raises NotFound or Forbidden for the collection, InvalidInput for the metadata, and Conflict for a change of metadata or
    dates alone, or for a file of another name or title than the document's, unless it may replace that. The file itself is
    needed only if the answer has `accepted`.
    """
    caller.require(Permission.DOCUMENTS_WRITE)
    slug = upload.fields.collection
    collection = (await service.collections_for(connection, caller, [slug]))[slug]
    check_metadata(upload.fields.metadata, collection.metadata_schema)
    document_id = await _document(connection, caller, collection.id, upload)
    known = await fetch_rows(connection, KnownFile, queries.document_files, caller.tenant_id, slug, upload.doc_id, 20)
    if same := _same(known, upload):
        return AcceptedFile(
            document_id=document_id, doc_id=upload.doc_id, collection=slug, accepted=False, sha256=same.sha256.hex(),
            job_id=None if same.is_latest else same.job_id, document_version=same.document_version,
        )  # fmt: skip
    if not upload.fields.replace:
        _refuse_another_document(known, upload)
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
    files = await fetch_rows(connection, KnownFile, queries.document_files, caller.tenant_id, collection, doc_id, limit)
    return [
        FileSummary(
            **{name: getattr(file, name) for name in FileSummary.model_fields if name != "sha256"}, sha256=file.sha256.hex()
        )
        for file in files
    ]  # fmt: skip


async def find_file(connection: Connection, caller: Caller, document_id: UUID, number: int) -> FileRow | None:
    """Returns the row of the file that a version was made of, if it was made of one; raises NotFound for the version."""
    version = await versions.find_version(connection, caller, document_id, number)
    return await fetch_row(connection, FileRow, queries.file_of_version, caller.tenant_id, version.id)


async def open_file(
    connection: Connection, caller: Caller, recorder: Recorder, document_id: UUID, number: int
) -> FileRow:
    """Returns the row of a version's file and records that it is read; raises NotFound."""
    document, file = await _file_of(connection, caller, document_id, number)
    event = versions.reading_event(document, number, file_sha256=file.sha256.hex())
    await recorder.record(connection, caller, event)
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
    file = await fetch_row(connection, FileRow, queries.file_of_version, caller.tenant_id, version.id)
    rows = await versions.read_chunks(tenancy, connection, caller, version)
    paged = [(row.page_start, row.page_end or row.page_start, row) for row in rows if row.page_start]
    # A version that was submitted as text has the pages that its chunks say.
    page_count = (file is not None and file.page_count) or max((last for _, last, _ in paged), default=0)
    if page > page_count:
        raise NotFound("The version has no such page.", reason="page:unknown")
    await recorder.record(connection, caller, versions.reading_event(document, number, page=page))
    chunks = [
        PageChunk(chunk_id=row.id, **row.model_dump(include=set(PageChunk.model_fields)))
        for first, last, row in paged
        if first <= page <= last
    ]
    return PageView(
        doc_id=document.doc_id, document_version=number, page=page, page_count=page_count,
        page_label=next((row.page_label for first, _, row in paged if first == page), None),
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


def _same(known: list[KnownFile], upload: Upload) -> KnownFile | None:
    """Returns the file of the latest version, or one that is waiting to become it, if it has the same bytes."""
    for file in known:
        if not file.is_current and not file.is_waiting:
            continue
        if file.sha256 != upload.stored.sha256:
            return None
        if _without_origin(file.submitted) == _without_origin(upload.submitted):
            return file
        if file.is_current:
            detail = (
                "The latest version was made of the same file; metadata and dates do not change without a new text."
            )
            raise Conflict(detail, reason="version:same_content")
    return None


def _refuse_another_document(known: list[KnownFile], upload: Upload) -> None:
    """Raises Conflict when the file would supersede one of another name or title, as two policies under one doc_id do."""
    for file in known:
        if file.is_current or file.is_waiting:
            submitted = file.submitted
            other_title = (
                "title_of_file" not in submitted and upload.fields.title and submitted["title"] != upload.title
            )
            if file.filename == upload.filename and not other_title:
                return
            what = f"the title {submitted['title']!r}" if other_title else f"the file {file.filename!r}"
            detail = f"{upload.doc_id!r} is a document with {what}; choose another doc_id, or send replace=true."
            raise Conflict(detail, reason="document:another")


def _without_origin(submitted: dict[str, Any]) -> dict[str, Any]:
    """Returns what was submitted without who gave the title, which older uploads do not say."""
    return {name: value for name, value in submitted.items() if name != "title_of_file"}


async def _file_of(
    connection: Connection, caller: Caller, document_id: UUID, number: int
) -> tuple[DocumentRow, FileRow]:
    """Returns the rows of a version's document and file; raises NotFound."""
    document = await versions.find_document(connection, caller, document_id)
    version = await versions.find_version(connection, caller, document_id, number)
    file = await fetch_row(connection, FileRow, queries.file_of_version, caller.tenant_id, version.id)
    if file is None:
        raise NotFound("This version was submitted as text; there is no file.", reason="file:none")
    return document, file


def _uploaded(upload: Upload, document_id: UUID, job_id: UUID) -> Event:
    uploaded = DocumentUploaded(
        id=upload.stored.id, document=document_id, doc_id=upload.doc_id, collection=upload.fields.collection,
        sha256=upload.stored.sha256.hex(), bytes=upload.stored.size, media_type=upload.media_type, job=job_id,
    )  # fmt: skip
    return Event(uploaded, payloads={"filename": upload.filename}, doc_ids=[upload.doc_id])
