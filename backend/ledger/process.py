"""`affidavit sealer`: seals the log, and indexes it, as the settings say."""

import asyncio
from contextlib import AsyncExitStack

from backend.audit.indexer import Indexer
from backend.database import open_pool
from backend.ledger.keyring import KeyNotUsable, Keyring
from backend.ledger.sealer import Sealer
from backend.ledger.sinks import CheckpointBucket, CheckpointFolder, CheckpointSink
from backend.settings import Settings


class SealerNotConfigured(RuntimeError):
    """A setting that sealing needs is missing."""


async def run(settings: Settings) -> None:
    """Seals and indexes until cancelled; raises SealerNotConfigured."""
    if settings.sealer_database_url is None or settings.checkpoint_key is None:
        raise SealerNotConfigured("AFFIDAVIT_SEALER_DATABASE_URL and AFFIDAVIT_CHECKPOINT_KEY must be set")
    try:
        keys = Keyring.from_settings(settings)
    except KeyNotUsable as error:
        raise SealerNotConfigured(str(error)) from None
    async with AsyncExitStack() as stack:
        url, timeout = settings.sealer_database_url.get_secret_value(), settings.database_timeout
        pool = await open_pool(
            url, size=3, timeout=timeout, behind_pooler=settings.behind_pooler, other_passwords=settings.other_passwords
        )  # fmt: skip
        stack.push_async_callback(pool.close)
        async with asyncio.TaskGroup() as running:
            sealer = Sealer(
                pool, keys, sinks_from_settings(settings), sign_each=settings.sign_each_checkpoint
            )  # fmt: skip
            running.create_task(sealer.run())
            running.create_task(Indexer(pool).run())


def sinks_from_settings(settings: Settings) -> list[CheckpointSink]:
    """Returns where checkpoints are kept outside the database."""
    sinks: list[CheckpointSink] = []
    if settings.checkpoint_folder is not None:
        sinks.append(CheckpointFolder(settings.checkpoint_folder))
    if settings.checkpoint_bucket is not None:
        sinks.append(
            CheckpointBucket(
                settings.checkpoint_bucket, retention_days=settings.checkpoint_retention_days,
                endpoint_url=settings.checkpoint_bucket_url,
            )
        )  # fmt: skip
    return sinks
