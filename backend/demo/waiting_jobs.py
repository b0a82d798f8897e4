"""Does the jobs that wait while the demo is filled: its worker begins afterwards."""

from fastapi import FastAPI

from backend.jobs.worker import Worker
from backend.services import services_of


async def finish_waiting_jobs(app: FastAPI) -> None:
    """Returns when no job waits any more."""
    services = services_of(app)
    worker = Worker(services.tenancy, services.job_handlers())
    while await worker.work_once():
        pass
