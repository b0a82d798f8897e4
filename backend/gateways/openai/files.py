"""Files of OpenAI's API: uploaded first, then given to a vector store, where a job makes a version of a document."""

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import Request, Response

from backend.audit.recorder import Recorder
from backend.database import Connection
from backend.documents.files import uploads
from backend.documents.files.multipart import FormReader
from backend.documents.files.reception import Reception, may_be_committed
from backend.documents.files.service import INGEST
from backend.documents.files.uploads import BoundUpload
from backend.documents.parsing.formats import NAMES
from backend.documents.tables import UploadRow
from backend.errors import Forbidden, NotFound
from backend.gateways.front_door import DoorRouter
from backend.gateways.openai import examples, offered
from backend.gateways.openai.errors import REFUSING, RESPONSES, UnsupportedParameter
from backend.gateways.openai.examples import shows
from backend.gateways.openai.ids import VERSION_MARK, parsed, spelled
from backend.gateways.openai.models import VectorStoreFileRequest
from backend.gateways.openai.pages import Page
from backend.gateways.openai.route import OpenAIRoute
from backend.gateways.openai.stored import PREFIX, seconds, state_of, store_file, upload_id_of
from backend.gateways.openai.vector_stores import Reader, find_store, version_file
from backend.identity.callers.caller import Caller
from backend.identity.callers.guard import Requires
from backend.identity.callers.permissions import Permission
from backend.jobs.room import JobRoom
from backend.provided import Provided
from backend.settings import Settings
from backend.storage.service import FileVault
from backend.tenancy import Tenancy

router = DoorRouter(prefix="/v1", tags=["openai"], route_class=OpenAIRoute, responses=RESPONSES)

Writer = Annotated[Caller, Requires(Permission.DOCUMENTS_WRITE)]

_PURPOSES = ("assistants", "user_data")
_DAY = 86_400
POLL = {"openai-poll-after-ms": "500"}
_FORM: dict[str, Any] = {
    "requestBody": {"required": True, "content": {"multipart/form-data": {"schema": {
        "type": "object", "required": ["file", "purpose"],
        "properties": {
            "file": {"type": "string", "format": "binary", "description": f"{NAMES}."},
            "purpose": {"type": "string", "enum": list(_PURPOSES), "description": "What for; both mean the same here."},
        },
    }}}}
}  # fmt: skip


@router.post("/files", summary="Upload a file", openapi_extra=_FORM, responses=shows(examples.FILE))
async def upload_file(
    request: Request, tenancy: Provided[Tenancy], vault: Provided[FileVault], recorder: Provided[Recorder],
    settings: Provided[Settings], caller: Writer,
) -> dict[str, Any]:  # fmt: skip
    """Keeps a file for a day. Give it to a vector store, and a version of a document is made of it."""
    form = FormReader(request.headers.get("content-type", ""), request.stream())
    async with tenancy.transaction(caller.claims()) as connection:
        key = await vault.key(connection, caller.tenant_id)
        stale = await uploads.end_stale(connection)
    for old in stale:
        await vault.delete(caller.tenant_id, old)
    reception = Reception(vault, key, settings.max_file_bytes)
    try:
        file = await reception.receive(form)
        _check_purpose(file.fields.get("purpose"))
        async with tenancy.transaction(caller.claims()) as connection:
            return _file(await uploads.stage(connection, caller, recorder, file))
    except BaseException as error:
        if not may_be_committed(error):
            await reception.discard()
        raise


@router.get("/files", summary="List your uploads", responses=shows(examples.FILES))
async def list_uploads(tenancy: Provided[Tenancy], caller: Writer, wanted: Page) -> dict[str, Any]:
    """Returns what the caller uploaded here within a day."""
    span = wanted.span(upload_id_of)
    async with tenancy.transaction(caller.claims()) as connection:
        rows = await uploads.listed(
            connection, caller, cursor=span.edge, newest_first=span.descending, limit=span.limit + 1
        )
    return span.page(rows, _file)


@router.get("/files/{upload_id}", summary="Get an upload", responses=shows(examples.FILE))
async def get_upload(upload_id: str, tenancy: Provided[Tenancy], caller: Writer) -> dict[str, Any]:
    """Returns a file that the caller uploaded within a day."""
    async with tenancy.transaction(caller.claims()) as connection:
        return _file(await uploads.find(connection, caller, parsed(PREFIX, upload_id)))


