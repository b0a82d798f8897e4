"""Evaluations: whether what answers is what was approved, and the runs, sets and changes that wait for a second person."""

from typing import Annotated
from uuid import UUID

from fastapi import Path, Request
from fastapi.responses import Response

from backend.answers.service import Answering
from backend.audit.recorder import Recorder
from backend.console import plots
from backend.console.page import page, to
from backend.console.page import router as pages
from backend.console.viewer import viewer_of
from backend.console.visit import Sender, Signed, requires, requires_fresh
from backend.errors import ServiceError
from backend.evaluation import changes, runs, sets
from backend.evaluation.models import SET_NAME, NewRun
from backend.identity.callers.permissions import Permission
from backend.identity.sign_in.browsers import Visitor
from backend.jobs.room import JobRoom
from backend.provided import Provided
from backend.schema import Text
from backend.tenancy import Tenancy

router = pages()

HERE = "/console/approvals/evaluations"
SetName = Annotated[Text, Path(pattern=SET_NAME)]
Number = Annotated[int, Path(ge=1, le=2**31 - 1)]
_RUNS = 20


@router.get("/approvals/evaluations")
async def show_evaluations(
    request: Request, visitor: Signed, tenancy: Provided[Tenancy], answering: Provided[Answering]
) -> Response:
    """Shows what was approved last and what differs from it, how runs went, and what waits."""
    return await _overview(request, visitor, tenancy, answering, None)


@router.get("/approvals/evaluations/{run_id}")
async def show_run(request: Request, visitor: Signed, tenancy: Provided[Tenancy], run_id: UUID) -> Response:
    """Shows what became of each question, and what differs from the run that was approved before."""
    return await _run(request, visitor, tenancy, run_id, None)


@router.post("/approvals/evaluations/{run_id}/approve")
async def approve_run(
    request: Request, visitor: Sender, tenancy: Provided[Tenancy], recorder: Provided[Recorder], run_id: UUID
) -> Response:
    """Approves a run; the change that it tried takes effect."""
    requires(visitor, Permission.DOCUMENTS_REVIEW)
    if again := requires_fresh(visitor, f"{HERE}/{run_id}"):
        return again
    try:
        async with tenancy.transaction(visitor.caller.claims()) as connection:
            await runs.approve(connection, visitor.caller, recorder, run_id)
    except ServiceError as error:
        return await _run(request, visitor, tenancy, run_id, error)
    return to(f"{HERE}/{run_id}")


@router.post("/approvals/evaluations/sets/{name}/{version}/approve")
async def approve_set(
    request: Request,
    visitor: Sender,
    tenancy: Provided[Tenancy],
    recorder: Provided[Recorder],
    answering: Provided[Answering],
    name: SetName,
    version: Number,
) -> Response:
    """Approves a version of a set that another person wrote."""
    requires(visitor, Permission.DOCUMENTS_REVIEW)
    if again := requires_fresh(visitor, HERE):
        return again
    try:
        async with tenancy.transaction(visitor.caller.claims()) as connection:
            await sets.approve_version(connection, visitor.caller, recorder, name, version)
    except ServiceError as error:
        return await _overview(request, visitor, tenancy, answering, error)
    return to(HERE)


@router.post("/approvals/evaluations/sets/{name}/run")
async def start_run(
    request: Request,
    visitor: Sender,
    tenancy: Provided[Tenancy],
    recorder: Provided[Recorder],
    answering: Provided[Answering],
    room: Provided[JobRoom],
    name: SetName,
) -> Response:
    """Starts a run of what answers now."""
    try:
        await room.require(visitor.caller, runs.EVALUATE)
        async with tenancy.transaction(visitor.caller.claims()) as connection:
            started = await runs.start(connection, visitor.caller, recorder, NewRun(name=name))
    except ServiceError as error:
        return await _overview(request, visitor, tenancy, answering, error)
    return to(f"{HERE}/{started.id}")


async def _overview(
    request: Request, visitor: Visitor, tenancy: Tenancy, answering: Answering, error: ServiceError | None
) -> Response:
    requires(visitor, Permission.DOCUMENTS_REVIEW)
    async with tenancy.transaction(visitor.caller.claims()) as connection:
        rule = await changes.read_rule(connection, visitor.caller, answering)
        known = (await sets.list_sets(connection, visitor.caller)).sets
        made = (await runs.list_runs(connection, visitor.caller, name=None, limit=_RUNS, cursor=None)).runs
        proposed = (await changes.list_changes(connection, visitor.caller)).changes
        written = [
            await sets.get_version(connection, visitor.caller, one.name, one.newest_version)
            for one in known
            if one.newest_version != one.approved_version
        ]
    waiting = [change for change in proposed if change.state in {"proposed", "tried"}]
    plot = plots.passed([run for run in made if run.status == "finished"], viewer_of(request), "passed")
    return page(
        request, "evaluations.html", visitor, status=200 if error is None else error.status, rule=rule, sets=known,
        runs=made, waiting=waiting, written=written, plot=plot, error=error and error.detail,
    )  # fmt: skip


async def _run(
    request: Request, visitor: Visitor, tenancy: Tenancy, run_id: UUID, error: ServiceError | None
) -> Response:
    requires(visitor, Permission.DOCUMENTS_REVIEW)
    async with tenancy.transaction(visitor.caller.claims()) as connection:
        run = await runs.get_run(connection, visitor.caller, run_id)
        asked = await sets.get_version(connection, visitor.caller, run.name, run.version)
    rows = list(zip(asked.questions, run.results, strict=True)) if run.results else []
    return page(
        request, "evaluation_run.html", visitor, status=200 if error is None else error.status, run=run, rows=rows,
        approved_set=asked.approved_at is not None, error=error and error.detail,
    )  # fmt: skip
