"""What was asked of models."""

from datetime import date
from typing import Annotated

from fastapi import APIRouter, Query

from backend.identity.callers.caller import Caller
from backend.identity.callers.guard import GuardedRoute, Requires
from backend.identity.usage import service
from backend.identity.usage.models import Side, UsageReport
from backend.provided import Provided
from backend.schema import Text
from backend.tenancy import Tenancy

router = APIRouter(tags=["identity"], route_class=GuardedRoute)


@router.get("/usage", summary="Report what was asked of models")
async def get_usage(
    tenancy: Provided[Tenancy],
    caller: Annotated[Caller, Requires()],
    by: Annotated[Side, Query(description="What to count by.")],
    begins: Annotated[
        date | None, Query(alias="from", description="First day in UTC; unset means the month's.")
    ] = None,
    ends: Annotated[date | None, Query(alias="to", description="Last day in UTC; unset means today.")] = None,
    limit: Annotated[int, Query(ge=1, le=1_000, description="How many rows.")] = 100,
    cursor: Annotated[Text | None, Query(max_length=300, description="The `next_cursor` of the page before.")] = None,
) -> UsageReport:
    """Returns requests, tokens and cost by key, user, collection, model or day.

    A caller sees what it used itself, and what its keys used. Who may manage keys (`keys:manage`) or read the log (`audit:read`)
    sees the whole tenant. Tokens are those that the model server counted; where none did, they are estimated.
    """
    async with tenancy.transaction(caller.claims()) as connection:
        return await service.report(connection, caller, by, begins, ends, cursor, limit)
