"""Reads the sealed log for an endpoint, in its order, and makes what is to be sent.

The place in the log moves on in the transaction that stores the messages, so nothing is skipped whatever becomes of the worker,
and nothing is told that is not sealed. What the log cannot say is told beside it: that sealing itself is late.
"""

import time
from datetime import UTC, datetime, timedelta
from uuid import UUID

from backend.database import Connection, Queries, fetch_rows
from backend.webhooks.kinds import EventKind
from backend.webhooks.messages import LoggedEvent, WebhookMessage, message, messages_of

queries = Queries.beside(__file__)

BATCH_LEAVES = 1_000
LAG_SECONDS = 300
"""How late sealing must be to be told."""
RETENTION_DAYS = 30
_HOUR = 3600


class LeaseLost(Exception):
    """Another worker has the endpoint, or it is gone."""


async def collect(
    connection: Connection, tenant_id: UUID, endpoint_id: UUID, lease_id: UUID, open_after: timedelta
) -> bool:
    """Makes what the next leaves of the log tell an endpoint; returns whether there are more. Raises LeaseLost.

    A question without an end on record is told so long after it was asked.
    """
    endpoint = await connection.fetchrow(queries.leased_endpoint, tenant_id, endpoint_id, lease_id)
    if endpoint is None:
        raise LeaseLost
    kinds = [EventKind(kind) for kind in endpoint["kinds"]]
    end: int | None = await connection.fetchval(queries.sealed_end)
    if end is None:
        raise LeaseLost
    position: int = min(endpoint["position"] + BATCH_LEAVES, end)
    passed = (endpoint["position"], position - endpoint["position"])
    for event in await fetch_rows(connection, LoggedEvent, queries.told_events, *passed):
        async for made in messages_of(connection, tenant_id, endpoint_id, kinds, event):
            await _add(connection, tenant_id, endpoint_id, made, again=event.place < endpoint["replayed_to"])
    turns_position = position
    if EventKind.TURN_OPEN in kinds:
        turns = (endpoint["turns_position"], endpoint["replayed_to"])
        turns_position = await _turns(connection, tenant_id, endpoint_id, *turns, open_after)
    if EventKind.SEAL_LAG in kinds:
        await _lag(connection, tenant_id, endpoint_id)
    await connection.execute(queries.forget_deliveries, tenant_id, endpoint_id, RETENTION_DAYS)
    if await connection.fetchval(queries.move_on, tenant_id, endpoint_id, lease_id, position, turns_position) is None:
        raise LeaseLost
    return position < end


async def _turns(
    connection: Connection, tenant_id: UUID, endpoint_id: UUID, position: int, replayed_to: int, open_after: timedelta
) -> int:
    """Tells of questions that nobody answered; returns how far they were looked at."""
    found = await connection.fetchrow(queries.open_turns, position, BATCH_LEAVES, open_after.total_seconds())
    assert found is not None
    for place, turn, asked_at in found["turns"]:
        told = {"tenant": str(tenant_id), "event": turn, "turn": turn}
        moment = datetime.fromisoformat(asked_at)
        made = message(
            endpoint_id, EventKind.TURN_OPEN, turn, moment, told, event_id=UUID(turn), place=place
        )  # fmt: skip
        await _add(connection, tenant_id, endpoint_id, made, again=place < replayed_to)
    looked_at: int = found["next"]
    return looked_at


async def _lag(connection: Connection, tenant_id: UUID, endpoint_id: UUID) -> None:
    """Tells that sealing is late, once in each hour in which it is."""
    seconds = await connection.fetchval(queries.seal_backlog)
    if seconds is None or seconds <= LAG_SECONDS:
        return
    told = {"tenant": str(tenant_id), "seconds": seconds}
    subject = str(int(time.time()) // _HOUR)
    await _add(
        connection, tenant_id, endpoint_id, message(endpoint_id, EventKind.SEAL_LAG, subject, datetime.now(UTC), told)
    )


async def _add(
    connection: Connection, tenant_id: UUID, endpoint_id: UUID, made: WebhookMessage, *, again: bool = False
) -> None:
    await connection.execute(
        queries.add_delivery, tenant_id, endpoint_id, made.id, made.kind, made.event_id, made.place, made.body, again
    )
