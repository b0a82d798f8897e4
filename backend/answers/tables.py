"""The tables of answers, as the migrations make them; a test holds both against each other."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import Column, DateTime
from sqlmodel import Field, SQLModel


class ConversationRow(SQLModel, table=True):
    """Conversations, each of who began it."""

    __tablename__ = "conversation"
    __table_args__ = {"schema": "answers"}

    tenant_id: UUID = Field(primary_key=True)
    id: UUID = Field(primary_key=True)
    principal_id: UUID
    subject_id: UUID
    began_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))


class TurnRow(SQLModel, table=True):
    """Turns of conversations, by the events that hold what was said."""

    __tablename__ = "turn"
    __table_args__ = {"schema": "answers"}

    tenant_id: UUID = Field(primary_key=True)
    id: UUID = Field(primary_key=True)
    conversation_id: UUID
    answer_event: UUID
    refused: bool
    answered_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))
