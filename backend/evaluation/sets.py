"""The rules of evaluation sets: a new version replaces the one before once another person has approved it."""

from uuid import UUID

import asyncpg

from backend.audit.actions.evaluation import CandidatesRead, EvaluationSetChanged
from backend.audit.events import Event
from backend.audit.payloads import PayloadVault
from backend.audit.recorder import Recorder
from backend.database import Connection, Queries
from backend.errors import Conflict, Forbidden, NotFound
from backend.evaluation.models import (
    CandidateList,
    CandidateQuestion,
    EvaluationSetList,
    EvaluationSetSummary,
    EvaluationSetVersion,
    NewSetVersion,
)
from backend.identity.callers.caller import Caller

queries = Queries.beside(__file__)

_LISTED = 100


async def list_sets(connection: Connection, caller: Caller) -> EvaluationSetList:
    """Returns the sets of the tenant to who is concerned with them, and none to others."""
    rows = await connection.fetch(queries.list_sets, caller.tenant_id)
    return EvaluationSetList(sets=[EvaluationSetSummary(**dict(row)) for row in rows])


async def get_version(connection: Connection, caller: Caller, name: str, version: int | None) -> EvaluationSetVersion:
    """Returns a version of a set, or the newest that was approved; raises NotFound."""
    row = await connection.fetchrow(queries.set_version, caller.tenant_id, name, version)
    if row is None:
        raise NotFound(reason="evaluation_set:unknown")
    return EvaluationSetVersion(**dict(row))


async def add_version(
    connection: Connection, caller: Caller, recorder: Recorder, name: str, wanted: NewSetVersion
) -> EvaluationSetVersion:
    """Writes the next version of a set; a question without an owner is its author's. Raises Conflict for two at once."""
    version = 1 + (await connection.fetchval(queries.newest_version, caller.tenant_id, name) or 0)
    questions = [
        question.model_dump(mode="json") | {"owner": question.owner or caller.name} for question in wanted.questions
    ]
    try:
        await connection.execute(queries.add_version, caller.tenant_id, name, version, questions, caller.principal_id)
    except asyncpg.UniqueViolationError as error:
        raise Conflict("Somebody has just written a version of this set.", reason="evaluation_set:exists") from error
    reported = [question.reported_turn for question in wanted.questions if question.reported_turn is not None]
    written = EvaluationSetChanged(
        name=name, version=version, change="written", questions=len(questions), reported=reported[:_LISTED] or None
    )
    await recorder.record(connection, caller, Event(written))
    return await get_version(connection, caller, name, version)


async def approve_version(
    connection: Connection, caller: Caller, recorder: Recorder, name: str, version: int
) -> EvaluationSetVersion:
    """Approves a version that another person wrote; raises NotFound, Conflict, and Forbidden for its author and for keys."""
    await get_version(connection, caller, name, version)
    try:
        await connection.execute(queries.approve_version, caller.tenant_id, name, version, caller.principal_id)
    except asyncpg.UniqueViolationError as error:
        raise Conflict("This version was approved already.", reason="evaluation_set:approved") from error
    except asyncpg.InsufficientPrivilegeError as error:
        detail = "A version is approved by another person than its author, and a key is none."
        raise Forbidden(detail, reason="evaluation_set:own") from error
    approved = EvaluationSetChanged(name=name, version=version, change="approved")
    await recorder.record(connection, caller, Event(approved))
    return await get_version(connection, caller, name, version)


async def list_candidates(
    connection: Connection, caller: Caller, recorder: Recorder, vault: PayloadVault
) -> CandidateList:
    """Returns questions that were reported and that no set has, the last first, and records whose they were."""
    rows = await connection.fetch(queries.candidates, caller.tenant_id, _LISTED)
    reader = vault.reader(caller.tenant_id)
    found = list[CandidateQuestion]()
    for row in rows:
        text = None
        if row["wrapped"] is not None:
            _, text = await reader.decrypt(
                row["key_id"], bytes(row["wrapped"]), row["answer_event"], "question", bytes(row["ciphertext"])
            )
        found.append(CandidateQuestion(turn=row["turn"], question=text, reported_at=row["reported_at"]))
    turns: list[UUID] = [candidate.turn for candidate in found]
    await recorder.record(connection, caller, Event(CandidatesRead(turns=turns)))
    return CandidateList(candidates=found)
