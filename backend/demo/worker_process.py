"""The demo's worker: a process of its own, so that reading files does not slow down answers."""

import asyncio
import json
import os
import sys
from asyncio.subprocess import DEVNULL
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from backend.settings import Settings, required

_BESIDE_THE_CODE = Path(__file__).resolve().parents[2]


@asynccontextmanager
async def running_worker(settings: Settings) -> AsyncIterator[None]:
    """Runs `affidavit worker` beside the block; it also ends when this process is killed."""
    names = ("RUNTIME_DATABASE_URL", "CONTEXT_KEY", "PAYLOAD_KEY")
    own = {f"AFFIDAVIT_{name}": required(getattr(settings, name.lower()), name) for name in names}
    for name in ("webhook_hosts", "webhook_own_machine", "source_hosts", "source_own_machine"):
        own[f"AFFIDAVIT_{name.upper()}"] = json.dumps(getattr(settings, name))
    environment = {**os.environ, **own, "AFFIDAVIT_HOME": str(settings.home_folder)}
    environment.pop("AFFIDAVIT_METRICS_PORT", None)  # taken by this process
    command = (sys.executable, "-m", "backend", "worker", "--with-parent")
    worker = await asyncio.create_subprocess_exec(*command, env=environment, cwd=_BESIDE_THE_CODE, stdin=DEVNULL)
    try:
        yield
    finally:
        with suppress(ProcessLookupError):
            worker.terminate()
        await worker.wait()
