"""The review of answers over HTTP."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, status

from backend.audit.recorder import Recorder
from backend.identity.callers.caller import Caller
from backend.identity.callers.guard import GuardedRoute, Requires
from backend.identity.callers.permissions import Permission
from backend.provided import Provided
from backend.review.quality import service as quality
from backend.review.quality.models import NewVerdict, RecordedVerdict, ReportedAnswers, Sample, Verdicts
from backend.schema import Text
from backend.tenancy import Tenancy

router = APIRouter(prefix="/audit", tags=["audit"], route_class=GuardedRoute)

Reviewer = Annotated[Caller, Requires(Permission.AUDIT_READ)]
Judge = Annotated[Caller, Requires(Permission.AUDIT_REVEAL)]
Days = Annotated[int, Query(ge=1, le=366, description="How far back.")]


@router.get("/feedback", summary="What people thought of answers")
async def list_reported(
    tenancy: Provided[Tenancy],
    recorder: Provided[Recorder],
    caller: Reviewer,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Annotated[Text | None, Query(max_length=64, description="`next_cursor` of the page before.")] = None,
) -> ReportedAnswers:
    """Returns ratings, newest first, and what a reviewer found of each answer since."""
    async with tenancy.transaction(caller.claims()) as connection:
        return await quality.list_reported(connection, caller, recorder, limit=limit, cursor=cursor)


@router.get("/samples", summary="Draw answers to look at")
async def draw_sample(
    tenancy: Provided[Tenancy],
    recorder: Provided[Recorder],
    caller: Reviewer,
    days: Days = 30,
    size: Annotated[int, Query(ge=1, le=100)] = 10,
    seed: Annotated[Text | None, Query(max_length=64, description="The same seed draws the same answers.")] = None,
) -> Sample:
    """Returns answers of the last days at random that no reviewer has looked at yet."""
    async with tenancy.transaction(caller.claims()) as connection:
        return await quality.draw(connection, caller, recorder, days=days, size=size, seed=seed)


@router.post("/turns/{turn}/verdict", status_code=status.HTTP_201_CREATED, summary="Say whether an answer was right")
async def judge_turn(
    tenancy: Provided[Tenancy], recorder: Provided[Recorder], turn: UUID, body: NewVerdict, caller: Judge
) -> RecordedVerdict:
    """Puts a reviewer's verdict on record as `answer:reviewed`."""
    async with tenancy.transaction(caller.claims()) as connection:
        return await quality.judge(connection, caller, recorder, turn, body)


@router.get("/verdicts", summary="What the verdicts add up to")
async def add_up(
    tenancy: Provided[Tenancy], recorder: Provided[Recorder], caller: Reviewer, days: Days = 30
) -> Verdicts:
    """Returns how many answers were found correct, incomplete or wrong, among those drawn and those reported."""
    async with tenancy.transaction(caller.claims()) as connection:
        return await quality.add_up(connection, caller, recorder, days=days)