@router.delete("/files/{upload_id}", summary="Take back an upload", responses=shows(examples.DELETED))
async def delete_upload(
    upload_id: str, tenancy: Provided[Tenancy], vault: Provided[FileVault], recorder: Provided[Recorder], caller: Writer
) -> dict[str, Any]:
    """Removes a file that was given to no vector store. What became a document is evidence: it is retired, and not deleted."""
    identifier = parsed(PREFIX, upload_id)
    async with tenancy.transaction(caller.claims()) as connection:
        if not await uploads.withdraw(connection, caller, recorder, identifier):
            raise Forbidden("It became a document, which is retired and not deleted.", reason="openai:evidence")
    await vault.delete(caller.tenant_id, identifier)
    return {"id": upload_id, "object": "file", "deleted": True}


@router.post(
    "/vector_stores/{store_id}/files", summary="Give a file to a vector store", responses=shows(examples.BOUND_FILE)
)
async def add_file(
    store_id: str, body: VectorStoreFileRequest, tenancy: Provided[Tenancy], vault: Provided[FileVault],
    recorder: Provided[Recorder], room: Provided[JobRoom], response: Response, caller: Writer,
) -> dict[str, Any]:  # fmt: skip
    """Has a job make a version of the caller's upload. Ask for the file until it is `completed`; its id stays for a day.

    The attributes `doc_id`, `title`, `source_type`, `effective_from` and `effective_to` are the document's, others its metadata.
    """
    offered.refuse_chunking(body.chunking_strategy)
    await room.require(caller, INGEST)
    async with tenancy.transaction(caller.claims()) as connection:
        store = await find_store(connection, caller, store_id)
        upload = parsed(PREFIX, body.file_id)
        bound = await uploads.bind(connection, caller, recorder, upload, store, body.attributes)
        row = await uploads.find(connection, caller, upload)
    await discard(vault, caller, [bound])
    response.headers.update(POLL)
    return store_file(store, row)


@router.get(
    "/vector_stores/{store_id}/files/{file}",
    summary="Get a file of a vector store",
    responses=shows(examples.STORE_FILE),
)
async def get_file(
    store_id: str, file: str, tenancy: Provided[Tenancy], response: Response, caller: Reader
) -> dict[str, Any]:
    """Returns a version of a document, or an upload of the caller's that is becoming one.

    A version that is in review is `completed` with the attribute `status`: `in_review`.
    """
    response.headers.update(POLL)
    async with tenancy.transaction(caller.claims()) as connection:
        return await _stored_file(connection, caller, store_id, file)


@router.delete(
    "/vector_stores/{store_id}/files/{file}", summary="Refuse to delete a file of a vector store", **REFUSING
)
async def delete_file(store_id: str, file: str, tenancy: Provided[Tenancy], caller: Writer) -> None:
    """Refuses: documents are evidence. A version is retired by its own route, and others approve that where they must."""
    async with tenancy.transaction(caller.claims()) as connection:
        await _stored_file(connection, caller, store_id, file)
    raise Forbidden("Documents are evidence: they are retired, and not deleted.", reason="openai:evidence")


async def _stored_file(connection: Connection, caller: Caller, store_id: str, file: str) -> dict[str, Any]:
    store = await find_store(connection, caller, store_id)
    if VERSION_MARK in file:
        return await version_file(connection, caller, store, file)
    row = await uploads.find(connection, caller, upload_id_of(file))
    if row.collection_id != store.id:
        raise NotFound("There is no such file in this vector store.", reason="openai:file")
    return store_file(store, row)


async def discard(vault: FileVault, caller: Caller, bound: Sequence[BoundUpload]) -> None:
    """Removes files whose bytes the latest versions have already."""
    for one in bound:
        if not one.accepted.accepted:
            await vault.delete(caller.tenant_id, one.upload_id)


def _check_purpose(purpose: str | None) -> None:
    if purpose not in _PURPOSES:
        raise UnsupportedParameter("purpose", f"purpose: must be one of {', '.join(_PURPOSES)}")


def _file(row: UploadRow) -> dict[str, Any]:
    created = seconds(row.created_at)
    state = state_of(row) if row.collection_id else "uploaded"
    return {
        "id": spelled(PREFIX, row.id), "object": "file", "bytes": row.size, "created_at": created,
        "filename": row.filename, "purpose": "assistants", "expires_at": created + _DAY, "status_details": None,
        "status": {"completed": "processed", "failed": "error"}.get(state, "uploaded"),
    }  # fmt: skip
