"""What an audit event says: who did what, how it ended, and to which documents; as one canonical-JSON envelope."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol
from uuid import UUID

from backend.audit.details import Details, Member, timestamp

ENVELOPE_VERSION = 1
LISTED_COLLECTIONS = 50


class Outcome(StrEnum):
    """How it ended."""

    SUCCEEDED = "succeeded"
    DENIED = "denied"
    FAILED = "failed"
    REFUSED = "refused"
    ABORTED = "aborted"


class NamedEndUser(Protocol):
    """For whom an actor acts, and how that is known."""

    @property
    def subject(self) -> str:
        """The end user, in the words of who acts for it."""
        ...

    @property
    def assurance(self) -> str:
        """How that is known."""
        ...


class DoorKind(StrEnum):
    """By which protocol a request came."""

    HTTP = "http"
    OPENAI = "openai"
    MCP = "mcp"
    SCIM = "scim"
    CONSOLE = "console"


class NamedDoor(Protocol):
    """By which protocol a request came."""

    @property
    def kind(self) -> DoorKind:
        """The protocol."""
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
        """`user`, `key`, `issuer`, `operator`, or `anonymous`."""
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
    def stated_purpose(self) -> str | None:
        """The purpose that the client states for this request."""
        ...

    @property
    def on_behalf_of(self) -> NamedEndUser | None:
        """For whom the principal acts, if it says so."""
        ...

    @property
    def door(self) -> NamedDoor | None:
        """By which protocol the request came; None for what nobody asked for over a network."""
        ...


class OperatorNamed(Member):
    """Which of the operator's systems or people acted on a tenant."""

    name: str
    key: UUID | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened. `details` goes into the envelope; `payloads` are encrypted beside it."""

    details: Details
    outcome: Outcome = Outcome.SUCCEEDED
    reason: str | None = None
    payloads: Mapping[str, str] = field(default_factory=dict)
    doc_ids: Sequence[str] = ()
    operator: OperatorNamed | None = None

    @property
    def action(self) -> str:
        """What was done."""
        return self.details.action


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
        "purpose": actor.stated_purpose,
        "source": actor.source_address,
        "door": door and without_nulls({"kind": door.kind, "client": door.client, "tool": door.tool}),
        "action": event.action,
        "outcome": event.outcome,
        "reason": event.reason,
        "payloads": dict(commitments) or None,
        "service": service and dict(service),
        "operator": event.operator and event.operator.members(),
        # The first schema is not named, as in what the first release sealed.
        "schema": event.details.schema if event.details.schema > 1 else None,
        **event.details.members(),
    }
    return without_nulls(members)


def without_nulls(members: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the members whose value is known."""
    return {name: value for name, value in members.items() if value is not None}


def _text(identifier: UUID | None) -> str | None:
    return None if identifier is None else str(identifier)
