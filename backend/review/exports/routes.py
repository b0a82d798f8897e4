"""Exports of the log over HTTP."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, status
from fastapi.responses import StreamingResponse

from backend.audit.recorder import Recorder
from backend.identity.callers.caller import Caller
from backend.identity.callers.guard import GuardedRoute, Requires
from backend.identity.callers.permissions import Permission
from backend.jobs.room import JobRoom
from backend.provided import Provided
from backend.review.exports import jobs as export_jobs
from backend.review.exports.models import ExportPage, ExportView, NewExport
from backend.storage.service import FileVault
from backend.tenancy import Tenancy

router = APIRouter(prefix="/audit/exports", tags=["audit"], route_class=GuardedRoute)

Exporter = Annotated[Caller, Requires(Permission.AUDIT_EXPORT)]


@router.post("", status_code=status.HTTP_202_ACCEPTED, summary="Export the log")
async def request_export(
    tenancy: Provided[Tenancy], recorder: Provided[Recorder], room: Provided[JobRoom], body: NewExport, caller: Exporter
) -> ExportView:
    """Queues an export. The bundle is what `affidavit audit verify` proves, offline and with nothing but the public key."""
    await room.require(caller, export_jobs.EXPORT)
    async with tenancy.transaction(caller.claims()) as connection:
        return await export_jobs.request_export(connection, caller, recorder, body)


@router.get("", summary="List exports")
async def list_exports(
    tenancy: Provided[Tenancy],
    caller: Exporter,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
    cursor: Annotated[UUID | None, Query(description="`next_cursor` of the page before.")] = None,
) -> ExportPage:
    """Returns the tenant's exports, newest first, whoever asked for them."""
    async with tenancy.transaction(caller.claims()) as connection:
        return await export_jobs.list_exports(connection, caller, limit=limit, cursor=cursor)


@router.get("/{export_id}", summary="An export")
async def get_export(tenancy: Provided[Tenancy], export_id: UUID, caller: Exporter) -> ExportView:
    """Returns an export; `sha256` and `size` are there once its file is."""
    async with tenancy.transaction(caller.claims()) as connection:
        return await export_jobs.get_export(connection, caller, export_id)


@router.get(
    "/{export_id}/file",
    summary="The file of an export",
    response_class=StreamingResponse,
    responses={200: {"content": {"application/octet-stream": {}}, "description": "The file."}},
)
async def get_export_file(
    tenancy: Provided[Tenancy],
    recorder: Provided[Recorder],
    vault: Provided[FileVault],
    export_id: UUID,
    caller: Exporter,
    part: Annotated[int | None, Query(ge=1, le=100_000, description="Number of a part of a long export.")] = None,
) -> StreamingResponse:
    """Returns the file; its hash is checked on the way. Of a long export it lists the parts, which are fetched by number."""
    async with tenancy.transaction(caller.claims()) as connection:
        file = await export_jobs.open_export(connection, caller, recorder, export_id, part)
        key = await vault.key(connection, caller.tenant_id)
    headers = {
        "Content-Length": str(file.size),
        "Content-Disposition": f'attachment; filename="{file.name}"',
        "X-Content-Type-Options": "nosniff",
    }
    return StreamingResponse(vault.read(key, file.id, file.sha256), media_type=file.media_type, headers=headers)
