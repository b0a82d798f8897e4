"""The rules of retention, legal holds and erasure: texts go, the log and its proofs stay.

The database enforces them again in its policies: a text is deleted only under an erasure that a second person approved, after
its retention, and while no hold applies.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import groupby
from uuid import UUID

from uuid_utils.compat import uuid7

from backend.audit.actions.review import (
    AuditRead,
    CountedErasure,
    ErasedTexts,
    ErasureExecuted,
    ErasureRequested,
    HoldPlaced,
    HoldReleased,
    RetentionRaised,
)
from backend.audit.events import Actor, Event
from backend.audit.holds import is_held
from backend.audit.recorder import Recorder
from backend.database import Connection, Queries
from backend.errors import Conflict, Forbidden, InvalidInput, NotFound
from backend.identity.callers.caller import Caller
from backend.identity.joint_acts import service as joint_acts
from backend.identity.joint_acts.models import Pending
from backend.identity.joint_acts.service import JointAct
from backend.review.erasure.models import (
    Erasure,
    ErasureList,
    Hold,
    HoldList,
    NewErasure,
    NewHold,
    Retention,
    RetentionList,
)
from backend.review.events.models import OpenTurn, OpenTurns
from backend.review.events.service import first_id_at

queries = Queries.beside(__file__)

# Events whose texts one record of an erasure lists; an envelope holds 16 KiB.
_LISTED = 100
# So that whoever looks a minute after a crash finds it. A turn that is only slow is listed as well, until its answer is there.
OPEN_AFTER = timedelta(seconds=30)


async def place_hold(connection: Connection, actor: Actor, recorder: Recorder, asked: NewHold) -> Hold:
    """Keeps the texts of a subject, or of everyone, from being erased; raises Forbidden for a key."""
    _require_person(actor)
    subject = await _subject(connection, actor, asked.subject) if asked.subject is not None else None
    hold_id = uuid7()
    await connection.execute(queries.add_hold, actor.tenant_id, hold_id, subject, asked.reason, actor.principal_id)
    placed = HoldPlaced(id=hold_id, subject=str(subject) if subject else "everyone")
    await recorder.record(connection, actor, Event(placed, payloads={"reason": asked.reason}))
    return next(hold for hold in (await list_holds(connection, actor)).holds if hold.id == hold_id)


async def list_holds(connection: Connection, actor: Actor) -> HoldList:
    """Returns the tenant's holds, newest first."""
    return HoldList(holds=[Hold(**dict(row)) for row in await connection.fetch(queries.holds, actor.tenant_id)])


async def release_hold(connection: Connection, actor: Caller, recorder: Recorder, hold_id: UUID) -> Pending | None:
    """Ends a hold when another person has asked for it; raises NotFound when there is none to end."""
    if await connection.fetchval(queries.live_hold, actor.tenant_id, hold_id) is None:
        raise NotFound(reason="hold:unknown")
    pending = await joint_acts.ask(connection, actor, recorder, JointAct.HOLD_RELEASE, hold_id)
    if pending is None:
        await connection.fetchval(queries.release_hold, actor.tenant_id, hold_id, actor.principal_id)
        await recorder.record(connection, actor, Event(HoldReleased(id=hold_id)))
    return pending


async def raise_retention(connection: Connection, actor: Actor, recorder: Recorder, asked: Retention) -> RetentionList:
    """Keeps texts of a class of events longer; raises Conflict for a period that is not longer."""
    known = {entry.event_class: entry.days for entry in (await list_retention(connection, actor)).retention}
    if asked.days <= known.get(asked.event_class, 0):
        raise Conflict(
            f"{asked.event_class}: {known.get(asked.event_class, 0)} days apply; a period can only be raised.",
            reason="retention:lower",
        )
    await connection.execute(
        queries.raise_retention, actor.tenant_id, uuid7(), asked.event_class, asked.days, actor.principal_id
    )
    raised = RetentionRaised(event_class=asked.event_class, days=asked.days)
    await recorder.record(connection, actor, Event(raised))
    return await list_retention(connection, actor)


async def list_retention(connection: Connection, actor: Actor) -> RetentionList:
    """Returns the period that applies to each class of events; a class that is not named is kept for none."""
    rows = await connection.fetch(queries.retention, actor.tenant_id)
    return RetentionList(retention=[Retention(**dict(row)) for row in rows])


async def request_erasure(connection: Connection, actor: Actor, recorder: Recorder, asked: NewErasure) -> Erasure:
    """Asks for the erasure of everything that a data subject wrote or was answered; raises Forbidden for a key."""
    _require_person(actor)
    subject = await _subject(connection, actor, asked.subject)
    erasure_id = uuid7()
    await connection.execute(
        queries.add_erasure, actor.tenant_id, erasure_id, subject, asked.legal_basis, actor.principal_id
    )
    requested = ErasureRequested(id=erasure_id, subject=subject)
    await recorder.record(connection, actor, Event(requested, payloads={"legal_basis": asked.legal_basis}))
    return await _erasure(connection, actor, erasure_id)


