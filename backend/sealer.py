"""The background process that seals the log and watches the database: `affidavit sealer`. One leads, others wait."""

import asyncio
from contextlib import suppress

import structlog

from backend import logging, metrics
from backend.ledger import process as sealing
from backend.operation import measures
from backend.provenance import VERSION, code
from backend.settings import Settings
from backend.stopping import asked_to_stop

log = structlog.get_logger()


async def run(settings: Settings) -> None:
    """Seals until it is asked to stop, and then resigns, so that another sealer need not wait; raises SealerNotConfigured."""
    logging.configure(settings.log_level, settings.log_format)
    metrics.BUILD.labels(VERSION, code()).set(1)
    work = asyncio.create_task(seal_and_measure(settings))
    with metrics.exposed(settings.metrics_host, settings.metrics_port), asked_to_stop(work.cancel):
        with suppress(asyncio.CancelledError):
            await work
        log.info("sealer stopped")


async def seal_and_measure(settings: Settings) -> None:
    """Seals and, where measures are shown, counts what waits in the database, until cancelled."""
    measuring = asyncio.create_task(measures.keep(settings)) if settings.metrics_port is not None else None
    try:
        await sealing.run(settings)
    finally:
        if measuring is not None:
            measuring.cancel()
            await asyncio.gather(measuring, return_exceptions=True)
