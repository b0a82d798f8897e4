"""How events are described: a frozen class for each action, whose members its envelope holds.

The classes stand in `actions/`, by subject. A new action is a class there, and the service that records it. Events are sealed
for years, so a class only grows: new members are optional. Where a member comes to mean something else, `schema` rises, the
envelope names it, and the class tells in `upgraded` how it reads what earlier versions wrote.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from itertools import accumulate
from typing import Annotated, Any, ClassVar, Self, TypeVar, dataclass_transform

import orjson
from pydantic import PlainSerializer, TypeAdapter

# Of one list in an envelope, which has 16 KiB for everything. What does not fit stands, whole, in a payload.
LISTED_BYTES = 8 * 1024


class UnreadableEvent(ValueError):
    """The envelope is of another action, or of a later schema of its action than this service knows."""


class Activity(Enum):
    """What an action does to its object, in the words of who watches many systems."""

    CREATE = "create"
    READ = "read"
    UPDATE = "update"
    DELETE = "delete"
    OTHER = "other"


def timestamp(moment: datetime) -> str:
    """Returns RFC 3339 in UTC with microseconds, the only spelling of a time in an envelope."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


Instant = Annotated[datetime, PlainSerializer(timestamp)]


@dataclass_transform(frozen_default=True, kw_only_default=True)
class Member:
    """An object inside an envelope. Its fields are the members, and those that are None are left out."""

    def __init_subclass__(cls) -> None:
        """Makes the class a frozen dataclass, whose fields are named when it is made."""
        super().__init_subclass__()
        dataclass(frozen=True, kw_only=True)(cls)

    def members(self) -> dict[str, Any]:
        """Returns what canonical JSON can hold."""
        dumped: dict[str, Any] = _adapter(type(self)).dump_python(self, mode="json", by_alias=True, exclude_none=True)
        return dumped


class Details(Member):
    """What an event tells of its action, besides who did it, when, and how it ended."""

    action: ClassVar[str] = ""
    activity: ClassVar[Activity] = Activity.OTHER
    schema: ClassVar[int] = 1
    within: ClassVar[str | None] = None

    def __init_subclass__(
        cls, *, action: str = "", activity: Activity = Activity.OTHER, schema: int = 1, within: str | None = None
    ) -> None:
        """Registers the class for its action; all its fields stand in the member `within`, if one is named.

        A class without an action is what others have in common.
        """
        super().__init_subclass__()
        cls.action, cls.activity, cls.schema, cls.within = action, activity, schema, within
        if action:
            if action in ACTIONS:
                raise TypeError(f"two classes describe {action}")
            ACTIONS[action] = cls

    def members(self) -> dict[str, Any]:
        """Returns the members of the envelope that tell this."""
        told = super().members()
        return told if self.within is None else {self.within: told}

    @classmethod
    def of(cls, envelope: Mapping[str, Any]) -> Self:
        """Returns what an envelope tells; raises UnreadableEvent, and ValidationError for one that was never written so."""
        written = envelope.get("schema", 1)
        if envelope["action"] != cls.action or written > cls.schema:
            raise UnreadableEvent(f"{envelope['action']} in schema {written}")
        told = envelope if cls.within is None else envelope.get(cls.within, {})
        read: Self = _adapter(cls).validate_python(cls.upgraded(told, written))
        return read

    @classmethod
    def upgraded(cls, told: Mapping[str, Any], written: int) -> Mapping[str, Any]:
        """Returns what an earlier version of the class wrote, as this one would have; overridden where `schema` rises."""
        if written != cls.schema:
            raise UnreadableEvent(f"{cls.action} in schema {written}")
        return told


# Every action and its class; complete once `backend.audit.actions` is imported.
ACTIONS: dict[str, type[Details]] = {}

_M = TypeVar("_M", bound=Member)


def leading(items: Sequence[_M]) -> list[_M]:
    """Returns the first items that fit into LISTED_BYTES as JSON."""
    ends = accumulate(len(orjson.dumps(item.members())) + 1 for item in items)
    return [item for item, end in zip(items, ends, strict=True) if end <= LISTED_BYTES]


def _adapter(kind: type[Member]) -> TypeAdapter[Any]:
    if kind not in _ADAPTERS:  # made at first use: making all of them would slow down every command
        _ADAPTERS[kind] = TypeAdapter(kind)
    return _ADAPTERS[kind]


_ADAPTERS: dict[type[Member], TypeAdapter[Any]] = {}
