"""Bodies of one turn."""

from uuid import UUID

from pydantic import Field

from backend.review.events.models import EventView
from backend.schema import ApiModel


class TurnView(ApiModel):
    """A question and everything that is on record of it, in order."""

    turn: UUID
    events: list[EventView] = Field(
        description="Retrieval, prompt, what was shown, the answer or its end, and what followed."
    )
