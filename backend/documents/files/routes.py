"""Files over HTTP: uploaded as streams, and read again with their pages."""

from collections.abc import AsyncIterator
from typing import Annotated, Any
from urllib.parse import quote
from uuid import UUID

from fastapi import APIRouter, Path, Query, Request, Response, status
from fastapi.exceptions import RequestValidationError
from fastapi.responses import StreamingResponse
from pydantic import Field, ValidationError

from backend.audit.recorder import Recorder
from backend.documents.files import service as files
from backend.documents.files.multipart import FormReader, Part
from backend.documents.files.service import Upload
from backend.documents.models import AcceptedFile, FileList, PageView, UploadFields
from backend.documents.parsing.errors import ParseError
from backend.documents.parsing.filenames import safe_filename
from backend.documents.parsing.formats import declared_format
from backend.errors import InvalidInput, Unavailable, UnsupportedType
from backend.identity.callers.caller import Caller
from backend.identity.callers.guard import GuardedRoute, Requires
from backend.identity.callers.permissions import Permission
from backend.provided import Provided
from backend.schema import ApiModel, Text
from backend.settings import Settings
from backend.storage.encryption import DamagedObject
from backend.storage.objects import ObjectMissing
from backend.storage.service import FileVault, StoredFile, TenantKey
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
        "file": {"type": "string", "format": "binary", "description": "PDF, DOCX, PPTX, XLSX, CSV, HTML, Markdown, text, EML."},
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
    response: Response,
    caller: Writer,
) -> AcceptedFile:
    """Takes a file of which a job makes the next version of its document; `GET /jobs/{id}` tells how far it is.

    The form's fields may come before or after the file. The same bytes as before make no new version.
    """
    form = FormReader(request.headers.get("content-type", ""), request.stream())
    async with tenancy.transaction(caller.claims()) as connection:
        key = await vault.key(connection, caller.tenant_id)
    reception = _Reception(vault, key, settings.max_file_bytes)
    try:
        upload = await reception.upload(form)
        async with tenancy.transaction(caller.claims()) as connection:
            accepted = await files.accept(connection, caller, recorder, upload)
    except BaseException as error:
        if not _may_be_committed(error):
            await reception.discard()
        raise
    if not accepted.accepted:
        await reception.discard()
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
    content = vault.read(key, file["id"], file["sha256"])
    headers = {
        "Content-Length": str(file["size"]),
        # Never shown in the service's own origin: an HTML file could act as whoever opens it.
        "Content-Disposition": f"attachment; filename*=UTF-8''{quote(file['filename'], safe='')}",
        "Content-Security-Policy": "sandbox",
        "X-Content-Type-Options": "nosniff",
        "ETag": f'"{file["sha256"].hex()}"',
    }
    return StreamingResponse(await _begun(content), media_type=file["media_type"], headers=headers)


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


class _Reception:
    """Stores the file of a form while it arrives, and collects the fields around it."""

    def __init__(self, vault: FileVault, key: TenantKey, limit: int) -> None:
        self._vault = vault
        self._key = key
        self._limit = limit
        self._stored: StoredFile | None = None

    async def upload(self, form: FormReader) -> Upload:
        """Raises InvalidInput, TooLarge or UnsupportedType."""
        fields: dict[str, str] = {}
        file: Part | None = None
        while (part := await form.next_part()) is not None:
            if part.filename is None:
                fields[part.name] = await form.text(part)
            elif part.name != "file" or file is not None:
                raise InvalidInput("file: exactly one file is taken, in the field `file`")
            else:
                file = part
                _check_type(part)
                self._stored = await self._vault.store(self._key, form.content(self._limit, "The file"))
        if file is None or file.filename is None or self._stored is None:
            raise InvalidInput("file: is missing")
        if self._stored.size == 0:
            raise InvalidInput("file: is empty")
        return Upload(self._stored, safe_filename(file.filename), _media_type(file), _validated(fields))

    async def discard(self) -> None:
        """Removes what was stored."""
        if self._stored is not None:
            await self._vault.delete(self._key.tenant_id, self._stored.id)


def _check_type(part: Part) -> None:
    try:
        declared_format(safe_filename(part.filename or ""), part.media_type)
    except ParseError as error:
        raise UnsupportedType(error.detail, reason=error.code) from error


def _media_type(part: Part) -> str:
    declared = part.media_type or ""
    return declared if declared.isprintable() and 0 < len(declared) <= 200 else "application/octet-stream"


def _validated(fields: dict[str, str]) -> UploadFields:
    try:
        return UploadFields.model_validate(fields)
    except ValidationError as error:
        problems = [{**problem, "loc": ("body", *problem["loc"])} for problem in error.errors()]
        raise RequestValidationError(problems) from error


def _may_be_committed(error: BaseException) -> bool:
    return isinstance(error, Unavailable) and error.reason.startswith("commit:")


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
