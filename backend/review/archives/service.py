"""Months that left the log for an archive, and which archive holds an event that is no longer in the log."""

import hashlib
from collections.abc import AsyncIterator
from datetime import date
from uuid import UUID

from backend.audit.actions.review import AuditRead
from backend.audit.events import Actor, Event
from backend.audit.recorder import Recorder
from backend.database import Connection, Queries
from backend.errors import Conflict, Gone, NotFound
from backend.review.archives.models import Archive, ArchiveList
from backend.storage.encryption import DamagedObject
from backend.storage.objects import ObjectStore

queries = Queries.beside(__file__)


def archive_name(tenant_id: UUID, month: date) -> str:
    """Returns the key of an archive in the object store, which begins with its tenant."""
    return f"{tenant_id}/archive-{month:%Y-%m}"


async def list_archives(connection: Connection, actor: Actor, recorder: Recorder) -> ArchiveList:
    """Returns the months that left the tenant's log, oldest first, and records that this was asked."""
    rows = await connection.fetch(queries.archives, actor.tenant_id)
    await recorder.record(connection, actor, Event(AuditRead(archives=len(rows))))
    return ArchiveList(archives=[Archive.of(dict(row)) for row in rows])


async def open_archive(connection: Connection, actor: Actor, recorder: Recorder, month: date) -> Archive:
    """Returns one month that left the log and records that its file is fetched; raises NotFound."""
    row = await connection.fetchrow(queries.archive, actor.tenant_id, month.replace(day=1))
    if row is None:
        raise NotFound(reason="archive:unknown")
    archive = Archive.of(dict(row))
    await recorder.record(connection, actor, Event(AuditRead(archive=archive.month)))
    return archive


async def read_archive(store: ObjectStore, name: str, sha256: str) -> AsyncIterator[bytes]:
    """Yields the file of an archive; raises DamagedObject at the end of one that has another hash, and ObjectMissing."""
    digest = hashlib.sha256()
    async for piece in store.read(name):
        digest.update(piece)
        yield piece
    if digest.hexdigest() != sha256:
        raise DamagedObject(name)


async def refuse_gone(connection: Connection, tenant_id: UUID, event_id: UUID) -> None:
    """Raises Gone for an event that left the log, and says where it went; Conflict for one that was sealed and removed."""
    row = await connection.fetchrow(queries.place_of_event, tenant_id, event_id)
    if row is None:
        return
    if row["month"] is not None:
        month, digest = f"{row['month']:%Y-%m}", row["sha256"].hex()
        raise Gone(
            f"This event left the log with the archive of {month}: GET /audit/archives/{month}, SHA-256 {digest}.",
            reason="event:archived",
        )
    raise Conflict(
        f"This event was sealed as leaf {row['index']} and is not in the log any more: POST /audit/verifications.",
        reason="log:damaged",
    )
