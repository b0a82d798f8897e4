"""The audit log for reviewers."""

from dataclasses import replace
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import Field

from backend.audit.payloads import PayloadVault
from backend.audit.recorder import Recorder
from backend.audit.search_words import SearchWords
from backend.errors import InvalidInput
from backend.identity.callers.caller import Caller
from backend.identity.callers.guard import GuardedRoute, Requires
from backend.identity.callers.permissions import Permission
from backend.provided import Provided
from backend.review.events import proofs, service
from backend.review.events.models import (
    ConsistencyProof,
    EventFilters,
    EventPage,
    EventView,
    InclusionProof,
    PageOfEvents,
    ReaderPage,
    SignedCheckpoint,
)
from backend.schema import Text
from backend.settings import Settings
from backend.tenancy import Tenancy

router = APIRouter(prefix="/audit", tags=["audit"], route_class=GuardedRoute)

Reviewer = Annotated[Caller, Requires(Permission.AUDIT_READ)]
Limit = Annotated[int, Query(ge=1, le=500)]
Cursor = Annotated[Text | None, Query(max_length=64, description="`next_cursor` of the page before.")]


class EventQuery(PageOfEvents, EventFilters):
    """Filters and page of the log."""

    q: Annotated[Text, Field(min_length=1, max_length=200)] | None = Field(
        default=None,
        description="Words that questions or answers hold, all of them; needs audit:reveal and a `reason`.",
    )
    reason: Annotated[Text, Field(min_length=3, max_length=500)] | None = Field(
        default=None,
        description="With `q`, why texts are searched, which is recorded. Without it, events that have this reason.",
    )


@router.get("/events", summary="Search the audit log")
async def list_events(
    tenancy: Provided[Tenancy],
    recorder: Provided[Recorder],
    words: Provided[SearchWords],
    query: Annotated[EventQuery, Query()],
    caller: Reviewer,
) -> EventPage:
    """Returns the tenant's events, newest first. Reading the log is itself an event."""
    if query.q is not None:
        caller.require(Permission.AUDIT_REVEAL)
        if query.reason is None:
            raise InvalidInput("reason: is needed to search texts")
    wanted = service.EventFilter.of(query)
    if query.q is not None:
        wanted = replace(wanted, text=query.q, reason=None, purpose=query.reason)
    async with tenancy.transaction(caller.claims()) as connection:
        return await service.list_events(
            connection, caller, recorder, words, wanted,
            limit=query.limit, cursor=query.cursor, facets=query.counted(),
        )  # fmt: skip


@router.get("/events/{event_id}", summary="One event, and with a reason its texts")
async def get_event(
    tenancy: Provided[Tenancy],
    recorder: Provided[Recorder],
    payloads: Provided[PayloadVault],
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
    async with tenancy.transaction(caller.claims()) as connection:
        return await service.get_event(connection, caller, recorder, payloads, event_id, reason if reveal else None)


@router.get("/events/{event_id}/proof", summary="Prove that an event is in the sealed log")
async def prove_event(
    tenancy: Provided[Tenancy],
    recorder: Provided[Recorder],
    settings: Provided[Settings],
    event_id: UUID,
    caller: Reviewer,
) -> InclusionProof:
    """Returns the inclusion proof of an event and the signed checkpoint it leads to. Events are sealed within a second."""
    async with tenancy.transaction(caller.claims()) as connection:
        return await proofs.inclusion(connection, caller, recorder, event_id, settings.checkpoint_public_key)


@router.get("/checkpoint", summary="The newest signed checkpoint")
async def get_checkpoint(
    tenancy: Provided[Tenancy], recorder: Provided[Recorder], settings: Provided[Settings], caller: Reviewer
) -> SignedCheckpoint:
    """Returns what the tenant's log commits to. Keep it: a later log must be consistent with it."""
    async with tenancy.transaction(caller.claims()) as connection:
        return await proofs.checkpoint(connection, caller, recorder, settings.checkpoint_public_key)


@router.get("/consistency", summary="Prove that the log has only grown")
async def prove_consistency(
    tenancy: Provided[Tenancy],
    recorder: Provided[Recorder],
    caller: Reviewer,
    first: Annotated[int, Query(alias="from", ge=1, le=2**53, description="A size of the log, from a checkpoint.")],
    second: Annotated[
        int | None, Query(alias="to", ge=1, le=2**53, description="A later size; unset means now.")
    ] = None,
) -> ConsistencyProof:
    """Returns the proof that the log of one size is a prefix of the log of another."""
    async with tenancy.transaction(caller.claims()) as connection:
        return await proofs.consistency(connection, caller, recorder, first, second)


@router.get("/documents/{doc_id:path}/readers", summary="Who was shown a document")
async def list_readers(
    tenancy: Provided[Tenancy],
    recorder: Provided[Recorder],
    doc_id: Annotated[Text, Field(max_length=256)],
    caller: Reviewer,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> ReaderPage:
    """Returns who was shown this document, when, and in which event; 404 for a document that never was."""
    async with tenancy.transaction(caller.claims()) as connection:
        return await service.list_readers(connection, caller, recorder, doc_id, limit=limit, cursor=cursor)
