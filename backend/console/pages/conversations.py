"""What somebody asked before, and what it thinks of an answer."""

from typing import Annotated
from uuid import UUID

from fastapi import Form, Query, Request
from fastapi.responses import Response
from pydantic import ValidationError

from backend.answers.conversations import Conversations
from backend.answers.models import Feedback
from backend.console.page import page
from backend.console.page import router as pages
from backend.console.visit import Sender, Signed, may, requires
from backend.identity.callers.permissions import Permission
from backend.provided import Provided
from backend.schema import Text

router = pages()


@router.get("/conversations")
async def list_own(
    request: Request,
    visitor: Signed,
    conversations: Provided[Conversations],
    cursor: Annotated[UUID | None, Query()] = None,
) -> Response:
    """Lists the visitor's own conversations, the last begun first."""
    requires(visitor, Permission.ANSWERS_CREATE)
    found = await conversations.list_own(visitor.caller, cursor, 30)
    return page(request, "conversations.html", visitor, found=found)


@router.get("/conversations/{conversation}")
async def read(
    request: Request, visitor: Signed, conversations: Provided[Conversations], conversation: UUID
) -> Response:
    """Shows one with its turns, oldest first."""
    requires(visitor, Permission.ANSWERS_CREATE)
    found = await conversations.read(visitor.caller, conversation)
    return page(request, "conversation.html", visitor, found=found, may_review=may(visitor, Permission.AUDIT_READ))


@router.get("/turns/{turn}/feedback")
async def show_feedback(request: Request, visitor: Signed, turn: UUID) -> Response:
    """Shows the form to report a wrong answer."""
    requires(visitor, Permission.ANSWERS_CREATE)
    return page(request, "feedback.html", visitor, turn=turn, given=None, said=None)


@router.post("/turns/{turn}/feedback")
async def give_feedback(
    request: Request,
    visitor: Sender,
    conversations: Provided[Conversations],
    turn: UUID,
    rating: Annotated[Text, Form(max_length=10)],
    comment: Annotated[Text, Form(max_length=2000)] = "",
) -> Response:
    """Puts on record what the visitor thinks of its answer; reviewers see it."""
    requires(visitor, Permission.ANSWERS_CREATE)
    try:
        given = Feedback.model_validate({"rating": rating, "comment": comment.strip() or None})
    except ValidationError as error:
        said = error.errors()[0]["msg"]
        return page(request, "feedback.html", visitor, status=422, turn=turn, given=None, said=said)
    await conversations.rate(visitor.caller, turn, given)
    return page(request, "feedback.html", visitor, turn=turn, given=given, said=None)
