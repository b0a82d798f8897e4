"""Holds, erasures and what else waits for a second person."""

from typing import Annotated
from uuid import UUID

from fastapi import Form, Query, Request
from fastapi.responses import Response
from pydantic import ValidationError

from backend.audit.payloads import PayloadVault
from backend.audit.recorder import Recorder
from backend.console.page import page, to
from backend.console.page import router as pages
from backend.console.visit import Sender, Signed, may, requires, requires_fresh
from backend.errors import InvalidInput
from backend.identity.callers.permissions import Permission
from backend.identity.joint_acts import service as joint_acts
from backend.provided import Provided
from backend.review.erasure import service as erasure
from backend.review.erasure.models import NewErasure, NewHold
from backend.schema import Text
from backend.tenancy import Tenancy

router = pages()

HOLDS, ERASURES = "/console/review/holds", "/console/review/erasures"
Said = Annotated[Text, Query(max_length=20)]


@router.get("/review/holds")
async def list_holds(request: Request, visitor: Signed, tenancy: Provided[Tenancy], said: Said = "") -> Response:
    """Lists legal holds and retention periods."""
    requires(visitor, Permission.AUDIT_READ)
    async with tenancy.transaction(visitor.caller.claims()) as connection:
        holds = (await erasure.list_holds(connection, visitor.caller)).holds
        retention = (await erasure.list_retention(connection, visitor.caller)).retention
        asked = (await joint_acts.list_requests(connection, visitor.caller)).requests
    waiting = {request.target: request for request in asked if request.state == "waiting"}
    return page(
        request, "holds.html", visitor, holds=holds, retention=retention, waiting=waiting, said=said,
        may_hold=may(visitor, Permission.AUDIT_EXPORT),
    )  # fmt: skip


@router.post("/review/holds")
async def place_hold(
    visitor: Sender,
    tenancy: Provided[Tenancy],
    recorder: Provided[Recorder],
    reason: Annotated[Text, Form(max_length=500)] = "",
    subject: Annotated[Text, Form(max_length=256)] = "",
) -> Response:
    """Keeps the texts of somebody, or of everyone, from being erased."""
    requires(visitor, Permission.AUDIT_EXPORT)
    if again := requires_fresh(visitor, HOLDS):
        return again
    try:
        wanted = NewHold(subject=subject.strip() or None, reason=reason.strip())
    except ValidationError as error:
        raise InvalidInput("A reason of at least three letters is needed.") from error
    async with tenancy.transaction(visitor.caller.claims()) as connection:
        await erasure.place_hold(connection, visitor.caller, recorder, wanted)
    return to(f"{HOLDS}?said=placed")


@router.post("/review/holds/{hold_id}/release")
async def release_hold(
    visitor: Sender, tenancy: Provided[Tenancy], recorder: Provided[Recorder], hold_id: UUID
) -> Response:
    """Asks for the end of a hold, or as the second person ends it."""
    requires(visitor, Permission.AUDIT_EXPORT)
    if again := requires_fresh(visitor, HOLDS):
        return again
    async with tenancy.transaction(visitor.caller.claims()) as connection:
        pending = await erasure.release_hold(connection, visitor.caller, recorder, hold_id)
    return to(f"{HOLDS}?said={'pending' if pending else 'released'}")


@router.get("/review/erasures")
async def list_erasures(request: Request, visitor: Signed, tenancy: Provided[Tenancy], said: Said = "") -> Response:
    """Lists erasures, those first that wait for a second person."""
    requires(visitor, Permission.AUDIT_READ)
    async with tenancy.transaction(visitor.caller.claims()) as connection:
        found = (await erasure.list_erasures(connection, visitor.caller)).erasures
    return page(
        request, "erasures.html", visitor, found=found, said=said, me=visitor.caller.principal_id,
        may_erase=may(visitor, Permission.ERASURE_EXECUTE),
    )  # fmt: skip


@router.post("/review/erasures")
async def request_erasure(
    visitor: Sender,
    tenancy: Provided[Tenancy],
    recorder: Provided[Recorder],
    subject: Annotated[Text, Form(max_length=256)] = "",
    legal_basis: Annotated[Text, Form(max_length=500)] = "",
) -> Response:
    """Asks for the erasure of everything that somebody wrote or was answered."""
    requires(visitor, Permission.ERASURE_EXECUTE)
    if again := requires_fresh(visitor, ERASURES):
        return again
    try:
        wanted = NewErasure(subject=subject.strip(), legal_basis=legal_basis.strip())
    except ValidationError as error:
        raise InvalidInput("Whose texts, and a legal basis of at least three letters, are needed.") from error
    async with tenancy.transaction(visitor.caller.claims()) as connection:
        await erasure.request_erasure(connection, visitor.caller, recorder, wanted)
    return to(f"{ERASURES}?said=asked")


@router.post("/review/erasures/{erasure_id}/approve")
async def approve_erasure(
    visitor: Sender,
    tenancy: Provided[Tenancy],
    recorder: Provided[Recorder],
    payloads: Provided[PayloadVault],
    erasure_id: UUID,
) -> Response:
    """As the second person, approves an erasure and executes it."""
    requires(visitor, Permission.ERASURE_EXECUTE)
    if again := requires_fresh(visitor, ERASURES):
        return again
    async with tenancy.transaction(visitor.caller.claims()) as connection:
        approved = await erasure.approve_erasure(connection, visitor.caller, recorder, erasure_id)
    payloads.forget(visitor.caller.tenant_id, approved.subject_id)
    return to(f"{ERASURES}?said=erased")
