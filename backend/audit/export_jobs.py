"""Exports as jobs: asked for over HTTP, written by a worker, kept encrypted like any file of the tenant."""

import asyncio
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import IO
from uuid import UUID

from uuid_utils.compat import uuid7

from backend.audit.events import Action, Event, timestamp, without_nulls
from backend.audit.exports import Export, Exporter, NothingSealed, queries
from backend.audit.formats import Format
from backend.audit.models import ExportView, NewExport
from backend.audit.payloads import PayloadVault
from backend.audit.recorder import Recorder
from backend.database import Connection
from backend.errors import InvalidInput, NotFound
from backend.identity.caller import Caller
from backend.identity.permissions import Permission
from backend.jobs.endings import Ending
from backend.jobs.service import enqueue
from backend.jobs.worker import Job, JobFailed
from backend.storage.service import FileVault

EXPORT = "audit:export"

# A checkpoint behind the export's end proves that nothing before it is missing; under load there is one each second.
_WAIT_FOR_SEAL = 15.0
_PIECE = 1 << 20


async def request_export(connection: Connection, caller: Caller, recorder: Recorder, asked: NewExport) -> ExportView:
    """Queues an export; raises Forbidden for texts without audit:reveal, and InvalidInput."""
    if asked.since >= asked.until:
        raise InvalidInput("from: must be before `to`")
    if asked.reveal:
        caller.require(Permission.AUDIT_REVEAL)
        if asked.reason is None:
            raise InvalidInput("reason: is needed to reveal texts")
    filters = asked.filters
    parameters = without_nulls(
        {
            "from": timestamp(asked.since), "to": timestamp(min(asked.until, datetime.now(UTC))), "format": asked.format,
            "actor": str(filters.actor) if filters.actor else None, "action": filters.action,
            "outcome": filters.outcome, "document": filters.document, "reveal": asked.reveal,
        }
    )  # fmt: skip
    export_id = uuid7()
    job_id = await enqueue(connection, caller, EXPORT, {"export": str(export_id)})
    await connection.execute(queries.add_export, caller.tenant_id, export_id, caller.principal_id, job_id, parameters)
    texts = {"reason": asked.reason} if asked.reason else {}
    details = {"export": {"id": str(export_id), **parameters}}
    await recorder.record(connection, caller, Event(Action.AUDIT_EXPORTED, details=details, payloads=texts))
    return await get_export(connection, caller, export_id)


async def get_export(connection: Connection, caller: Caller, export_id: UUID) -> ExportView:
    """Returns an export of the tenant; raises NotFound."""
    row = await connection.fetchrow(queries.export, caller.tenant_id, export_id)
    if row is None:
        raise NotFound(reason="export:unknown")
    return ExportView(
        id=row["id"], job_id=row["job_id"], requested_by=row["requested_by"], created_at=row["created_at"],
        format=Format(row["parameters"]["format"]), events=row["events"], size=row["size"],
        sha256=row["sha256"].hex() if row["sha256"] else None,
    )  # fmt: skip


async def open_export(connection: Connection, caller: Caller, recorder: Recorder, export_id: UUID) -> ExportView:
    """Returns an export whose file is there and records that it is fetched; raises NotFound before it is."""
    export = await get_export(connection, caller, export_id)
    if export.sha256 is None:
        raise NotFound("The export is not finished; see its job.", reason="export:unfinished")
    await recorder.record(connection, caller, Event(Action.AUDIT_READ, details={"read": {"export": str(export_id)}}))
    return export


@dataclass(frozen=True, slots=True)
class ExportHandler:
    """Does the jobs that write exports."""

    files: FileVault
    vault: PayloadVault
    recorder: Recorder

    async def run(self, job: Job) -> None:
        """Writes the file and stores it; the export shows it only once it is there whole."""
        export_id = UUID(job.parameters["export"])
        export = await self._export(job, export_id)
        with tempfile.TemporaryFile(prefix="affidavit-export-") as stream:
            try:
                events = await Exporter(job.transaction, self.vault, export, job.report).write(stream)
            except NothingSealed:
                raise JobFailed("nothing_sealed", "Nothing was sealed yet in this period.") from None
            stream.seek(0)
            async with job.transaction() as connection:
                key = await self.files.key(connection, job.tenant_id)
            stored = await self.files.store(key, _pieces(stream), export_id)
        async with job.transaction() as connection:
            await connection.execute(
                queries.finish_export, job.tenant_id, export_id, events, stored.sha256, stored.size
            )
            await job.finish(connection, {"export": str(export_id), "events": events})

    async def ended(self, connection: Connection, caller: Caller, ending: Ending) -> None:
        """Records that nothing came of the export."""
        details = {"export": {"id": ending.parameters.get("export", "")}}
        event = Event(Action.AUDIT_EXPORTED, ending.outcome, ending.reason, details=details)
        await self.recorder.record(connection, caller, event)

    async def _export(self, job: Job, export_id: UUID) -> Export:
        async with job.transaction() as connection:
            row = await connection.fetchrow(queries.export, job.tenant_id, export_id)
        if row is None:
            raise JobFailed("export_gone", "The export is not there any more.")
        asked = row["parameters"]
        end = await self._sealed_end(job, datetime.fromisoformat(asked["to"]))
        return Export(
            job.tenant_id, datetime.fromisoformat(asked["from"]), end, Format(asked["format"]),
            UUID(asked["actor"]) if "actor" in asked else None, asked.get("action"), asked.get("outcome"),
            asked.get("document"), reveal=asked["reveal"],
        )  # fmt: skip

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