async def list_erasures(connection: Connection, actor: Actor) -> ErasureList:
    """Returns the tenant's erasures, newest first."""
    rows = await connection.fetch(queries.erasures, actor.tenant_id)
    return ErasureList(erasures=[Erasure(**dict(row)) for row in rows])


async def approve_erasure(connection: Connection, actor: Actor, recorder: Recorder, erasure_id: UUID) -> Erasure:
    """Approves a request of another person and destroys the texts and keys of its subject.

    Raises Forbidden for the requester's own, and Conflict while a hold or a retention period applies.
    """
    row = await connection.fetchrow(queries.lock_erasure, actor.tenant_id, erasure_id)
    if row is None:
        raise NotFound(reason="erasure:unknown")
    if not await connection.fetchval(queries.is_second_person, row["requested_by"], row["requested_at"]):
        raise Forbidden("Another person than the one who asked must approve.", reason="erasure:own_request")
    subject = row["subject_id"]
    if await is_held(connection, actor.tenant_id, subject):
        raise Conflict("A legal hold applies to this subject.", reason="erasure:held")
    retained = await connection.fetchrow(queries.retained, actor.tenant_id, subject)
    assert retained is not None
    if retained["texts"]:
        raise Conflict(
            f"{retained['texts']} texts of this subject must be kept until {retained['until']:%Y-%m-%d}.",
            reason="erasure:retained",
        )
    await connection.execute(queries.approve_erasure, actor.tenant_id, erasure_id, actor.principal_id)
    erased = await connection.fetch(queries.erase_payloads, actor.tenant_id, subject)
    await connection.execute(queries.erase_keys, actor.tenant_id, subject)
    await connection.execute(queries.execute_erasure, actor.tenant_id, erasure_id)
    await _record_erased(connection, actor, recorder, erasure_id, subject, [(r["event_id"], r["name"]) for r in erased])
    return await _erasure(connection, actor, erasure_id, texts=len(erased))


async def list_open_turns(connection: Connection, actor: Actor, recorder: Recorder, *, days: int) -> OpenTurns:
    """Returns prompts of the last days that have no answer half a minute after they were submitted."""
    now = datetime.now(UTC)
    rows = await connection.fetch(
        queries.open_turns, actor.tenant_id, first_id_at(now - OPEN_AFTER), first_id_at(now - timedelta(days=days)), 500
    )
    await recorder.record(connection, actor, Event(AuditRead(open_turns=len(rows))))
    return OpenTurns(
        turns=[
            OpenTurn(
                event_id=r["id"], time=r["occurred_at"], principal_id=r["principal_id"], request_id=r["request_id"]
            )
            for r in rows
        ]
    )


def _require_person(actor: Actor) -> None:
    if actor.kind != "user":
        raise Forbidden("Only a person does this, and no key.", reason="erasure:not_a_person")


async def _record_erased(
    connection: Connection, actor: Actor, recorder: Recorder, erasure_id: UUID, subject: UUID,
    erased: Sequence[tuple[UUID, str]],
) -> None:  # fmt: skip
    """Records what was destroyed, in as many events as their size allows; the verifier accounts for it by them."""
    events = [
        ErasedTexts(event=event_id, payloads=[name for _, name in texts])
        for event_id, texts in groupby(sorted(erased), key=lambda text: text[0])
    ]
    for start in range(0, max(len(events), 1), _LISTED):
        executed = ErasureExecuted(
            erasure=CountedErasure(id=erasure_id, subject=subject, texts=len(erased)),
            erased=events[start : start + _LISTED],
        )
        await recorder.record(connection, actor, Event(executed))


async def _erasure(connection: Connection, actor: Actor, erasure_id: UUID, *, texts: int | None = None) -> Erasure:
    erasures = (await list_erasures(connection, actor)).erasures
    found = next(erasure for erasure in erasures if erasure.id == erasure_id)
    return found.model_copy(update={"texts": texts})


async def _subject(connection: Connection, actor: Actor, named: str) -> UUID:
    """Returns the data subject that is meant: an id, a user's name, or `end-user:` and the name that a partner gives."""
    if named.startswith("end-user:"):
        return actor.subject_named(named.removeprefix("end-user:"))
    try:
        return UUID(named)
    except ValueError:
        found: UUID | None = await connection.fetchval(queries.user_by_name, actor.tenant_id, named)
    if found is None:
        raise InvalidInput("subject: is neither an id, nor a user name, nor `end-user:` and a name")
    return found
