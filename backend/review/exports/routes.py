"""Exports of the log over HTTP."""

from typing import Annotated, cast
from uuid import UUID

from fastapi import APIRouter, Query, Request, status
from fastapi.responses import StreamingResponse

from backend.audit.recorder import Recorder
from backend.identity.callers.caller import Caller
from backend.identity.callers.guard import GuardedRoute, Requires
from backend.identity.callers.permissions import Permission
from backend.review.exports import jobs as export_jobs
from backend.review.models import ExportView, NewExport
from backend.storage.service import FileVault
from backend.tenancy import Tenancy

router = APIRouter(prefix="/audit/exports", tags=["audit"], route_class=GuardedRoute)

Exporter = Annotated[Caller, Requires(Permission.AUDIT_EXPORT)]


def _tenancy(request: Request) -> Tenancy:
    return cast("Tenancy", request.app.state.tenancy)


def _recorder(request: Request) -> Recorder:
    return cast("Recorder", request.app.state.recorder)


@router.post("", status_code=status.HTTP_202_ACCEPTED, summary="Export the log")
async def request_export(request: Request, body: NewExport, caller: Exporter) -> ExportView:
    """Queues an export. The bundle is what `affidavit audit verify` proves, offline and with nothing but the public key."""
    async with _tenancy(request).transaction(caller.claims()) as connection:
        return await export_jobs.request_export(connection, caller, _recorder(request), body)


@router.get("/{export_id}", summary="An export")
async def get_export(request: Request, export_id: UUID, caller: Exporter) -> ExportView:
    """Returns an export; `sha256` and `size` are there once its file is."""
    async with _tenancy(request).transaction(caller.claims()) as connection:
        return await export_jobs.get_export(connection, caller, export_id)


@router.get(
    "/{export_id}/file",
    summary="The file of an export",
    response_class=StreamingResponse,
    responses={200: {"content": {"application/octet-stream": {}}, "description": "The file."}},
)
async def get_export_file(
    request: Request,
    export_id: UUID,
    caller: Exporter,
    part: Annotated[int | None, Query(ge=1, le=100_000, description="Number of a part of a long export.")] = None,
) -> StreamingResponse:
    """Returns the file; its hash is checked on the way. Of a long export it lists the parts, which are fetched by number."""
    vault = cast("FileVault", request.app.state.files)
    async with _tenancy(request).transaction(caller.claims()) as connection:
        file = await export_jobs.open_export(connection, caller, _recorder(request), export_id, part)
        key = await vault.key(connection, caller.tenant_id)
    headers = {
        "Content-Length": str(file.size),
        "Content-Disposition": f'attachment; filename="{file.name}"',
        "X-Content-Type-Options": "nosniff",
    }
    return StreamingResponse(vault.read(key, file.id, file.sha256), media_type=file.media_type, headers=headers)
