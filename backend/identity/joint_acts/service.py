"""Acts that need two people: one asks, and the act is done when another person asks for the same.

Who counts as another person is said once, by `identity.is_second_person` in the database, and who may ask by `identity.may_ask`.
Triggers and policies there refuse the act to whoever has not joined another's request in the same transaction, and anything else
than what was asked for: they compare what is done with `identity.joined_changes`.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any
from uuid import UUID

import asyncpg
from uuid_utils.compat import uuid7

from backend.audit.actions.people import ActAsked, ActJoined, ActWithdrawn
from backend.audit.events import Event
from backend.audit.recorder import Recorder
from backend.database import Connection, Queries
from backend.errors import Forbidden, NotFound
from backend.identity.callers.caller import Caller
from backend.identity.joint_acts.models import JointRequest, JointRequestList, Pending

queries = Queries.beside(__file__)


class JointAct(StrEnum):
    """What one person asks for and another joins; the whole table is `identity.joint_act`."""

    VERSION_RETIRE = "version:retire"
    HOLD_RELEASE = "hold:release"
    COLLECTION_RELAX = "collection:relax"
    SECOND_FACTOR_REMOVE = "second_factor:remove"
    SECOND_FACTOR_WAIVE = "second_factor:waive"
    EVALUATION_RELAX = "evaluation:relax"
    SUPPORT_RELAX = "support:relax"


async def ask(
    connection: Connection, caller: Caller, recorder: Recorder, act: JointAct, target: UUID,
    change: Mapping[str, Any] | None = None,
) -> Pending | None:  # fmt: skip
    """Returns None when the caller is the second person to ask for this, who may now do it; else what waits for one.

    Raises Forbidden for a key. A source asks for versions to be retired, and is never the second. Both the first person's request
    and the second's are on record.
    """
    if caller.kind != "user" and (caller.kind, act) != ("source", JointAct.VERSION_RETIRE):
        raise Forbidden("This needs two people, and a key is none.", reason="joint:not_a_person")
    row = await connection.fetchrow(queries.ask_jointly, act, target, dict(change or {}), uuid7())
    assert row is not None
    if row["state"] != "waiting":
        kind = ActJoined if row["state"] == "joined" else ActAsked
        asked = kind(act=act, target=target, request=row["request"], asked_by=row["asked_by"])
        await recorder.record(connection, caller, Event(asked))
    return None if row["state"] == "joined" else Pending(act=act, request=row["request"])


async def withdraw_own(connection: Connection, caller: Caller, recorder: Recorder, act: JointAct, target: UUID) -> None:
    """Takes back what the caller asked for of a target, if it did and nobody joined."""
    for row in await connection.fetch(queries.own_requests, caller.tenant_id, act, target, caller.principal_id):
        await withdraw(connection, caller, recorder, row["id"])


async def list_requests(connection: Connection, caller: Caller) -> JointRequestList:
    """Returns what was asked for in the last two weeks, as far as the caller asked or could join."""
    rows = await connection.fetch(queries.list_requests, caller.tenant_id, None)
    return JointRequestList(requests=[_view(row) for row in rows])


async def withdraw(connection: Connection, caller: Caller, recorder: Recorder, request_id: UUID) -> None:
    """Takes back what the caller asked for and nobody joined; raises NotFound."""
    row = await connection.fetchrow(queries.withdraw_request, caller.tenant_id, request_id, caller.principal_id)
    if row is None:
        raise NotFound(reason="joint:unknown")
    withdrawn = ActWithdrawn(act=row["act"], target=row["target"], request=request_id)
    await recorder.record(connection, caller, Event(withdrawn))


def _view(row: asyncpg.Record) -> JointRequest:
    return JointRequest(**dict(row))
