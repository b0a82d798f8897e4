"""Batches: several uploads that are given to a vector store together, waited for and cancelled together."""

from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from typing import Any
from uuid import UUID

from fastapi import Response
from uuid_utils.compat import uuid7

from backend.audit.recorder import Recorder
from backend.database import Connection
from backend.documents.collections.models import CollectionView
from backend.documents.files import uploads
from backend.documents.files.service import INGEST
from backend.documents.tables import UploadRow
from backend.errors import Conflict, NotFound
from backend.gateways.front_door import DoorRouter
from backend.gateways.openai import examples, offered
from backend.gateways.openai.errors import RESPONSES, UnsupportedParameter
from backend.gateways.openai.examples import shows
from backend.gateways.openai.files import POLL, Writer, discard
from backend.gateways.openai.ids import parsed, spelled
from backend.gateways.openai.models import BatchRequest
from backend.gateways.openai.pages import Page
from backend.gateways.openai.route import OpenAIRoute
from backend.gateways.openai.stored import seconds, state_of, store_file, upload_id_of
from backend.gateways.openai.vector_stores import InState, find_store
from backend.identity.callers.caller import Caller
from backend.jobs import service as jobs
from backend.jobs.failures import FailureHandlers
from backend.jobs.room import JobRoom
from backend.provided import Provided
from backend.storage.service import FileVault
from backend.tenancy import Tenancy

router = DoorRouter(prefix="/v1", tags=["openai"], route_class=OpenAIRoute, responses=RESPONSES)

_MOST_OF_BATCH = 500


@router.post(
    "/vector_stores/{store_id}/file_batches", summary="Give files to a vector store", responses=shows(examples.BATCH)
)
async def add_batch(
    store_id: str, body: BatchRequest, tenancy: Provided[Tenancy], vault: Provided[FileVault], recorder: Provided[Recorder],
    room: Provided[JobRoom], response: Response, caller: Writer,
) -> dict[str, Any]:  # fmt: skip
    """Gives several uploads to a vector store, all or none of them."""
    batch = uuid7()
    offered.refuse_chunking(body.chunking_strategy, *(file.chunking_strategy for file in body.files))
    if bool(body.file_ids) == bool(body.files):
        raise UnsupportedParameter("file_ids", "file_ids: needs either `file_ids` or `files`")
    given = [(file.file_id, file.attributes) for file in body.files] or [
        (name, body.attributes) for name in body.file_ids
    ]
    await room.require(caller, INGEST)
    async with tenancy.transaction(caller.claims()) as connection:
        store = await find_store(connection, caller, store_id)
        bound = [
            await uploads.bind(connection, caller, recorder, upload_id_of(name), store, attributes, batch)
            for name, attributes in given
        ]
        rows = await uploads.listed(connection, caller, batch=batch, limit=_MOST_OF_BATCH)
    await discard(vault, caller, bound)
    response.headers.update(POLL)
    return _batch(store, batch, rows)


@router.get(
    "/vector_stores/{store_id}/file_batches/{batch_id}", summary="Get a batch of files", responses=shows(examples.BATCH)
)
async def get_batch(
    store_id: str, batch_id: str, tenancy: Provided[Tenancy], response: Response, caller: Writer
) -> dict[str, Any]:
    """Returns how many files of a batch are documents by now."""
    response.headers.update(POLL)
    async with tenancy.transaction(caller.claims()) as connection:
        return _batch(*await _of_batch(connection, caller, store_id, batch_id))


@router.post(
    "/vector_stores/{store_id}/file_batches/{batch_id}/cancel", summary="Cancel a batch of files",
    responses=shows(examples.CANCELLED_BATCH),
)  # fmt: skip
async def cancel_batch(
    store_id: str, batch_id: str, tenancy: Provided[Tenancy], recorder: Provided[Recorder], handlers: Provided[FailureHandlers],
    caller: Writer,
) -> dict[str, Any]:  # fmt: skip
    """Stops the files of a batch that are no documents yet, and takes them back; the others stay."""
    async with tenancy.transaction(caller.claims()) as connection:
        _, _, rows = await _of_batch(connection, caller, store_id, batch_id)
        for row in rows:
            if row.job_id is not None and state_of(row) == "in_progress":
                with suppress(Conflict):  # it has just ended
                    await jobs.cancel_job(connection, caller, recorder, handlers, row.job_id)
        return _batch(*await _of_batch(connection, caller, store_id, batch_id))


@router.get(
    "/vector_stores/{store_id}/file_batches/{batch_id}/files",
    summary="List the files of a batch",
    responses=shows(examples.BATCH_FILES),
)
async def list_batch(
    store_id: str, batch_id: str, tenancy: Provided[Tenancy], caller: Writer, wanted: Page, state: InState = None
) -> dict[str, Any]:
    """Returns the files of a batch, of which there are at most 500."""
    span = wanted.span(upload_id_of)
    async with tenancy.transaction(caller.claims()) as connection:
        store, _, rows = await _of_batch(connection, caller, store_id, batch_id)
    chosen = [row for row in rows if state in {None, state_of(row)}]
    return span.page(span.of(chosen, lambda row: row.id), lambda row: store_file(store, row))


async def _of_batch(
    connection: Connection, caller: Caller, store_id: str, batch_id: str
) -> tuple[CollectionView, UUID, Sequence[UploadRow]]:
    store, batch = await find_store(connection, caller, store_id), parsed("vsfb_", batch_id)
    rows = await uploads.listed(connection, caller, batch=batch, limit=_MOST_OF_BATCH)
    if not rows or rows[0].collection_id != store.id:
        raise NotFound("There is no such batch of yours.", reason="openai:batch")
    return store, batch, rows


def _batch(store: CollectionView, batch: UUID, rows: Sequence[UploadRow]) -> dict[str, Any]:
    counted = Counter(map(state_of, rows))
    counts = {name: counted[name] for name in ("in_progress", "completed", "failed", "cancelled")}
    ended = "cancelled" if counts["cancelled"] else "completed"
    return {
        "id": spelled("vsfb_", batch), "object": "vector_store.files_batch", "created_at": seconds(rows[0].created_at),
        "vector_store_id": spelled("vs_", store.id), "status": "in_progress" if counts["in_progress"] else ended,
        "file_counts": {**counts, "total": len(rows)},
    }  # fmt: skip
