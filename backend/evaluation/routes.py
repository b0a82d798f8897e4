"""Evaluation over HTTP: sets, candidates, runs, changes, and what a tenant asks of them."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Query, status
from fastapi.responses import JSONResponse

from backend.answers.service import Answering
from backend.audit.payloads import PayloadVault
from backend.audit.recorder import Recorder
from backend.evaluation import changes, runs, sets
from backend.evaluation.models import (
    SET_NAME,
    CandidateList,
    ChangeList,
    EvaluationRule,
    EvaluationRunDetail,
    EvaluationRunPage,
    EvaluationSetList,
    EvaluationSetVersion,
    NewEvaluationRule,
    NewRun,
    NewSetVersion,
)
from backend.identity.callers.caller import Caller
from backend.identity.callers.guard import GuardedRoute, Requires
from backend.identity.callers.permissions import Permission
from backend.identity.joint_acts.models import Pending
from backend.identity.joint_acts.routes import PENDING, accepted
from backend.jobs.room import JobRoom
from backend.provided import Provided
from backend.schema import Text
from backend.tenancy import Tenancy

router = APIRouter(tags=["evaluation"], route_class=GuardedRoute)

Anyone = Annotated[Caller, Requires()]
Reviewer = Annotated[Caller, Requires(Permission.DOCUMENTS_REVIEW)]
Manager = Annotated[Caller, Requires(Permission.COLLECTIONS_MANAGE)]
SetName = Annotated[Text, Path(pattern=SET_NAME, description="The set's name.")]
Version = Annotated[int, Path(ge=1, le=2**31 - 1, description="The set's version.")]


@router.get("/evaluations/sets", summary="List evaluation sets")
async def list_sets(tenancy: Provided[Tenancy], caller: Anyone) -> EvaluationSetList:
    """Returns the tenant's sets to who reviews documents or the log or manages collections, and none to others."""
    async with tenancy.transaction(caller.claims()) as connection:
        return await sets.list_sets(connection, caller)


@router.get("/evaluations/sets/{set_name}", summary="An evaluation set")
async def get_set(
    tenancy: Provided[Tenancy],
    set_name: SetName,
    caller: Anyone,
    version: Annotated[
        int | None, Query(ge=1, le=2**31 - 1, description="The newest approved one if unset.", examples=[1])
    ] = None,
) -> EvaluationSetVersion:
    """Returns a version with its questions: the one that runs use, unless told."""
    async with tenancy.transaction(caller.claims()) as connection:
        return await sets.get_version(connection, caller, set_name, version)


@router.post(
    "/evaluations/sets/{set_name}/versions", status_code=status.HTTP_201_CREATED, summary="Write a version of a set"
)
async def write_set_version(
    tenancy: Provided[Tenancy], recorder: Provided[Recorder], set_name: SetName, body: NewSetVersion, caller: Reviewer
) -> EvaluationSetVersion:
    """Writes all questions anew. It replaces the version before once another person has approved it."""
    async with tenancy.transaction(caller.claims()) as connection:
        return await sets.add_version(connection, caller, recorder, set_name, body)


@router.post("/evaluations/sets/{set_name}/versions/{version}/approve", summary="Approve a version of a set")
async def approve_set_version(
    tenancy: Provided[Tenancy], recorder: Provided[Recorder], set_name: SetName, version: Version, caller: Reviewer
) -> EvaluationSetVersion:
    """Approves what another person wrote. A key approves nothing."""
    async with tenancy.transaction(caller.claims()) as connection:
        return await sets.approve_version(connection, caller, recorder, set_name, version)


@router.get("/evaluations/candidates", summary="Questions whose answers were reported as wrong")
async def list_candidates(
    tenancy: Provided[Tenancy], recorder: Provided[Recorder], vault: Provided[PayloadVault], caller: Reviewer
) -> CandidateList:
    """Returns questions as they were asked, which no set has yet, and records that they were read.

    To take one, write a version that names it as `reported_turn`.
    """
    async with tenancy.transaction(caller.claims()) as connection:
        return await sets.list_candidates(connection, caller, recorder, vault)


