"""Bodies of statistics of the log and of saved searches."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import Field

from backend.review.events.models import EventFilters
from backend.schema import ApiModel, Text


class Bucket(ApiModel):
    """Counts of one interval; intervals without events are left out."""

    start: datetime
    counts: dict[str, int]


class Statistics(ApiModel):
    """Counts over time."""

    by: str
    interval: str
    since: datetime = Field(serialization_alias="from")
    until: datetime = Field(serialization_alias="to")
    buckets: list[Bucket] = Field(description="Oldest first; intervals begin at midnight, or on Mondays, in UTC.")


class NewSavedSearch(ApiModel):
    """A search to keep under a name."""

    name: Annotated[Text, Field(min_length=1, max_length=100, examples=["Denials of last week"])]
    filters: EventFilters = EventFilters()


class SavedSearch(ApiModel):
    """A search that its owner comes back to; `filters` are parameters of `GET /audit/events`."""

    id: UUID
    name: str
    filters: dict[str, str]
    saved_at: datetime


class SavedSearchList(ApiModel):
    """The caller's searches by name."""

    searches: list[SavedSearch]
