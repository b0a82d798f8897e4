"""The users and groups that a tenant's identity provider keeps here, apart from any protocol."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Person:
    """What a provider says of a user. `attributes` are kept as they are: how the user is called, and its addresses."""

    user_name: str
    external_id: str | None
    display_name: str
    active: bool
    attributes: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Reference:
    """A group that a user is in."""

    id: UUID
    name: str


@dataclass(frozen=True, slots=True)
class ProvisionedUser:
    """A user whom the provider keeps here."""

    id: UUID
    user_name: str
    external_id: str | None
    active: bool
    attributes: Mapping[str, Any]
    groups: Sequence[Reference]
    created_at: datetime
    changed_at: datetime


@dataclass(frozen=True, slots=True)
class ProvisionedGroup:
    """A group that the provider keeps here."""

    id: UUID
    name: str
    external_id: str | None
    members: Sequence[UUID]
    created_at: datetime
    changed_at: datetime


@dataclass(frozen=True, slots=True)
class UserQuery:
    """Which users are asked for; what is None does not matter."""

    id: UUID | None = None
    user_name: str | None = None
    external_id: str | None = None
    display_name: str | None = None


@dataclass(frozen=True, slots=True)
class GroupQuery:
    """Which groups are asked for; what is None does not matter."""

    id: UUID | None = None
    name: str | None = None
    external_id: str | None = None
    member: UUID | None = None


@dataclass(frozen=True, slots=True)
class Window:
    """Which part of what is found, from how many on."""

    limit: int
    offset: int = 0
