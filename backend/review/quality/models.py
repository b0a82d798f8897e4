"""Bodies of the review of answers: what was reported, what is drawn as a sample, and what reviewers found."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated
from uuid import UUID

from pydantic import Field

from backend.schema import ApiModel, Text


class AnswerVerdict(StrEnum):
    """What a reviewer found. The values are sealed in events."""

    CORRECT = "correct"
    INCOMPLETE = "incomplete"
    WRONG = "wrong"


class Because(StrEnum):
    """Why an answer was looked at. The values are sealed in events."""

    SAMPLED = "sampled"
    REPORTED = "reported"


class ReportedAnswer(ApiModel):
    """What somebody thought of an answer that it got."""

    event_id: UUID = Field(description="The event `answer:rated`; its text, if any, is revealed with the turn.")
    time: datetime
    turn: UUID
    principal_id: UUID | None
    principal_name: str | None
    rating: str = Field(examples=["wrong"])
    verdict: AnswerVerdict | None = Field(description="What a reviewer found last; null while nobody has looked.")


class ReportedAnswers(ApiModel):
    """Ratings, newest first."""

    answers: list[ReportedAnswer]
    next_cursor: str | None = Field(description="Pass as `cursor` for the next page; null at the end.")


class SampledAnswer(ApiModel):
    """An answer that was drawn to be looked at."""

    turn: UUID
    time: datetime
    principal_name: str | None


class Sample(ApiModel):
    """Answers that nobody has looked at yet, drawn at random; the same seed draws the same ones."""

    seed: str
    answers: list[SampledAnswer]


class NewVerdict(ApiModel):
    """What a reviewer found of an answer."""

    verdict: AnswerVerdict
    because: Because = Because.REPORTED
    comment: Annotated[Text, Field(min_length=1, max_length=2_000)] | None = Field(
        default=None, examples=["The fee changed on 1 April."]
    )


class RecordedVerdict(ApiModel):
    """A verdict that is on record."""

    turn: UUID
    audit_event_id: UUID


class VerdictCount(ApiModel):
    """How many answers got a verdict last."""

    because: Because
    verdict: AnswerVerdict
    answers: int


class Verdicts(ApiModel):
    """What the verdicts of a period add up to."""

    days: int
    answered: int = Field(description="Answers of the period, whether or not somebody looked at them.")
    counts: list[VerdictCount]
