"""A worker that is killed between sending a message and marking it: `python -m tests.webhooks.dying_worker`."""

import asyncio
import os
import signal

from backend import worker
from backend.settings import Settings
from backend.webhooks.delivering import Deliverer


def _killed(*_: object, **__: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    setattr(Deliverer, "_mark", _killed)  # noqa: B010 - a class that is typed
    asyncio.run(worker.run(Settings()))
