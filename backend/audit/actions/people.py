"""Users, what they and keys may read, and what takes two of them."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from backend.audit.details import Activity, Details, Member


class UserChanged(Details, action="user:changed", activity=Activity.UPDATE, within="user"):
    """A user was created, changed, vouched for, linked to a provider, or deleted; `change` says which."""

    id: UUID
    change: str | None = None
    roles: Sequence[str] | None = None
    changed: Sequence[str] | None = None
    status: str | None = None


class GrantChanged(Details, action="grant:changed", activity=Activity.UPDATE, within="grant"):
    """A role or a principal may read or write a collection, or may not any more."""

    collection: str
    access: str
    role: str | None = None
    principal: UUID | None = None
    change: str | None = None


class TrustedIssuer(Member):
    """An identity provider, and what its word is worth."""

    issuer: str
    client: str
    creates_users: bool
    role_of_group: Mapping[str, str]


class DistrustedIssuer(Member):
    """An identity provider whose word is worth nothing any more."""

    issuer: str


class IssuerChanged(Details, action="issuer:changed", activity=Activity.UPDATE):
    """The tenant trusts an identity provider, or none."""

    trusted: TrustedIssuer | None = None
    distrusted: DistrustedIssuer | None = None


class _Joint(Details):
    """An act that needs two people, on what, and by which request."""

    act: str
    target: UUID
    request: UUID


class ActAsked(_Joint, action="act:asked", activity=Activity.CREATE, within="joint"):
    """The first of two people asks."""

    asked_by: UUID


class ActJoined(_Joint, action="act:joined", activity=Activity.UPDATE, within="joint"):
    """The second of two people asks for the same."""

    asked_by: UUID


class ActWithdrawn(_Joint, action="act:withdrawn", activity=Activity.DELETE, within="joint"):
    """The first of two people asks no longer."""
