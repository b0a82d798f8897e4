"""The rules of versions: whole, numbered, immutable; and how they are read."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any, Protocol
from uuid import UUID

import asyncpg
from uuid_utils.compat import uuid7

from backend.audit.events import Action, Event, timestamp, without_nulls
from backend.audit.recorder import Recorder
from backend.database import Connection, Queries
from backend.documents.chunks import service
from backend.documents.chunks import vectors as chunks
from backend.documents.chunks.vectors import NOWHERE, ChunkRow, ChunkVectors, Span, content_hash, fingerprint
from backend.documents.collections.metadata_schema import check_metadata
from backend.documents.locks import lock_documents
from backend.documents.models import (
    Decision,
    DocumentPage,
    DocumentSummary,
    DocumentView,
    ListedVersion,
    SubmittedVersion,
    VersionChunk,
    VersionList,
    VersionSummary,
    VersionView,
)
from backend.documents.parsing.findings import ParseWarning
from backend.documents.versions import approval
from backend.errors import Conflict, NotFound
from backend.identity.callers.caller import Caller
from backend.identity.callers.permissions import Permission
from backend.tenancy import Renewal, Tenancy

queries = Queries.beside(__file__)

_AFTER_ALL = UUID(int=2**128 - 1)
_BEFORE_ALL = UUID(int=0)


@dataclass(frozen=True, slots=True)
class Passage:
    """One chunk of a submission in its place, with its vectors."""

    text: str
    vectors: ChunkVectors
    span: Span = NOWHERE
    metadata: Mapping[str, Any] | None = None  # its own, in place of the version's


class Passages(Protocol):
    """The passages of a version in order, which can be read many times."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Passage]: ...


@dataclass(frozen=True)
class Submission:
    """A whole version of a document, ready to be stored."""

    doc_id: str
    collection: service.Collection
    source_type: str
    passages: Passages
    title: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    effective_from: datetime | None = None
    effective_to: datetime | None = None
    warnings: Sequence[ParseWarning] = ()
    replaces: bool = (
        False  # makes a version even of the same texts, which takes further chunks where none must be approved
    )

    @cached_property
    def content_sha256(self) -> bytes:
        """The hash of what is submitted."""
        return content_hash(fingerprint(passage.text) for passage in self.passages)

    @property
    def described(self) -> dict[str, Any]:
        """The metadata with the title."""
        return {**self.metadata, **without_nulls({"title": self.title})}


async def submit(
    connection: Connection, caller: Caller, recorder: Recorder, submission: Submission, model: str, renew: Renewal
) -> SubmittedVersion:
    """Stores the next version of a document, whole, and records it.

    It goes into review where the collection requires approval; elsewhere it takes over when it is to be in force. The same
    content as the latest version makes no new one. The caller's transaction must be bound with
    `presented={"writing": "chunks"}`. Raises InvalidInput for metadata that the collection refuses, Conflict for a change
    of metadata or dates alone.
    """
    caller.require(Permission.DOCUMENTS_WRITE)
    check_metadata(submission.metadata, submission.collection.metadata_schema)
    document_id = await _document(connection, caller, submission)
    known = await connection.fetch(queries.versions, caller.tenant_id, document_id)
    if known and not submission.replaces and (same := _unchanged(known[0], submission)):
        return _submitted(submission, document_id, same["number"], same["shown_status"], created=False)
    number = known[0]["number"] + 1 if known else 1
    version_id = await _store(connection, caller, submission, document_id, known, number, model, renew)
    status = await connection.fetchval(queries.version_status, caller.tenant_id, version_id)
    await recorder.record(
        connection, caller,
        Event(Action.DOCUMENT_INGESTED, details={"version": _describe(submission, document_id, number, status)},
              doc_ids=[submission.doc_id]),
    )  # fmt: skip
    return _submitted(submission, document_id, number, status, created=True)


async def list_documents(
    connection: Connection,
    caller: Caller,
    *,
    collection: str | None,
    doc_id: str | None,
    limit: int,
    cursor: UUID | None,
) -> DocumentPage:
    """Returns a page of the documents that the caller may read, oldest first."""
    rows = await connection.fetch(
        queries.list_documents, caller.tenant_id, cursor or _BEFORE_ALL, collection, doc_id, limit + 1
    )
    return DocumentPage(
        documents=[DocumentSummary(**dict(row)) for row in rows[:limit]],
        next_cursor=rows[limit - 1]["id"] if len(rows) > limit else None,
    )


