"""The image's first process, with real processes in a namespace of their own: it passes signals on and buries orphans."""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from backend.ledger.checkpoints import SigningKey
from tests.operation.test_processes import as_first_process, can_be_first, children_of
from tests.service import Database, Secrets
from tests.serving import ROOT, Started, environment, eventually, free_port, is_ready

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.servers,
    pytest.mark.skipif(not can_be_first(), reason="no right to make a process namespace"),
]

DOCKERFILE = (ROOT / "infra" / "Dockerfile").read_text()
ENTRYPOINT: list[str] = json.loads(re.findall(r"^ENTRYPOINT (.*)$", DOCKERFILE, re.MULTILINE)[-1])
PROGRAMS = Path(sys.executable).parent  # as /opt/affidavit/bin in the image
IN_A_NAMESPACE = ["unshare", "--fork", "--pid", "--mount-proc"]


@pytest.fixture(scope="module")
def settings(database: Database, run_secrets: Secrets, model_home: Path) -> dict[str, str]:
    return {
        "AFFIDAVIT_HOME": str(model_home), "AFFIDAVIT_RUNTIME_DATABASE_URL": database.runtime_url,
        "AFFIDAVIT_CONTEXT_KEY": run_secrets.context_key, "AFFIDAVIT_PAYLOAD_KEY": run_secrets.payload_key,
        "AFFIDAVIT_JWT_PRIVATE_KEY": run_secrets.jwt_private_key, "AFFIDAVIT_DRAIN_SECONDS": "0.2",
    }  # fmt: skip


@contextmanager
def contained(command: list[str], given: dict[str, str], output: Path, port: int = 0) -> Iterator[tuple[Started, int]]:
    """Runs a command as the first process of a namespace; gives it with the number that it has outside."""
    path = {"PATH": f"{PROGRAMS}:{os.environ['PATH']}"}
    with output.open("w") as written:
        process = subprocess.Popen([*IN_A_NAMESPACE, *command], env=environment(given | path), stderr=written)
    running = Started(process, output, port)
    try:
        eventually(lambda: bool(children_of(process.pid)) or process.poll() is not None, 60, running.written)
        assert process.poll() is None, running.written()
        yield running, children_of(process.pid)[0]
    finally:
        if process.poll() is None:
            for first in children_of(process.pid):
                os.kill(first, signal.SIGKILL)
            process.wait(60)


def left_orphan(first: int, seconds: float) -> Path:
    """Has a process of the namespace end before one that it started, which ends so much later; gives the entry of that one."""
    script = f"sleep {seconds} >/dev/null & echo $!"
    entered = ["nsenter", f"--target={first}", "--pid", "--mount", "sh", "-c", script]
    orphan = subprocess.run(entered, check=True, capture_output=True, text=True).stdout.strip()
    return Path("/proc", str(first), "root", "proc", orphan)


def is_unburied(orphan: Path) -> bool:
    try:
        return (orphan / "stat").read_text().rpartition(") ")[2][0] == "Z"
    except OSError:
        return False


def all_that_runs_in(first: int) -> list[int]:
    """Every process below the first one."""
    below, found = [first], []
    while below:
        found += below
        below = [child for parent in below for child in children_of(parent)]
    return found


@pytest.mark.parametrize("command", ["worker", "sealer", "serve", "serve --workers 2"])
async def test_the_entrypoint_passes_sigterm_on_and_everything_ends_in_order(
    command: str, settings: dict[str, str], database: Database, tmp_path: Path
) -> None:
    port, name = free_port(), command.split(maxsplit=1)[0]
    listening = ["--port", str(port)] if name == "serve" else []
    given = {
        **settings, "AFFIDAVIT_SEALER_DATABASE_URL": database.sealer_url,
        "AFFIDAVIT_CHECKPOINT_KEY": SigningKey.generate("affidavit").pem().decode(),
    }  # fmt: skip
    whole = [*ENTRYPOINT, *shlex.split(command), *listening]
    with contained(whole, given, tmp_path / "output", port) as (running, first):
        began = {"worker": '"worker ready"', "sealer": '"sealing"'}
        eventually(
            lambda: is_ready(running) if name == "serve" else began[name] in running.written(), 240, running.written
        )
        everything = all_that_runs_in(first)
        if name == "worker":
            orphan = left_orphan(first, 0.2)
            eventually(lambda: not orphan.exists(), 30, running.written)
        os.kill(first, signal.SIGTERM)
        # Docker sees the status of the first process: that of what it started, where 143 is an end by SIGTERM when it has drained.
        assert running.process.wait(120) == (143 if command == "serve" else 0), running.written()
        assert [pid for pid in everything if Path(f"/proc/{pid}").exists()] == []
    assert "Traceback" not in running.written()
    assert name == "serve" or f"{name} stopped" in running.written()


async def test_without_it_orphans_stay_unburied(settings: dict[str, str], tmp_path: Path) -> None:
    """The control: what the test above would see if the image's first process did not bury them."""
    command = as_first_process("worker")[len(IN_A_NAMESPACE) :]
    with contained(command, settings, tmp_path / "output") as (running, first):
        eventually(lambda: '"worker ready"' in running.written(), 240, running.written)
        orphan = left_orphan(first, 0.2)
        eventually(lambda: is_unburied(orphan), 30, running.written)
        os.kill(first, signal.SIGTERM)
        assert running.process.wait(120) == 0


def test_the_program_of_the_test_is_that_of_the_image() -> None:
    locked = [
        re.findall(r"^dumb-init==\S+", (ROOT / lock).read_text(), re.MULTILINE)
        for lock in ("requirements-image.lock", "requirements-dev.lock")
    ]
    assert locked[0] == locked[1] != []
    assert shutil.which(ENTRYPOINT[0], path=str(PROGRAMS))
