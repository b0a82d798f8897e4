"""Submits a version of a document: checked, numbered and stored whole, and on record."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any, Protocol
from uuid import UUID

from uuid_utils.compat import uuid7

from backend.audit.actions.documents import DocumentIngested, IngestedVersion
from backend.audit.events import Event, without_nulls
from backend.audit.recorder import Recorder
from backend.database import Connection, Queries, fetch_rows
from backend.documents.chunks import service
from backend.documents.chunks import vectors as chunks
from backend.documents.chunks.vectors import ChunkVectors, NewChunkRow, content_hash, fingerprint
from backend.documents.collections.metadata_schema import check_metadata
from backend.documents.locks import lock_documents
from backend.documents.parsing.findings import ParseWarning
from backend.documents.tables import NOWHERE, ChunkSpan, VersionRow
from backend.documents.versions import approval
from backend.documents.versions.models import SubmittedVersion
from backend.errors import Conflict, NotFound
from backend.identity.callers.caller import Caller
from backend.identity.callers.permissions import Permission
from backend.tenancy import Renewal

queries = Queries.beside(__file__, place=ChunkSpan)


@dataclass(frozen=True, slots=True)
class SubmittedPassage:
    """One chunk of a submission in its place, with its vectors."""

    text: str
    vectors: ChunkVectors
    span: ChunkSpan = NOWHERE
    metadata: Mapping[str, Any] | None = None  # its own, in place of the version's


class Passages(Protocol):
    """The passages of a version in order, which can be read many times."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[SubmittedPassage]: ...


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
    personal_data: Mapping[str, int] = field(default_factory=dict)  # how many values of each kind it holds
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
    `WRITING`. Raises InvalidInput for metadata that the collection refuses, Conflict for a change
    of metadata or dates alone.
    """
    caller.require(Permission.DOCUMENTS_WRITE)
    if caller.kind == "source" and not submission.collection.approval_required:
        raise Conflict(
            "What a source brings is reviewed, and this collection asks for no approval.", reason="source:unreviewed"
        )
    check_metadata(submission.metadata, submission.collection.metadata_schema)
    document_id = await _document(connection, caller, submission)
    known = await fetch_rows(connection, VersionRow, queries.versions, caller.tenant_id, document_id)
    if known and not submission.replaces and (same := _unchanged(known[0], submission)):
        return _submitted(submission, document_id, same.number, same.shown_status, created=False)
    number = known[0].number + 1 if known else 1
    version_id = await _store(connection, caller, submission, document_id, known, number, model, renew)
    status = await connection.fetchval(queries.version_status, caller.tenant_id, version_id)
    ingested = DocumentIngested(version=_describe(submission, document_id, number, status))
    await recorder.record(connection, caller, Event(ingested, doc_ids=[submission.doc_id]))
    return _submitted(submission, document_id, number, status, created=True)


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


def _unchanged(latest: VersionRow, submission: Submission) -> VersionRow | None:
    if latest.status in {"rejected", "retired"} or latest.content_sha256 != submission.content_sha256:
        return None
    planned = (latest.planned_from, latest.planned_to)
    if latest.described != submission.described or planned != (submission.effective_from, submission.effective_to):
        detail = "The latest version has the same text; its metadata and dates do not change without a new text."
        raise Conflict(detail, reason="version:same_content")
    return latest


async def _store(
    connection: Connection, caller: Caller, submission: Submission, document_id: UUID, known: Sequence[VersionRow],
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
        caller.principal_id, [warning._asdict() for warning in submission.warnings], dict(submission.personal_data),
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


def _rows(submission: Submission, version_id: UUID) -> Iterator[NewChunkRow]:
    for ordinal, passage in enumerate(submission.passages):
        metadata = submission.described if passage.metadata is None else passage.metadata
        yield NewChunkRow(
            id=uuid7(), version_id=version_id, ordinal=ordinal, source_type=submission.source_type, text=passage.text,
            metadata=metadata, vectors=passage.vectors, span=passage.span,
        )  # fmt: skip


def _describe(submission: Submission, document_id: UUID, number: int, status: str) -> IngestedVersion:
    return IngestedVersion(
        doc_id=submission.doc_id, document=document_id, collection=submission.collection.slug, version=number, status=status,
        chunks=len(submission.passages), content_sha256=submission.content_sha256.hex(),
        effective_from=submission.effective_from, effective_to=submission.effective_to,
        personal_data=submission.personal_data or None,
    )  # fmt: skip


def _submitted(
    submission: Submission, document_id: UUID, number: int, status: str, *, created: bool
) -> SubmittedVersion:
    return SubmittedVersion(
        document_id=document_id, doc_id=submission.doc_id, collection=submission.collection.slug, document_version=number,
        status=status, content_sha256=submission.content_sha256.hex(), created=created,
    )  # fmt: skip
