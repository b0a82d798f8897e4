"""The rules of runs: each is a job that asks with the rights of who started it, and another person approves it."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import asyncpg

from backend.answers.policy.service import apply
from backend.audit.actions.evaluation import EvaluationRunChanged
from backend.audit.events import Event
from backend.audit.recorder import Recorder
from backend.database import Connection, Queries
from backend.errors import Conflict, Forbidden, NotFound
from backend.evaluation.changes import get_change
from backend.evaluation.checking import compared
from backend.evaluation.models import EvaluationRun, EvaluationRunDetail, EvaluationRunPage, NewRun
from backend.evaluation.sets import get_version
from backend.identity.callers.caller import Caller
from backend.identity.callers.permissions import Permission
from backend.jobs.models import JobProgress
from backend.jobs.service import enqueue

queries = Queries.beside(__file__)

EVALUATE = "evaluation:run"

_LAST = UUID(int=2**128 - 1)


async def start(connection: Connection, caller: Caller, recorder: Recorder, wanted: NewRun) -> EvaluationRunDetail:
    """Queues a run; raises NotFound for a set or change that is not there, and Conflict for a change that waits no more.

    Raises Forbidden for who may not ask questions.
    """
    caller.require(Permission.ANSWERS_CREATE)
    of = await get_version(connection, caller, wanted.name, wanted.version)
    if wanted.change is not None:
        change = await get_change(connection, caller, wanted.change)
        if change.state in {"in_effect", "withdrawn"}:
            raise Conflict("This change does not wait for a run any more.", reason="change:ended")
    run = await enqueue(connection, caller, EVALUATE, {})
    await connection.execute(
        queries.add_run, caller.tenant_id, run, of.name, of.version, wanted.change, caller.principal_id
    )
    started = EvaluationRunChanged(
        id=run, change="started", name=of.name, version=of.version, of_change=wanted.change, questions=len(of.questions)
    )
    await recorder.record(connection, caller, Event(started))
    return await get_run(connection, caller, run)


async def get_run(connection: Connection, caller: Caller, run: UUID) -> EvaluationRunDetail:
    """Returns a run with what became of each question; raises NotFound."""
    row = await connection.fetchrow(queries.runs, caller.tenant_id, run, _LAST, None, 1)
    if row is None:
        raise NotFound(reason="evaluation_run:unknown")
    return EvaluationRunDetail(**_shown(dict(row)), results=row["results"] or [])


async def list_runs(
    connection: Connection, caller: Caller, *, name: str | None, limit: int, cursor: UUID | None
) -> EvaluationRunPage:
    """Returns a page of runs, newest first, of one set or of all."""
    rows = await connection.fetch(queries.runs, caller.tenant_id, None, cursor or _LAST, name, limit + 1)
    return EvaluationRunPage(
        runs=[EvaluationRun(**_shown(dict(row))) for row in rows[:limit]],
        next_cursor=rows[limit - 1]["id"] if len(rows) > limit else None,
    )


async def approve(connection: Connection, caller: Caller, recorder: Recorder, run_id: UUID) -> EvaluationRunDetail:
    """Approves a run, and lets the change that it tried take effect.

    Raises NotFound, Conflict for a run that cannot be approved, and Forbidden for keys, its starter, and who proposed its change.
    """
    run = await get_run(connection, caller, run_id)
    await _require_approvable(connection, caller, run)
    try:
        await connection.execute(queries.approve_run, caller.tenant_id, run_id, caller.principal_id)
    except asyncpg.UniqueViolationError as error:
        raise Conflict("This run was approved already.", reason="evaluation_run:approved") from error
    except asyncpg.InsufficientPrivilegeError as error:
        detail = (
            "A run is approved by another person than who started it and who proposed its change, and a key is none."
        )
        raise Forbidden(detail, reason="evaluation_run:own") from error
    approved = EvaluationRunChanged(
        id=run_id, change="approved", name=run.name, version=run.version, of_change=run.change, passed=run.passed,
        questions=run.questions,
    )  # fmt: skip
    await recorder.record(connection, caller, Event(approved))
    if run.change is not None:
        change = await get_change(connection, caller, run.change)
        await apply(connection, caller, recorder, change.models, change.support_levels)
    return await get_run(connection, caller, run_id)


async def _require_approvable(connection: Connection, caller: Caller, run: EvaluationRunDetail) -> None:
    if run.approved_at is not None:
        raise Conflict("This run was approved already.", reason="evaluation_run:approved")
    if run.status != "finished":
        raise Conflict("This run has no results.", reason="evaluation_run:no_results")
    if (await get_version(connection, caller, run.name, run.version)).approved_at is None:
        raise Conflict("Its version of the set must be approved first.", reason="evaluation_set:not_approved")
    if run.change is not None and (await get_change(connection, caller, run.change)).state in {
        "withdrawn",
        "in_effect",
    }:
        raise Conflict("Its change does not wait any more.", reason="change:ended")


def _shown(row: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what is said of a run, without its results."""
    finished, failed = row["results"] is not None, row["failure"] is not None
    running = not finished and not failed
    base = {name: row[f"base_{name}"] for name in ("pins", "results", "questions")}
    same = ("id", "name", "version", "change", "failure", "started_by", "started_at", "finished_at", "approved_by")
    return {name: row[name] for name in same} | {
        "status": "failed" if failed else "running" if running else "finished",
        "progress": _progress(row, finished=finished),
        "approved_at": row["approved_at"],
        "passed": sum(result["passed"] for result in row["results"]) if finished else None,
        "questions": len(row["questions"]),
        "pins": row["pins"],
        "compared": compared(row["base"], base, row) if finished and row["base"] is not None else None,
    }


def _progress(row: Mapping[str, Any], *, finished: bool) -> JobProgress | None:
    """Returns how far a run is. A short one ends before its job has told anything."""
    questions = len(row["questions"])
    if finished:
        return JobProgress(done=questions, total=questions)
    return None if row["done"] is None else JobProgress(done=row["done"], total=row["total"])
