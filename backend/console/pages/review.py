"""Review: the log, one turn on one page, one event with its proof, and who read a document."""

from typing import Annotated
from uuid import UUID

from fastapi import Form, Query, Request
from fastapi.responses import Response

from backend.audit.events import Action, Outcome
from backend.audit.payloads import PayloadVault
from backend.audit.recorder import Recorder
from backend.audit.search_words import SearchWords
from backend.console.page import HEADERS, Sender, Signed, page, requires, requires_fresh
from backend.console.page import router as pages
from backend.errors import InvalidInput
from backend.identity.callers.permissions import Permission
from backend.identity.sign_in.browsers import Visitor
from backend.provided import Provided
from backend.review.events import proofs
from backend.review.events import service as events
from backend.review.models import InclusionProof
from backend.review.turns import service as turns
from backend.settings import Settings
from backend.tenancy import Tenancy

router = pages()

Filter = Annotated[str, Query(max_length=256)]
_SHORTEST_REASON = 3


@router.get("/review")
async def list_events(  # noqa: PLR0913 - each filter is in the address
    request: Request,
    visitor: Signed,
    tenancy: Provided[Tenancy],
    recorder: Provided[Recorder],
    words: Provided[SearchWords],
    action: Filter = "",
    outcome: Filter = "",
    actor: Filter = "",
    document: Filter = "",
    cursor: Annotated[str, Query(max_length=64)] = "",
) -> Response:
    """Lists events, newest first, by the filters in the address."""
    requires(visitor, Permission.AUDIT_READ)
    wanted = events.EventFilter(
        action=action or None, outcome=outcome or None, actor=actor or None, document=document or None
    )
    async with tenancy.transaction(visitor.caller.claims()) as connection:
        found = await events.list_events(
            connection, visitor.caller, recorder, words, wanted, limit=50, cursor=cursor or None
        )
    chosen = {"action": action, "outcome": outcome, "actor": actor, "document": document}
    return page(
        request, "review.html", visitor, found=found, chosen=chosen, actions=list(Action), outcomes=list(Outcome)
    )


@router.get("/review/turns/{turn}")
async def show_turn(
    request: Request,
    visitor: Signed,
    tenancy: Provided[Tenancy],
    recorder: Provided[Recorder],
    payloads: Provided[PayloadVault],
    turn: UUID,
) -> Response:
    """Shows everything on record of a question, without its texts."""
    return await _turn(request, visitor, tenancy, recorder, payloads, turn, None)


@router.post("/review/turns/{turn}")
async def reveal_turn(
    request: Request,
    visitor: Sender,
    tenancy: Provided[Tenancy],
    recorder: Provided[Recorder],
    payloads: Provided[PayloadVault],
    turn: UUID,
    reason: Annotated[str, Form(max_length=500)] = "",
) -> Response:
    """Shows it with the texts, for one reason that is on record."""
    requires(visitor, Permission.AUDIT_REVEAL)
    if again := requires_fresh(request, visitor):
        return again
    if len(reason.strip()) < _SHORTEST_REASON:
        raise InvalidInput("Say in a few words why you need the texts.")
    return await _turn(request, visitor, tenancy, recorder, payloads, turn, reason.strip())


async def _turn(
    request: Request, visitor: Visitor, tenancy: Tenancy, recorder: Recorder, payloads: PayloadVault, turn: UUID,
    reason: str | None,
) -> Response:  # fmt: skip
    requires(visitor, Permission.AUDIT_READ)
    async with tenancy.transaction(visitor.caller.claims()) as connection:
        shown = await turns.get_turn(connection, visitor.caller, recorder, payloads, turn, reason)
    may_reveal = Permission.AUDIT_REVEAL in visitor.caller.permissions
    return page(request, "turn.html", visitor, shown=shown, may_reveal=may_reveal, revealed=reason is not None)


@router.get("/review/events/{event_id}")
async def show_event(
    request: Request,
    visitor: Signed,
    tenancy: Provided[Tenancy],
    recorder: Provided[Recorder],
    payloads: Provided[PayloadVault],
    event_id: UUID,
) -> Response:
    """Shows one event, and verifies in the browser that it is in the sealed log."""
    requires(visitor, Permission.AUDIT_READ)
    async with tenancy.transaction(visitor.caller.claims()) as connection:
        event = await events.get_event(connection, visitor.caller, recorder, payloads, event_id, None)
    return page(request, "event.html", visitor, event=event)


@router.get("/review/events/{event_id}/proof")
async def prove(
    visitor: Signed,
    tenancy: Provided[Tenancy],
    recorder: Provided[Recorder],
    settings: Provided[Settings],
    event_id: UUID,
) -> Response:
    """Gives the page what it verifies."""
    requires(visitor, Permission.AUDIT_READ)
    async with tenancy.transaction(visitor.caller.claims()) as connection:
        proof: InclusionProof = await proofs.inclusion(
            connection, visitor.caller, recorder, event_id, settings.checkpoint_public_key
        )
    return Response(proof.model_dump_json(), media_type="application/json", headers=HEADERS)


@router.get("/review/readers")
async def show_readers(
    request: Request,
    visitor: Signed,
    tenancy: Provided[Tenancy],
    recorder: Provided[Recorder],
    document: Annotated[str, Query(min_length=1, max_length=256)],
    cursor: Annotated[str, Query(max_length=64)] = "",
) -> Response:
    """Lists who was shown a document, and in which event."""
    requires(visitor, Permission.AUDIT_READ)
    async with tenancy.transaction(visitor.caller.claims()) as connection:
        found = await events.list_readers(
            connection, visitor.caller, recorder, document, limit=50, cursor=cursor or None
        )
    return page(request, "readers.html", visitor, found=found)
