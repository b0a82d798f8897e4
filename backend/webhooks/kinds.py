"""What an endpoint can be told of."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

TEST = "webhook.test"


class EventKind(StrEnum):
    """Something that others must know; never rename one: receivers compare them."""

    VERSION_APPROVED = "version.approved"
    VERSION_SUPERSEDED = "version.superseded"
    VERSION_RETIRED = "version.retired"
    JOB_FAILED = "job.failed"
    ERASURE_EXECUTED = "erasure.executed"
    HOLD_PLACED = "hold.placed"
    TURN_OPEN = "turn.open"
    SEAL_LAG = "seal.lag"
    WEBHOOK_DISABLED = "webhook.disabled"


Kinds = Annotated[
    list[EventKind],
    Field(
        min_length=1,
        max_length=len(EventKind),
        description="What the endpoint is told of.",
        examples=[["version.superseded"]],
    ),
]
