"""The tables of audit, as the migrations make them; a test holds both against each other."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Column, DateTime, LargeBinary, SmallInteger, Text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.types import UserDefinedType
from sqlmodel import Field, SQLModel


class Xid8(UserDefinedType[int]):
    """A transaction id that never wraps around."""

    cache_ok = True

    def get_col_spec(self, **_: object) -> str:
        """Returns the type's name in SQL."""
        return "XID8"


class ArchiveRow(SQLModel, table=True):
    """Months that left the log for an archive."""

    __tablename__ = "archive"
    __table_args__ = {"schema": "audit"}

    tenant_id: UUID = Field(primary_key=True)
    month: date = Field(primary_key=True)
    first_leaf: int = Field(sa_column=Column(BigInteger, nullable=False))
    end_leaf: int = Field(sa_column=Column(BigInteger, nullable=False))
    events: int = Field(sa_column=Column(BigInteger, nullable=False))
    sha256: bytes
    size: int = Field(sa_column=Column(BigInteger, nullable=False))
    written_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))
    left_at: datetime | None = Field(sa_column=Column(DateTime(timezone=True)))
    cleared_at: datetime | None = Field(sa_column=Column(DateTime(timezone=True)))


class CheckpointRow(SQLModel, table=True):
    """Signed checkpoints of sealed logs. Append-only, like the events."""

    __tablename__ = "checkpoint"
    __table_args__ = {"schema": "audit"}

    tenant_id: UUID = Field(primary_key=True)
    id: UUID = Field(primary_key=True)
    size: int = Field(sa_column=Column(BigInteger, nullable=False))
    note: str = Field(sa_column=Column(Text, nullable=False))
    signed_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))


class DataKeyRow(SQLModel, table=True):
    """The keys of payloads, wrapped by a key that the database never sees."""

    __tablename__ = "data_key"
    __table_args__ = {"schema": "audit"}

    tenant_id: UUID = Field(primary_key=True)
    id: UUID = Field(primary_key=True)
    subject_id: UUID
    month: date
    wrapped: bytes
    created_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))


class ErasureRow(SQLModel, table=True):
    """Erasures of a data subject's texts: requested by one, approved by another, executed once."""

    __tablename__ = "erasure"
    __table_args__ = {"schema": "audit"}

    tenant_id: UUID = Field(primary_key=True)
    id: UUID = Field(primary_key=True)
    subject_id: UUID
    legal_basis: str = Field(sa_column=Column(Text, nullable=False))
    requested_by: UUID
    requested_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))
    approved_by: UUID | None
    executed_at: datetime | None = Field(sa_column=Column(DateTime(timezone=True)))


class EventRow(SQLModel, table=True):
    """The audit log. Append-only: nobody may update, delete or truncate, and triggers that always fire refuse it as well."""

    __tablename__ = "event"
    __table_args__ = {"schema": "audit"}

    id: UUID = Field(primary_key=True)
    envelope: str = Field(sa_column=Column(Text, nullable=False))
    xid: int = Field(sa_column=Column(Xid8, nullable=False))
    tenant_id: UUID = Field(primary_key=True)
    occurred_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))
    action: str = Field(sa_column=Column(Text, nullable=False))
    outcome: str = Field(sa_column=Column(Text, nullable=False))
    principal_id: UUID | None
    request_id: str = Field(sa_column=Column(Text, nullable=False))
    turn: UUID | None
    model: str | None = Field(sa_column=Column(Text))
    end_user: str | None = Field(sa_column=Column(Text))
    conversation: UUID | None


class EventDocumentRow(SQLModel, table=True):
    """Which documents an event is about."""

    __tablename__ = "event_document"
    __table_args__ = {"schema": "audit"}

    tenant_id: UUID = Field(primary_key=True)
    doc_id: str = Field(sa_column=Column(Text, primary_key=True))
    event_id: UUID = Field(primary_key=True)
    action: str = Field(sa_column=Column(Text, nullable=False))
    outcome: str = Field(sa_column=Column(Text, nullable=False))
    principal_id: UUID | None


class ExportRow(SQLModel, table=True):
    """Exports of the log: what was asked for, and the file that came of it."""

    __tablename__ = "export"
    __table_args__ = {"schema": "audit"}

    tenant_id: UUID = Field(primary_key=True)
    id: UUID = Field(primary_key=True)
    requested_by: UUID
    job_id: UUID
    parameters: dict[str, Any] = Field(sa_column=Column(JSONB, nullable=False))
    created_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))
    events: int | None = Field(sa_column=Column(BigInteger))
    sha256: bytes | None
    size: int | None = Field(sa_column=Column(BigInteger))
    parts: list[dict[str, Any]] | None = Field(sa_column=Column(JSONB))


class HoldRow(SQLModel, table=True):
    """Legal holds: while one applies, nothing of its subject is erased; one without a subject applies to everyone."""

    __tablename__ = "hold"
    __table_args__ = {"schema": "audit"}

    tenant_id: UUID = Field(primary_key=True)
    id: UUID = Field(primary_key=True)
    subject_id: UUID | None
    reason: str = Field(sa_column=Column(Text, nullable=False))
    placed_by: UUID
    placed_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))
    released_by: UUID | None
    released_at: datetime | None = Field(sa_column=Column(DateTime(timezone=True)))


class LeafRow(SQLModel, table=True):
    """The leaves of sealed logs: which event stands where, under which hash. Append-only, like the events."""

    __tablename__ = "leaf"
    __table_args__ = {"schema": "audit"}

    tenant_id: UUID = Field(primary_key=True)
    index: int = Field(sa_column=Column(BigInteger, primary_key=True))
    event_id: UUID
    hash: bytes


