"""The rules of changes of what answers: they wait for a run that another person approves, where a tenant wants that."""

from uuid import UUID

from backend.answers.pins import ApprovedRun
from backend.answers.policy.service import chosen
from backend.answers.service import Answering
from backend.audit.actions.evaluation import ChangeWithdrawn, EvaluationRuleChanged
from backend.audit.events import Event
from backend.audit.recorder import Recorder
from backend.database import Connection, Queries
from backend.errors import Conflict, NotFound
from backend.evaluation.models import ChangeList, EvaluationRule, NewEvaluationRule, ProposedChange
from backend.identity.callers.caller import Caller
from backend.identity.joint_acts import service as joint_acts
from backend.identity.joint_acts.models import Pending
from backend.identity.joint_acts.service import JointAct

queries = Queries.beside(__file__)


async def list_changes(connection: Connection, caller: Caller) -> ChangeList:
    """Returns the changes of the tenant to who is concerned with them, newest first."""
    rows = await connection.fetch(queries.changes, caller.tenant_id, None)
    return ChangeList(changes=[ProposedChange(**dict(row)) for row in rows])


async def get_change(connection: Connection, caller: Caller, change: UUID) -> ProposedChange:
    """Returns a change; raises NotFound."""
    row = await connection.fetchrow(queries.changes, caller.tenant_id, change)
    if row is None:
        raise NotFound(reason="change:unknown")
    return ProposedChange(**dict(row))


async def withdraw(connection: Connection, caller: Caller, recorder: Recorder, change: UUID) -> None:
    """Takes back a change that is not in effect; raises NotFound, and Conflict."""
    await get_change(connection, caller, change)
    if await connection.fetchval(queries.withdraw_change, caller.tenant_id, change) is None:
        raise Conflict("This change does not wait any more.", reason="change:ended")
    await recorder.record(connection, caller, Event(ChangeWithdrawn(change=change)))


async def read_rule(connection: Connection, caller: Caller, answering: Answering) -> EvaluationRule:
    """Returns what the tenant asks of changes, and what of this process is not what was approved."""
    row = await connection.fetchrow(queries.rule, caller.tenant_id)
    choice, approval = await chosen(connection, caller)
    told = approval.against(answering.pins(caller, choice))
    known = dict(row) if row else {"changed_by": None, "changed_at": None}
    return EvaluationRule(approved_run=approval.run, differs=list((told and told.differs) or ()), **known)


async def set_rule(
    connection: Connection, caller: Caller, recorder: Recorder, answering: Answering, wanted: NewEvaluationRule
) -> EvaluationRule | Pending:
    """Replaces what the tenant asks of changes; to ask less waits for a second person.

    Raises Conflict for a tenant that wants to refuse what is not approved before anything is.
    """
    _, approval = await chosen(connection, caller)
    if wanted.unapproved == "refuse":
        _require_any(approval)
    if await connection.fetchval(queries.relaxes, wanted.changes_need_approval, wanted.unapproved):
        pending = await joint_acts.ask(
            connection, caller, recorder, JointAct.EVALUATION_RELAX, caller.tenant_id, wanted.model_dump()
        )
        if pending is not None:
            return pending
    await connection.execute(
        queries.set_rule, caller.tenant_id, wanted.changes_need_approval, wanted.unapproved, caller.principal_id
    )
    changed = EvaluationRuleChanged(changes_need_approval=wanted.changes_need_approval, unapproved=wanted.unapproved)
    await recorder.record(connection, caller, Event(changed))
    return await read_rule(connection, caller, answering)


def _require_any(approval: ApprovedRun) -> None:
    if approval.run is None:
        raise Conflict("No run is approved yet, so every question would be refused.", reason="evaluation:none_approved")
