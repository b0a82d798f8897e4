"""The rules of reviewing answers: what is reported waits, a sample is drawn, and each verdict is an event of its own."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from backend.audit.actions.answers import AnswerReviewed
from backend.audit.actions.review import AuditRead, ReadSample, ReadVerdicts
from backend.audit.events import Actor, Event
from backend.audit.recorder import Recorder
from backend.database import Connection, Queries
from backend.errors import NotFound
from backend.review.events.service import decode_cursor, encode_cursor, first_id_at
from backend.review.quality.models import (
    NewVerdict,
    RecordedVerdict,
    ReportedAnswer,
    ReportedAnswers,
    Sample,
    SampledAnswer,
    VerdictCount,
    Verdicts,
)

queries = Queries.beside(__file__)


async def list_reported(
    connection: Connection, actor: Actor, recorder: Recorder, *, limit: int, cursor: str | None
) -> ReportedAnswers:
    """Returns what people thought of answers, newest first, and records that this was asked."""
    rows = await connection.fetch(queries.reported, actor.tenant_id, decode_cursor(cursor), limit + 1)
    await recorder.record(connection, actor, Event(AuditRead(reported_answers=len(rows[:limit]))))
    return ReportedAnswers(
        answers=[ReportedAnswer(**dict(row)) for row in rows[:limit]],
        next_cursor=encode_cursor(rows[limit - 1]["event_id"]) if len(rows) > limit else None,
    )


async def draw(
    connection: Connection, actor: Actor, recorder: Recorder, *, days: int, size: int, seed: str | None
) -> Sample:
    """Returns answers of the last days that nobody has looked at; without a seed, those that the day draws."""
    now = datetime.now(UTC)
    seed = seed or f"{now:%Y-%m-%d}"
    since = first_id_at(now - timedelta(days=days))
    rows = await connection.fetch(queries.sampled, actor.tenant_id, since, seed, size)
    read = AuditRead(sample=ReadSample(days=days, seed=seed, answers=len(rows)))
    await recorder.record(connection, actor, Event(read))
    return Sample(seed=seed, answers=[SampledAnswer(**dict(row)) for row in rows])


async def judge(
    connection: Connection, actor: Actor, recorder: Recorder, turn: UUID, given: NewVerdict
) -> RecordedVerdict:
    """Records what a reviewer found of an answer; a later verdict counts in place of an earlier one. Raises NotFound."""
    if not await connection.fetchval(queries.was_answered, actor.tenant_id, turn):
        raise NotFound("There is no answer of such a turn.", reason="turn:unknown")
    event = Event(
        AnswerReviewed(turn=turn, verdict=given.verdict, because=given.because),
        payloads={} if given.comment is None else {"comment": given.comment},
    )
    return RecordedVerdict(turn=turn, audit_event_id=await recorder.record(connection, actor, event))


async def add_up(connection: Connection, actor: Actor, recorder: Recorder, *, days: int) -> Verdicts:
    """Returns how many answers of the last days have which verdict, and records that this was asked."""
    since = first_id_at(datetime.now(UTC) - timedelta(days=days))
    answered = await connection.fetchval(queries.answered, actor.tenant_id, since)
    rows = await connection.fetch(queries.verdicts, actor.tenant_id, since)
    await recorder.record(connection, actor, Event(AuditRead(verdicts=ReadVerdicts(days=days))))
    return Verdicts(days=days, answered=answered, counts=[VerdictCount(**dict(row)) for row in rows])
