"""The rules of reading the log: what reviewers see, and that their reading is recorded."""

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self
from uuid import UUID

import orjson

from backend.audit.actions.review import AuditRead, AuditRevealed, ReadFilters
from backend.audit.events import Actor, Event, without_nulls
from backend.audit.indexer import index_own_events
from backend.audit.payloads import PayloadVault
from backend.audit.recorder import Recorder
from backend.audit.search_words import SearchWords
from backend.database import Connection, Queries, fetch_row, fetch_rows
from backend.errors import InvalidInput, NotFound
from backend.review.archives.service import refuse_gone
from backend.review.events.models import (
    DocumentReader,
    EventFilters,
    EventPage,
    EventView,
    Facet,
    FacetCount,
    ReaderPage,
)

queries = Queries.beside(__file__)

MOST_COUNTED = 10_000  # events that facets count, so that they cost the same on a log of any length

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
    turn: UUID | None = None
    conversation: UUID | None = None
    end_user: str | None = None
    door: str | None = None
    reason: str | None = None  # why the service refused or failed
    text: str | None = None
    purpose: str | None = None  # why texts are searched

    @classmethod
    def of(cls, filters: EventFilters) -> Self:
        """Returns the filter that a request or a saved search spells."""
        return cls(**{name: getattr(filters, name) for name in EventFilters.model_fields})

    def described(self) -> ReadFilters:
        """Returns what an event may say of it: all but the words that are searched for, which can be personal."""
        return ReadFilters(
            since=self.since, until=self.until, actor=self.actor, action=self.action, outcome=self.outcome,
            document=self.document, request_id=self.request_id, turn=self.turn, conversation=self.conversation,
            end_user=self.end_user, door=self.door, reason=self.reason,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class EventRow:
    """An event, and how its principal is called now; searches also tell by what their facets count."""

    id: UUID
    envelope: str
    principal_name: str | None
    action: str | None = None
    outcome: str | None = None
    principal_id: UUID | None = None
    model: str | None = None

    def view(self, payloads: dict[str, str] | None = None) -> EventView:
        """Returns the event as reviewers read it."""
        recorded = orjson.loads(self.envelope)
        return EventView(
            id=self.id, time=recorded["time"], action=recorded["action"], outcome=recorded["outcome"],
            reason=recorded.get("reason"), principal_id=recorded["principal"].get("id"),
            principal_name=self.principal_name, request_id=recorded["request_id"], event=recorded, payloads=payloads,
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
    facets: Sequence[Facet] = (),
) -> EventPage:
    """Returns a page of events, newest first, and records that it was read; for a search in texts also why.

    Facets are counted over all that the filters find, wherever the page is.
    """
    if wanted.document is not None or wanted.text is not None:
        await index_own_events(connection)
    terms, texts_with_rarest = await _terms(connection, actor, words, wanted.text)
    await plan_for_values(connection)
    search = await _narrowest(connection, actor, wanted, texts_with_rarest)
    principal = await find_principal(connection, actor, wanted.actor)
    filters = _filters(actor, wanted, principal, terms, decode_cursor(cursor), limit + 1)
    rows = await fetch_rows(connection, EventRow, search, *filters)
    counted = None
    if facets:
        everything = _filters(actor, wanted, principal, terms, _AFTER_ALL, MOST_COUNTED)
        counted = await _count(connection, search, everything, facets)
    read = AuditRead(filters=wanted.described(), returned=min(len(rows), limit), searched_texts=bool(terms) or None)
    texts = without_nulls({"searched": wanted.text, "reason": wanted.purpose})
    await recorder.record(connection, actor, Event(read, payloads=texts))
    return page_of(rows, limit).model_copy(update={"facets": counted})


def _filters(
    actor: Actor, wanted: EventFilter, principal: UUID | None, terms: list[int], before: UUID, most: int
) -> tuple[object, ...]:
    """Returns the parameters of the searches, in their order."""
    if wanted.until is not None:
        before = min(before, first_id_at(wanted.until))
    return (
        actor.tenant_id, first_id_at(wanted.since) if wanted.since else _BEFORE_ALL, before, principal,
        wanted.action, wanted.outcome, wanted.request_id, most, wanted.document, terms,
        wanted.turn, wanted.conversation, wanted.end_user, wanted.door, wanted.reason,
    )  # fmt: skip


async def _count(
    connection: Connection, search: str, filters: tuple[object, ...], facets: Sequence[Facet]
) -> dict[Facet, list[FacetCount]]:
    """Returns how often each value occurs in what a search finds, the most frequent first."""
    rows = await connection.fetch(queries.facets.replace("/* search */", search), *filters, list(facets))
    counted: dict[Facet, list[FacetCount]] = {facet: [] for facet in facets}
    for row in rows:
        counted[Facet(row["facet"])].append(FacetCount(value=row["value"], label=row["label"], count=row["count"]))
    return counted


async def plan_for_values(connection: Connection) -> None:
    """Has the statements of this transaction planned for the filters that they have."""
    await connection.execute(queries.plan_for_values)


def page_of(rows: list[EventRow], limit: int) -> EventPage:
    """Returns the first `limit` events, and a cursor behind them if there are more."""
    return EventPage(events=[row.view() for row in rows[:limit]], next_cursor=_next_cursor(rows, limit))


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
    one_thread = wanted.request_id or wanted.turn or wanted.conversation or wanted.end_user
    if one_thread or (wanted.document is None and texts is None):
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
    kind = AuditRead if payloads is None else AuditRevealed
    texts = {} if reveal_reason is None else {"reason": reveal_reason}
    await recorder.record(connection, actor, Event(kind(event=event_id), payloads=texts))
    return row.view(payloads)


async def open_event(
    connection: Connection, actor: Actor, vault: PayloadVault, event_id: UUID
) -> tuple[dict[str, Any], dict[str, str]]:
    """Returns envelope and decrypted payloads of an event, for a use that the caller records; raises NotFound, Gone."""
    row = await _event(connection, actor, event_id)
    return orjson.loads(row.envelope), await reveal(connection, actor, vault, event_id)


async def _event(connection: Connection, actor: Actor, event_id: UUID) -> EventRow:
    row = await fetch_row(connection, EventRow, queries.get_event, actor.tenant_id, event_id)
    if row is None:
        await refuse_gone(connection, actor.tenant_id, event_id)
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
    """Returns who was shown a document, newest first, and records that this was asked.

    Raises NotFound for a document of which the log knows nothing, nor can have known in a month that left for an archive.
    """
    before = decode_cursor(cursor)
    await index_own_events(connection)
    if not await connection.fetchval(queries.may_have_been, actor.tenant_id, doc_id):
        raise NotFound(reason="document:unknown")
    rows = await fetch_rows(connection, EventRow, queries.readers, actor.tenant_id, doc_id, before, limit + 1)
    await recorder.record(connection, actor, Event(AuditRead(readers_of=doc_id)))
    views = [row.view() for row in rows[:limit]]
    readers = [
        DocumentReader(
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


def _next_cursor(rows: list[EventRow], limit: int) -> str | None:
    return encode_cursor(rows[limit - 1].id) if len(rows) > limit else None
