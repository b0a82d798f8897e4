"""Verifications of the log over HTTP."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, status

from backend.audit.recorder import Recorder
from backend.identity.callers.caller import Caller
from backend.identity.callers.guard import GuardedRoute, Requires
from backend.identity.callers.permissions import Permission
from backend.jobs.room import JobRoom
from backend.provided import Provided
from backend.review.verification import service
from backend.review.verification.models import NewVerification, VerificationView
from backend.settings import Settings
from backend.tenancy import Tenancy

router = APIRouter(prefix="/audit/verifications", tags=["audit"], route_class=GuardedRoute)

Reviewer = Annotated[Caller, Requires(Permission.AUDIT_READ)]


@router.post("", status_code=status.HTTP_202_ACCEPTED, summary="Verify the log")
async def request_verification(
    tenancy: Provided[Tenancy],
    recorder: Provided[Recorder],
    settings: Provided[Settings],
    room: Provided[JobRoom],
    body: NewVerification,
    caller: Reviewer,
) -> VerificationView:
    """Queues a verification of the whole log as it is in the database: each tampering becomes a finding with its name.

    What it finds is an event of the log, too. It trusts the service that runs it; to trust nobody, export and verify offline.
    """
    await room.require(caller, service.VERIFY)
    async with tenancy.transaction(caller.claims()) as connection:
        return await service.request_verification(connection, caller, recorder, body, settings.checkpoint_public_key)


@router.get("/{verification_id}", summary="A verification")
async def get_verification(tenancy: Provided[Tenancy], verification_id: UUID, caller: Reviewer) -> VerificationView:
    """Returns a verification that you asked for, and what it found once it is done."""
    async with tenancy.transaction(caller.claims()) as connection:
        return await service.get_verification(connection, caller, verification_id)
