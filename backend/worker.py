"""The background process that does jobs, queues runs of sources, and delivers webhooks: `affidavit worker`.

Any number of them may run.
"""

import asyncio
import os
from dataclasses import replace

import structlog

from backend import logging, metrics, tracing
from backend.documents.files.scratch import sweep_scratch
from backend.jobs.worker import Worker
from backend.priority import give_way
from backend.provenance import VERSION, code
from backend.services import open_worker_services
from backend.settings import Settings
from backend.sources.running import RUN
from backend.stopping import asked_to_stop

log = structlog.get_logger()

_CONNECTIONS_OF_A_JOB = 3  # one that works, one that renews the lease, and one that looks something up


async def run(settings: Settings, *, with_parent: bool = False) -> None:
    """Does jobs, runs sources that are due, and delivers webhooks until it is asked to stop, or its parent process has ended.

    What it leaves, another worker takes over.
    """
    logging.configure(settings.log_level, settings.log_format)
    give_way()  # and what it starts, such as parsers
    sweep_scratch()
    metrics.BUILD.labels(VERSION, code()).set(1)
    pool_size = max(2, settings.jobs_at_once) * _CONNECTIONS_OF_A_JOB  # a second place is for sources
    async with tracing.exported(settings, "worker"), open_worker_services(settings, pool_size=pool_size) as services:
        worker = Worker(
            services.tenancy,
            services.job_handlers(),
            settings.job_lease_seconds,
            settings.job_attempts,
            retention_days=settings.job_retention_days,
            grace_seconds=settings.stop_seconds,
            at_once=settings.jobs_at_once,
            job_seconds=settings.job_seconds,
            waiting_kinds=frozenset({RUN}),
        )
        deliverer = replace(services.deliverer, stopping=worker.stopping)
        scheduler = replace(services.scheduler, stopping=worker.stopping)
        with metrics.exposed(settings.metrics_host, settings.metrics_port), asked_to_stop(worker.stopping.set):
            log.info("worker ready")
            watching = asyncio.create_task(_end_with_parent(worker.stopping)) if with_parent else None
            async with asyncio.TaskGroup() as together:
                together.create_task(worker.run())
                together.create_task(deliverer.run())
                together.create_task(scheduler.run())
            if watching is not None:
                watching.cancel()
        log.info("worker stopped")


async def _end_with_parent(stopping: asyncio.Event) -> None:
    parent = os.getppid()
    while os.getppid() == parent:  # noqa: ASYNC110 - nothing tells of it
        await asyncio.sleep(1)
    stopping.set()
