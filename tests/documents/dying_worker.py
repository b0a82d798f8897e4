"""Workers that are killed at given steps of their jobs: `python -m tests.documents.dying_worker STEP…`, one after the other.

Each is a process of its own with the service's own worker in it, and dies as by `kill -9`. Exits with 0 if all of them did.
"""

import asyncio
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Any

from backend import database, worker
from backend.documents.files.ingestion import Ingestion
from backend.jobs.job import Job
from backend.jobs.worker import Worker
from backend.settings import Settings
from backend.storage.service import FileVault

_ended = ContextVar("ended", default=False)  # whether the last transaction of the job in hand is under way


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def dies_before(owner: Any, name: str) -> None:
    def killed(*_: object, **__: object) -> None:
        die()

    setattr(owner, name, killed)


def dies_after(owner: Any, name: str, *, ended: bool = False) -> None:
    """With `ended`, only once the job's last transaction is under way."""
    act: Callable[..., Awaitable[object]] = getattr(owner, name)

    async def killed(*arguments: object, **named: object) -> None:
        await act(*arguments, **named)
        if _ended.get() or not ended:
            die()

    setattr(owner, name, killed)


def note_the_end() -> None:
    """Notes when a job is about to be ended, in the transaction that does its work."""
    change = Job.change

    async def noted(self: Job, connection: database.Connection, query: str, *arguments: object) -> None:
        await change(self, connection, query, *arguments)
        _ended.set(_ended.get() or "finished_at = now()" in query)

    Job.change = noted  # type: ignore[method-assign]


STEPS: dict[str, Callable[[], None]] = {
    "it has the job": lambda: dies_before(Worker, "_do"),
    "it has deleted the file of a job that fails": lambda: dies_after(FileVault, "delete"),
    "it has committed that the job failed": lambda: dies_after(database, "_commit", ended=True),
    "it has read the file": lambda: dies_before(Ingestion, "_embedded"),
    "it has embedded some": lambda: dies_after(Ingestion, "_embedded"),
    "it has embedded all": lambda: dies_before(Ingestion, "_submit"),
    "it has stored the version": lambda: dies_before(Job, "finish"),
    "it has ended the job": lambda: dies_after(Job, "finish"),
    "it has committed the version": lambda: dies_after(database, "_commit", ended=True),
}


def main() -> int:
    """Forks a worker for each step and waits for its death."""
    for step in sys.argv[1:]:
        child = os.fork()
        if child == 0:
            note_the_end()
            STEPS[step]()
            asyncio.run(worker.run(Settings()))
        _, status = os.waitpid(child, 0)
        if not os.WIFSIGNALED(status) or os.WTERMSIG(status) != signal.SIGKILL:
            return 1
        time.sleep(Settings().job_lease_seconds)  # the next one shall take over this job, and not begin another
    return 0


if __name__ == "__main__":
    sys.exit(main())
