"""Makes runs, as jobs: asks each question as the person who started the run would, and holds the answers against the set."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from pydantic import TypeAdapter

from backend.answers.models import AnswerRequest
from backend.answers.pins import Choice, Trial
from backend.answers.policy.service import choice_of, chosen
from backend.answers.service import Answering
from backend.audit.actions.evaluation import EvaluationRunChanged
from backend.audit.events import Event
from backend.audit.recorder import Recorder
from backend.database import Connection, Queries
from backend.errors import InvalidInput, NotFound
from backend.evaluation.checking import why_not
from backend.evaluation.models import EvaluationQuestion, QuestionResult
from backend.identity.callers.caller import Caller
from backend.identity.callers.permissions import Permission
from backend.jobs.failures import JobFailure
from backend.jobs.job import Job, JobFailed

queries = Queries.beside(__file__)

_QUESTIONS = TypeAdapter(list[EvaluationQuestion])


@dataclass(frozen=True, slots=True)
class RunFailureHandler:
    """Says why nothing came of a run."""

    recorder: Recorder

    async def on_failure(self, connection: Connection, caller: Caller, failure: JobFailure) -> None:
        """Records the failure; a run that can be tried again is not over."""
        told = EvaluationRunChanged(id=failure.job_id, change="failed")
        await self.recorder.record(connection, caller, Event(told, failure.outcome, failure.reason))
        if not failure.retryable:
            await connection.execute(
                queries.add_result, caller.tenant_id, failure.job_id, None, None, failure.reason[:200]
            )


@dataclass(frozen=True, slots=True)
class RunHandler(RunFailureHandler):
    """Makes runs."""

    answering: Answering

    async def run(self, job: Job) -> None:
        """Asks every question and stores the results; an outage has the job tried again from its first question."""
        caller = job.caller
        caller.require(Permission.DOCUMENTS_REVIEW)
        caller.require(Permission.ANSWERS_CREATE)
        async with job.transaction() as connection:
            made = await connection.fetchrow(queries.run_to_make, job.tenant_id, job.id)
            if made is None:
                raise JobFailed("unknown_run", "There is no such run.")
            choice, _ = await chosen(connection, caller)
            index = await connection.fetchrow(queries.index_state, job.tenant_id)
            assert index is not None
        if made["change"] is not None:
            choice = choice_of(made["models"], made["support_levels"])
        pins = self.answering.pins(caller, choice).members() | _plain(dict(index))
        questions = _QUESTIONS.validate_python(made["questions"])
        results = list[QuestionResult]()
        for position, question in enumerate(questions, start=1):
            results.append(await self._ask(job, position, question, choice))
            await job.report(position, len(questions))
        passed = sum(result.passed for result in results)
        told = EvaluationRunChanged(
            id=job.id, change="finished", name=made["name"], version=made["version"], of_change=made["change"],
            passed=passed, questions=len(results), code=pins["code"],
        )  # fmt: skip
        stored = [result.model_dump(mode="json") for result in results]
        async with job.transaction() as connection:
            await connection.execute(queries.add_result, job.tenant_id, job.id, pins, stored, None)
            await self.recorder.record(connection, caller, Event(told))
            await job.finish(connection, {"passed": passed, "questions": len(results)})

    async def _ask(self, job: Job, position: int, question: EvaluationQuestion, choice: Choice) -> QuestionResult:
        request = AnswerRequest(question=question.question, collection=question.collection)
        try:
            answer = await self.answering.answer(job.caller, request, _never, trial=Trial(job.id, choice))
        except (
            InvalidInput,
            NotFound,
        ):  # it holds personal data that a collection refuses, or that is not the starter's to read
            return QuestionResult(position=position, passed=False, why="not_asked", turn=None)
        why = why_not(question, answer)
        return QuestionResult(position=position, passed=why is None, why=why, turn=answer.turn)


async def _never() -> None:
    """Waits until it is cancelled: nobody leaves before the answer is there."""
    await asyncio.Event().wait()


def _plain(index: Mapping[str, Any]) -> dict[str, Any]:
    newest: UUID | None = index["newest_version"]
    return {"versions": index["versions"], "newest_version": None if newest is None else str(newest)}
