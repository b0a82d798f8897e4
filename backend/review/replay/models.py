"""Request and response bodies of replays."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field

from backend.schema import ApiModel, Text


class Knowledge(StrEnum):
    """Whose knowledge a replay uses."""

    THEN = "then"
    NOW = "now"


class Cause(StrEnum):
    """Why a replay finds something else."""

    MODEL_CHANGED = "model_changed"
    VERSION_WITHDRAWN = "version_withdrawn"
    VERSION_SUPERSEDED = "version_superseded"
    VERSION_ADDED = "version_added"
    GRANT_CHANGED = "grant_changed"
    ERASED = "erased"
    RANKING_CHANGED = "ranking_changed"


class ReplayRequest(ApiModel):
    """How a recorded retrieval is to be re-run, and why."""

    reason: Annotated[Text, Field(min_length=3, max_length=500, examples=["Complaint 2026-118"])]
    knowledge: Knowledge = Field(
        default=Knowledge.THEN, description="`then`: versions as they were known; `now`: as they are known today."
    )
    as_caller_then: bool = Field(
        default=True,
        strict=True,
        description="With the collections that the caller could read then, or those of today.",
    )


class ReplayedChunk(ApiModel):
    """One chunk that a retrieval found."""

    chunk_id: UUID
    doc_id: str
    document_version: int
    page: int | None = Field(description="The first that it stands on.")
    sha256: str
    rank: int


class ReplayDifference(ApiModel):
    """A chunk that was found by one run only, or at another rank."""

    chunk_id: UUID
    doc_id: str
    document_version: int
    rank_then: int | None
    rank_now: int | None
    why: Cause


class Replay(ApiModel):
    """A recorded retrieval and its re-run."""

    event_id: UUID
    outcome: Literal["equal", "differs"]
    as_of: datetime
    known_at: datetime | None
    as_caller_then: bool
    reasons: list[Cause] = Field(description="Why the runs differ.")
    changed_since: list[Cause] = Field(
        description="What happened since to what was found, whether or not the runs differ."
    )
    then: list[ReplayedChunk]
    now: list[ReplayedChunk]
    differences: list[ReplayDifference]
