"""The background process that does jobs: `affidavit worker`. Any number of them may run."""

import asyncio
import os
from contextlib import suppress

import structlog

from backend import logging
from backend.documents.files import ingestion
from backend.jobs.worker import Worker
from backend.services import open_worker_services
from backend.settings import Settings

log = structlog.get_logger()


async def run(settings: Settings, *, with_parent: bool = False) -> None:
    """Does jobs until it is cancelled, or its parent process has ended; what it leaves, another worker takes over."""
    logging.configure(settings.log_level)
    ingestion.sweep_scratch()
    async with open_worker_services(settings) as services:
        log.info("worker ready")
        worker = Worker(
            services.tenancy,
            services.job_handlers(),
            settings.job_lease_seconds,
            settings.job_attempts,
            retention_days=settings.job_retention_days,
        )
        working = asyncio.create_task(worker.run())
        parent = os.getppid()
        while not working.done() and not (with_parent and os.getppid() != parent):
            await asyncio.wait({working}, timeout=1)
        working.cancel()
        with suppress(asyncio.CancelledError):
            await working
