"""The tables of retrieval, as the migrations make them; a test holds both against each other."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, Column, DateTime, Text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlmodel import Field, SQLModel


class CollectionSizeRow(SQLModel, table=True):
    """How many chunks a collection holds."""

    __tablename__ = "collection_size"
    __table_args__ = {"schema": "retrieval"}

    tenant_id: UUID = Field(primary_key=True)
    collection_id: UUID = Field(primary_key=True)
    chunks: int = Field(sa_column=Column(BigInteger, nullable=False))


class PlacementRow(SQLModel, table=True):
    """Which tenants have a partition of their own."""

    __tablename__ = "placement"
    __table_args__ = {"schema": "retrieval"}

    tenant_id: UUID = Field(primary_key=True)
    state: str = Field(sa_column=Column(Text, nullable=False))
    indexed_models: list[str] = Field(sa_column=Column(ARRAY(Text), nullable=False))
    changed_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))


class TermRow(SQLModel, table=True):
    """How many chunks of a collection contain a term."""

    __tablename__ = "term"
    __table_args__ = {"schema": "retrieval"}

    tenant_id: UUID = Field(primary_key=True)
    collection_id: UUID = Field(primary_key=True)
    dimension: int = Field(primary_key=True)
    chunks: int = Field(sa_column=Column(BigInteger, nullable=False))
