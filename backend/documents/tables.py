"""The tables of documents, as the migrations make them; a test holds both against each other."""

from datetime import datetime
from typing import Any
from uuid import UUID

from pgvector.sqlalchemy import HALFVEC, SPARSEVEC
from sqlalchemy import BigInteger, Column, DateTime, Text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlmodel import Field, SQLModel


class ApprovalRow(SQLModel, table=True):
    """Decisions of reviewers on versions."""

    __tablename__ = "approval"
    __table_args__ = {"schema": "documents"}

    tenant_id: UUID = Field(primary_key=True)
    version_id: UUID = Field(primary_key=True)
    approver_id: UUID = Field(primary_key=True)
    collection_id: UUID
    author_id: UUID
    content_sha256: bytes
    decision: str = Field(sa_column=Column(Text, nullable=False))
    comment: str | None = Field(sa_column=Column(Text))
    decided_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))


class ChunkRow(SQLModel, table=True):
    """Chunks: the passages that retrieval finds."""

    __tablename__ = "chunk"
    __table_args__ = {"schema": "documents"}

    tenant_id: UUID = Field(primary_key=True)
    placement: UUID
    id: UUID = Field(primary_key=True)
    collection_id: UUID
    document_id: UUID
    version_id: UUID
    effective_from: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))
    effective_to: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))
    created_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))
    ordinal: int
    embedding_model: str = Field(sa_column=Column(Text, nullable=False))
    dense: Any = Field(sa_column=Column(HALFVEC(), nullable=False))
    sparse: Any = Field(sa_column=Column(SPARSEVEC(1_000_000_000), nullable=False))
    source_type: str = Field(sa_column=Column(Text, nullable=False))
    metadata_: dict[str, Any] = Field(sa_column=Column("metadata", JSONB, nullable=False))
    page_start: int | None
    page_end: int | None
    sheet: str | None = Field(sa_column=Column(Text))
    char_start: int | None
    char_end: int | None
    heading_path: list[str] | None = Field(sa_column=Column(ARRAY(Text)))
    sha256: bytes
    text: str = Field(sa_column=Column(Text, nullable=False))


class CollectionRow(SQLModel, table=True):
    """Collections: the unit of access inside a tenant."""

    __tablename__ = "collection"
    __table_args__ = {"schema": "documents"}

    tenant_id: UUID = Field(primary_key=True)
    id: UUID = Field(primary_key=True)
    slug: str = Field(sa_column=Column(Text, nullable=False))
    name: str = Field(sa_column=Column(Text, nullable=False))
    language: str = Field(sa_column=Column(Text, nullable=False))
    approval_required: bool
    approvers: int
    metadata_schema: dict[str, Any] | None = Field(sa_column=Column(JSONB))
    created_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))
    refused_warnings: list[str] = Field(sa_column=Column(ARRAY(Text), nullable=False))


class DocumentRow(SQLModel, table=True):
    """Documents: what a tenant calls by one doc_id in one collection."""

    __tablename__ = "document"
    __table_args__ = {"schema": "documents"}

    tenant_id: UUID = Field(primary_key=True)
    id: UUID = Field(primary_key=True)
    collection_id: UUID
    doc_id: str = Field(sa_column=Column(Text, nullable=False))
    source_type: str = Field(sa_column=Column(Text, nullable=False))
    title: str | None = Field(sa_column=Column(Text))
    created_by: UUID
    created_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))


class FileRow(SQLModel, table=True):
    """Uploaded files: what each is, and which version was made of it."""

    __tablename__ = "file"
    __table_args__ = {"schema": "documents"}

    tenant_id: UUID = Field(primary_key=True)
    id: UUID = Field(primary_key=True)
    collection_id: UUID
    document_id: UUID
    version_id: UUID | None
    job_id: UUID
    filename: str = Field(sa_column=Column(Text, nullable=False))
    media_type: str = Field(sa_column=Column(Text, nullable=False))
    size: int = Field(sa_column=Column(BigInteger, nullable=False))
    sha256: bytes
    submitted: dict[str, Any] = Field(sa_column=Column(JSONB, nullable=False))
    page_count: int | None
    created_by: UUID
    created_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))


class VersionRow(SQLModel, table=True):
    """Versions of documents, with their approval and validity."""

    __tablename__ = "version"
    __table_args__ = {"schema": "documents"}

    tenant_id: UUID = Field(primary_key=True)
    id: UUID = Field(primary_key=True)
    collection_id: UUID
    document_id: UUID
    number: int
    status: str = Field(sa_column=Column(Text, nullable=False))
    takes_chunks: bool
    approvals_needed: int
    planned_from: datetime | None = Field(sa_column=Column(DateTime(timezone=True)))
    planned_to: datetime | None = Field(sa_column=Column(DateTime(timezone=True)))
    effective_from: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))
    effective_to: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))
    content_sha256: bytes
    metadata_: dict[str, Any] = Field(sa_column=Column("metadata", JSONB, nullable=False))
    reason: str | None = Field(sa_column=Column(Text))
    author_id: UUID
    created_by: UUID
    created_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))
    warnings: list[dict[str, str]] = Field(sa_column=Column(JSONB, nullable=False))


class VersionHistoryRow(SQLModel, table=True):
    """What was known about the validity of versions, and since when."""

    __tablename__ = "version_history"
    __table_args__ = {"schema": "documents"}

    tenant_id: UUID = Field(primary_key=True)
    id: UUID = Field(primary_key=True)
    collection_id: UUID
    document_id: UUID
    version_id: UUID
    status: str = Field(sa_column=Column(Text, nullable=False))
    effective_from: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))
    effective_to: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))
    recorded_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))
