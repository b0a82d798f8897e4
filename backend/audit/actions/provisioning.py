"""What a tenant's identity provider changes here: its groups, and its bearer tokens. Changes of its users are in `people`."""

from collections.abc import Sequence
from uuid import UUID

from backend.audit.details import Activity, Details, Instant


class GroupChanged(Details, action="group:changed", activity=Activity.UPDATE, within="group"):
    """A group was created, changed or deleted; `change` says which. Roles that follow are told of each user."""

    id: UUID
    change: str
    name: str
    changed: Sequence[str] | None = None
    added: Sequence[UUID] | None = None
    removed: Sequence[UUID] | None = None
    more: int | None = None  # members that came or went, and are not listed


class ScimBearerChanged(Details, action="scim_bearer:changed", activity=Activity.UPDATE, within="scim_bearer"):
    """The provider has one bearer more, or one less; `change` says which."""

    id: UUID
    change: str
    name: str
    expires_at: Instant | None = None
