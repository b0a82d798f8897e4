"""Jobs: what the service does after it has answered."""

import time
from collections.abc import Callable
from uuid import UUID

from .connection import Connection
from .errors import JobFailed
from .models import Job, Progress
from .reading import read

_POLL_SECONDS = 0.5

Told = Callable[[Progress], object]


class Jobs:
    """The caller's jobs."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def get(self, job_id: UUID) -> Job:
        """Returns a job as it is now; raises Refused."""
        return read(Job, self._connection.get(f"/jobs/{job_id}"))

    def wait(self, job_id: UUID, progress: Told = lambda _: None, *, seconds: float | None = None) -> Job:
        """Returns a job once it has succeeded, and tells `progress` how far it is.

        Raises JobFailed with the reason where it does not succeed, TimeoutError after `seconds`, and Refused.
        """
        ends = None if seconds is None else time.monotonic() + seconds
        while not (job := self.get(job_id)).ended:
            if job.progress is not None:
                progress(job.progress)
            if ends is not None and time.monotonic() > ends:
                raise TimeoutError(f"job {job_id} has not ended after {seconds} seconds")
            time.sleep(_POLL_SECONDS)
        if job.status != "succeeded":
            raise JobFailed(job.error.detail if job.error else f"the job was {job.status}")
        return job
