"""Files over HTTP: uploaded as streams, and read again with their pages."""

from collections.abc import AsyncIterator, Mapping
from typing import Annotated, Any
from urllib.parse import quote
from uuid import UUID

from fastapi import APIRouter, Path, Query, Request, Response, status
from fastapi.exceptions import RequestValidationError
from fastapi.responses import StreamingResponse
from pydantic import Field, ValidationError

from backend.audit.recorder import Recorder
from backend.documents.files import service as files
from backend.documents.files.models import AcceptedFile, FileList, PageView, UploadFields
from backend.documents.files.multipart import FormReader
from backend.documents.files.pictures import Marked, PagePictures
from backend.documents.files.reception import Uploads
from backend.documents.parsing.formats import NAMES
from backend.errors import Unavailable
from backend.identity.callers.caller import Caller
from backend.identity.callers.guard import GuardedRoute, Requires
from backend.identity.callers.permissions import Permission
from backend.jobs.room import JobRoom
from backend.provided import Provided
from backend.schema import ApiModel, Text
from backend.settings import Settings
from backend.storage.encryption import DamagedObject
from backend.storage.objects import ObjectMissing
from backend.storage.service import FileVault
from backend.tenancy import Tenancy

router = APIRouter(prefix="/documents", tags=["documents"], route_class=GuardedRoute)

Reader = Annotated[Caller, Requires(Permission.DOCUMENTS_READ)]
Writer = Annotated[Caller, Requires(Permission.DOCUMENTS_WRITE)]
Number = Annotated[int, Path(ge=1, le=2**31 - 1, description="The version's number.")]

FORM_BYTES = 1024 * 1024  # of a form beside its file


def _of_a_form(field: dict[str, Any]) -> dict[str, Any]:
    """Returns the schema of a field without null, which a form cannot hold: what is unset is left out."""
    options = [option for option in field.get("anyOf", ()) if option != {"type": "null"}]
    return {**{name: value for name, value in field.items() if name != "anyOf"}, **options[0]} if options else field


