"""Evaluation: sets of questions, their runs, and the changes that wait for them."""

from collections.abc import Sequence
from uuid import UUID

from backend.audit.details import Activity, Details


class EvaluationSetChanged(Details, action="evaluation_set:changed", activity=Activity.UPDATE, within="evaluation_set"):
    """A version of a set was written or approved; `change` says which."""

    name: str
    version: int
    change: str
    questions: int | None = None
    reported: Sequence[UUID] | None = None  # turns whose questions it took


class EvaluationRunChanged(Details, action="evaluation_run:changed", activity=Activity.UPDATE, within="evaluation_run"):
    """A run was started, finished or approved; `change` says which. Why one failed is the event's reason."""

    id: UUID
    change: str
    name: str | None = None
    version: int | None = None
    of_change: UUID | None = None
    passed: int | None = None
    questions: int | None = None
    code: str | None = None


class ChangeWithdrawn(Details, action="answer_policy:withdrawn", activity=Activity.DELETE, within="answer_policy"):
    """A change that waited was taken back."""

    change: UUID


class EvaluationRuleChanged(
    Details, action="evaluation_rule:changed", activity=Activity.UPDATE, within="evaluation_rule"
):
    """A tenant asks more of changes, or less."""

    changes_need_approval: bool
    unapproved: str


class CandidatesRead(
    Details, action="evaluation_candidates:read", activity=Activity.READ, within="evaluation_candidates"
):
    """Somebody read questions whose answers were reported as wrong."""

    turns: Sequence[UUID]
