"""Exports as jobs: asked for over HTTP, written by a worker, kept encrypted like any file of the tenant."""

import asyncio
import io
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import IO, Any
from uuid import UUID

import asyncpg
from uuid_utils.compat import uuid7

from backend.audit.actions.review import AuditExported, AuditRead
from backend.audit.events import Event
from backend.audit.payloads import PayloadVault
from backend.audit.recorder import Recorder
from backend.database import Connection
from backend.errors import InvalidInput, NotFound
from backend.identity.callers.caller import Caller
from backend.identity.callers.permissions import Permission
from backend.jobs.failures import JobFailure
from backend.jobs.job import Job, JobFailed
from backend.jobs.service import enqueue
from backend.personal_data.pseudonyms import PseudonymKeys
from backend.review.exports.export import Export, ExportFormat
from backend.review.exports.models import ExportPage, ExportPart, ExportView, NewExport
from backend.review.exports.parts import LeafPart, file_of_part, parts_manifest
from backend.review.exports.service import Exporter, NothingSealed, queries
from backend.storage.service import FileVault, StoredFile

EXPORT = "audit:export"

# A checkpoint behind the export's end proves that nothing before it is missing; under load there is one each second.
_WAIT_FOR_SEAL = 15.0
_PIECE = 1 << 20
# An export of more leaves is split into several files, so that no one is too long to be stored, fetched and read again.
PART_LEAVES = 1_000_000


async def request_export(connection: Connection, caller: Caller, recorder: Recorder, asked: NewExport) -> ExportView:
    """Queues an export; raises Forbidden for texts without audit:reveal, and InvalidInput."""
    if asked.since >= asked.until:
        raise InvalidInput("from: must be before `to`")
    if asked.reveal:
        caller.require(Permission.AUDIT_REVEAL)
        if asked.reason is None:
            raise InvalidInput("reason: is needed to reveal texts")
    if asked.redact and asked.format is ExportFormat.BUNDLE:
        raise InvalidInput("redact: a bundle proves its texts, so it holds them as they are")
    filters = asked.filters
    export_id = uuid7()
    exported = AuditExported(
        id=str(export_id), since=asked.since, until=min(asked.until, datetime.now(UTC)), format=asked.format,
        actor=str(filters.actor) if filters.actor else None, filtered_action=filters.action,
        outcome=filters.outcome, document=filters.document, reveal=asked.reveal, redact=asked.redact or None,
    )  # fmt: skip
    # The job reads what the record says, so that they cannot differ.
    parameters = {name: value for name, value in exported.members()["export"].items() if name != "id"}
    job_id = await enqueue(connection, caller, EXPORT, {"export": str(export_id)})
    await connection.execute(queries.add_export, caller.tenant_id, export_id, caller.principal_id, job_id, parameters)
    texts = {"reason": asked.reason} if asked.reason else {}
    await recorder.record(connection, caller, Event(exported, payloads=texts))
    return await get_export(connection, caller, export_id)


async def get_export(connection: Connection, caller: Caller, export_id: UUID) -> ExportView:
    """Returns an export of the tenant; raises NotFound."""
    row = await connection.fetchrow(queries.export, caller.tenant_id, export_id)
    if row is None:
        raise NotFound(reason="export:unknown")
    return _view(row)


async def list_exports(connection: Connection, caller: Caller, *, limit: int, cursor: UUID | None) -> ExportPage:
    """Returns a page of the tenant's exports, newest first."""
    rows = await connection.fetch(queries.exports, caller.tenant_id, cursor, limit + 1)
    page = [_view(row) for row in rows[:limit]]
    return ExportPage(exports=page, next_cursor=page[-1].id if len(rows) > limit else None)


