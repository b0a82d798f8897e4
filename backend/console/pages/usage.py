"""Administration of usage: what was asked of models, by whom, and what it cost."""

from datetime import date
from typing import Annotated, get_args

from fastapi import Query, Request
from fastapi.responses import Response

from backend.console.page import page
from backend.console.page import router as pages
from backend.console.visit import Signed, requires
from backend.errors import InvalidInput
from backend.identity.callers.permissions import Permission
from backend.identity.usage import service as usage
from backend.identity.usage.models import Side
from backend.provided import Provided
from backend.schema import Text
from backend.tenancy import Tenancy

router = pages()

Day = Annotated[Text, Query(max_length=10)]


@router.get("/administration/usage")
async def show_usage(
    request: Request,
    visitor: Signed,
    tenancy: Provided[Tenancy],
    by: Annotated[Side, Query()] = "key",
    begins: Annotated[Text, Query(alias="from", max_length=10)] = "",
    ends: Annotated[Text, Query(alias="to", max_length=10)] = "",
    cursor: Annotated[Text, Query(max_length=300)] = "",
) -> Response:
    """Shows requests, tokens and cost of the running month, or of other days."""
    requires(visitor, Permission.KEYS_MANAGE)
    async with tenancy.transaction(visitor.caller.claims()) as connection:
        found = await usage.report(connection, visitor.caller, by, _day(begins), _day(ends), cursor or None, limit=100)
    return page(request, "usage.html", visitor, found=found, sides=[(side, side) for side in get_args(Side)])


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        raise InvalidInput("This day is not in the calendar.") from None
