"""What reviewers ask about many events at once: how many, and in which order."""

from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from itertools import groupby
from uuid import UUID

from backend.audit.actions.review import AuditRead, ReadThread
from backend.audit.events import Actor, Event
from backend.audit.recorder import Recorder
from backend.database import Connection, Queries, fetch_rows
from backend.errors import InvalidInput
from backend.review.analysis.models import Bucket, Statistics
from backend.review.events.models import EventPage
from backend.review.events.service import (
    EventRow,
    decode_cursor,
    find_principal,
    first_id_at,
    page_of,
    plan_for_values,
)

queries = Queries.beside(__file__)

MAX_BUCKETS = 1_000
_MONDAY = datetime(2001, 1, 1, tzinfo=UTC)  # where days, hours and weeks begin
_BEFORE_ALL = UUID(int=0)
_AFTER_ALL = UUID(int=2**128 - 1)


class Dimension(StrEnum):
    """What events are counted by."""

    ACTION = "action"
    ACTOR = "actor"
    OUTCOME = "outcome"
    MODEL = "model"


class Interval(StrEnum):
    """How long a bucket is, in UTC."""

    HOUR = "hour"
    DAY = "day"
    WEEK = "week"

    @property
    def length(self) -> timedelta:
        """The duration of a bucket."""
        return {"hour": timedelta(hours=1), "day": timedelta(days=1), "week": timedelta(weeks=1)}[self]


_COUNTS = {
    Dimension.ACTION: queries.count_by_action,
    Dimension.ACTOR: queries.count_by_actor,
    Dimension.OUTCOME: queries.count_by_outcome,
    Dimension.MODEL: queries.count_by_model,
}


async def statistics(
    connection: Connection, actor: Actor, recorder: Recorder, by: Dimension, interval: Interval,
    since: datetime | None, until: datetime | None,
) -> Statistics:  # fmt: skip
    """Returns counts over time, by default of the last 30 days; raises InvalidInput for more than 1,000 buckets."""
    until = until or datetime.now(UTC)
    since = since or until - timedelta(days=30)
    if not since < until:
        raise InvalidInput("from: must be before to")
    if (until - since) / interval.length > MAX_BUCKETS:
        raise InvalidInput(
            f"from: is more than {MAX_BUCKETS} of interval={interval} before to; ask for a longer interval"
        )
    starts = _starts(since, until, interval.length)
    rows = await connection.fetch(
        _COUNTS[by], actor.tenant_id, first_id_at(since), first_id_at(until), list(map(first_id_at, starts))
    )
    buckets = [
        Bucket(start=starts[number - 1], counts={row["value"]: row["count"] for row in group})
        for number, group in groupby(rows, key=lambda row: row["bucket"])
    ]
    read = AuditRead(counts_by=by, interval=interval, since=since, until=until)
    await recorder.record(connection, actor, Event(read))
    return Statistics(by=by, interval=interval, since=since, until=until, buckets=buckets)


def _starts(since: datetime, until: datetime, length: timedelta) -> list[datetime]:
    """Returns when the intervals begin that a period touches."""
    first = since - (since - _MONDAY) % length
    return [first + number * length for number in range(-((first - until) // length))]


@dataclass(frozen=True, slots=True)
class Thread:
    """Whose events are followed, or those of what; one of these."""

    actor: str | None = None
    end_user: str | None = None
    conversation: UUID | None = None
    request_id: str | None = None
    turn: UUID | None = None

    def described(self) -> ReadThread:
        """Returns what the record says of it; raises InvalidInput unless it is exactly one thing."""
        if sum(value is not None for value in asdict(self).values()) != 1:
            raise InvalidInput(f"{', '.join(asdict(self))}: exactly one of them is needed")
        return ReadThread(
            actor=self.actor, end_user=self.end_user, conversation=self.conversation, request_id=self.request_id, turn=self.turn
        )  # fmt: skip


async def timeline(
    connection: Connection, actor: Actor, recorder: Recorder, thread: Thread,
    *, until: datetime | None, limit: int, cursor: str | None,
) -> EventPage:  # fmt: skip
    """Returns a page of what one person did, or what happened in one conversation, request or turn, oldest first.

    Raises InvalidInput unless exactly one of them is named.
    """
    followed = thread.described()
    after = decode_cursor(cursor) if cursor else _BEFORE_ALL
    await plan_for_values(connection)
    rows = await fetch_rows(
        connection, EventRow, queries.timeline, actor.tenant_id, after, first_id_at(until) if until else _AFTER_ALL,
        await find_principal(connection, actor, thread.actor), thread.request_id, thread.turn, thread.end_user,
        thread.conversation, limit + 1,
    )  # fmt: skip
    read = AuditRead(timeline=followed, returned=min(len(rows), limit))
    await recorder.record(connection, actor, Event(read))
    return page_of(rows, limit)
