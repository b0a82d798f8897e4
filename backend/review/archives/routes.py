"""Archived months of the log over HTTP."""

from datetime import date, datetime
from typing import Annotated

from fastapi import APIRouter, Path
from fastapi.responses import StreamingResponse

from backend.audit.recorder import Recorder
from backend.errors import InvalidInput
from backend.identity.callers.caller import Caller
from backend.identity.callers.guard import GuardedRoute, Requires
from backend.identity.callers.permissions import Permission
from backend.provided import Provided
from backend.review.archives import service as archives
from backend.review.archives.models import ArchiveList
from backend.storage.objects import ObjectStore
from backend.tenancy import Tenancy

router = APIRouter(prefix="/audit/archives", tags=["audit"], route_class=GuardedRoute)


@router.get("", summary="Months that left the log")
async def list_archives(
    tenancy: Provided[Tenancy], recorder: Provided[Recorder], caller: Annotated[Caller, Requires(Permission.AUDIT_READ)]
) -> ArchiveList:
    """Returns the months whose retention was over and that left the log, oldest first."""
    async with tenancy.transaction(caller.claims()) as connection:
        return await archives.list_archives(connection, caller, recorder)


@router.get(
    "/{month}",
    summary="The file of a month that left the log",
    response_class=StreamingResponse,
    responses={200: {"content": {"application/octet-stream": {}}, "description": "The bundle, a zip archive."}},
)
async def get_archive_file(
    tenancy: Provided[Tenancy],
    recorder: Provided[Recorder],
    store: Provided[ObjectStore],
    month: Annotated[str, Path(pattern=r"^[0-9]{4}-(0[1-9]|1[0-2])$", examples=["2019-01"])],
    caller: Annotated[Caller, Requires(Permission.AUDIT_EXPORT)],
) -> StreamingResponse:
    """Returns the bundle that `affidavit audit verify` proves, alone or with an export of what is still in the log."""
    async with tenancy.transaction(caller.claims()) as connection:
        archive = await archives.open_archive(connection, caller, recorder, _first_day(month))
    name = archives.archive_name(caller.tenant_id, _first_day(month))
    headers = {
        "Content-Length": str(archive.size),
        "Content-Disposition": f'attachment; filename="audit-{month}.zip"',
        "X-Content-Type-Options": "nosniff",
    }
    content = archives.read_archive(store, name, archive.sha256)
    return StreamingResponse(content, media_type="application/octet-stream", headers=headers)


def _first_day(month: str) -> date:
    try:
        return datetime.fromisoformat(f"{month}-01").date()
    except ValueError:  # the year 0
        raise InvalidInput("month: is not in the calendar") from None
