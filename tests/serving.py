"""The service as its users start it: the command line in processes of their own."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

ROOT = Path(__file__).resolve().parent.parent


def environment(settings: Mapping[str, str]) -> dict[str, str]:
    """The environment of a fresh machine with these settings and no others."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AFFIDAVIT_")}
    return kept | {"PYTHONPATH": str(ROOT), "COLUMNS": "200", **settings}


def affidavit(*arguments: str, settings: Mapping[str, str], text: str = "") -> subprocess.CompletedProcess[str]:
    """Runs one command to its end."""
    command = [sys.executable, "-m", "backend", *arguments]
    return subprocess.run(
        command, env=environment(settings), input=text, capture_output=True, text=True, timeout=120, check=False
    )


@dataclass
class Started:
    """A command that goes on running, and what it has written."""

    process: subprocess.Popen[bytes]
    output: Path
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def written(self) -> str:
        return self.output.read_text(errors="replace")

    def stop(self, number: signal.Signals = signal.SIGINT) -> int:
        self.process.send_signal(number)
        return self.process.wait(60)


@contextmanager
def running(*arguments: str, settings: Mapping[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """Runs a command in the background until the block ends."""
    command = [sys.executable, "-m", "backend", *arguments]
    process = subprocess.Popen(command, env=environment(settings), stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(60)


@contextmanager
def started(*arguments: str, settings: Mapping[str, str], seconds: float = 300) -> Iterator[Started]:
    """Starts a command with `--port` and waits until it is ready, at most so long."""
    port = free_port()
    with tempfile.NamedTemporaryFile(prefix="affidavit-test-") as output:
        command = [sys.executable, "-m", "backend", *arguments, "--port", str(port)]
        process = subprocess.Popen(command, env=environment(settings), stdout=output, stderr=output)
        running = Started(process, Path(output.name), port)
        try:
            eventually(lambda: process.poll() is not None or is_ready(running), seconds, running.written)
            assert process.poll() is None, running.written()
            yield running
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait(60)


def is_ready(running: Started) -> bool:
    try:
        return httpx.get(f"{running.url}/ready").status_code == 200
    except httpx.TransportError:
        return False


def eventually(condition: Callable[[], bool], seconds: float, explain: Callable[[], str]) -> None:
    """Waits until the condition holds."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError(explain())


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port: int = unused.getsockname()[1]
    return port
