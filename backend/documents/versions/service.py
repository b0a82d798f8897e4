"""How documents and their versions are read; `submission.py` stores them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from backend.audit.actions.documents import DocumentRead
from backend.audit.events import Event
from backend.audit.recorder import Recorder
from backend.database import Connection, Queries, fetch_row, fetch_rows
from backend.documents.chunks.vectors import WRITING
from backend.documents.tables import ChunkRow, ChunkSpan, DocumentRow, ListedVersionRow, VersionRow
from backend.documents.versions.models import (
    Decision,
    DocumentPage,
    DocumentSummary,
    DocumentView,
    ListedVersion,
    VersionChunk,
    VersionList,
    VersionSummary,
    VersionView,
)
from backend.errors import NotFound
from backend.identity.callers.caller import Caller
from backend.tenancy import Tenancy

queries = Queries.beside(__file__, place=ChunkSpan)

_AFTER_ALL = UUID(int=2**128 - 1)
_BEFORE_ALL = UUID(int=0)
_ANY, _WITH_VERSION = False, True  # documents: also those that wait for their first version, or not


async def list_documents(
    connection: Connection,
    caller: Caller,
    *,
    collection: str | None,
    doc_id: str | None,
    limit: int,
    cursor: UUID | None,
    named: str | None = None,
    ends_before: datetime | None = None,
) -> DocumentPage:
    """Returns a page of the documents that the caller may read, oldest first; `named` is looked for in name and title."""
    rows = await connection.fetch(
        _documents(newest_first=False), caller.tenant_id, cursor or _BEFORE_ALL, collection, doc_id, limit + 1, named,
        ends_before, _ANY,
    )  # fmt: skip
    return DocumentPage(
        documents=[DocumentSummary(**dict(row)) for row in rows[:limit]],
        next_cursor=rows[limit - 1]["id"] if len(rows) > limit else None,
    )


async def list_with_versions(
    connection: Connection, caller: Caller, collection: str, *, cursor: UUID | None, newest_first: bool, limit: int
) -> list[DocumentSummary]:
    """Returns documents of a collection behind `cursor`, without those of which no version was made yet."""
    edge = _AFTER_ALL if newest_first else _BEFORE_ALL
    rows = await connection.fetch(
        _documents(newest_first=newest_first), caller.tenant_id, cursor or edge, collection, None, limit, None, None,
        _WITH_VERSION,
    )  # fmt: skip
    return [DocumentSummary(**dict(row)) for row in rows]


def _documents(*, newest_first: bool) -> str:
    behind, direction = ("<", "desc") if newest_first else (">", "asc")
    return queries.list_documents.replace("{behind}", behind).replace("{direction}", direction)


async def get_document(connection: Connection, caller: Caller, document_id: UUID) -> DocumentView:
    """Returns a document with its versions; raises NotFound."""
    document = await find_document(connection, caller, document_id)
    rows = await fetch_rows(connection, VersionRow, queries.versions, caller.tenant_id, document_id)
    decisions = await _decisions(connection, caller, [row.id for row in rows])
    newest = {"latest_version": rows[0].number, "status": rows[0].shown_status} if rows else {}
    return DocumentView(
        **document.model_dump(exclude={"collection_id"}), **newest,
        versions=[VersionSummary(**_summary(row, decisions[row.id])) for row in rows],
    )  # fmt: skip


async def get_version(
    tenancy: Tenancy, connection: Connection, caller: Caller, document_id: UUID, number: int
) -> VersionView:
    """Returns a version with its text, at the moment when it came into force; raises NotFound."""
    await find_document(connection, caller, document_id)
    row = await find_version(connection, caller, document_id, number)
    decisions = await _decisions(connection, caller, [row.id])
    texts = [
        VersionChunk(chunk_id=chunk.id, **chunk.model_dump(exclude={"id"}))
        for chunk in await read_chunks(tenancy, connection, caller, row)
    ]
    return VersionView(**_summary(row, decisions[row.id]), chunks=texts)


async def list_versions(
    connection: Connection, caller: Caller, *, status: str | None, limit: int, cursor: UUID | None
) -> VersionList:
    """Returns versions across documents that the caller may see, newest first, and how many there are in each state."""
    rows = await fetch_rows(
        connection, ListedVersionRow, queries.list_versions,
        caller.tenant_id, caller.principal_id, status, cursor or _AFTER_ALL, limit + 1,
    )  # fmt: skip
    counted = await connection.fetch(queries.count_versions, caller.tenant_id)
    decisions = await _decisions(connection, caller, [row.id for row in rows[:limit]])
    listed = [
        ListedVersion(
            **_summary(row, decisions[row.id]), document_id=row.document_id, doc_id=row.doc_id, title=row.title,
            collection=row.collection, decided_by_me=row.decided_by_me, approvals_given=row.given,
        )
        for row in rows[:limit]
    ]  # fmt: skip
    return VersionList(
        versions=listed, counts={row["status"]: row["versions"] for row in counted},
        next_cursor=rows[limit - 1].id if len(rows) > limit else None,
    )  # fmt: skip


async def read_version(
    tenancy: Tenancy, connection: Connection, caller: Caller, recorder: Recorder, document_id: UUID, number: int
) -> VersionView:
    """Returns a version with its text and records that it is read; raises NotFound."""
    document = await find_document(connection, caller, document_id)
    version = await get_version(tenancy, connection, caller, document_id, number)
    await recorder.record(connection, caller, reading_event(document, number))
    return version


def reading_event(
    document: DocumentRow, number: int, *, file_sha256: str | None = None, page: int | None = None
) -> Event:
    """Returns the record of reading a version, one page of it, or its file."""
    read = DocumentRead(
        document=document.id, doc_id=document.doc_id, collection=document.collection, version=number,
        file_sha256=file_sha256, page=page,
    )  # fmt: skip
    return Event(read, doc_ids=[document.doc_id])


async def find_document(connection: Connection, caller: Caller, document_id: UUID) -> DocumentRow:
    """Returns a document's row; raises NotFound for one that the caller may not see."""
    row = await fetch_row(connection, DocumentRow, queries.document, caller.tenant_id, document_id)
    if row is None:
        raise NotFound(reason="document:unknown")
    return row


