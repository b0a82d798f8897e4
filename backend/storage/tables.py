"""The tables of storage, as the migrations make them; a test holds both against each other."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import Column, DateTime
from sqlmodel import Field, SQLModel


class DataKeyRow(SQLModel, table=True):
    """The keys of tenants' files, wrapped by a key that the database never sees."""

    __tablename__ = "data_key"
    __table_args__ = {"schema": "storage"}

    tenant_id: UUID = Field(primary_key=True)
    id: UUID
    wrapped: bytes
    created_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))
