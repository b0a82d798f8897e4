"""A source as it is stored, and by what a change of where it points is known."""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson


@dataclass(frozen=True, slots=True)
class StoredSource:
    """A source, without what it proves itself with."""

    id: UUID
    name: str
    kind: str
    collection_id: UUID
    address: str
    options: dict[str, Any]
    has_credentials: bool
    source_type: str
    metadata: dict[str, Any]
    every_minutes: int | None
    daily_minute: int | None
    next_run_at: datetime | None
    status: str
    responsible_id: UUID
    created_by: UUID
    created_at: datetime

    @property
    def fingerprint(self) -> str:
        """What differs when the source points elsewhere, so that no run goes on from a place in another list."""
        pointed = orjson.dumps([self.kind, self.address, self.options], option=orjson.OPT_SORT_KEYS)
        return hashlib.sha256(pointed).hexdigest()[:16]

    def cursor_of(self, stored: str | None) -> str | None:
        """Returns from where a run goes on; None from the beginning."""
        fingerprint, _, cursor = (stored or "").partition(":")
        return cursor if cursor and fingerprint == self.fingerprint else None

    def stored_cursor(self, cursor: str | None) -> str | None:
        """Returns a cursor as a run keeps it."""
        return None if cursor is None else f"{self.fingerprint}:{cursor}"
