"""Request and response bodies of the audit log."""

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import Field

from backend.schema import ApiModel


class EventView(ApiModel):
    """One event: the members that reviewers filter by, and its envelope as it was recorded."""

    id: UUID
    time: datetime
    action: str
    outcome: str
    reason: str | None = None
    principal_id: UUID | None = None
    principal_name: str | None = Field(default=None, description="The name today; the envelope holds the id.")
    request_id: str
    event: dict[str, Any] = Field(description="The recorded envelope.")
    payloads: dict[str, str] | None = Field(default=None, description="Decrypted texts, when revealed.")


class EventPage(ApiModel):
    """Events, newest first."""

    events: list[EventView]
    next_cursor: str | None = Field(description="Pass as `cursor` for the next page; null at the end.")


class SignedCheckpoint(ApiModel):
    """What the tenant's log commits to."""

    checkpoint: str = Field(description="C2SP signed note: origin, size, root, time, and an Ed25519 signature.")
    size: int = Field(description="Number of sealed events.")
    public_key: str | None = Field(description="The verifier key: name, key id and public key.")


class InclusionProof(ApiModel):
    """Proves that an event is in the log that a checkpoint commits to (RFC 6962, section 2.1.1)."""

    event_id: UUID
    leaf_index: int
    leaf_hash: str = Field(description="Hex SHA-256 of a zero byte and the envelope's UTF-8 text.")
    tree_size: int
    proof: list[str] = Field(description="Hex hashes from the leaf's sibling up to the root.")
    envelope: str = Field(description="The sealed text, byte for byte.")
    checkpoint: str
    public_key: str | None


class ConsistencyProof(ApiModel):
    """Proves that the log of one size is a prefix of the log of another (RFC 6962, section 2.1.2)."""

    first: int
    second: int
    proof: list[str]
    first_checkpoint: str | None = Field(description="A signed checkpoint of the first size, if one was signed.")
    second_checkpoint: str | None


class Reader(ApiModel):
    """One time that somebody was shown a document."""

    principal_id: UUID | None
    principal_name: str | None
    time: datetime
    action: str
    event_id: UUID


class ReaderPage(ApiModel):
    """Who was shown a document, newest first."""

    doc_id: str
    readers: list[Reader]
    next_cursor: str | None
