"""The background process that does jobs: `affidavit worker`. Any number of them may run."""

import asyncio
import os
from contextlib import AsyncExitStack, suppress

import structlog

from backend import logging
from backend.audit import key_encryption
from backend.audit.payloads import PayloadVault
from backend.audit.recorder import Recorder
from backend.audit.search_words import SearchWords
from backend.database import open_pool
from backend.documents.files import ingestion
from backend.documents.files import service as files
from backend.documents.files.withdrawal import Withdrawal
from backend.jobs.worker import Handler, Worker
from backend.provenance import provenance
from backend.retrieval.embedding import from_settings as embedders
from backend.retrieval.embedding.vectorizer import ChunkVectorizer
from backend.review.exports import jobs as export_jobs
from backend.settings import Settings, required
from backend.storage.service import FileVault, store_from_settings
from backend.tenancy import ContextSigner, Tenancy

log = structlog.get_logger()


async def run(settings: Settings, *, with_parent: bool = False) -> None:
    """Does jobs until it is cancelled, or its parent process has ended; what it leaves, another worker takes over."""
    logging.configure(settings.log_level)
    ingestion.sweep_scratch()
    async with AsyncExitStack() as stack:
        pool = await open_pool(
            required(settings.runtime_database_url, "RUNTIME_DATABASE_URL"), size=4, timeout=settings.database_timeout
        )
        stack.push_async_callback(pool.close)
        tenancy = Tenancy(
            pool, ContextSigner(required(settings.context_key, "CONTEXT_KEY")), timeout=settings.database_timeout
        )
        payload_key = required(settings.payload_key, "PAYLOAD_KEY")
        payloads = PayloadVault(
            await stack.enter_async_context(key_encryption.opened(settings, payload_key)), settings.data_key_seconds
        )
        recorder = Recorder(payloads, SearchWords(payload_key), provenance(settings))
        vault = FileVault(store_from_settings(settings), payload_key)
        vectorizer = ChunkVectorizer(await asyncio.to_thread(embedders.from_settings, settings))
        handlers: dict[str, Handler] = {
            files.INGEST: ingestion.from_settings(settings, Withdrawal(tenancy, vault, recorder), vectorizer),
            export_jobs.EXPORT: export_jobs.ExportHandler(vault, payloads, recorder, settings.export_part_leaves),
        }
        log.info("worker ready")
        worker = Worker(
            tenancy,
            handlers,
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
