"""Bodies of acts that need two people."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import Field

from backend.schema import ApiModel


class JointRequest(ApiModel):
    """What somebody asked for that needs a second person."""

    id: UUID
    act: str = Field(examples=["version:retire"])
    sentence: str = Field(description="What the act is, and who the second person can be.")
    target: UUID = Field(description="The version, hold, collection, user or tenant that it is about.")
    change: dict[str, Any] = Field(description="What is to change of it; the second person asks for exactly this.")
    asked_by: UUID
    asked_at: datetime
    joined_by: UUID | None = Field(description="The second person, once there is one.")
    joined_at: datetime | None
    withdrawn_at: datetime | None
    state: Literal["waiting", "joined", "withdrawn", "lapsed"]


class JointRequestList(ApiModel):
    """Requests of the last week, and all that wait."""

    requests: list[JointRequest]


class Pending(ApiModel):
    """Nothing has changed yet: another person must ask for the same within a week."""

    state: Literal["waiting"] = "waiting"
    act: str = Field(examples=["version:retire"])
    request: UUID = Field(description="Listed by `GET /joint-requests` until somebody joins it, or it is withdrawn.")
    detail: str = "Another person must ask for the same within a week; nothing has changed yet."
