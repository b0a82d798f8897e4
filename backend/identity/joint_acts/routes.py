"""What waits for a second person."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, status
from fastapi.responses import JSONResponse

from backend.audit.recorder import Recorder
from backend.identity.callers.caller import Caller
from backend.identity.callers.guard import GuardedRoute, Requires
from backend.identity.joint_acts import service as joint_acts
from backend.identity.joint_acts.models import JointRequestList, Pending
from backend.provided import Provided
from backend.tenancy import Tenancy

router = APIRouter(prefix="/joint-requests", tags=["identity"], route_class=GuardedRoute)

Anyone = Annotated[Caller, Requires()]

# Of every route whose act needs two people.
PENDING: dict[int | str, dict[str, Any]] = {
    202: {"model": Pending, "description": "Asked for; done when another person asks for the same."}
}


def accepted(pending: Pending) -> JSONResponse:
    """Returns the answer to the first of two people."""
    return JSONResponse(pending.model_dump(mode="json"), status.HTTP_202_ACCEPTED)


@router.get("", summary="What waits for a second person")
async def list_requests(tenancy: Provided[Tenancy], caller: Anyone) -> JointRequestList:
    """Returns requests of two weeks that the caller made or could join, newest first.

    To join one, ask for the same by the route of the act.
    """
    async with tenancy.transaction(caller.claims()) as connection:
        return await joint_acts.list_requests(connection, caller)


@router.delete("/{request_id}", status_code=status.HTTP_204_NO_CONTENT, summary="Take a request back")
async def withdraw(tenancy: Provided[Tenancy], recorder: Provided[Recorder], request_id: UUID, caller: Anyone) -> None:
    """Takes back what the caller asked for, as long as nobody has joined it."""
    async with tenancy.transaction(caller.claims()) as connection:
        await joint_acts.withdraw(connection, caller, recorder, request_id)
