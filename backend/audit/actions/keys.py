"""API keys: how they come, change and go."""

from collections.abc import Sequence
from typing import Annotated
from uuid import UUID

from pydantic import AliasChoices, Field

from backend.audit.details import Activity, Details, Instant


class KeyBounded(Details):
    """What bounds a key; None means no bound, or none that changed."""

    networks: Sequence[str] | None = None
    # The command line wrote the short names for a while.
    requests_per_minute: Annotated[
        int | None, Field(validation_alias=AliasChoices("requests_per_minute", "per_minute"))
    ] = None
    requests_per_day: Annotated[int | None, Field(validation_alias=AliasChoices("requests_per_day", "per_day"))] = None
    tokens_day: int | None = None
    tokens_month: int | None = None
    cost_day_micros: int | None = None
    cost_month_micros: int | None = None
    expires_at: Instant | None = None


class KeyCreated(KeyBounded, action="key:created", activity=Activity.CREATE, within="key"):
    """A key exists, and who answers for it."""

    id: UUID
    permissions: Sequence[str]
    collections: Sequence[str] | None = None
    owner: UUID | None = None
    purpose: str | None = None
    signs_end_users: bool | None = None  # its holder says for whom it asks in words that it signs


class KeyChanged(KeyBounded, action="key:changed", activity=Activity.UPDATE, within="key"):
    """What bounds a key is another; `changed` names what was asked for."""

    id: UUID
    changed: Sequence[str]


class KeyRotated(Details, action="key:rotated", activity=Activity.UPDATE, within="key"):
    """A key has another secret."""

    id: UUID
    overlap_seconds: int


class KeyHandedOver(Details, action="key:handed_over", activity=Activity.UPDATE, within="key"):
    """Somebody else answers for a key."""

    id: UUID
    owner: UUID
    owner_before: UUID


class KeyRevoked(Details, action="key:revoked", activity=Activity.DELETE, within="key"):
    """A key opens nothing any more."""

    id: UUID
