"""Bodies of usage."""

from datetime import date
from typing import Literal

from pydantic import Field

from backend.schema import ApiModel

Side = Literal["key", "user", "collection", "model", "day"]


class Used(ApiModel):
    """What was asked of models by a key or user, about a collection, of a model or on a day."""

    value: str = Field(
        description="Id of the key or user, slug of the collection (empty: several), the model, or the day.",
        examples=["extractive-v8"],
    )
    name: str | None = Field(description="Name of the key or user.", examples=["partner-portal"])
    requests: int = Field(description="How often a model was asked.", examples=[12])
    prompt_tokens: int = Field(description="Tokens that models read.", examples=[24_800])
    completion_tokens: int = Field(description="Tokens that models wrote.", examples=[960])
    cost: float = Field(description="By the service's prices, in their currency.", examples=[0.0042])


class UsageReport(ApiModel):
    """What was asked of models from one day to another, both included, in UTC."""

    by: Side = Field(description="What the rows are counted by.")
    begins: date = Field(description="The first day.", examples=["2026-11-01"])
    ends: date = Field(description="The last day.", examples=["2026-11-30"])
    usage: list[Used] = Field(description="In the order of their values.")
    next_cursor: str | None = Field(description="Where the next page begins; null on the last.", examples=[None])