async def get_document(connection: Connection, caller: Caller, document_id: UUID) -> DocumentView:
    """Returns a document with its versions; raises NotFound."""
    document = await find_document(connection, caller, document_id)
    rows = await connection.fetch(queries.versions, caller.tenant_id, document_id)
    decisions = await _decisions(connection, caller, rows)
    newest = {"latest_version": rows[0]["number"], "status": rows[0]["shown_status"]} if rows else {}
    return DocumentView(
        **_known(document), **newest, versions=[VersionSummary(**_summary(row, decisions)) for row in rows]
    )


def _known(document: asyncpg.Record) -> dict[str, Any]:
    return {name: document[name] for name in DocumentSummary.model_fields if name in document}


async def get_version(
    tenancy: Tenancy, connection: Connection, caller: Caller, document_id: UUID, number: int
) -> VersionView:
    """Returns a version with its text, at the moment when it came into force; raises NotFound."""
    await find_document(connection, caller, document_id)
    row = await find_version(connection, caller, document_id, number)
    decisions = await _decisions(connection, caller, [row])
    texts = [
        VersionChunk(chunk_id=chunk["id"], **{name: chunk[name] for name in chunk.keys() if name != "id"})  # noqa: SIM118 - a Record
        for chunk in await read_chunks(tenancy, connection, caller, row)
    ]
    return VersionView(**_summary(row, decisions), chunks=texts)


async def list_versions(
    connection: Connection, caller: Caller, *, status: str | None, limit: int, cursor: UUID | None
) -> VersionList:
    """Returns versions across documents that the caller may see, newest first, and how many there are in each state."""
    rows = await connection.fetch(
        queries.list_versions, caller.tenant_id, caller.principal_id, status, cursor or _AFTER_ALL, limit + 1
    )
    counted = await connection.fetch(queries.count_versions, caller.tenant_id)
    decisions = await _decisions(connection, caller, rows[:limit])
    listed = [
        ListedVersion(
            **_summary(row, decisions), document_id=row["document_id"], doc_id=row["doc_id"], title=row["title"],
            collection=row["collection"], decided_by_me=row["decided_by_me"], approvals_given=row["given"],
        )
        for row in rows[:limit]
    ]  # fmt: skip
    return VersionList(
        versions=listed, counts={row["status"]: row["versions"] for row in counted},
        next_cursor=rows[limit - 1]["id"] if len(rows) > limit else None,
    )  # fmt: skip


async def read_version(
    tenancy: Tenancy, connection: Connection, caller: Caller, recorder: Recorder, document_id: UUID, number: int
) -> VersionView:
    """Returns a version with its text and records that it is read; raises NotFound."""
    document = await find_document(connection, caller, document_id)
    version = await get_version(tenancy, connection, caller, document_id, number)
    read = {
        "document": str(document_id),
        "doc_id": document["doc_id"],
        "collection": document["collection"],
        "version": number,
    }
    event = Event(Action.DOCUMENT_READ, details={"read": read}, doc_ids=[document["doc_id"]])
    await recorder.record(connection, caller, event)
    return version


async def find_document(connection: Connection, caller: Caller, document_id: UUID) -> asyncpg.Record:
    """Returns a document's row; raises NotFound for one that the caller may not see."""
    row = await connection.fetchrow(queries.document, caller.tenant_id, document_id)
    if row is None:
        raise NotFound(reason="document:unknown")
    return row


async def find_version(connection: Connection, caller: Caller, document_id: UUID, number: int) -> asyncpg.Record:
    """Returns a version's row; raises NotFound for one that the caller may not see."""
    rows = await connection.fetch(queries.versions, caller.tenant_id, document_id)
    for row in rows:
        if row["number"] == number:
            return row
    raise NotFound(reason="version:unknown")


async def read_chunks(
    tenancy: Tenancy, connection: Connection, caller: Caller, version: asyncpg.Record
) -> list[asyncpg.Record]:
    """Returns the chunks of a version; the transaction asks about the version's own time from then on."""
    presented = {"writing": "chunks"} if version["collection_id"] in caller.writable else {}
    await tenancy.bind(connection, caller.claims(moment=version["effective_from"], presented=presented))
    return await connection.fetch(queries.version_chunks, caller.tenant_id, version["id"])


async def _document(connection: Connection, caller: Caller, submission: Submission) -> UUID:
    """Returns the id of the document, created if need be, and keeps others from changing its versions meanwhile."""
    collection_id = submission.collection.id
    await connection.execute(
        queries.add_documents, caller.tenant_id, [uuid7()], [collection_id], [submission.doc_id],
        [submission.source_type], [submission.title], caller.principal_id,
    )  # fmt: skip
    row = await connection.fetchrow(queries.documents, caller.tenant_id, [collection_id], [submission.doc_id])
    if row is None:
        raise NotFound("You may write to this collection but not read it.", reason="collection:not_readable")
    document_id: UUID = row["id"]
    if not await lock_documents(connection, caller.tenant_id, [document_id]):
        raise Conflict("Somebody else has just deleted this document; try again.", reason="document:deleted")
    return document_id