@router.post("/evaluations/runs", status_code=status.HTTP_202_ACCEPTED, summary="Run an evaluation set")
async def start_run(
    tenancy: Provided[Tenancy], recorder: Provided[Recorder], room: Provided[JobRoom], body: NewRun, caller: Reviewer
) -> EvaluationRunDetail:
    """Queues a job that asks every question with your rights, each with a record of its own.

    With `change`, it asks as that change would have it. Needs answers:create as well.
    """
    await room.require(caller, runs.EVALUATE)
    async with tenancy.transaction(caller.claims()) as connection:
        return await runs.start(connection, caller, recorder, body)


@router.get("/evaluations/runs", summary="List runs")
async def list_runs(
    tenancy: Provided[Tenancy],
    caller: Anyone,
    name: Annotated[Text | None, Query(max_length=63, description="Of this set alone.")] = None,
    limit: Annotated[int, Query(ge=1, le=100, description="How many.")] = 20,
    cursor: Annotated[UUID | None, Query(description="`next_cursor` of the page before.")] = None,
) -> EvaluationRunPage:
    """Returns runs, newest first, each compared with the run of its set that was approved last before it."""
    async with tenancy.transaction(caller.claims()) as connection:
        return await runs.list_runs(connection, caller, name=name, limit=limit, cursor=cursor)


@router.get("/evaluations/runs/{run_id}", summary="A run")
async def get_run(tenancy: Provided[Tenancy], run_id: UUID, caller: Anyone) -> EvaluationRunDetail:
    """Returns a run: under what it was made, what became of each question, and what differs from the approved run before."""
    async with tenancy.transaction(caller.claims()) as connection:
        return await runs.get_run(connection, caller, run_id)


@router.post("/evaluations/runs/{run_id}/approve", summary="Approve a run")
async def approve_run(
    tenancy: Provided[Tenancy], recorder: Provided[Recorder], run_id: UUID, caller: Reviewer
) -> EvaluationRunDetail:
    """Approves what another person started. The change that it tried takes effect with it; a key approves nothing.

    From then on the record of each answer names this run.
    """
    async with tenancy.transaction(caller.claims()) as connection:
        return await runs.approve(connection, caller, recorder, run_id)


@router.get("/evaluations/rule", summary="What is asked of changes")
async def read_rule(tenancy: Provided[Tenancy], answering: Provided[Answering], caller: Anyone) -> EvaluationRule:
    """Returns what the tenant asks of changes, and what of this service differs from what was approved last."""
    async with tenancy.transaction(caller.claims()) as connection:
        return await changes.read_rule(connection, caller, answering)


@router.put(
    "/evaluations/rule", response_model=EvaluationRule, responses=PENDING, summary="Ask more of changes, or less"
)
async def set_rule(
    tenancy: Provided[Tenancy],
    recorder: Provided[Recorder],
    answering: Provided[Answering],
    body: NewEvaluationRule,
    caller: Manager,
) -> EvaluationRule | JSONResponse:
    """Replaces what the tenant asks of changes. To ask less needs two people: the first who asks changes nothing."""
    async with tenancy.transaction(caller.claims()) as connection:
        answered = await changes.set_rule(connection, caller, recorder, answering, body)
    return accepted(answered) if isinstance(answered, Pending) else answered


@router.get("/changes", summary="List proposed changes")
async def list_changes(tenancy: Provided[Tenancy], caller: Anyone) -> ChangeList:
    """Returns changes of what answers, newest first. `PUT /answer/policy` proposes one where changes wait."""
    async with tenancy.transaction(caller.claims()) as connection:
        return await changes.list_changes(connection, caller)


@router.delete("/changes/{change_id}", status_code=status.HTTP_204_NO_CONTENT, summary="Take a change back")
async def withdraw_change(
    tenancy: Provided[Tenancy], recorder: Provided[Recorder], change_id: UUID, caller: Manager
) -> None:
    """Takes back a change that is not in effect; its runs cannot be approved any more."""
    async with tenancy.transaction(caller.claims()) as connection:
        await changes.withdraw(connection, caller, recorder, change_id)
