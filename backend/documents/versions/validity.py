"""When each approved version of a document is in force: from its own beginning until its end, or until a later one begins."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime

FOREVER = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class PlannedValidity:
    """What was decided for one approved version, without regard to others: from `begins` until before `ends`."""

    number: int
    begins: datetime
    ends: datetime = FOREVER


@dataclass(frozen=True, slots=True)
class Validity:
    """When a version is in force: from `begins` until before `ends`; never, when they are equal."""

    begins: datetime
    ends: datetime
    is_superseded: bool = field(default=False, compare=False)  # whether a later version begins when it ends, or before

    @property
    def is_empty(self) -> bool:
        """Whether no moment lies within."""
        return self.ends <= self.begins


def timeline(plans: Iterable[PlannedValidity]) -> dict[int, Validity]:
    """Returns the validity of each version, by number: no two overlap.

    A version ends at the latest when one with a higher number begins. One whose plan is empty, because it was withdrawn
    before it began, ends none.
    """
    validities: dict[int, Validity] = {}
    successor_begins = FOREVER
    for plan in sorted(plans, key=lambda plan: plan.number, reverse=True):
        ends = max(plan.begins, min(plan.ends, successor_begins))
        validity = Validity(
            plan.begins, ends, is_superseded=successor_begins <= plan.ends and successor_begins < FOREVER
        )
        if not validity.is_empty:
            successor_begins = plan.begins
        validities[plan.number] = validity
    return validities
