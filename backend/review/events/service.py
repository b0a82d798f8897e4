"""The rules of reading the log: what reviewers see, and that their reading is recorded."""

import base64
import binascii
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg
import orjson

from backend.audit.events import Action, Actor, Event, without_nulls
from backend.audit.indexer import index_own_events
from backend.audit.payloads import PayloadVault
from backend.audit.recorder import Recorder
from backend.audit.search_words import SearchWords
from backend.database import Connection, Queries
from backend.errors import InvalidInput, NotFound
from backend.review.archives.service import refuse_archived
from backend.review.models import EventPage, EventView, Reader, ReaderPage

queries = Queries.beside(__file__)

_BEFORE_ALL = UUID(int=0)
_AFTER_ALL = UUID(int=2**128 - 1)


@dataclass(frozen=True, slots=True)
class EventFilter:
    """Which events a reviewer asks for; None asks for all."""

    since: datetime | None = None
    until: datetime | None = None
    actor: str | None = None
    action: str | None = None
    outcome: str | None = None
    document: str | None = None
    request_id: str | None = None
    text: str | None = None
    purpose: str | None = None  # why texts are searched

    def described(self) -> dict[str, str]:
        """Returns what an event may say of it: all but the words that are searched for, which can be personal."""
        return without_nulls(
            {
                "from": self.since.isoformat() if self.since else None,
                "to": self.until.isoformat() if self.until else None,
                "actor": self.actor, "action": self.action, "outcome": self.outcome,
                "document": self.document, "request_id": self.request_id,
            }
        )  # fmt: skip


def first_id_at(moment: datetime) -> UUID:
    """Returns the smallest UUIDv7 of a moment's millisecond; ids carry their time in the first 48 bits (RFC 9562)."""
    milliseconds = max(0, int(moment.timestamp() * 1000))
    return UUID(int=milliseconds << 80)


def encode_cursor(event_id: UUID) -> str:
    """Returns an opaque cursor that points behind an event."""
    return base64.urlsafe_b64encode(event_id.bytes).rstrip(b"=").decode()


def decode_cursor(cursor: str | None) -> UUID:
    """Returns the id that a cursor points behind; raises InvalidInput."""
    if cursor is None:
        return _AFTER_ALL
    try:
        identifier = UUID(bytes=base64.b64decode(cursor + "==", altchars=b"-_", validate=True))
    except (ValueError, binascii.Error):
        raise InvalidInput("cursor: is not one that this service gave out") from None
    if encode_cursor(identifier) != cursor:
        raise InvalidInput("cursor: is not one that this service gave out")
    return identifier


async def list_events(
    connection: Connection,
    actor: Actor,
    recorder: Recorder,
    words: SearchWords,
    wanted: EventFilter,
    *,
    limit: int,
    cursor: str | None,
) -> EventPage:
    """Returns a page of events, newest first, and records that it was read; for a search in texts also why."""
    before = decode_cursor(cursor)
    if wanted.until is not None:
        before = min(before, first_id_at(wanted.until))
    filters = (
        first_id_at(wanted.since) if wanted.since else _BEFORE_ALL, before, await find_principal(connection, actor, wanted.actor),
        wanted.action, wanted.outcome, wanted.request_id, limit + 1,
    )  # fmt: skip
    if wanted.document is not None or wanted.text is not None:
        await index_own_events(connection)
    terms, texts_with_rarest = await _terms(connection, actor, words, wanted.text)
    await plan_for_values(connection)
    search = await _narrowest(connection, actor, wanted, texts_with_rarest)
    rows = await connection.fetch(search, actor.tenant_id, *filters, wanted.document, terms)
    read = {"filters": wanted.described(), "returned": min(len(rows), limit), "searched_texts": bool(terms) or None}
    texts = without_nulls({"searched": wanted.text, "reason": wanted.purpose})
    await recorder.record(
        connection, actor, Event(Action.AUDIT_READ, details={"read": without_nulls(read)}, payloads=texts)
    )
    return page_of(rows, limit)


async def plan_for_values(connection: Connection) -> None:
    """Has the statements of this transaction planned for the filters that they have."""
    await connection.execute(queries.plan_for_values)


def page_of(rows: list[asyncpg.Record], limit: int) -> EventPage:
    """Returns the first `limit` events, and a cursor behind them if there are more."""
    return EventPage(events=[view_of(row) for row in rows[:limit]], next_cursor=_next_cursor(rows, limit))


async def _terms(
    connection: Connection, actor: Actor, words: SearchWords, text: str | None
) -> tuple[list[int], int | None]:
    """Returns the hashes of the words to search for, the rarest first, and how many texts hold that.

    Raises InvalidInput when there is no word to search for.
    """
    if text is None:
        return [], None
    hashes = words.hashes(actor.tenant_id, text)
    if not hashes:
        raise InvalidInput("q: holds no word that can be searched for")
    counted = await connection.fetch(queries.rarest_first, actor.tenant_id, hashes)
    return [row["term"] for row in counted], counted[0]["count"]