_FIELDS = UploadFields.model_json_schema()
_FORM_SCHEMA: dict[str, Any] = {
    **_FIELDS,
    "required": ["file"],
    "properties": {
        "file": {"type": "string", "format": "binary", "description": f"{NAMES}."},
        **{name: _of_a_form(field) for name, field in _FIELDS["properties"].items()},
    },
}  # fmt: skip
_FORM = {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": _FORM_SCHEMA}}}}


class FileQuery(ApiModel):
    """Which document's files are asked for."""

    doc_id: Annotated[Text, Field(min_length=1, max_length=256)]
    collection: Annotated[Text, Field(min_length=1, max_length=63)] = "default"
    limit: int = Field(default=20, ge=1, le=100)


@router.post(
    "",
    status_code=status.HTTP_202_ACCEPTED,
    summary="Upload a file",
    openapi_extra=_FORM,
    responses={200: {"model": AcceptedFile, "description": "The same file is in the latest version, or on its way."}},
)
async def upload_file(
    request: Request,
    tenancy: Provided[Tenancy],
    vault: Provided[FileVault],
    recorder: Provided[Recorder],
    settings: Provided[Settings],
    room: Provided[JobRoom],
    response: Response,
    caller: Writer,
) -> AcceptedFile:
    """Takes a file of which a job makes the next version of its document; `GET /jobs/{id}` tells how far it is.

    The form's fields may come before or after the file. The same bytes as before make no new version.
    """
    await room.require(caller, files.INGEST)
    form = FormReader(request.headers.get("content-type", ""), request.stream())
    uploads = Uploads(tenancy, vault, recorder, settings.max_file_bytes)
    accepted = await uploads.accept(caller, form, _validated)
    if not accepted.accepted:
        response.status_code = status.HTTP_200_OK
    return accepted


@router.get("/files", summary="Files of a document")
async def list_files(tenancy: Provided[Tenancy], query: Annotated[FileQuery, Query()], caller: Reader) -> FileList:
    """Returns the files that were uploaded to a document, and what became of each."""
    async with tenancy.transaction(caller.claims()) as connection:
        found = await files.list_files(connection, caller, query.collection, query.doc_id, limit=query.limit)
    return FileList(files=found)


@router.get(
    "/{document_id}/versions/{number}/file",
    summary="The original file of a version",
    response_class=StreamingResponse,
    responses={200: {"content": {"application/octet-stream": {}}, "description": "The file."}},
)
async def get_file(
    vault: Provided[FileVault],
    tenancy: Provided[Tenancy],
    recorder: Provided[Recorder],
    document_id: UUID,
    number: Number,
    caller: Reader,
) -> StreamingResponse:
    """Returns the file that a version was made of, byte by byte as it was uploaded; its hash is checked on the way."""
    async with tenancy.transaction(caller.claims()) as connection:
        key = await vault.key(connection, caller.tenant_id)
        file = await files.open_file(connection, caller, recorder, document_id, number)
    content = vault.read(key, file.id, file.sha256)
    headers = {
        "Content-Length": str(file.size),
        # Never shown in the service's own origin: an HTML file could act as whoever opens it.
        "Content-Disposition": f"attachment; filename*=UTF-8''{quote(file.filename, safe='')}",
        "Content-Security-Policy": "sandbox",
        "X-Content-Type-Options": "nosniff",
        "ETag": f'"{file.sha256.hex()}"',
    }
    return StreamingResponse(await _begun(content), media_type=file.media_type, headers=headers)


@router.get("/{document_id}/versions/{number}/pages/{page}", summary="The text of a page")
async def get_page(
    tenancy: Provided[Tenancy],
    recorder: Provided[Recorder],
    document_id: UUID,
    number: Number,
    page: Annotated[int, Path(ge=1, le=2**31 - 1)],
    caller: Reader,
) -> PageView:
    """Returns the text of a page, counted from 1, in the chunks that answers cite."""
    async with tenancy.transaction(caller.claims()) as connection:
        return await files.read_page(tenancy, connection, caller, recorder, document_id, number, page)


def _validated(fields: Mapping[str, str]) -> UploadFields:
    try:
        return UploadFields.model_validate(fields)
    except ValidationError as error:
        problems = [{**problem, "loc": ("body", *problem["loc"])} for problem in error.errors()]
        raise RequestValidationError(problems) from error


@router.get(
    "/{document_id}/versions/{number}/pages/{page}/picture",
    summary="The picture of a page",
    response_class=Response,
    responses={200: {"content": {"image/png": {}}, "description": "The page, with the words marked."}},
)
async def get_picture(
    pictures: Provided[PagePictures],
    document_id: UUID,
    number: Number,
    page: Annotated[int, Path(ge=1, le=2**31 - 1)],
    caller: Reader,
    chunk: Annotated[UUID | None, Query(description="Whose words are marked, such as a citation's `chunk_id`.")] = None,
    start: Annotated[int | None, Query(ge=0, description="As a citation's `quote_start`.")] = None,
    end: Annotated[int | None, Query(ge=0, description="As a citation's `quote_end`.")] = None,
) -> Response:
    """Returns a page of a PDF file as PNG, at most 1,100 pixels wide; cited words are marked as with a marker pen."""
    marked = None if chunk is None else Marked(chunk, start, end)
    return Response(await pictures.picture(caller, document_id, number, page, marked), media_type="image/png")


async def _begun(content: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Returns the content with its first piece read, so that a file that is away or damaged is an error and no answer."""
    try:
        first = await anext(content)
    except (ObjectMissing, DamagedObject) as error:
        raise Unavailable("The stored file is missing or damaged.", reason="storage:damaged") from error

    async def whole() -> AsyncIterator[bytes]:
        yield first
        async for piece in content:
            yield piece

    return whole()