class LogRow(SQLModel, table=True):
    """The right edge of each sealed log, from which it grows."""

    __tablename__ = "log"
    __table_args__ = {"schema": "audit"}

    tenant_id: UUID = Field(primary_key=True)
    size: int = Field(sa_column=Column(BigInteger, nullable=False))
    frontier: list[bytes] = Field(sa_column=Column(ARRAY(LargeBinary), nullable=False))


class NodeRow(SQLModel, table=True):
    """Inner nodes of sealed logs, for proofs. Append-only, like the events."""

    __tablename__ = "node"
    __table_args__ = {"schema": "audit"}

    tenant_id: UUID = Field(primary_key=True)
    level: int = Field(sa_column=Column(SmallInteger, primary_key=True))
    position: int = Field(sa_column=Column(BigInteger, primary_key=True))
    hash: bytes


class PayloadRow(SQLModel, table=True):
    """Encrypted texts of events: questions, contexts, answers."""

    __tablename__ = "payload"
    __table_args__ = {"schema": "audit"}

    tenant_id: UUID = Field(primary_key=True)
    event_id: UUID = Field(primary_key=True)
    name: str = Field(sa_column=Column(Text, primary_key=True))
    key_id: UUID
    ciphertext: bytes
    terms: list[int] | None = Field(sa_column=Column(ARRAY(BigInteger)))
    xid: int = Field(sa_column=Column(Xid8, nullable=False))


class PayloadTermRow(SQLModel, table=True):
    """Keyed hashes of the words of encrypted texts: an index, not evidence."""

    __tablename__ = "payload_term"
    __table_args__ = {"schema": "audit"}

    tenant_id: UUID = Field(primary_key=True)
    term: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    event_id: UUID = Field(primary_key=True)
    name: str = Field(sa_column=Column(Text, primary_key=True))
    action: str = Field(sa_column=Column(Text, nullable=False))
    outcome: str = Field(sa_column=Column(Text, nullable=False))
    principal_id: UUID | None


class UnindexedRow(SQLModel, table=True):
    """Events that the index by documents and words does not know yet."""

    __tablename__ = "unindexed"
    __table_args__ = {"schema": "audit"}

    tenant_id: UUID = Field(primary_key=True)
    event_id: UUID = Field(primary_key=True)
    doc_ids: list[str] = Field(sa_column=Column(ARRAY(Text), nullable=False))
    action: str = Field(sa_column=Column(Text, nullable=False))
    outcome: str = Field(sa_column=Column(Text, nullable=False))
    principal_id: UUID | None
    xid: int = Field(sa_column=Column(Xid8, nullable=False))


class SavedSearchRow(SQLModel, table=True):
    """Searches that a reviewer comes back to."""

    __tablename__ = "saved_search"
    __table_args__ = {"schema": "audit"}

    tenant_id: UUID = Field(primary_key=True)
    id: UUID = Field(primary_key=True)
    name: str = Field(sa_column=Column(Text, nullable=False))
    filters: dict[str, Any] = Field(sa_column=Column(JSONB, nullable=False))
    saved_by: UUID
    saved_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))


class RetentionRow(SQLModel, table=True):
    """How long texts are kept. Append-only: the longest period counts."""

    __tablename__ = "retention"
    __table_args__ = {"schema": "audit"}

    tenant_id: UUID = Field(primary_key=True)
    id: UUID = Field(primary_key=True)
    event_class: str = Field(sa_column=Column(Text, nullable=False))
    days: int
    set_by: UUID
    set_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))


class SealerRow(SQLModel, table=True):
    """Who seals, and why nobody does if sealing has stopped."""

    __tablename__ = "sealer"
    __table_args__ = {"schema": "audit"}

    singleton: bool = Field(primary_key=True)
    epoch: int = Field(sa_column=Column(BigInteger, nullable=False))
    holder: str | None = Field(sa_column=Column(Text))
    lease_until: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))
    sealed_at: datetime | None = Field(sa_column=Column(DateTime(timezone=True)))
    halted: str | None = Field(sa_column=Column(Text))


class UnsealedRow(SQLModel, table=True):
    """Events that no log holds yet."""

    __tablename__ = "unsealed"
    __table_args__ = {"schema": "audit"}

    tenant_id: UUID = Field(primary_key=True)
    event_id: UUID = Field(primary_key=True)
    received: bool


class RestorationRow(SQLModel, table=True):
    """Who declared that a restored database has lost a part of the log, and why."""

    __tablename__ = "restoration"
    __table_args__ = {"schema": "audit"}

    id: UUID = Field(primary_key=True)
    reason: str = Field(sa_column=Column(Text, nullable=False))
    proposed_by: UUID
    proposed_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))
    confirmed_by: UUID | None
    confirmed_at: datetime | None = Field(sa_column=Column(DateTime(timezone=True)))


class DeclarationRow(SQLModel, table=True):
    """The signed declarations of what logs have lost. Append-only, like the events."""

    __tablename__ = "declaration"
    __table_args__ = {"schema": "audit"}

    tenant_id: UUID = Field(primary_key=True)
    id: UUID = Field(primary_key=True)
    restoration_id: UUID
    size: int = Field(sa_column=Column(BigInteger, nullable=False))
    lost_until: int = Field(sa_column=Column(BigInteger, nullable=False))
    note: str = Field(sa_column=Column(Text, nullable=False))
    declared_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))
