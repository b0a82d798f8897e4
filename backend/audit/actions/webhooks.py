"""Webhooks: who is told of what happens, by which endpoints."""

from collections.abc import Sequence
from uuid import UUID

from backend.audit.details import Activity, Details, Instant


class _OfEndpoint(Details):
    """An endpoint; its address can hold a secret, so only its host is told."""

    id: UUID


class WebhookCreated(_OfEndpoint, action="webhook:created", activity=Activity.CREATE, within="webhook"):
    """An endpoint is told of these kinds of events from now on."""

    host: str
    kinds: Sequence[str]


class WebhookChanged(_OfEndpoint, action="webhook:changed", activity=Activity.UPDATE, within="webhook"):
    """Of an endpoint something is different; `changed` names what."""

    changed: Sequence[str]
    host: str | None = None
    kinds: Sequence[str] | None = None
    status: str | None = None


class WebhookDeleted(_OfEndpoint, action="webhook:deleted", activity=Activity.DELETE, within="webhook"):
    """An endpoint is told nothing any more, and what was sent to it is forgotten."""


class WebhookSecretRotated(_OfEndpoint, action="webhook:secret_rotated", activity=Activity.UPDATE, within="webhook"):
    """Another secret signs what is sent to an endpoint; those before sign as well until the overlap is over."""

    overlap_seconds: int


class WebhookTested(_OfEndpoint, action="webhook:tested", activity=Activity.CREATE, within="webhook"):
    """A test was asked for."""

    delivery: UUID


class WebhookReplayed(_OfEndpoint, action="webhook:replayed", activity=Activity.UPDATE, within="webhook"):
    """One delivery is sent again, or everything that was told since a moment."""

    delivery: UUID | None = None
    since: Instant | None = None


class WebhookDisabled(_OfEndpoint, action="webhook:disabled", activity=Activity.UPDATE, within="webhook"):
    """An endpoint is told nothing more, since it failed for too long or said that it is gone."""

    because: str
    failing_since: Instant
