"""What changed from one version of a document to another, and whom a version reached."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import asyncpg
from anyio import to_thread

from backend.audit.events import Action, Event
from backend.audit.indexer import index_own_events
from backend.audit.recorder import Recorder
from backend.database import Connection, Queries
from backend.documents.models import AffectedAnswer, DocumentComparison, DocumentDifference, Impact
from backend.documents.versions.comparison import Piece, compare, paragraphs
from backend.documents.versions.service import find_document, find_version, read_chunks
from backend.identity.callers.caller import Caller
from backend.review.events.service import first_id_at
from backend.tenancy import Tenancy

queries = Queries(Path(__file__).with_name("impact.sql"))

_LISTED_ANSWERS = 1_000


async def compare_versions(
    tenancy: Tenancy, connection: Connection, caller: Caller, document_id: UUID, before: int, after: int
) -> DocumentComparison:
    """Returns the differences of two versions by paragraph; raises NotFound for a version that the caller may not see."""
    document = await find_document(connection, caller, document_id)
    versions = [await find_version(connection, caller, document_id, number) for number in (before, after)]
    old, new = [_paragraphs(await read_chunks(tenancy, connection, caller, version)) for version in versions]
    differences = await to_thread.run_sync(compare, old, new)
    return DocumentComparison(
        doc_id=document["doc_id"], from_version=before, to_version=after,
        differences=[
            DocumentDifference(change=d.change, before=list(d.before), after=list(d.after)) for d in differences
        ],
    )  # fmt: skip


async def list_affected(
    tenancy: Tenancy,
    connection: Connection,
    caller: Caller,
    recorder: Recorder,
    document_id: UUID,
    number: int,
    *,
    days: int,
) -> Impact:
    """Returns the answers of the last days that cited a version, and records that this was asked; raises NotFound."""
    document = await find_document(connection, caller, document_id)
    version = await find_version(connection, caller, document_id, number)
    chunk_ids = [str(chunk["id"]) for chunk in await read_chunks(tenancy, connection, caller, version)]
    since = datetime.now(UTC) - timedelta(days=days)
    await index_own_events(connection)
    rows = await connection.fetch(
        queries.affected_answers,
        caller.tenant_id,
        document["doc_id"],
        first_id_at(since),
        chunk_ids,
        _LISTED_ANSWERS + 1,
    )
    read = {"impact_of": document["doc_id"], "version": number, "days": days}
    await recorder.record(connection, caller, Event(Action.AUDIT_READ, details={"read": read}))
    return Impact(
        doc_id=document["doc_id"], document_version=number, since=since, truncated=len(rows) > _LISTED_ANSWERS,
        answers=[AffectedAnswer(**dict(row)) for row in rows[:_LISTED_ANSWERS]],
    )  # fmt: skip


def _paragraphs(chunks: list[asyncpg.Record]) -> list[str]:
    return paragraphs([Piece(chunk["text"], chunk["char_start"], chunk["char_end"]) for chunk in chunks])
