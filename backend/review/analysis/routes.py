"""Timelines, counts, saved searches and the stream of the audit log over HTTP."""

from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Header, Query, Request, status
from fastapi.responses import Response, StreamingResponse
from pydantic import Field
from sse_starlette import EventSourceResponse, ServerSentEvent

from backend.audit.recorder import Recorder
from backend.audit.search_words import SearchWords
from backend.errors import Forbidden, InvalidInput, Unauthenticated
from backend.identity.callers.caller import Caller
from backend.identity.callers.guard import GuardedRoute, Requires
from backend.identity.callers.permissions import Permission
from backend.identity.callers.standing import Standing
from backend.provided import Provided
from backend.review.analysis import saved_searches, stream
from backend.review.analysis import service as review
from backend.review.analysis.models import NewSavedSearch, SavedSearch, SavedSearchList, Statistics
from backend.review.analysis.stream import StreamFormat
from backend.review.events.models import EventPage, PageOfEvents
from backend.review.events.service import EventFilter, list_events
from backend.schema import ApiModel, ErrorBody, Moment, Text
from backend.tenancy import Tenancy

router = APIRouter(prefix="/audit", tags=["audit"], route_class=GuardedRoute)

Reviewer = Annotated[Caller, Requires(Permission.AUDIT_READ)]


class StatisticsQuery(ApiModel):
    """What is counted."""

    by: review.Dimension
    interval: review.Interval = review.Interval.DAY
    since: Moment | None = Field(default=None, alias="from", description="Unset means 30 days before `to`.")
    until: Moment | None = Field(default=None, alias="to", description="Unset means now.")


class TimelineQuery(ApiModel):
    """Whose events, or of what; exactly one of actor, end_user, conversation, request_id and turn."""

    actor: Annotated[Text, Field(max_length=128)] | None = Field(
        default=None, description="Id of a principal, user name, or name of a key."
    )
    request_id: Annotated[Text, Field(max_length=64)] | None = None
    turn: UUID | None = Field(default=None, description="A prompt and everything that became of it.")
    end_user: Annotated[Text, Field(max_length=200)] | None = Field(
        default=None, description="For whom partners' keys acted, in the partner's words (X-On-Behalf-Of)."
    )
    conversation: UUID | None = Field(default=None, description="What requests named as their `conversation`.")
    until: Moment | None = Field(default=None, alias="to", description="Events before this moment.")
    limit: int = Field(default=50, ge=1, le=500)
    cursor: Annotated[Text, Field(max_length=64)] | None = Field(
        default=None, description="`next_cursor` of the page before."
    )


@router.get("/statistics", summary="Count events over time")
async def get_statistics(
    tenancy: Provided[Tenancy],
    recorder: Provided[Recorder],
    query: Annotated[StatisticsQuery, Query()],
    caller: Reviewer,
) -> Statistics:
    """Returns how many events there were in each interval by action, actor, outcome, or model."""
    async with tenancy.transaction(caller.claims()) as connection:
        return await review.statistics(connection, caller, recorder, query.by, query.interval, query.since, query.until)


@router.get("/timeline", summary="What one person did or asked, or what happened in one conversation or turn")
async def get_timeline(
    tenancy: Provided[Tenancy],
    recorder: Provided[Recorder],
    query: Annotated[TimelineQuery, Query()],
    caller: Reviewer,
) -> EventPage:
    """Returns events of one principal, end user, conversation, request or turn, oldest first."""
    thread = review.Thread(query.actor, query.end_user, query.conversation, query.request_id, query.turn)
    async with tenancy.transaction(caller.claims()) as connection:
        return await review.timeline(
            connection, caller, recorder, thread, until=query.until, limit=query.limit, cursor=query.cursor
        )


@router.post("/searches", status_code=status.HTTP_201_CREATED, summary="Save a search")
async def save_search(
    tenancy: Provided[Tenancy], recorder: Provided[Recorder], body: NewSavedSearch, caller: Reviewer
) -> SavedSearch:
    """Keeps filters under a name of the caller's own; 409 when the caller uses the name already."""
    async with tenancy.transaction(caller.claims()) as connection:
        return await saved_searches.save(connection, caller, recorder, body)


