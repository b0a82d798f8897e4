"""What services read from the tables of documents, as typed rows.

A class with `table=True` has the columns of its table, and a test compares both. The others have the columns of one
statement, or of a part of it. A statement that says `{place}`, `{collection}` or `{file}` names the columns that the class has.
"""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import Field, StringConstraints
from sqlalchemy import BigInteger, Column, DateTime, Text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlmodel import Field as TableField
from sqlmodel import SQLModel

from backend import schema
from backend.documents.parsing.findings import LONGEST_LABEL
from backend.documents.versions.validity import FOREVER, Validity

Heading = Annotated[schema.Text, StringConstraints(max_length=500)]


class ChunkSpan(schema.ApiModel):
    """Where a chunk stands in its document, as far as that is known.

    These columns of `documents.chunk` are listed here alone: requests, answers, citations and statements take them from here.
    """

    page_start: int | None = Field(default=None, ge=1, le=1_000_000, description="Counted from 1.", examples=[7])
    page_end: int | None = Field(default=None, ge=1, le=1_000_000, examples=[7])
    page_label: schema.Text | None = Field(
        default=None, min_length=1, max_length=LONGEST_LABEL, examples=["A-1"],
        description="What the file calls its first page, often as it is printed there; null where that is its number.",
    )  # fmt: skip
    sheet: schema.Text | None = Field(default=None, max_length=255, description="Of a workbook.")
    char_start: int | None = Field(
        default=None,
        ge=0,
        le=2**31 - 1,
        description="In the text of the whole document, counted from 0.",
        examples=[10_240],
    )
    char_end: int | None = Field(default=None, ge=0, le=2**31 - 1, description="Exclusive.", examples=[11_020])
    heading_path: tuple[Heading, ...] | None = Field(
        default=None, max_length=16, description="The headings that it is under.", examples=[["Fees", "Wires"]]
    )
    recognition_confidence: int | None = Field(
        default=None, ge=0, le=100, examples=[97],
        description="Of text that was recognised in a picture: how sure the recognition is of it, in per cent. Null for text "
        "that the file itself holds.",
    )  # fmt: skip

    @property
    def page_name(self) -> str | None:
        """Its first page as people say it: by its label with the number behind it, or by the number alone."""
        if self.page_start is None:
            return None
        return f"{self.page_label} ({self.page_start})" if self.page_label else str(self.page_start)

    @property
    def span(self) -> "ChunkSpan":
        """The place alone, without what a subclass adds."""
        return ChunkSpan(**{name: getattr(self, name) for name in ChunkSpan.model_fields})


NOWHERE = ChunkSpan()


class ChunkRow(ChunkSpan):
    """A chunk of a version: its text, and where it stands."""

    id: UUID
    text: str


class CollectionRow(SQLModel, table=True):
    """A collection: the unit of access inside a tenant."""

    __tablename__ = "collection"
    __table_args__ = {"schema": "documents"}

    tenant_id: UUID = TableField(primary_key=True)
    id: UUID = TableField(primary_key=True)
    slug: str = TableField(sa_column=Column(Text, nullable=False))
    name: str = TableField(sa_column=Column(Text, nullable=False))
    language: str = TableField(sa_column=Column(Text, nullable=False))
    approval_required: bool
    approvers: int
    metadata_schema: dict[str, Any] | None = TableField(sa_column=Column(JSONB))
    created_at: datetime = TableField(sa_column=Column(DateTime(timezone=True), nullable=False))
    refused_warnings: list[str] = TableField(sa_column=Column(ARRAY(Text), nullable=False))
    personal_data: str = TableField(sa_column=Column(Text, nullable=False))


class DocumentRow(SQLModel):
    """A document: what a tenant calls by one doc_id in one collection, here by its slug."""

    id: UUID
    doc_id: str
    collection_id: UUID
    collection: str
    source_type: str
    title: str | None
    created_at: datetime


class VersionRow(SQLModel):
    """A version of a document, with its approval and validity.

    `effective_from` and `effective_to` are None where they are infinite. `shown_status` says `approved` as long as the end of
    a superseded or retired version lies in the future.
    """

    id: UUID
    collection_id: UUID
    number: int
    status: str
    shown_status: str
    takes_chunks: bool
    planned_from: datetime | None
    planned_to: datetime | None
    effective_from: datetime | None
    effective_to: datetime | None
    in_force: bool
    content_sha256: bytes
    described: dict[str, Any]
    reason: str | None
    author_id: UUID
    created_by: UUID
    created_at: datetime
    approvals_needed: int
    warnings: list[dict[str, str]]
    personal_data: dict[str, int]

    @property
    def validity(self) -> Validity:
        """When it is in force; of a version that was approved once."""
        assert self.effective_from is not None
        return Validity(self.effective_from, self.effective_to or FOREVER)


class ListedVersionRow(VersionRow):
    """A version among those of other documents: which document it is of, and how far its review is."""

    document_id: UUID
    doc_id: str
    title: str | None
    collection: str
    decided_by_me: bool
    given: int


class FileRow(SQLModel, table=True):
    """An uploaded file: what it is, and which version was made of it."""

    __tablename__ = "file"
    __table_args__ = {"schema": "documents"}

    tenant_id: UUID = TableField(primary_key=True)
    id: UUID = TableField(primary_key=True)
    collection_id: UUID
    document_id: UUID
    version_id: UUID | None
    job_id: UUID
    filename: str = TableField(sa_column=Column(Text, nullable=False))
    media_type: str = TableField(sa_column=Column(Text, nullable=False))
    size: int = TableField(sa_column=Column(BigInteger, nullable=False))
    sha256: bytes
    submitted: dict[str, Any] = TableField(sa_column=Column(JSONB, nullable=False))
    page_count: int | None
    created_by: UUID
    created_at: datetime = TableField(sa_column=Column(DateTime(timezone=True), nullable=False))


class UploadRow(SQLModel):
    """A file that was uploaded before it was said to which collection it goes, and what became of it."""

    id: UUID
    filename: str
    media_type: str
    size: int
    sha256: bytes
    created_at: datetime
    collection_id: UUID | None
    document_id: UUID | None
    job_id: UUID | None
    batch_id: UUID | None
    document_version: int | None
    version_status: str | None
    job_status: str | None
    error_code: str | None
    error_detail: str | None
