"""The sealed log as a stream for a SIEM: in the order of its leaves, each event at least once.

A receiver keeps the last leaf index that it stored and asks for what follows it. What is sealed is ordered for good, so that
no event can appear before the place where a receiver resumes.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from enum import StrEnum
from typing import Any, TypeAlias

import asyncpg
import orjson

from backend.audit.events import Action, Actor, Event
from backend.audit.recorder import Recorder
from backend.database import Connection
from backend.review.analysis.service import queries
from backend.review.exports.ocsf import ocsf

PAGE = 500
FOLLOW_SECONDS = 60  # then the client comes back, and is authorised anew
POLL_SECONDS = 0.5
NO_END = 2**53

Open: TypeAlias = Callable[[], AbstractAsyncContextManager[Connection]]


class StreamFormat(StrEnum):
    """How an event is spelt."""

    NATIVE = "native"
    OCSF = "ocsf"


async def open_stream(
    connection: Connection, actor: Actor, recorder: Recorder, *, after: int, follow: bool, spelling: StreamFormat
) -> int:
    """Records that the log is read from a place on; returns where the stream ends, for now or for a follower."""
    size: int = await connection.fetchval(queries.sealed_size, actor.tenant_id)
    read = {"streamed_after": after, "sealed": size, "follow": follow, "format": spelling}
    await recorder.record(connection, actor, Event(Action.AUDIT_READ, details={"read": read}))
    return NO_END if follow else size


async def events_after(
    open_transaction: Open, actor: Actor, *, after: int, end: int, spelling: StreamFormat
) -> AsyncIterator[tuple[int, str]]:
    """Yields leaf indexes and events as one line of JSON, up to `end`; a follower's ends after a minute."""
    deadline = time.monotonic() + FOLLOW_SECONDS
    while after < end - 1 and time.monotonic() < deadline:
        async with open_transaction() as connection:
            page = await connection.fetch(queries.leaves_after, actor.tenant_id, after, end, PAGE)
        for row in page:
            after = row["index"]
            yield after, orjson.dumps(_spelt(row, spelling)).decode()
        if not page:
            if end < NO_END:
                return
            await asyncio.sleep(POLL_SECONDS)


def _spelt(row: asyncpg.Record, spelling: StreamFormat) -> dict[str, Any]:
    if row["envelope"] is None:
        if row["month"] is not None:
            return {"leaf": row["index"], "archived": f"{row['month']:%Y-%m}"}
        return {"leaf": row["index"], "missing": str(row["event_id"])}
    envelope = orjson.loads(row["envelope"])
    return ocsf(envelope, row["index"]) if spelling is StreamFormat.OCSF else {"leaf": row["index"], "event": envelope}
