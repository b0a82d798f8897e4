"""Turns, under /audit."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from backend.audit.payloads import PayloadVault
from backend.audit.recorder import Recorder
from backend.errors import InvalidInput
from backend.identity.callers.caller import Caller
from backend.identity.callers.guard import GuardedRoute, Requires
from backend.identity.callers.permissions import Permission
from backend.provided import Provided
from backend.review.turns import service
from backend.review.turns.models import TurnView
from backend.schema import Text
from backend.tenancy import Tenancy

router = APIRouter(prefix="/audit", tags=["audit"], route_class=GuardedRoute)


@router.get("/turns/{turn}", summary="All events of one turn, and with a reason their texts")
async def get_turn(
    tenancy: Provided[Tenancy],
    recorder: Provided[Recorder],
    payloads: Provided[PayloadVault],
    turn: UUID,
    caller: Annotated[Caller, Requires(Permission.AUDIT_READ)],
    *,
    reveal: bool = False,
    reason: Annotated[Text | None, Query(min_length=3, max_length=500, description="Why the texts are needed.")] = None,
) -> TurnView:
    """Returns what is on record of a question and its answer; `reveal=true` with a reason adds the texts of all of it."""
    if reveal:
        caller.require(Permission.AUDIT_REVEAL)
        if reason is None:
            raise InvalidInput("reason: is needed to reveal texts")
    async with tenancy.transaction(caller.claims()) as connection:
        return await service.get_turn(connection, caller, recorder, payloads, turn, reason if reveal else None)
