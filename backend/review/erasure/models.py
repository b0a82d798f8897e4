"""Bodies of erasures, legal holds and periods of retention."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import Field

from backend.schema import WHOLE, ApiModel, Text

Subject = Annotated[
    Text,
    Field(
        min_length=1, max_length=256, examples=["analyst"],
        description="A data subject: a principal's id, a user name, or `end-user:` and the name that a partner gives.",
    ),
]  # fmt: skip


class NewHold(ApiModel):
    """A legal hold to place."""

    subject: Subject | None = Field(default=None, description="Whose texts are held; unset means everyone's.")
    reason: Annotated[Text, Field(min_length=3, max_length=500, examples=["Subpoena 2026-17"])]


class Hold(ApiModel):
    """A legal hold."""

    id: UUID
    subject_id: UUID | None
    reason: str
    placed_by: UUID
    placed_at: datetime
    released_by: UUID | None
    released_at: datetime | None


class HoldList(ApiModel):
    """Legal holds, newest first."""

    holds: list[Hold]


class Retention(ApiModel):
    """How long the texts of a class of events are kept before they can be erased."""

    event_class: str = Field(
        pattern="^[a-z]{1,20}$", examples=["answer"], description="What stands before the colon of an action."
    )
    days: Annotated[int, Field(ge=0, le=36_500, strict=True), WHOLE]


class RetentionList(ApiModel):
    """The periods that apply."""

    retention: list[Retention]


class NewErasure(ApiModel):
    """An erasure to request."""

    subject: Subject
    legal_basis: Annotated[
        Text, Field(min_length=3, max_length=500, examples=["GDPR article 17(1)(b), request 2026-113"])
    ]


class Erasure(ApiModel):
    """An erasure of a data subject's texts."""

    id: UUID
    subject_id: UUID
    legal_basis: str
    requested_by: UUID
    requested_at: datetime
    approved_by: UUID | None
    executed_at: datetime | None
    texts: int | None = Field(default=None, description="How many texts were destroyed, in the answer to the approval.")


class ErasureList(ApiModel):
    """Erasures, newest first."""

    erasures: list[Erasure]
