"""Bodies of whom a version reached."""

from datetime import datetime
from uuid import UUID

from pydantic import Field

from backend.schema import ApiModel


class AffectedAnswer(ApiModel):
    """An answer that cited a version, and who got it."""

    event_id: UUID
    time: datetime
    principal_id: UUID | None
    principal_name: str | None
    request_id: str


class Reach(ApiModel):
    """How many answers of the last days cited a document, whichever version of it."""

    doc_id: str = Field(examples=["overdraft-fees"])
    since: datetime
    answers: int = Field(ge=0, examples=[11], description="Events that are not indexed yet are not among them.")


class Impact(ApiModel):
    """The answers that cited a version, newest first."""

    doc_id: str
    document_version: int
    since: datetime
    answers: list[AffectedAnswer]
    truncated: bool = Field(description="Whether there are more than are listed.")
