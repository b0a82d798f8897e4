"""What reviewers ask about many events at once: how many, and in which order."""

from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from itertools import groupby
from uuid import UUID

from backend.audit.events import Action, Actor, Event, without_nulls
from backend.audit.recorder import Recorder
from backend.database import Connection, Queries
from backend.errors import InvalidInput
from backend.review.events.service import (
    decode_cursor,
    find_principal,
    first_id_at,
    page_of,
    plan_for_values,
)
from backend.review.models import Bucket, EventPage, Statistics

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
    read = {"counts_by": by, "interval": interval, "from": since.isoformat(), "to": until.isoformat()}
    await recorder.record(connection, actor, Event(Action.AUDIT_READ, details={"read": read}))
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

    def named(self) -> dict[str, str]:
        """Returns what is followed by its name; raises InvalidInput unless it is exactly one thing."""
        named = {name: str(value) for name, value in without_nulls(asdict(self)).items()}
        if len(named) != 1:
            raise InvalidInput(f"{', '.join(asdict(self))}: exactly one of them is needed")
        return named


async def timeline(
    connection: Connection, actor: Actor, recorder: Recorder, thread: Thread,
    *, until: datetime | None, limit: int, cursor: str | None,
) -> EventPage:  # fmt: skip
    """Returns a page of what one person did, or what happened in one conversation, request or turn, oldest first.

    Raises InvalidInput unless exactly one of them is named.
    """
    named = thread.named()
    after = decode_cursor(cursor) if cursor else _BEFORE_ALL
    await plan_for_values(connection)
    rows = await connection.fetch(
        queries.timeline, actor.tenant_id, after, first_id_at(until) if until else _AFTER_ALL,
        await find_principal(connection, actor, thread.actor), thread.request_id, thread.turn, thread.end_user,
        thread.conversation, limit + 1,
    )  # fmt: skip
    read = {"timeline": named, "returned": min(len(rows), limit)}
    await recorder.record(connection, actor, Event(Action.AUDIT_READ, details={"read": read}))
    return page_of(rows, limit)
