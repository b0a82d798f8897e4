"""Streams of server-sent events: a sentence leaves when it was checked and its record is committed."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import orjson
import structlog
from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.types import Message

from backend.answers.citations import Sentence
from backend.answers.delivery import Delivery
from backend.answers.models import AnswerResponse
from backend.answers.refusals import shown_text
from backend.errors import ServiceError
from backend.gateways.openai.chat import Chat
from backend.gateways.openai.errors import error_object
from backend.gateways.openai.responses import OpenResponse

log = structlog.get_logger()

STATUS_SECONDS = 1.0  # so long a failure still gets a status of its own
_KEEP_ALIVE_SECONDS = 1

Items = Delivery[Sentence | AnswerResponse]


def event_source(items: Items, events: AsyncIterator[ServerSentEvent], headers: dict[str, str]) -> EventSourceResponse:
    """Returns a response that keeps its connection alive, and ends the turn when the client goes."""
    return EventSourceResponse(
        events, headers=headers, ping=_KEEP_ALIVE_SECONDS, sep="\n", client_close_handler_callable=_cancelling(items)
    )


def _cancelling(items: Items) -> Callable[[Message], Awaitable[None]]:
    async def departed(_: Message) -> None:
        items.cancel()

    return departed


async def chat_events(items: Items, chat: Chat, request_id: str, *, with_usage: bool) -> AsyncIterator[ServerSentEvent]:
    """Yields chunks, and `[DONE]`; an error after the stream began is a chunk of its own."""
    yield _plain(chat.role_chunk())
    said = False
    try:
        async for item in items.items():
            if isinstance(item, Sentence):
                said = True
                yield _plain(chat.text_chunk(item.text))
                continue
            for chunk in chat.last_chunks(item, said=said, with_usage=with_usage):
                yield _plain(chunk)
    except Exception as error:  # noqa: BLE001 - the status is sent already
        yield _plain({"error": error_object(_told(error), request_id)})
        return
    yield ServerSentEvent("[DONE]")


async def response_events(items: Items, response: OpenResponse, request_id: str) -> AsyncIterator[ServerSentEvent]:
    """Yields named events; an error after the stream began is the event `error`."""
    for event in response.first_events():
        yield _named(event)
    said = ""
    try:
        async for item in items.items():
            if not said:
                for event in response.opening_events():
                    yield _named(event)
            if isinstance(item, Sentence):
                said += item.text
                yield _named(response.text_event(item.text))
                continue
            whole = shown_text(item)
            if rest := whole.removeprefix(said) if said else whole:
                yield _named(response.text_event(rest))
            for event in response.last_events(item):
                yield _named(event)
    except Exception as error:  # noqa: BLE001 - the status is sent already
        yield _named(response.error_event(error_object(_told(error), request_id)))


def _told(error: Exception) -> ServiceError:
    if isinstance(error, ServiceError):
        return error
    log.error("stream failed", exc_info=error)
    return ServiceError()


def _plain(event: dict[str, Any]) -> ServerSentEvent:
    return ServerSentEvent(orjson.dumps(event).decode())


def _named(event: dict[str, Any]) -> ServerSentEvent:
    return ServerSentEvent(orjson.dumps(event).decode(), event=event["type"])
