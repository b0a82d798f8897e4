"""The audit log for reviewers."""

from typing import Annotated, cast
from uuid import UUID

from fastapi import APIRouter, Query, Request
from pydantic import Field

from backend.audit import service
from backend.audit.events import Action, Outcome
from backend.audit.models import EventPage, EventView, ReaderPage
from backend.audit.payloads import PayloadVault
from backend.audit.recorder import Recorder
from backend.errors import InvalidInput
from backend.identity.caller import Caller
from backend.identity.guard import Requires
from backend.identity.permissions import Permission
from backend.schema import ApiModel, Moment, Text
from backend.tenancy import Tenancy

router = APIRouter(prefix="/audit", tags=["audit"])

Reviewer = Annotated[Caller, Requires(Permission.AUDIT_READ)]
Limit = Annotated[int, Query(ge=1, le=500)]
Cursor = Annotated[Text | None, Query(max_length=64, description="`next_cursor` of the page before.")]


class EventQuery(ApiModel):
    """Filters and page of the log."""

    since: Moment | None = Field(default=None, alias="from", description="Events at or after this moment.")
    until: Moment | None = Field(default=None, alias="to", description="Events before this moment.")
    actor: Annotated[Text, Field(max_length=128)] | None = Field(
        default=None, description="Id of a principal, user name, or name of a key."
    )
    action: Action | None = None
    outcome: Outcome | None = None
    document: Annotated[Text, Field(max_length=256)] | None = Field(default=None, description="A doc_id.")
    request_id: Annotated[Text, Field(max_length=64)] | None = None
    limit: int = Field(default=50, ge=1, le=500)
    cursor: Annotated[Text, Field(max_length=64)] | None = Field(
        default=None, description="`next_cursor` of the page before."
    )


def _tenancy(request: Request) -> Tenancy:
    return cast("Tenancy", request.app.state.tenancy)


def _recorder(request: Request) -> Recorder:
    return cast("Recorder", request.app.state.recorder)


@router.get("/events", summary="Search the audit log")
async def list_events(request: Request, query: Annotated[EventQuery, Query()], caller: Reviewer) -> EventPage:
    """Returns the tenant's events, newest first. Reading the log is itself an event."""
    wanted = service.EventFilter(
        since=query.since, until=query.until, actor=query.actor, action=query.action, outcome=query.outcome,
        document=query.document, request_id=query.request_id,
    )  # fmt: skip
    async with _tenancy(request).transaction(caller.claims()) as connection:
        return await service.list_events(
            connection, caller, _recorder(request), wanted, limit=query.limit, cursor=query.cursor
        )


@router.get("/events/{event_id}", summary="One event, and with a reason its texts")
async def get_event(
    request: Request,
    event_id: UUID,
    caller: Reviewer,
    *,
    reveal: bool = False,
    reason: Annotated[Text | None, Query(min_length=3, max_length=500, description="Why the texts are needed.")] = None,
) -> EventView:
    """Returns one event; `reveal=true` with a reason adds its decrypted texts and needs audit:reveal."""
    if reveal:
        caller.require(Permission.AUDIT_REVEAL)
        if reason is None:
            raise InvalidInput("reason: is needed to reveal texts")
    vault = cast("PayloadVault", request.app.state.vault)
    async with _tenancy(request).transaction(caller.claims()) as connection:
        return await service.get_event(
            connection, caller, _recorder(request), vault, event_id, reason if reveal else None
        )


@router.get("/documents/{doc_id:path}/readers", summary="Who was shown a document")
async def list_readers(
    request: Request,
    doc_id: Annotated[Text, Field(max_length=256)],
    caller: Reviewer,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> ReaderPage:
    """Returns who was shown this document, when, and in which event."""
    async with _tenancy(request).transaction(caller.claims()) as connection:
        return await service.list_readers(connection, caller, _recorder(request), doc_id, limit=limit, cursor=cursor)