def _view(row: asyncpg.Record) -> ExportView:
    return ExportView(
        id=row["id"], job_id=row["job_id"], requested_by=row["requested_by"], created_at=row["created_at"],
        format=ExportFormat(row["parameters"]["format"]), since=datetime.fromisoformat(row["parameters"]["from"]),
        until=datetime.fromisoformat(row["parameters"]["to"]), events=row["events"], size=row["size"],
        sha256=row["sha256"].hex() if row["sha256"] else None,
        parts=[ExportPart(**part) for part in row["parts"] or ()],
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class ExportFile:
    """One file of an export as it is fetched; `id` is its name in the file store."""

    id: UUID
    name: str
    media_type: str
    size: int
    sha256: bytes


async def open_export(
    connection: Connection, caller: Caller, recorder: Recorder, export_id: UUID, number: int | None
) -> ExportFile:
    """Returns the file of an export, or one of its parts, and records that it is fetched; raises NotFound before it is there."""
    export = await get_export(connection, caller, export_id)
    if export.sha256 is None or export.size is None:
        raise NotFound("The export is not finished; see its job.", reason="export:unfinished")
    await recorder.record(connection, caller, Event(AuditRead(export=export_id, part=number)))
    kind = export.format
    if number is not None:
        if number > len(export.parts):
            raise NotFound(f"The export has {len(export.parts)} parts.", reason="export:part")
        part = export.parts[number - 1]
        name, digest = f"audit-{export_id}-part-{number}{kind.suffix}", bytes.fromhex(part.sha256)
        return ExportFile(file_of_part(export_id, number), name, kind.media_type, part.size, digest)
    digest = bytes.fromhex(export.sha256)
    if export.parts:
        return ExportFile(export_id, f"audit-{export_id}-parts.json", "application/json", export.size, digest)
    return ExportFile(export_id, f"audit-{export_id}{kind.suffix}", kind.media_type, export.size, digest)


@dataclass(frozen=True, slots=True)
class ExportHandler:
    """Does the jobs that write exports."""

    files: FileVault
    vault: PayloadVault
    recorder: Recorder
    pseudonym_keys: PseudonymKeys
    part_leaves: int = PART_LEAVES

    async def run(self, job: Job) -> None:
        """Writes the file, or the parts and what lists them; the export shows them only once they are there whole."""
        export_id = UUID(job.parameters["export"])
        export, parameters = await self._export(job, export_id)
        try:
            parts = await Exporter(job.transaction, self.vault, export, job.report).parts(self.part_leaves)
        except NothingSealed:
            raise JobFailed("nothing_sealed", "Nothing was sealed yet in this period.") from None
        written = [await self._write(job, export, export_id, part) for part in parts]
        events = sum(part["events"] for part in written)
        if len(parts) == 1:
            listed, sha256, size = None, bytes.fromhex(written[0]["sha256"]), written[0]["size"]
        else:
            stored = await self._store(job, io.BytesIO(parts_manifest(export_id, parameters, written)), export_id)
            listed, sha256, size = written, stored.sha256, stored.size
        async with job.transaction() as connection:
            await connection.execute(queries.finish_export, job.tenant_id, export_id, events, sha256, size, listed)
            await job.finish(connection, {"export": str(export_id), "events": events})

    async def _write(self, job: Job, export: Export, export_id: UUID, part: LeafPart) -> dict[str, Any]:
        """Writes and stores one part and returns what is to be said of it."""

        async def report(done: int, leaves: int) -> None:
            await job.report(done + (part.number - 1) * leaves, part.of * leaves)

        file_id = export_id if part.of == 1 else file_of_part(export_id, part.number)
        with tempfile.TemporaryFile(prefix="affidavit-export-") as stream:
            events = await Exporter(job.transaction, self.vault, export, report).write(stream, part)
            stream.seek(0)
            stored = await self._store(job, stream, file_id)
        return {
            "number": part.number, "first_leaf": part.leaves.start, "end_leaf": part.leaves.stop, "events": events,
            "size": stored.size, "sha256": stored.sha256.hex(),
        }  # fmt: skip

    async def _store(self, job: Job, stream: IO[bytes], file_id: UUID) -> StoredFile:
        async with job.transaction() as connection:
            key = await self.files.key(connection, job.tenant_id)
        return await self.files.store(key, _pieces(stream), file_id)

    async def on_failure(self, connection: Connection, caller: Caller, failure: JobFailure) -> None:
        """Records that nothing came of the export."""
        failed = AuditExported(id=failure.parameters.get("export", ""))
        await self.recorder.record(connection, caller, Event(failed, failure.outcome, failure.reason))

    async def _export(self, job: Job, export_id: UUID) -> tuple[Export, dict[str, Any]]:
        async with job.transaction() as connection:
            row = await connection.fetchrow(queries.export, job.tenant_id, export_id)
        if row is None:
            raise JobFailed("export_gone", "The export is not there any more.")
        asked = row["parameters"]
        end = await self._sealed_end(job, datetime.fromisoformat(asked["to"]))
        export = Export(
            job.tenant_id, datetime.fromisoformat(asked["from"]), end, ExportFormat(asked["format"]),
            UUID(asked["actor"]) if "actor" in asked else None, asked.get("action"), asked.get("outcome"),
            asked.get("document"), reveal=asked["reveal"],
            pseudonyms=self.pseudonym_keys.of_tenant(job.tenant_id) if asked.get("redact") else None,
        )  # fmt: skip
        return export, asked

    async def _sealed_end(self, job: Job, end: datetime) -> datetime:
        """Waits until the log is sealed up to a moment; returns the moment until which it is if sealing is late."""
        deadline = asyncio.get_running_loop().time() + _WAIT_FOR_SEAL
        while True:
            async with job.transaction() as connection:
                sealed: datetime | None = await connection.fetchval(queries.sealed_until, job.tenant_id)
            if sealed is not None and sealed >= end:
                return end
            if asyncio.get_running_loop().time() > deadline:
                if sealed is None:
                    raise JobFailed("nothing_sealed", "Nothing was sealed yet; is a sealer running?")
                return sealed
            await asyncio.sleep(0.3)


async def _pieces(stream: IO[bytes]) -> AsyncIterator[bytes]:
    while piece := await asyncio.to_thread(stream.read, _PIECE):
        yield piece
