"""Answers over HTTP, whole or as server-sent events."""

import re
from collections.abc import AsyncIterator
from typing import Annotated
from uuid import UUID

import structlog
from fastapi import APIRouter, Query, Request
from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.types import Message

from backend.answers.citations import Sentence
from backend.answers.conversations import Conversations
from backend.answers.delivery import Delivery
from backend.answers.models import (
    AnswerRequest,
    AnswerResponse,
    ConversationList,
    ConversationView,
    Feedback,
    RecordedFeedback,
)
from backend.answers.service import Answering
from backend.errors import ServiceError
from backend.identity.callers.caller import Caller
from backend.identity.callers.guard import Requires
from backend.identity.callers.permissions import Permission
from backend.provided import Provided
from backend.retrieval.question_route import QuestionRoute
from backend.schema import ErrorBody

router = APIRouter(tags=["answers"], route_class=QuestionRoute)

log = structlog.get_logger()

_STATUS_SECONDS = 1.0  # so long a failure still gets a status of its own
_KEEP_ALIVE_SECONDS = 1
_TOKEN = re.compile(r"\s*\S+\s*")  # their concatenation is the answer


@router.post(
    "/answer",
    response_model=AnswerResponse,
    summary="Answer a question from approved documents, or refuse",
    responses={200: {"content": {"text/event-stream": {}}}},
)
async def answer(
    request: Request,
    answering: Provided[Answering],
    body: AnswerRequest,
    caller: Annotated[Caller, Requires(Permission.ANSWERS_CREATE)],
) -> AnswerResponse | EventSourceResponse:
    """Answers with sentences that the retrieved chunks support, each cited; refuses when they support none.

    With `stream`, each sentence is sent as soon as it was checked and its record is committed: nothing is shown that was not
    recorded. A comment is sent every second while there is nothing else. Should the answer fail after the first second, the
    last event is an `error`; before, the status says so.
    """
    if not body.stream:
        return await answering.answer(caller, body, lambda: _departure(request))
    delivery = answering.stream(caller, body)
    await delivery.begun(_STATUS_SECONDS)

    async def departed(_: Message) -> None:
        delivery.cancel()

    events = _events(delivery, request.state.request_id)
    return EventSourceResponse(events, ping=_KEEP_ALIVE_SECONDS, client_close_handler_callable=departed)


@router.get("/conversations", summary="List your own conversations")
async def list_conversations(
    conversations: Provided[Conversations],
    caller: Annotated[Caller, Requires(Permission.ANSWERS_CREATE)],
    limit: Annotated[int, Query(ge=1, le=100, description="How many.")] = 20,
    cursor: Annotated[UUID | None, Query(description="The `next_cursor` of the page before.")] = None,
) -> ConversationList:
    """Returns the conversations that the caller began, the last first, and records that they were read."""
    return await conversations.list_own(caller, cursor, limit)


@router.get("/conversations/{conversation_id}", summary="Read one of your own conversations")
async def read_conversation(
    conversations: Provided[Conversations],
    conversation_id: UUID,
    caller: Annotated[Caller, Requires(Permission.ANSWERS_CREATE)],
) -> ConversationView:
    """Returns questions, answers and citations as they were recorded; 404 for a conversation that another began."""
    return await conversations.read(caller, conversation_id)


@router.post("/turns/{turn_id}/feedback", summary="Rate an answer, or report that it is wrong", status_code=201)
async def rate_turn(
    conversations: Provided[Conversations],
    turn_id: UUID,
    body: Feedback,
    caller: Annotated[Caller, Requires(Permission.ANSWERS_CREATE)],
) -> RecordedFeedback:
    """Puts the rating on record as `answer:rated`; 404 for an answer that another got."""
    return await conversations.rate(caller, turn_id, body)


async def _departure(request: Request) -> None:
    """Returns when the client has closed its connection."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _events(delivery: Delivery[Sentence | AnswerResponse], request_id: str) -> AsyncIterator[ServerSentEvent]:
    try:
        async for item in delivery.items():
            if isinstance(item, AnswerResponse):
                yield ServerSentEvent(event="done", data=item.model_dump_json())
                continue
            for token in _TOKEN.findall(item.text):
                yield ServerSentEvent(event="token", data=token)
            for citation in item.citations:
                yield ServerSentEvent(event="citation", data=citation.model_dump_json())
    except Exception as error:  # the status is sent already
        failed = error if isinstance(error, ServiceError) else ServiceError()
        if failed is not error:
            log.exception("stream failed")
        body = ErrorBody(error=failed.code, detail=failed.detail, request_id=request_id)
        yield ServerSentEvent(event="error", data=body.model_dump_json(exclude_none=True))
