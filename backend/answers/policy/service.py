"""The rules of what a tenant lets answer: only what the operator offers, and quotes always."""

from collections.abc import Sequence

from uuid_utils.compat import uuid7

from backend.answers.generators import Generators
from backend.answers.grounding.verdict import Support
from backend.answers.pins import ApprovedRun, Choice
from backend.answers.policy.models import AnswerPolicy, NewAnswerPolicy, OfferedAnswers, PendingChange
from backend.audit.actions.answers import AnswerPolicyChanged, ChangeProposed
from backend.audit.events import Event
from backend.audit.recorder import Recorder
from backend.database import Connection, Queries
from backend.errors import InvalidInput
from backend.identity.callers.caller import Caller
from backend.identity.joint_acts import service as joint_acts
from backend.identity.joint_acts.models import Pending
from backend.identity.joint_acts.service import JointAct

queries = Queries.beside(__file__)


async def chosen(connection: Connection, caller: Caller) -> tuple[Choice, ApprovedRun]:
    """Returns what the caller's tenant chose, and what of it was approved last."""
    row = await connection.fetchrow(queries.policy_and_approval, caller.tenant_id)
    assert row is not None
    return choice_of(row["models"], row["support_levels"]), ApprovedRun(row["run"], row["pins"], row["refuses"])


def choice_of(models: Sequence[str] | None, support_levels: Sequence[str] | None) -> Choice:
    """Returns a choice as it is stored."""
    return Choice(models, None if support_levels is None else frozenset(map(Support, support_levels)))


async def read_policy(connection: Connection, caller: Caller, generators: Generators) -> AnswerPolicy:
    """Returns what the tenant chose, and what it could choose."""
    row = await connection.fetchrow(queries.policy, caller.tenant_id)
    offered = OfferedAnswers(
        models=list(generators.offered(caller.tenant_slug)),
        support_levels=[level for level in Support if level in generators.levels],
    )
    known = dict(row) if row else dict.fromkeys(("models", "support_levels", "changed_by", "changed_at"))
    return AnswerPolicy(offered=offered, **known)


async def set_policy(
    connection: Connection, caller: Caller, recorder: Recorder, generators: Generators, wanted: NewAnswerPolicy
) -> AnswerPolicy | PendingChange | Pending:
    """Replaces what the tenant chose, or proposes to, where changes wait; raises InvalidInput for what is not offered.

    To show sentences of a level that was not shown waits for a second person, with all else that is named.
    """
    _require_offered("models", wanted.models, generators.offered(caller.tenant_slug))
    _require_offered("support_levels", wanted.support_levels, generators.levels)
    if wanted.support_levels is not None and Support.VERBATIM not in wanted.support_levels:
        raise InvalidInput("support_levels: must have `verbatim`, since a quote is always shown")
    if await connection.fetchval(queries.changes_wait):
        return await _propose(connection, caller, recorder, wanted)
    if await connection.fetchval(queries.shows_more, caller.tenant_id, wanted.support_levels):
        asked = wanted.model_dump(mode="json")
        pending = await joint_acts.ask(connection, caller, recorder, JointAct.SUPPORT_RELAX, caller.tenant_id, asked)
        if pending is not None:
            return pending
    await apply(connection, caller, recorder, wanted.models, wanted.support_levels)
    return await read_policy(connection, caller, generators)


async def apply(
    connection: Connection,
    caller: Caller,
    recorder: Recorder,
    models: Sequence[str] | None,
    support_levels: Sequence[str] | None,
) -> None:
    """Lets these answer from the next question on, and records it."""
    await recorder.record(connection, caller, Event(AnswerPolicyChanged(models=models, support_levels=support_levels)))
    await connection.execute(queries.set_policy, caller.tenant_id, models, support_levels, caller.principal_id)


async def _propose(
    connection: Connection, caller: Caller, recorder: Recorder, wanted: NewAnswerPolicy
) -> PendingChange:
    change = uuid7()
    await connection.execute(
        queries.propose, caller.tenant_id, change, wanted.models, wanted.support_levels, caller.principal_id
    )
    told = ChangeProposed(change=change, models=wanted.models, support_levels=wanted.support_levels)
    await recorder.record(connection, caller, Event(told))
    return PendingChange(change=change)


def _require_offered(name: str, wanted: Sequence[str] | None, offered: Sequence[str] | frozenset[Support]) -> None:
    if wanted is None:
        return
    if len(set(wanted)) < len(wanted):
        raise InvalidInput(f"{name}: names one twice")
    if not set(wanted) <= set(offered):
        raise InvalidInput(f"{name}: must be among {', '.join(sorted(offered))}")
