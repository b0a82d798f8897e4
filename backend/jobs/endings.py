"""What is done about a job that ends without having succeeded."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol
from uuid import UUID

from backend.audit.events import Outcome
from backend.database import Connection
from backend.identity.callers.caller import Caller


@dataclass(frozen=True, slots=True)
class Ending:
    """How a job ended; one that is `retryable` can be queued again, until it is forgotten."""

    job_id: UUID
    outcome: Outcome
    reason: str
    retryable: bool = False
    parameters: Mapping[str, Any] = field(default_factory=dict)


class EndsJobs(Protocol):
    """Takes back what jobs of one kind leave when they do not succeed."""

    async def ended(self, connection: Connection, caller: Caller, ending: Ending) -> None:
        """Records the ending in the open transaction, which also changes the job, and cleans up behind it.

        The caller is who ended the job, or who asked for it.
        """


class JobEndings(dict[str, EndsJobs]):
    """Who takes back what a job leaves, by the kind of job."""
