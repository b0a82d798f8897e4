"""Approvals: what waits for a decision, what it would change, and the decision."""

from typing import Annotated
from uuid import UUID

from fastapi import Form, Path, Request
from fastapi.responses import Response
from pydantic import ValidationError

from backend.audit.recorder import Recorder
from backend.console.page import page, to
from backend.console.page import router as pages
from backend.console.pages.documents import by_word
from backend.console.visit import Sender, Signed, requires, requires_fresh
from backend.console.wording import N_
from backend.documents.versions import approval, changes
from backend.documents.versions import service as versions
from backend.documents.versions.models import Approval, DocumentView, Rejection
from backend.errors import ServiceError
from backend.identity.callers.permissions import Permission
from backend.identity.sign_in.browsers import Visitor
from backend.provided import Provided
from backend.review.impact import service as impact
from backend.schema import Text
from backend.tenancy import Tenancy

router = pages()

_DAYS = 90  # within which customers ask again about what they were told

Number = Annotated[int, Path(ge=1, le=2**31 - 1)]


@router.get("/approvals")
async def queue(request: Request, visitor: Signed, tenancy: Provided[Tenancy]) -> Response:
    """Lists the versions in review: the visitor's to decide, decided by it, and its own."""
    requires(visitor, Permission.DOCUMENTS_REVIEW)
    me = visitor.caller.principal_id
    async with tenancy.transaction(visitor.caller.claims()) as connection:
        found = await versions.list_versions(connection, visitor.caller, status="in_review", limit=200, cursor=None)
    own = [v for v in found.versions if v.author_id == me]
    waiting = [v for v in found.versions if v.author_id != me and v.decided_by_me]
    mine = [v for v in found.versions if v.author_id != me and not v.decided_by_me]
    return page(request, "approvals.html", visitor, mine=mine, waiting=waiting, own=own)


@router.get("/approvals/{document_id}/{number}")
async def show(
    request: Request, visitor: Signed, tenancy: Provided[Tenancy], document_id: UUID, number: Number
) -> Response:
    """Shows a version in review beside the one in force."""
    return await _shown(request, visitor, tenancy, document_id, number, None)


@router.post("/approvals/{document_id}/{number}/approve")
async def approve(
    request: Request,
    visitor: Sender,
    tenancy: Provided[Tenancy],
    recorder: Provided[Recorder],
    document_id: UUID,
    number: Number,
    content_sha256: Annotated[Text, Form(max_length=64)],
    comment: Annotated[Text, Form(max_length=2000)] = "",
    effective_from: Annotated[Text, Form(max_length=10)] = "",
) -> Response:
    """Approves the content that was read, to be in force as proposed or from a later day on."""
    requires(visitor, Permission.DOCUMENTS_REVIEW)
    if again := requires_fresh(visitor, f"/console/approvals/{document_id}/{number}"):
        return again
    try:
        begins = f"{effective_from}T00:00:00Z" if effective_from else None
        given = Approval.model_validate(
            {"content_sha256": content_sha256, "comment": comment or None, "effective_from": begins}
        )
        async with tenancy.transaction(visitor.caller.claims()) as connection:
            renew = tenancy.renewal(connection, visitor.caller.claims())
            await approval.approve(connection, visitor.caller, recorder, document_id, number, given, renew)
    except (ServiceError, ValidationError) as error:
        return await _shown(request, visitor, tenancy, document_id, number, error)
    return to(f"/console/documents/{document_id}")


@router.post("/approvals/{document_id}/{number}/reject")
async def reject(
    request: Request,
    visitor: Sender,
    tenancy: Provided[Tenancy],
    recorder: Provided[Recorder],
    document_id: UUID,
    number: Number,
    reason: Annotated[Text, Form(max_length=2000)] = "",
) -> Response:
    """Rejects a version with a reason."""
    requires(visitor, Permission.DOCUMENTS_REVIEW)
    if again := requires_fresh(visitor, f"/console/approvals/{document_id}/{number}"):
        return again
    try:
        given = Rejection(reason=reason)
        async with tenancy.transaction(visitor.caller.claims()) as connection:
            await approval.reject(connection, visitor.caller, recorder, document_id, number, given)
    except (ServiceError, ValidationError) as error:
        return await _shown(request, visitor, tenancy, document_id, number, error)
    return to("/console/approvals")


async def _shown(
    request: Request, visitor: Visitor, tenancy: Tenancy, document_id: UUID, number: int,
    error: ServiceError | ValidationError | None,
) -> Response:  # fmt: skip
    requires(visitor, Permission.DOCUMENTS_REVIEW)
    async with tenancy.transaction(visitor.caller.claims()) as connection:
        document = await versions.get_document(connection, visitor.caller, document_id)
        version = await versions.get_version(tenancy, connection, visitor.caller, document_id, number)
        reach = await impact.count_answers(connection, visitor.caller, document_id, days=_DAYS)
    comparison = None
    if (current := _in_force(document)) is not None:
        async with tenancy.transaction(visitor.caller.claims()) as connection:
            comparison = await changes.compare_versions(
                tenancy, connection, visitor.caller, document_id, current, number
            )
    differences = await by_word(comparison) if comparison is not None else []
    said = error.detail if isinstance(error, ServiceError) else error and _said(error)
    status = 200 if error is None else 409
    return page(
        request,
        "approval.html",
        visitor,
        status=status,
        document=document,
        version=version,
        reach=reach,
        days=_DAYS,
        comparison=comparison,
        differences=differences,
        said=said,
    )


def _said(error: ValidationError) -> str:
    if error.errors()[0]["loc"] == ("effective_from",):
        return N_("The day must be one of the calendar, written as 2027-04-01.")
    return N_("A reason needs at least three letters.")


def _in_force(document: DocumentView) -> int | None:
    return next((version.document_version for version in document.versions if version.in_force), None)
