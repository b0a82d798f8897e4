"""Answers over HTTP, whole or as server-sent events."""

from collections.abc import AsyncIterator
from typing import Annotated, cast

from fastapi import APIRouter, Request
from sse_starlette import EventSourceResponse, ServerSentEvent

from backend.answers.models import AnswerRequest, AnswerResponse
from backend.answers.service import Answering
from backend.identity.caller import Caller
from backend.identity.guard import Requires
from backend.identity.permissions import Permission

router = APIRouter(tags=["answers"])


@router.post(
    "/answer",
    response_model=AnswerResponse,
    summary="Answer a question from approved documents, or refuse",
    responses={200: {"content": {"text/event-stream": {}}}},
)
async def answer(
    request: Request, body: AnswerRequest, caller: Annotated[Caller, Requires(Permission.ANSWERS_CREATE)]
) -> AnswerResponse | EventSourceResponse:
    """Answers with sentences that the retrieved chunks support, each cited; refuses when they support none.

    With `stream`, events start when the whole answer is on record: nothing is shown that was not recorded.
    """
    response = await cast("Answering", request.app.state.answering).answer(caller, body)
    return EventSourceResponse(_events(response)) if body.stream else response


async def _events(response: AnswerResponse) -> AsyncIterator[ServerSentEvent]:
    for word in response.answer.splitlines(keepends=True) or [""]:
        yield ServerSentEvent(event="token", data=word)
    for citation in response.citations:
        yield ServerSentEvent(event="citation", data=citation.model_dump_json())
    yield ServerSentEvent(event="done", data=response.model_dump_json())
