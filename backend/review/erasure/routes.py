"""Retention, legal holds and erasure over HTTP."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Response, status

from backend.audit.payloads import PayloadVault
from backend.audit.recorder import Recorder
from backend.identity.callers.caller import Caller
from backend.identity.callers.guard import GuardedRoute, Requires
from backend.identity.callers.permissions import Permission
from backend.identity.joint_acts.routes import PENDING, accepted
from backend.provided import Provided
from backend.review.erasure import service as erasure
from backend.review.erasure.models import (
    Erasure,
    ErasureList,
    Hold,
    HoldList,
    NewErasure,
    NewHold,
    Retention,
    RetentionList,
)
from backend.review.events.models import OpenTurns
from backend.tenancy import Tenancy

router = APIRouter(prefix="/audit", tags=["audit"], route_class=GuardedRoute)

Reviewer = Annotated[Caller, Requires(Permission.AUDIT_READ)]
Exporter = Annotated[Caller, Requires(Permission.AUDIT_EXPORT)]
Eraser = Annotated[Caller, Requires(Permission.ERASURE_EXECUTE)]


@router.post("/holds", status_code=status.HTTP_201_CREATED, summary="Place a legal hold")
async def place_hold(tenancy: Provided[Tenancy], recorder: Provided[Recorder], body: NewHold, caller: Exporter) -> Hold:
    """Keeps the texts of a data subject, or of everyone, from being erased until the hold is released."""
    async with tenancy.transaction(caller.claims()) as connection:
        return await erasure.place_hold(connection, caller, recorder, body)


@router.get("/holds", summary="List legal holds")
async def list_holds(tenancy: Provided[Tenancy], caller: Reviewer) -> HoldList:
    """Returns the tenant's holds, newest first."""
    async with tenancy.transaction(caller.claims()) as connection:
        return await erasure.list_holds(connection, caller)


@router.delete(
    "/holds/{hold_id}", status_code=status.HTTP_204_NO_CONTENT, responses=PENDING, summary="Release a legal hold"
)
async def release_hold(
    tenancy: Provided[Tenancy], recorder: Provided[Recorder], hold_id: UUID, caller: Exporter
) -> Response:
    """Ends a hold when two people ask for it; it stays listed."""
    async with tenancy.transaction(caller.claims()) as connection:
        pending = await erasure.release_hold(connection, caller, recorder, hold_id)
    return Response(status_code=status.HTTP_204_NO_CONTENT) if pending is None else accepted(pending)


@router.post("/retention", summary="Raise a retention period")
async def raise_retention(
    tenancy: Provided[Tenancy], recorder: Provided[Recorder], body: Retention, caller: Exporter
) -> RetentionList:
    """Keeps the texts of a class of events longer. A period can be raised and never lowered."""
    async with tenancy.transaction(caller.claims()) as connection:
        return await erasure.raise_retention(connection, caller, recorder, body)


@router.get("/retention", summary="List retention periods")
async def list_retention(tenancy: Provided[Tenancy], caller: Reviewer) -> RetentionList:
    """Returns the period that applies to each class of events; a class that is not named has none."""
    async with tenancy.transaction(caller.claims()) as connection:
        return await erasure.list_retention(connection, caller)


@router.post("/erasures", status_code=status.HTTP_201_CREATED, summary="Request an erasure")
async def request_erasure(
    tenancy: Provided[Tenancy], recorder: Provided[Recorder], body: NewErasure, caller: Eraser
) -> Erasure:
    """Asks for the erasure of a data subject's texts; nothing is erased until a second person approves."""
    async with tenancy.transaction(caller.claims()) as connection:
        return await erasure.request_erasure(connection, caller, recorder, body)


@router.get("/erasures", summary="List erasures")
async def list_erasures(tenancy: Provided[Tenancy], caller: Reviewer) -> ErasureList:
    """Returns requested and executed erasures, newest first."""
    async with tenancy.transaction(caller.claims()) as connection:
        return await erasure.list_erasures(connection, caller)


@router.post("/erasures/{erasure_id}/approval", summary="Approve and execute an erasure")
async def approve_erasure(
    tenancy: Provided[Tenancy],
    recorder: Provided[Recorder],
    payloads: Provided[PayloadVault],
    erasure_id: UUID,
    caller: Eraser,
) -> Erasure:
    """Destroys texts and data keys of the subject. Events and proofs stay; 409 while a hold or retention applies."""
    async with tenancy.transaction(caller.claims()) as connection:
        approved = await erasure.approve_erasure(connection, caller, recorder, erasure_id)
    payloads.forget(caller.tenant_id, approved.subject_id)
    return approved


@router.get("/turns/open", summary="Prompts without an answer")
async def list_open_turns(
    tenancy: Provided[Tenancy],
    recorder: Provided[Recorder],
    caller: Reviewer,
    days: Annotated[int, Query(ge=1, le=365)] = 7,
) -> OpenTurns:
    """Returns prompts for which half a minute later neither an answer nor a refusal nor an abortion is on record."""
    async with tenancy.transaction(caller.claims()) as connection:
        return await erasure.list_open_turns(connection, caller, recorder, days=days)
