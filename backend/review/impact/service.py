"""Whom a version of a document reached."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from backend.audit.actions.review import AuditRead
from backend.audit.events import Event
from backend.audit.indexer import index_own_events
from backend.audit.recorder import Recorder
from backend.database import Connection, Queries
from backend.documents.versions.service import find_document, find_version, read_chunks
from backend.identity.callers.caller import Caller
from backend.review.events.service import first_id_at
from backend.review.impact.models import AffectedAnswer, Impact, Reach
from backend.tenancy import Tenancy

queries = Queries.beside(__file__)

_LISTED_ANSWERS = 1_000


async def count_answers(connection: Connection, caller: Caller, document_id: UUID, *, days: int) -> Reach:
    """Returns how many answers of the last days cited a document; raises NotFound."""
    document = await find_document(connection, caller, document_id)
    since = datetime.now(UTC) - timedelta(days=days)
    answers = await connection.fetchval(queries.count_answers, document_id, first_id_at(since))
    return Reach(doc_id=document.doc_id, since=since, answers=answers)


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
    chunk_ids = [str(chunk.id) for chunk in await read_chunks(tenancy, connection, caller, version)]
    since = datetime.now(UTC) - timedelta(days=days)
    await index_own_events(connection)
    rows = await connection.fetch(
        queries.affected_answers,
        caller.tenant_id,
        document.doc_id,
        first_id_at(since),
        chunk_ids,
        _LISTED_ANSWERS + 1,
    )
    read = AuditRead(impact_of=document.doc_id, version=number, days=days)
    await recorder.record(connection, caller, Event(read))
    return Impact(
        doc_id=document.doc_id, document_version=number, since=since, truncated=len(rows) > _LISTED_ANSWERS,
        answers=[AffectedAnswer(**dict(row)) for row in rows[:_LISTED_ANSWERS]],
    )  # fmt: skip
