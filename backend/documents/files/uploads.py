"""Files that are uploaded first and given to a collection afterwards: each lives for a day under its own id."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from pydantic import ValidationError

from backend.audit.actions.documents import FileStaged, FileWithdrawn
from backend.audit.events import Event
from backend.audit.recorder import Recorder
from backend.database import Connection, fetch_row, fetch_rows
from backend.documents.collections.models import CollectionView
from backend.documents.files.models import AcceptedFile, UploadFields
from backend.documents.files.reception import ReceivedFile
from backend.documents.files.service import Upload, accept, queries
from backend.documents.tables import UploadRow
from backend.errors import Conflict, InvalidInput, NotFound
from backend.identity.callers.caller import Caller
from backend.identity.callers.permissions import Permission
from backend.storage.service import StoredFile

OWN_FIELDS = frozenset({"doc_id", "source_type", "title", "effective_from", "effective_to", "replace"})


@dataclass(frozen=True, slots=True)
class BoundUpload:
    """An upload that was given to a collection; its stored file is needed no more unless it was `accepted`."""

    upload_id: UUID
    accepted: AcceptedFile


async def stage(connection: Connection, caller: Caller, recorder: Recorder, file: ReceivedFile) -> UploadRow:
    """Keeps a file that is stored already, and records that; returns its row."""
    caller.require(Permission.DOCUMENTS_WRITE)
    stored = file.stored
    await connection.execute(
        queries.add_upload, caller.tenant_id, stored.id, file.filename, file.media_type, stored.size, stored.sha256,
        caller.principal_id,
    )  # fmt: skip
    staged = FileStaged(id=stored.id, sha256=stored.sha256.hex(), bytes=stored.size, media_type=file.media_type)
    await recorder.record(connection, caller, Event(staged, payloads={"filename": file.filename}))
    return await find(connection, caller, stored.id)


async def find(connection: Connection, caller: Caller, upload_id: UUID) -> UploadRow:
    """Returns an upload of the caller and what became of it; raises NotFound."""
    row = await fetch_row(connection, UploadRow, _uploads(), caller.tenant_id, upload_id, None, None, 1, None, None)
    if row is None:
        raise NotFound("There is no such file of yours; an upload lives for a day.", reason="upload:unknown")
    return row


async def listed(
    connection: Connection, caller: Caller, *, batch: UUID | None = None, collection: UUID | None = None,
    job_states: Sequence[str] | None = None, cursor: UUID | None = None, newest_first: bool = True, limit: int,
) -> list[UploadRow]:  # fmt: skip
    """Returns the caller's uploads, or those of a batch or a collection, or whose jobs are in a state, behind `cursor`."""
    return await fetch_rows(
        connection, UploadRow, _uploads(newest_first=newest_first), caller.tenant_id, None, batch, cursor, limit, collection,
        job_states,
    )  # fmt: skip


async def bind(
    connection: Connection, caller: Caller, recorder: Recorder, upload_id: UUID, collection: CollectionView,
    attributes: Mapping[str, Any], batch: UUID | None = None,
) -> BoundUpload:  # fmt: skip
    """Gives an upload to a collection, where a job makes a version of it.

    Raises NotFound, Conflict for one that was given to a collection before, and InvalidInput for the attributes.
    """
    row = await connection.fetchrow(queries.unbound_upload, caller.tenant_id, upload_id)
    if row is None:
        await find(connection, caller, upload_id)
        raise Conflict("This file was given to a vector store already; upload it again.", reason="upload:bound")
    stored = StoredFile(row["id"], row["sha256"], row["size"])
    upload = Upload(stored, row["filename"], row["media_type"], _fields(collection.slug, attributes))
    accepted = await accept(connection, caller, recorder, upload)
    await connection.execute(
        queries.bind_upload, caller.tenant_id, upload_id, collection.id, accepted.document_id, accepted.job_id,
        accepted.document_version, batch,
    )  # fmt: skip
    return BoundUpload(upload_id, accepted)


async def withdraw(connection: Connection, caller: Caller, recorder: Recorder, upload_id: UUID) -> bool:
    """Takes back an upload that went to no collection, and records that; returns False for one that did. Raises NotFound."""
    await find(connection, caller, upload_id)
    sha256 = await connection.fetchval(queries.withdraw_staged, caller.tenant_id, upload_id)
    if sha256 is None:
        return False
    await recorder.record(connection, caller, Event(FileWithdrawn(id=upload_id, sha256=sha256.hex())))
    return True


async def end_stale(connection: Connection) -> list[UUID]:
    """Forgets the tenant's uploads of more than a day ago; returns those whose files are to be removed."""
    return [row["id"] for row in await connection.fetch(queries.end_stale_uploads)]


def _uploads(*, newest_first: bool = True) -> str:
    behind, direction = ("<", "desc") if newest_first else (">", "asc")
    return queries.uploads.replace("{behind}", behind).replace("{direction}", direction)


def _fields(collection: str, attributes: Mapping[str, Any]) -> UploadFields:
    """Returns what comes with a document: some attributes say it, and the others are its metadata."""
    own = {name: value for name, value in attributes.items() if name in OWN_FIELDS}
    metadata = {name: value for name, value in attributes.items() if name not in OWN_FIELDS}
    try:
        return UploadFields.model_validate({**own, "collection": collection, "metadata": metadata})
    except ValidationError as error:
        problem = error.errors()[0]
        raise InvalidInput(f"attributes.{'.'.join(map(str, problem['loc']))}: {problem['msg']}") from error