async def find_version(connection: Connection, caller: Caller, document_id: UUID, number: int) -> VersionRow:
    """Returns a version's row; raises NotFound for one that the caller may not see."""
    rows = await fetch_rows(connection, VersionRow, queries.versions, caller.tenant_id, document_id)
    for row in rows:
        if row.number == number:
            return row
    raise NotFound(reason="version:unknown")


async def read_chunks(tenancy: Tenancy, connection: Connection, caller: Caller, version: VersionRow) -> list[ChunkRow]:
    """Returns the chunks of a version; the transaction asks about the version's own time from then on."""
    presented = WRITING if version.collection_id in caller.writable else {}
    await tenancy.bind(connection, caller.claims(moment=version.effective_from, presented=presented))
    return await fetch_rows(connection, ChunkRow, queries.version_chunks, caller.tenant_id, version.id)


async def _decisions(connection: Connection, caller: Caller, version_ids: Sequence[UUID]) -> dict[UUID, list[Decision]]:
    rows = await connection.fetch(queries.decisions, caller.tenant_id, version_ids)
    same = ("approver_id", "approver_name", "decision", "comment", "decided_at")
    by_version: dict[UUID, list[Decision]] = {version_id: [] for version_id in version_ids}
    for row in rows:
        by_version[row["version_id"]].append(
            Decision(**{name: row[name] for name in same}, content_sha256=row["content_sha256"].hex())
        )
    return by_version


def _summary(row: VersionRow, decisions: Sequence[Decision]) -> dict[str, Any]:
    shown = row.model_dump(include=set(VersionSummary.model_fields))
    return shown | {
        "document_version": row.number, "status": row.shown_status, "content_sha256": row.content_sha256.hex(),
        "metadata": row.described, "decisions": decisions,
    }  # fmt: skip
