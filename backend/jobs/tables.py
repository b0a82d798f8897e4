"""The tables of jobs, as the migrations make them; a test holds both against each other."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Column, DateTime, Text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel


class JobRow(SQLModel, table=True):
    """Work that takes longer than a request: who asked for it, how far it is, and how it ended."""

    __tablename__ = "job"
    __table_args__ = {"schema": "jobs"}

    tenant_id: UUID = Field(primary_key=True)
    id: UUID = Field(primary_key=True)
    kind: str = Field(sa_column=Column(Text, nullable=False))
    requested_by: UUID
    request_id: str = Field(sa_column=Column(Text, nullable=False))
    on_behalf_of: dict[str, Any] | None = Field(sa_column=Column(JSONB))
    parameters: dict[str, Any] = Field(sa_column=Column(JSONB, nullable=False))
    status: str = Field(sa_column=Column(Text, nullable=False))
    attempts: int
    run_after: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))
    lease_id: UUID | None
    leased_at: datetime | None = Field(sa_column=Column(DateTime(timezone=True)))
    leased_until: datetime | None = Field(sa_column=Column(DateTime(timezone=True)))
    done: int | None = Field(sa_column=Column(BigInteger))
    total: int | None = Field(sa_column=Column(BigInteger))
    result: dict[str, Any] | None = Field(sa_column=Column(JSONB))
    error_code: str | None = Field(sa_column=Column(Text))
    error_detail: str | None = Field(sa_column=Column(Text))
    retryable: bool
    created_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))
    finished_at: datetime | None = Field(sa_column=Column(DateTime(timezone=True)))
    ended_at: datetime | None = Field(sa_column=Column(DateTime(timezone=True)))
