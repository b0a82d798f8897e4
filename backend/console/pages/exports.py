"""Exports of the log: asking for one, how far it is, fetching it, and those of the past."""

from typing import Annotated
from uuid import UUID

from fastapi import Depends, Form, Query, Request
from fastapi.responses import Response, StreamingResponse
from pydantic import ValidationError

from backend.audit.recorder import Recorder
from backend.console.page import HEADERS, page, to
from backend.console.page import router as pages
from backend.console.visit import Sender, Signed, requires, requires_fresh
from backend.errors import InvalidInput, NotFound
from backend.identity.callers.permissions import Permission
from backend.jobs import service as jobs
from backend.jobs.room import JobRoom
from backend.provided import Provided
from backend.review.exports import jobs as exports
from backend.review.exports.export import ExportFormat
from backend.review.exports.models import NewExport
from backend.schema import Text
from backend.settings import Settings
from backend.storage.service import FileVault
from backend.tenancy import Tenancy

router = pages()

Day = Annotated[Text, Form(max_length=10)]


@router.get("/review/exports")
async def list_exports(
    request: Request, visitor: Signed, tenancy: Provided[Tenancy], cursor: Annotated[UUID | None, Query()] = None
) -> Response:
    """Lists exports, and shows the form for another."""
    requires(visitor, Permission.AUDIT_EXPORT)
    async with tenancy.transaction(visitor.caller.claims()) as connection:
        found = await exports.list_exports(connection, visitor.caller, limit=30, cursor=cursor)
    return page(request, "exports.html", visitor, found=found, formats=list(ExportFormat))


async def _days(begin: Day, end: Day) -> tuple[str, str]:
    return begin, end


@router.post("/review/exports")
async def ask_for_export(
    visitor: Sender,
    tenancy: Provided[Tenancy],
    recorder: Provided[Recorder],
    room: Provided[JobRoom],
    days: Annotated[tuple[str, str], Depends(_days)],
    kind: Annotated[ExportFormat, Form()] = ExportFormat.BUNDLE,
    reveal: Annotated[bool, Form()] = False,  # noqa: FBT002 - a field of a form
    redact: Annotated[bool, Form()] = False,  # noqa: FBT002 - a field of a form
    reason: Annotated[Text, Form(max_length=500)] = "",
) -> Response:
    """Queues an export of some days."""
    requires(visitor, Permission.AUDIT_EXPORT)
    if again := requires_fresh(visitor, "/console/review/exports"):
        return again
    asked = {
        "from": f"{days[0]}T00:00:00Z",
        "to": f"{days[1]}T23:59:59.999Z",
        "format": kind,
        "reveal": reveal,
        "redact": redact,
    }
    try:
        wanted = NewExport.model_validate({**asked, "reason": reason.strip() or None})
    except ValidationError as error:
        raise InvalidInput(
            "An export needs two days that exist, and a reason of at least three letters if any."
        ) from error
    await room.require(visitor.caller, exports.EXPORT)
    async with tenancy.transaction(visitor.caller.claims()) as connection:
        export = await exports.request_export(connection, visitor.caller, recorder, wanted)
    return to(f"/console/review/exports/{export.id}")


@router.get("/review/exports/{export_id}")
async def show_export(
    request: Request, visitor: Signed, tenancy: Provided[Tenancy], settings: Provided[Settings], export_id: UUID
) -> Response:
    """Shows how far an export is, and what its receiver does with it."""
    requires(visitor, Permission.AUDIT_EXPORT)
    async with tenancy.transaction(visitor.caller.claims()) as connection:
        export = await exports.get_export(connection, visitor.caller, export_id)
        try:
            job = await jobs.get_job(connection, visitor.caller, export.job_id)
        except NotFound:  # somebody else's, or long ago
            job = None
    return page(request, "export.html", visitor, export=export, job=job, key=settings.checkpoint_public_key)


@router.get("/review/exports/{export_id}/file")
async def fetch_export(
    visitor: Signed,
    tenancy: Provided[Tenancy],
    recorder: Provided[Recorder],
    vault: Provided[FileVault],
    export_id: UUID,
    part: Annotated[int | None, Query(ge=1, le=100_000)] = None,
) -> Response:
    """Gives the file, or a part of a long one; its hash is checked on the way."""
    requires(visitor, Permission.AUDIT_EXPORT)
    async with tenancy.transaction(visitor.caller.claims()) as connection:
        file = await exports.open_export(connection, visitor.caller, recorder, export_id, part)
        key = await vault.key(connection, visitor.caller.tenant_id)
    content = {"Content-Length": str(file.size), "Content-Disposition": f'attachment; filename="{file.name}"'}
    return StreamingResponse(
        vault.read(key, file.id, file.sha256), media_type=file.media_type, headers={**HEADERS, **content}
    )
