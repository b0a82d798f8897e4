"""Bodies of the policy of answers."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field

from backend.answers.grounding.verdict import Support
from backend.schema import ApiModel, Text

ModelName = Annotated[Text, Field(min_length=1, max_length=200)]


class NewAnswerPolicy(ApiModel):
    """What a tenant chooses, of what the operator offers."""

    models: Annotated[list[ModelName], Field(min_length=1, max_length=16)] | None = Field(
        default=None,
        description="Models that may answer, asked in this order when those before cannot; null means the operator's order.",
        examples=[["extractive-v8"]],
    )
    support_levels: Annotated[list[Support], Field(min_length=1, max_length=3)] | None = Field(
        default=None,
        description="Levels of support whose sentences are shown, among them `verbatim`; null means all that are allowed.",
        examples=[["verbatim", "close"]],
    )


class PendingChange(ApiModel):
    """Nothing has changed yet: a run under what was asked for must be approved by another person."""

    state: Literal["proposed"] = "proposed"
    change: UUID = Field(description="Listed by `GET /changes`, and tried by `POST /evaluations/runs`.")
    detail: str = (
        "A run of an evaluation set under this change must be approved by another person; nothing has changed yet."
    )


class OfferedAnswers(ApiModel):
    """What a tenant can choose from."""

    models: list[str] = Field(
        description="Models by name, in the operator's order; the last is the built-in generator.",
        examples=[["gpt-5-mini", "extractive-v8"]],
    )
    support_levels: list[Support] = Field(
        description="Levels that the operator allows; `judged` only where a judge is configured.",
        examples=[["verbatim", "close"]],
    )


class AnswerPolicy(NewAnswerPolicy):
    """What a tenant chose, and what it could choose from."""

    offered: OfferedAnswers = Field(description="What can be chosen.")
    changed_by: UUID | None = Field(description="Who chose it; null when nobody did.")
    changed_at: datetime | None = Field(description="When it was chosen.")
