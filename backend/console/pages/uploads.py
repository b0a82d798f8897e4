"""Uploading files, and seeing what becomes of them."""

import json
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from fastapi import Request
from fastapi.responses import JSONResponse, Response
from pydantic import ValidationError

from backend.audit.recorder import Recorder
from backend.console.page import HEADERS, page, to
from backend.console.page import router as pages
from backend.console.pages.ask import Collections
from backend.console.visit import Signed, check_form, requires
from backend.documents.files.models import AcceptedFile, UploadFields
from backend.documents.files.multipart import FormReader
from backend.documents.files.reception import Uploads
from backend.documents.files.service import INGEST
from backend.documents.parsing.formats import NAMES
from backend.errors import InvalidInput, ServiceError
from backend.identity.callers.permissions import Permission
from backend.jobs import service as jobs
from backend.jobs.models import JobView
from backend.jobs.room import JobRoom
from backend.provided import Provided
from backend.settings import Settings
from backend.storage.service import FileVault
from backend.tenancy import Tenancy

router = pages()

PATH = "/documents/upload"
_OWN = ("owner", "jurisdiction")  # fields of the form that become metadata


@router.get(PATH)
async def show(request: Request, visitor: Signed, collections: Collections) -> Response:
    """Shows the form."""
    requires(visitor, Permission.DOCUMENTS_WRITE)
    writable = [view for view in collections if view.writable]
    return page(request, "upload.html", visitor, formats=NAMES, collections=writable, said=None)


@router.post(PATH)
async def upload(
    request: Request,
    visitor: Signed,
    collections: Collections,
    tenancy: Provided[Tenancy],
    vault: Provided[FileVault],
    recorder: Provided[Recorder],
    settings: Provided[Settings],
    room: Provided[JobRoom],
) -> Response:
    """Takes one file; the form's token is its first field, so that nothing is stored for another site."""
    requires(visitor, Permission.DOCUMENTS_WRITE)
    form = FormReader(request.headers.get("content-type", ""), request.stream())
    try:
        token = await form.next_part()
        check_form(request, visitor, await form.text(token) if token is not None and token.name == "form_token" else "")
        await room.require(visitor.caller, INGEST)
        uploads = Uploads(tenancy, vault, recorder, settings.max_file_bytes)
        accepted = await uploads.accept(visitor.caller, form, _fields)
    except ServiceError as error:
        if _wants_json(request):
            return JSONResponse({"problem": error.detail}, error.status, HEADERS)
        writable = [view for view in collections if view.writable]
        return page(
            request, "upload.html", visitor, status=error.status, formats=NAMES, collections=writable, said=error.detail
        )
    place = _place(accepted)
    return JSONResponse({"place": place}, headers=HEADERS) if _wants_json(request) else to(place)


@router.get("/documents/uploads/{job_id}")
async def follow(request: Request, visitor: Signed, tenancy: Provided[Tenancy], job_id: UUID) -> Response:
    """Tells how far the reading of a file is."""
    requires(visitor, Permission.DOCUMENTS_READ)
    async with tenancy.transaction(visitor.caller.claims()) as connection:
        job = await jobs.get_job(connection, visitor.caller, job_id)
    if _wants_json(request):
        return JSONResponse(_told(job), headers=HEADERS)
    return page(request, "uploaded.html", visitor, job=job, told=_told(job))


def _told(job: JobView) -> dict[str, Any]:
    result = job.result or {}
    made = "document_id" in result
    return {
        "status": job.status, "ended": job.ended, "problem": job.error.detail if job.error else None,
        "done": job.progress.done if job.progress else None, "total": job.progress.total if job.progress else None,
        "warnings": len(result.get("warnings", ())), "review": result.get("status") == "in_review",
        "place": f"/console/documents/{result['document_id']}/versions/{result['document_version']}" if made else None,
    }  # fmt: skip


def _place(accepted: AcceptedFile) -> str:
    """Returns where to see what becomes of a file; one that was there already is its version."""
    if accepted.job_id is not None:
        return f"/console/documents/uploads/{accepted.job_id}"
    return f"/console/documents/{accepted.document_id}"


def _fields(given: Mapping[str, str]) -> UploadFields:
    filled = {name: value.strip() for name, value in given.items() if value.strip()}
    own = {name: filled.pop(name) for name in _OWN if name in filled}
    dates = {name: f"{filled[name]}T00:00:00Z" for name in ("effective_from", "effective_to") if name in filled}
    try:
        metadata = {**json.loads(filled.get("metadata", "{}")), **own}
        return UploadFields.model_validate({**filled, **dates, "metadata": metadata})
    except ValidationError as error:
        problem = error.errors()[0]
        raise InvalidInput(f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}") from error
    except (ValueError, TypeError) as error:
        raise InvalidInput("metadata: must be a JSON object") from error


def _wants_json(request: Request) -> bool:
    return "application/json" in request.headers.get("accept", "")
