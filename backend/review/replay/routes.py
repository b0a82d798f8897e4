"""Replays of recorded retrievals, under /audit."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter

from backend.identity.callers.caller import Caller
from backend.identity.callers.guard import GuardedRoute, Requires
from backend.identity.callers.permissions import Permission
from backend.provided import Provided
from backend.review.replay.models import Replay, ReplayRequest
from backend.review.replay.service import Replaying

router = APIRouter(prefix="/audit", tags=["audit"], route_class=GuardedRoute)


@router.post("/events/{event_id}/replay", summary="Re-run a recorded retrieval")
async def replay(
    replaying: Provided[Replaying],
    event_id: UUID,
    body: ReplayRequest,
    caller: Annotated[Caller, Requires(Permission.AUDIT_REVEAL)],
) -> Replay:
    """Re-runs a retrieval at its own moment and compares: equal, or different and why.

    By default with what was known then and as the caller was then, so that it differs only where the evidence is gone or
    the embedding model is another. With `knowledge: now` or without `as_caller_then` it shows what has changed since.
    """
    return await replaying.replay(caller, event_id, body)