@router.get("/searches", summary="List saved searches")
async def list_searches(tenancy: Provided[Tenancy], caller: Reviewer) -> SavedSearchList:
    """Returns the caller's own searches by name."""
    async with tenancy.transaction(caller.claims()) as connection:
        return await saved_searches.list_saved(connection, caller)


@router.get("/searches/{search_id}/events", summary="Run a saved search")
async def run_search(
    tenancy: Provided[Tenancy],
    recorder: Provided[Recorder],
    words: Provided[SearchWords],
    search_id: UUID,
    page: Annotated[PageOfEvents, Query()],
    caller: Reviewer,
) -> EventPage:
    """Returns what one of the caller's own searches finds now, as `GET /audit/events` does with its filters."""
    async with tenancy.transaction(caller.claims()) as connection:
        wanted = EventFilter.of(await saved_searches.get(connection, caller, search_id))
        return await list_events(
            connection, caller, recorder, words, wanted,
            limit=page.limit, cursor=page.cursor, facets=page.counted(),
        )  # fmt: skip


@router.delete("/searches/{search_id}", status_code=status.HTTP_204_NO_CONTENT, summary="Delete a saved search")
async def delete_search(
    tenancy: Provided[Tenancy], recorder: Provided[Recorder], search_id: UUID, caller: Reviewer
) -> None:
    """Forgets one of the caller's own searches."""
    async with tenancy.transaction(caller.claims()) as connection:
        await saved_searches.delete(connection, caller, recorder, search_id)


@router.get(
    "/stream",
    summary="Stream the sealed log",
    response_class=Response,
    responses={200: {"content": {"application/x-ndjson": {}, "text/event-stream": {}}}},
)
async def stream_events(
    request: Request,
    tenancy: Provided[Tenancy],
    recorder: Provided[Recorder],
    caller: Reviewer,
    after: Annotated[int, Query(ge=-1, lt=stream.NO_END, description="The last leaf index that was received.")] = -1,
    spelling: Annotated[StreamFormat, Query(alias="format")] = StreamFormat.NATIVE,
    last_event_id: Annotated[Text | None, Header(max_length=20, description="Overrides `after`.")] = None,
) -> Response:
    """Streams sealed events in the order of the log, each at least once; resume with the last index that was stored.

    As NDJSON it ends with the newest sealed event. With `Accept: text/event-stream` it goes on for a minute, then the
    client reconnects by itself and is authorised anew. Either ends within a second of the right to read the log.
    `format=ocsf` spells events by OCSF 1.3.
    """
    follow = "text/event-stream" in request.headers.get("accept", "")
    if last_event_id is not None:
        after = _index(last_event_id)
    async with tenancy.transaction(caller.claims()) as connection:
        end = await stream.open_stream(connection, caller, recorder, after=after, follow=follow, spelling=spelling)
    events = stream.events_after(
        lambda: tenancy.transaction(caller.claims()), caller, Standing(tenancy, caller).check,
        after=after, end=end, spelling=spelling,
    )  # fmt: skip
    if follow:
        return EventSourceResponse(_server_sent(events, request.state.request_id))
    return StreamingResponse(_lines(events), media_type="application/x-ndjson")


def _index(last_event_id: str) -> int:
    if not (last_event_id.isascii() and last_event_id.isdigit() and int(last_event_id) < stream.NO_END):
        raise InvalidInput("last-event-id: is not a leaf index")
    return int(last_event_id)


async def _lines(events: AsyncIterator[tuple[int, str]]) -> AsyncIterator[str]:
    with suppress(Unauthenticated, Forbidden):  # who asks for what follows the last line is told why
        async for _, line in events:
            yield line + "\n"


async def _server_sent(events: AsyncIterator[tuple[int, str]], request_id: str) -> AsyncIterator[ServerSentEvent]:
    try:
        async for index, line in events:
            yield ServerSentEvent(id=str(index), event="audit", data=line)
    except (Unauthenticated, Forbidden) as error:
        body = ErrorBody(error=error.code, detail=error.detail, request_id=request_id)
        yield ServerSentEvent(event="error", data=body.model_dump_json())
