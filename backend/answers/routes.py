"""Answers over HTTP, whole or as server-sent events."""

import re
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Request
from sse_starlette import EventSourceResponse, ServerSentEvent

from backend.answers.models import AnswerRequest, AnswerResponse
from backend.answers.service import Answering
from backend.identity.callers.caller import Caller
from backend.identity.callers.guard import GuardedRoute, Requires
from backend.identity.callers.permissions import Permission
from backend.provided import Provided

router = APIRouter(tags=["answers"], route_class=GuardedRoute)

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

    With `stream`, events start when the whole answer is on record: nothing is shown that was not recorded.
    """
    response = await answering.answer(caller, body, lambda: _departure(request))
    return EventSourceResponse(_events(response)) if body.stream else response


async def _departure(request: Request) -> None:
    """Returns when the client has closed its connection."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _events(response: AnswerResponse) -> AsyncIterator[ServerSentEvent]:
    for token in _TOKEN.findall(response.answer):
        yield ServerSentEvent(event="token", data=token)
    for citation in response.citations:
        yield ServerSentEvent(event="citation", data=citation.model_dump_json())
    yield ServerSentEvent(event="done", data=response.model_dump_json())
