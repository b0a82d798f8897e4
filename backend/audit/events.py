"""What an audit event says: who did what, how it ended, and to which documents; as one canonical-JSON envelope."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from itertools import accumulate
from typing import Any, Protocol
from uuid import UUID

import orjson

ENVELOPE_VERSION = 1
# Of one list in an envelope, which has 16 KiB for everything. What does not fit stands, whole, in a payload.
LISTED_BYTES = 8 * 1024
LISTED_COLLECTIONS = 50


class Action(StrEnum):
    """What was done. The values are sealed in envelopes for years: never rename one."""

    AUTH_SUCCEEDED = "auth:succeeded"
    AUTH_FAILED = "auth:failed"
    PASSWORD_CHANGED = "password:changed"  # noqa: S105 - an action
    SESSION_ENDED = "session:ended"
    RETRIEVAL_EXECUTED = "retrieval:executed"
    RETRIEVAL_REPLAYED = "retrieval:replayed"
    RETRIEVAL_EXPLAINED = "retrieval:explained"
    CANDIDATES_SUBMITTED = "candidates:submitted"
    TEXTS_EMBEDDED = "texts:embedded"
    PROMPT_SUBMITTED = "prompt:submitted"
    ANSWER_SHOWN = "answer:shown"
    ANSWER_RETURNED = "answer:returned"
    ANSWER_REFUSED = "answer:refused"
    ANSWER_ABORTED = "answer:aborted"
    ANSWER_RATED = "answer:rated"
    CONVERSATION_READ = "conversation:read"
    DOCUMENT_UPLOADED = "document:uploaded"
    DOCUMENT_READ = "document:read"
    DOCUMENT_INGESTED = "document:ingested"
    DOCUMENT_SUBMITTED = "document:submitted"
    DOCUMENT_APPROVED = "document:approved"
    DOCUMENT_REJECTED = "document:rejected"
    DOCUMENT_RETIRED = "document:retired"
    DOCUMENT_ERASED = "document:erased"
    JOB_CANCELLED = "job:cancelled"
    JOB_RETRIED = "job:retried"
    KEY_CREATED = "key:created"
    KEY_ROTATED = "key:rotated"
    KEY_CHANGED = "key:changed"
    KEY_HANDED_OVER = "key:handed_over"
    KEY_REVOKED = "key:revoked"
    ACT_ASKED = "act:asked"
    ACT_JOINED = "act:joined"
    ACT_WITHDRAWN = "act:withdrawn"
    GRANT_CHANGED = "grant:changed"
    USER_CHANGED = "user:changed"
    COLLECTION_CHANGED = "collection:changed"
    ISSUER_CHANGED = "issuer:changed"
    TENANT_CHANGED = "tenant:changed"
    ACCESS_DENIED = "access:denied"
    AUDIT_READ = "audit:read"
    AUDIT_REVEALED = "audit:revealed"
    ERASURE_REQUESTED = "erasure:requested"
    ERASURE_EXECUTED = "erasure:executed"
    HOLD_PLACED = "hold:placed"
    HOLD_RELEASED = "hold:released"
    RETENTION_RAISED = "retention:raised"
    SEARCH_SAVED = "search:saved"
    SEARCH_DELETED = "search:deleted"
    AUDIT_EXPORTED = "audit:exported"
    AUDIT_VERIFIED = "audit:verified"
    AUDIT_ARCHIVED = "audit:archived"
    AUDIT_RESTORED = "audit:restored"


class Outcome(StrEnum):
    """How it ended."""

    SUCCEEDED = "succeeded"
    DENIED = "denied"
    FAILED = "failed"
    REFUSED = "refused"
    ABORTED = "aborted"


class EndUser(Protocol):
    """For whom an actor acts, and how that is known."""

    @property
    def subject(self) -> str:
        """The end user, in the words of who acts for it."""
        ...

    @property
    def assurance(self) -> str:
        """How that is known."""
        ...


class Door(Protocol):
    """By which protocol a request came."""

    @property
    def kind(self) -> str:
        """`http`, `openai`, `mcp`, `scim`, `console`, `command` or `job`."""
        ...

    @property
    def client(self) -> str | None:
        """What the client says it is."""
        ...

    @property
    def tool(self) -> str | None:
        """The operation in the words of that protocol, where its address does not say it."""
        ...


class Actor(Protocol):
    """Who acts: a caller, or nobody yet."""

    @property
    def tenant_id(self) -> UUID:
        """The tenant in whose log the event stands."""
        ...

    @property
    def principal_id(self) -> UUID | None:
        """The user or key; None for nobody yet, and for the operator."""
        ...

    @property
    def kind(self) -> str:
        """`user`, `key`, `operator`, or `anonymous`."""
        ...

    @property
    def roles(self) -> Collection[str]:
        """The roles at this moment."""
        ...

    @property
    def permissions(self) -> Collection[str]:
        """The permissions at this moment."""
        ...

    @property
    def readable(self) -> Collection[UUID]:
        """Ids of the collections that could be read at this moment."""
        ...

    @property
    def session_id(self) -> UUID | None:
        """The sign-in that the access token belongs to."""
        ...

    @property
    def request_id(self) -> str:
        """The request, also named in its response and in the service's log."""
        ...

    @property
    def source_address(self) -> str | None:
        """Where the request came from."""
        ...

    @property
    def subject_id(self) -> UUID:
        """Whose personal data the request holds, under whose key its texts are encrypted."""
        ...

    def subject_named(self, end_user: str) -> UUID:
        """Returns the data subject that partners of the tenant name so."""
        ...

    @property
    def purpose(self) -> str | None:
        """For what its key was made."""
        ...

    @property
    def on_behalf_of(self) -> EndUser | None:
        """For whom the principal acts, if it says so."""
        ...

    @property
    def door(self) -> Door | None:
        """By which protocol the request came; None for what nobody asked for over a network."""
        ...


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened. `details` goes into the envelope; `payloads` are encrypted beside it."""

    action: Action
    outcome: Outcome = Outcome.SUCCEEDED
    reason: str | None = None
    details: Mapping[str, Any] = field(default_factory=dict)
    payloads: Mapping[str, str] = field(default_factory=dict)
    doc_ids: Sequence[str] = ()


def timestamp(moment: datetime) -> str:
    """Returns RFC 3339 in UTC with microseconds, the only spelling of a time in an envelope."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def envelope(
    event_id: UUID,
    moment: datetime,
    actor: Actor,
    event: Event,
    commitments: Mapping[str, Any],
    service: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Returns the members of an event's envelope; what is unknown is left out."""
    end_user, door = actor.on_behalf_of, actor.door
    principal = {
        "id": _text(actor.principal_id),
        "kind": actor.kind,
        "roles": sorted(actor.roles),
        "permissions": sorted(actor.permissions),
        "collections": sorted(map(str, actor.readable))[:LISTED_COLLECTIONS],
        "collection_count": len(actor.readable),
        "session": _text(actor.session_id),
        "purpose": actor.purpose,
        "on_behalf_of": end_user and {"subject": end_user.subject, "assurance": end_user.assurance},
    }
    members: dict[str, Any] = {
        "v": ENVELOPE_VERSION,
        "id": str(event_id),
        "time": timestamp(moment),
        "tenant": str(actor.tenant_id),
        "principal": without_nulls(principal),
        "request_id": actor.request_id,
        "source": actor.source_address,
        "door": door and without_nulls({"kind": door.kind, "client": door.client, "tool": door.tool}),
        "action": event.action,
        "outcome": event.outcome,
        "reason": event.reason,
        "payloads": dict(commitments) or None,
        "service": service and dict(service),
        **event.details,
    }
    return without_nulls(members)


def leading(items: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Returns the first items that fit into LISTED_BYTES as JSON."""
    ends = accumulate(len(orjson.dumps(item)) + 1 for item in items)
    return [item for item, end in zip(items, ends, strict=True) if end <= LISTED_BYTES]


def without_nulls(members: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the members whose value is known."""
    return {name: value for name, value in members.items() if value is not None}


def _text(identifier: UUID | None) -> str | None:
    return None if identifier is None else str(identifier)
