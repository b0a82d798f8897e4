"""The sealed log as a stream for a SIEM: in the order of its leaves, each event at least once.

A receiver keeps the last leaf index that it stored and asks for what follows it. What is sealed is ordered for good, so that
no event can appear before the place where a receiver resumes.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Any, TypeAlias
from uuid import UUID

import orjson

from backend.audit.actions.review import AuditRead
from backend.audit.events import Actor, Event
from backend.audit.recorder import Recorder
from backend.database import Connection, fetch_rows
from backend.review.analysis.service import queries
from backend.review.exports.ocsf import ocsf

PAGE = 500
FOLLOW_SECONDS = 60  # then the client comes back, and is authorised anew
POLL_SECONDS = 0.5
NO_END = 2**53

Open: TypeAlias = Callable[[], AbstractAsyncContextManager[Connection]]


@dataclass(frozen=True, slots=True)
class SealedEvent:
    """A leaf with its event, if that is there, and the month of the archive for which the event left."""

    index: int
    event_id: UUID
    envelope: str | None
    month: date | None


class StreamFormat(StrEnum):
    """How an event is spelt."""

    NATIVE = "native"
    OCSF = "ocsf"


async def open_stream(
    connection: Connection, actor: Actor, recorder: Recorder, *, after: int, follow: bool, spelling: StreamFormat
) -> int:
    """Records that the log is read from a place on; returns where the stream ends, for now or for a follower."""
    size: int = await connection.fetchval(queries.sealed_size, actor.tenant_id)
    read = AuditRead(streamed_after=after, sealed=size, follow=follow, format=spelling)
    await recorder.record(connection, actor, Event(read))
    return NO_END if follow else size


async def events_after(
    open_transaction: Open, actor: Actor, check: Callable[[], Awaitable[None]], *, after: int, end: int,
    spelling: StreamFormat,
) -> AsyncIterator[tuple[int, str]]:  # fmt: skip
    """Yields leaf indexes and events as one line of JSON, up to `end`; a follower's ends after a minute.

    Raises what `check` raises, as soon as the actor may read no more.
    """
    deadline = time.monotonic() + FOLLOW_SECONDS
    while after < end - 1 and time.monotonic() < deadline:
        await check()
        async with open_transaction() as connection:
            page = await fetch_rows(connection, SealedEvent, queries.leaves_after, actor.tenant_id, after, end, PAGE)
        for leaf in page:
            await check()  # a slow reader takes a page for longer than its right may last
            after = leaf.index
            yield after, orjson.dumps(_spelt(leaf, spelling)).decode()
        if not page:
            if end < NO_END:
                return
            await asyncio.sleep(POLL_SECONDS)


def _spelt(leaf: SealedEvent, spelling: StreamFormat) -> dict[str, Any]:
    if leaf.envelope is None:
        if leaf.month is not None:
            return {"leaf": leaf.index, "archived": f"{leaf.month:%Y-%m}"}
        return {"leaf": leaf.index, "missing": str(leaf.event_id)}
    envelope = orjson.loads(leaf.envelope)
    return ocsf(envelope, leaf.index) if spelling is StreamFormat.OCSF else {"leaf": leaf.index, "event": envelope}
