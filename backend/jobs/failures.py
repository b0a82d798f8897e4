"""What is done about a job that fails or is cancelled."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol
from uuid import UUID

from backend.audit.events import Outcome
from backend.database import Connection
from backend.identity.callers.caller import Caller


@dataclass(frozen=True, slots=True)
class JobFailure:
    """How a job failed, or that it was cancelled; one that is `retryable` can be queued again, until it is forgotten."""

    job_id: UUID
    outcome: Outcome
    reason: str
    retryable: bool = False
    parameters: Mapping[str, Any] = field(default_factory=dict)


class FailureHandler(Protocol):
    """Takes back what jobs of one kind leave when they do not succeed."""

    async def on_failure(self, connection: Connection, caller: Caller, failure: JobFailure) -> None:
        """Records the failure in the open transaction, which also changes the job, and cleans up behind it.

        The caller is who cancelled the job, or who asked for it.
        """


class FailureHandlers(dict[str, FailureHandler]):
    """Who takes back what a job leaves, by the kind of job."""
