"""Whom a version of a document reached."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Query

from backend.audit.recorder import Recorder
from backend.identity.callers.caller import Caller
from backend.identity.callers.guard import GuardedRoute, Requires
from backend.identity.callers.permissions import Permission
from backend.provided import Provided
from backend.review.impact import service
from backend.review.impact.models import Impact, Reach
from backend.tenancy import Tenancy

router = APIRouter(prefix="/documents", tags=["audit"], route_class=GuardedRoute)


@router.get("/{document_id}/answers/count", summary="Count the answers from a document")
async def count_answers(
    tenancy: Provided[Tenancy],
    document_id: UUID,
    caller: Annotated[Caller, Requires(Permission.DOCUMENTS_REVIEW)],
    days: Annotated[int, Query(ge=1, le=3_660)] = 90,
) -> Reach:
    """Returns how many answers of the last days cited a document: what a change of it concerns.

    For who decides on versions. Who got these answers is told to who may read the audit log.
    """
    async with tenancy.transaction(caller.claims()) as connection:
        return await service.count_answers(connection, caller, document_id, days=days)


@router.get("/{document_id}/versions/{number}/impact", summary="Who was answered from a version")
async def list_affected(
    tenancy: Provided[Tenancy],
    recorder: Provided[Recorder],
    document_id: UUID,
    number: Annotated[int, Path(ge=1, le=2**31 - 1, description="The version's number.")],
    caller: Annotated[Caller, Requires(Permission.AUDIT_READ)],
    days: Annotated[int, Query(ge=1, le=3_660)] = 30,
) -> Impact:
    """Returns the answers of the last days that cited a version: who must be told when it is withdrawn."""
    async with tenancy.transaction(caller.claims()) as connection:
        return await service.list_affected(tenancy, connection, caller, recorder, document_id, number, days=days)
