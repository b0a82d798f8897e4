"""What an endpoint is told of an event: ids and kinds. No text and no personal data is sent.

Who may read more asks the API for what the ids name.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID, uuid5

import orjson

from backend.audit.actions.documents import DecidedVersion, DocumentApproved, DocumentIngested, DocumentRetired
from backend.audit.actions.review import AuditExported, AuditVerified, ErasureExecuted, HoldPlaced
from backend.audit.actions.webhooks import WebhookDisabled
from backend.audit.details import timestamp
from backend.audit.events import Outcome
from backend.database import Connection, Queries
from backend.webhooks.kinds import EventKind

queries = Queries.beside(__file__)

LISTED_TURNS = 200

Envelope = Mapping[str, Any]
Fact = tuple[EventKind, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class LoggedEvent:
    """A sealed event, with its place in the tenant's log."""

    place: int
    event_id: UUID
    action: str
    outcome: str
    occurred_at: datetime
    envelope: dict[str, Any]


@dataclass(frozen=True, slots=True)
class WebhookMessage:
    """What is sent. Its id is that of the same message whenever it is made again, so that a receiver knows it."""

    id: UUID
    kind: str
    body: str
    event_id: UUID | None = None
    place: int | None = None


def message(
    endpoint_id: UUID, kind: str, subject: str, moment: datetime, told: Mapping[str, Any], *,
    event_id: UUID | None = None, place: int | None = None,
) -> WebhookMessage:  # fmt: skip
    """Returns a message; `subject` tells it apart from others of its kind to the same endpoint."""
    body = orjson.dumps({"type": kind, "timestamp": timestamp(moment), "data": told}).decode()
    return WebhookMessage(uuid5(endpoint_id, f"{kind} {subject}"), kind, body, event_id, place)


async def messages_of(
    connection: Connection, tenant_id: UUID, endpoint_id: UUID, kinds: Sequence[EventKind], event: LoggedEvent
) -> AsyncIterator[WebhookMessage]:
    """Yields what an endpoint is to be told of an event of the log."""
    for kind, told in await _facts(connection, event):
        if kind in kinds:
            subject = f"{event.event_id} {told.get('version', '')}"
            named = {"tenant": str(tenant_id), "event": str(event.event_id), **told}
            yield message(
                endpoint_id, kind, subject, event.occurred_at, named, event_id=event.event_id, place=event.place
            )


async def _facts(connection: Connection, event: LoggedEvent) -> Sequence[Fact]:
    """Returns what others must know of an event."""
    envelope = event.envelope
    if event.outcome == Outcome.FAILED:
        failed = _failed_job(event.action, envelope)
        return [] if failed is None else [(EventKind.JOB_FAILED, failed)]
    reader = _READERS.get(event.action)
    return [] if reader is None or event.outcome != Outcome.SUCCEEDED else await reader(connection, envelope)


async def _approved(connection: Connection, envelope: Envelope) -> Sequence[Fact]:
    version = DocumentApproved.of(envelope).version
    if (version.approvals or 0) < (version.approvals_needed or 0):
        return []
    others = await _superseded(connection, version.document, version.version)
    return [(EventKind.VERSION_APPROVED, _version(version)), *others]


async def _ingested(connection: Connection, envelope: Envelope) -> Sequence[Fact]:
    made = DocumentIngested.of(envelope).version
    if made is None or made.status != "approved":
        return []
    return await _superseded(connection, made.document, made.version)


async def _retired(connection: Connection, envelope: Envelope) -> Sequence[Fact]:
    version = DocumentRetired.of(envelope).version
    cited = await _cited_by(connection, version.document, version.version)
    return [(EventKind.VERSION_RETIRED, {**_version(version), **cited})]


async def _erased(_: Connection, envelope: Envelope) -> Sequence[Fact]:
    erasure = ErasureExecuted.of(envelope).erasure
    return [(EventKind.ERASURE_EXECUTED, {"erasure": str(erasure.id), "texts": erasure.texts})]


async def _held(_: Connection, envelope: Envelope) -> Sequence[Fact]:
    hold = HoldPlaced.of(envelope)
    return [(EventKind.HOLD_PLACED, {"hold": str(hold.id), "everyone": hold.subject == "everyone"})]


async def _disabled(_: Connection, envelope: Envelope) -> Sequence[Fact]:
    ended = WebhookDisabled.of(envelope)
    return [(EventKind.WEBHOOK_DISABLED, {"endpoint": str(ended.id), "because": ended.because})]


_READERS: Mapping[str, Callable[[Connection, Envelope], Awaitable[Sequence[Fact]]]] = {
    DocumentApproved.action: _approved,
    DocumentIngested.action: _ingested,
    DocumentRetired.action: _retired,
    ErasureExecuted.action: _erased,
    HoldPlaced.action: _held,
    WebhookDisabled.action: _disabled,
}


def _failed_job(action: str, envelope: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Returns what is told of a job that failed; None for another failure."""
    reason = envelope.get("reason")
    match action:
        case DocumentIngested.action if (job := DocumentIngested.of(envelope).job) is not None:
            return {"kind": "document:ingest", "job": str(job), "reason": reason}
        case AuditExported.action:
            return {"kind": "audit:export", "export": AuditExported.of(envelope).id, "reason": reason}
        case AuditVerified.action if (verified := AuditVerified.of(envelope)).verification is not None:
            # One that found the log changed says so as well: who must know of a failure must know of that.
            return {"kind": "audit:verify", "job": str(verified.verification), "reason": reason}
    return None


def _version(version: DecidedVersion) -> dict[str, Any]:
    return {
        "document": str(version.document),
        "version": version.version,
        "effective_from": version.effective_from and timestamp(version.effective_from),
        "effective_to": version.effective_to and timestamp(version.effective_to),
    }


async def _superseded(connection: Connection, document: UUID, number: int) -> Sequence[Fact]:
    """Returns the versions that another took over from, each with the answers that cited it."""
    return [
        (
            EventKind.VERSION_SUPERSEDED,
            {
                "document": str(document), "version": row["number"], "by_version": number,
                "effective_to": timestamp(row["effective_to"]),
                **await _cited_by(connection, document, row["number"]),
            },
        )
        for row in await connection.fetch(queries.superseded_by, document, number)
    ]  # fmt: skip


async def _cited_by(connection: Connection, document: UUID, number: int) -> Mapping[str, Any]:
    rows = await connection.fetch(queries.citing_turns, document, number, LISTED_TURNS + 1)
    turns = [str(row["turn"]) for row in rows]
    return {"cited_by": turns[:LISTED_TURNS], "cited_by_more": len(turns) > LISTED_TURNS}