async def _narrowest(connection: Connection, actor: Actor, wanted: EventFilter, texts: int | None) -> str:
    """Returns the query that begins where the fewest events are; `texts` is how many hold the rarest word, if any."""
    if wanted.request_id is not None or (wanted.document is None and texts is None):
        return queries.list_events
    if wanted.document is None:
        return queries.list_events_with_terms
    about = await connection.fetchval(queries.events_of_document, actor.tenant_id, wanted.document)
    if texts is None or about <= texts:
        return queries.list_events_of_document
    return queries.list_events_with_terms


async def get_event(
    connection: Connection,
    actor: Actor,
    recorder: Recorder,
    vault: PayloadVault,
    event_id: UUID,
    reveal_reason: str | None,
) -> EventView:
    """Returns one event and records that it was read; with a reason, also its decrypted payloads."""
    row = await _event(connection, actor, event_id)
    payloads = None
    if reveal_reason is not None:
        payloads = await reveal(connection, actor, vault, event_id)
    action = Action.AUDIT_READ if payloads is None else Action.AUDIT_REVEALED
    texts = {} if reveal_reason is None else {"reason": reveal_reason}
    await recorder.record(connection, actor, Event(action, details={"read": {"event": str(event_id)}}, payloads=texts))
    return view_of(row, payloads)


async def open_event(
    connection: Connection, actor: Actor, vault: PayloadVault, event_id: UUID
) -> tuple[dict[str, Any], dict[str, str]]:
    """Returns envelope and decrypted payloads of an event, for a use that the caller records; raises NotFound, Gone."""
    row = await _event(connection, actor, event_id)
    return orjson.loads(row["envelope"]), await reveal(connection, actor, vault, event_id)


async def _event(connection: Connection, actor: Actor, event_id: UUID) -> asyncpg.Record:
    row = await connection.fetchrow(queries.get_event, actor.tenant_id, event_id)
    if row is None:
        await refuse_archived(connection, actor.tenant_id, event_id)
        raise NotFound(reason="event:unknown")
    return row


async def reveal(connection: Connection, actor: Actor, vault: PayloadVault, event_id: UUID) -> dict[str, str]:
    """Returns the decrypted texts of an event, by name; the caller records that they are read."""
    sealed = await connection.fetch(queries.payloads, actor.tenant_id, event_id)
    reader = vault.reader(actor.tenant_id)
    texts = {}
    for p in sealed:
        _, texts[p["name"]] = await reader.decrypt(p["key_id"], p["wrapped"], event_id, p["name"], p["ciphertext"])
    return texts


async def list_readers(
    connection: Connection, actor: Actor, recorder: Recorder, doc_id: str, *, limit: int, cursor: str | None
) -> ReaderPage:
    """Returns who was shown a document, newest first, and records that this was asked."""
    await index_own_events(connection)
    rows = await connection.fetch(queries.readers, actor.tenant_id, doc_id, decode_cursor(cursor), limit + 1)
    await recorder.record(connection, actor, Event(Action.AUDIT_READ, details={"read": {"readers_of": doc_id}}))
    views = [view_of(row) for row in rows[:limit]]
    readers = [
        Reader(
            principal_id=v.principal_id, principal_name=v.principal_name, time=v.time, action=v.action, event_id=v.id
        )
        for v in views
    ]
    return ReaderPage(doc_id=doc_id, readers=readers, next_cursor=_next_cursor(rows, limit))


async def find_principal(connection: Connection, actor: Actor, named: str | None) -> UUID | None:
    """Returns the principal that a reviewer names by id or by name; one that matches nobody finds no event."""
    if named is None:
        return None
    try:
        return UUID(named)
    except ValueError:
        found: UUID | None = await connection.fetchval(queries.principal_by_name, actor.tenant_id, named)
        return found or _AFTER_ALL


def _next_cursor(rows: list[asyncpg.Record], limit: int) -> str | None:
    return encode_cursor(rows[limit - 1]["id"]) if len(rows) > limit else None


def view_of(row: asyncpg.Record, payloads: dict[str, str] | None = None) -> EventView:
    """Returns an event as reviewers read it."""
    recorded = orjson.loads(row["envelope"])
    return EventView(
        id=row["id"], time=recorded["time"], action=recorded["action"], outcome=recorded["outcome"],
        reason=recorded.get("reason"), principal_id=recorded["principal"].get("id"), principal_name=row["principal_name"],
        request_id=recorded["request_id"], event=recorded, payloads=payloads,
    )  # fmt: skip