def _unchanged(latest: asyncpg.Record, submission: Submission) -> asyncpg.Record | None:
    if latest["status"] in {"rejected", "retired"} or latest["content_sha256"] != submission.content_sha256:
        return None
    planned = (latest["planned_from"], latest["planned_to"])
    if latest["metadata"] != submission.described or planned != (submission.effective_from, submission.effective_to):
        detail = "The latest version has the same text; its metadata and dates do not change without a new text."
        raise Conflict(detail, reason="version:same_content")
    return latest


async def _store(
    connection: Connection, caller: Caller, submission: Submission, document_id: UUID, known: Sequence[asyncpg.Record],
    number: int, model: str, renew: Renewal,
) -> UUID:  # fmt: skip
    """Stores version and chunks; where no approval is required, with the validity that it will have."""
    version_id, open_collection = uuid7(), not submission.collection.approval_required
    status, validity = "draft", None
    if open_collection:
        now = await connection.fetchval(queries.moment)
        plan = approval.plan(number, submission.effective_from or now, submission.effective_to)
        status, validity = await approval.take_over(connection, caller, known, plan, renew)
    await connection.execute(
        queries.add_version, caller.tenant_id, version_id, submission.collection.id, document_id, number, status,
        submission.effective_from, submission.effective_to, validity and validity.begins,
        validity and approval.known_end(validity.ends), submission.content_sha256, submission.described,
        caller.principal_id, [warning._asdict() for warning in submission.warnings],
    )  # fmt: skip
    await chunks.add(connection, caller.tenant_id, _rows(submission, version_id), model, renew)
    if not (submission.replaces and open_collection):
        await connection.execute(
            queries.close_version, caller.tenant_id, version_id, status if open_collection else "in_review",
            submission.effective_from, submission.effective_to,
        )  # fmt: skip
    await connection.execute(queries.add_history, caller.tenant_id, [uuid7()], [version_id])
    if open_collection:
        counted = ((submission.collection.id, passage.vectors.sparse) for passage in submission.passages)
        await chunks.count(connection, caller.tenant_id, counted, renew)
    return version_id


def _rows(submission: Submission, version_id: UUID) -> Iterator[ChunkRow]:
    for ordinal, passage in enumerate(submission.passages):
        metadata = submission.described if passage.metadata is None else passage.metadata
        yield ChunkRow(
            id=uuid7(), version_id=version_id, ordinal=ordinal, source_type=submission.source_type, text=passage.text,
            metadata=metadata, vectors=passage.vectors, span=passage.span,
        )  # fmt: skip


def _describe(submission: Submission, document_id: UUID, number: int, status: str) -> dict[str, object]:
    begins, ends = submission.effective_from, submission.effective_to
    return without_nulls(
        {
            "doc_id": submission.doc_id, "document": str(document_id), "collection": submission.collection.slug,
            "version": number, "status": status, "chunks": len(submission.passages),
            "content_sha256": submission.content_sha256.hex(),
            "effective_from": timestamp(begins) if begins else None, "effective_to": timestamp(ends) if ends else None,
        }
    )  # fmt: skip


def _submitted(
    submission: Submission, document_id: UUID, number: int, status: str, *, created: bool
) -> SubmittedVersion:
    return SubmittedVersion(
        document_id=document_id, doc_id=submission.doc_id, collection=submission.collection.slug, document_version=number,
        status=status, content_sha256=submission.content_sha256.hex(), created=created,
    )  # fmt: skip


async def _decisions(
    connection: Connection, caller: Caller, versions: Sequence[asyncpg.Record]
) -> dict[UUID, list[Decision]]:
    rows = await connection.fetch(queries.decisions, caller.tenant_id, [version["id"] for version in versions])
    by_version: dict[UUID, list[Decision]] = {version["id"]: [] for version in versions}
    for row in rows:
        by_version[row["version_id"]].append(
            Decision(
                approver_id=row["approver_id"], decision=row["decision"], comment=row["comment"],
                content_sha256=row["content_sha256"].hex(), decided_at=row["decided_at"],
            )
        )  # fmt: skip
    return by_version


def _summary(row: asyncpg.Record, decisions: Mapping[UUID, list[Decision]]) -> dict[str, Any]:
    same = (
        "in_force", "effective_from", "effective_to", "planned_from", "planned_to", "metadata", "author_id", "created_by",
        "created_at", "approvals_needed", "reason", "warnings",
    )  # fmt: skip
    return {name: row[name] for name in same} | {
        "document_version": row["number"], "status": row["shown_status"], "content_sha256": row["content_sha256"].hex(),
        "decisions": decisions[row["id"]],
    }  # fmt: skip
