"""A process that does not answer its supervisor is busy for a while, and dead after that."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from backend.http_server import HUNG_SECONDS
from tests.operation.test_processes import child_pids, lines
from tests.serving import Started, environment, eventually, free_port

pytestmark = pytest.mark.servers

UVICORN_SECONDS = 5  # after which uvicorn's own supervisor kills a process, without a word
PAUSE_SECONDS = 7
SERVING = """
from backend import http_server, logging
http_server.HUNG_SECONDS = {hung}
logging.configure("INFO", "json")
http_server.run("tests.operation.test_hung_workers:names_its_process", host="127.0.0.1", port={port}, workers=2, drain_seconds=0)
"""


def names_its_process() -> Starlette:
    """What is served here: every answer is the number of the process that gave it."""

    async def answer(_: Request) -> PlainTextResponse:
        return PlainTextResponse(str(os.getpid()))

    return Starlette(routes=[Route("/", answer)])


@contextmanager
def supervised(hung: float) -> Iterator[tuple[Started, list[int]]]:
    """Two processes that serve and have answered their supervisor, which takes one for dead after so many seconds."""
    port = free_port()
    with tempfile.NamedTemporaryFile(prefix="affidavit-test-") as output:
        command = [sys.executable, "-c", SERVING.format(hung=hung, port=port)]
        process = subprocess.Popen(command, env=environment({}), stdout=output, stderr=output)
        serving = Started(process, Path(output.name), port)
        try:
            seen: set[int] = set()
            eventually(lambda: len(seen.union(answering(serving, seen))) == 2, 120, serving.written)
            time.sleep(2)  # in which its supervisor asks each again, and is answered
            yield serving, sorted(seen)
        finally:
            process.terminate()
            process.wait(60)


def answering(serving: Started, seen: set[int]) -> set[int]:
    """Adds the process that answers now to those seen."""
    try:
        seen.add(int(httpx.get(serving.url).text))
    except httpx.TransportError:
        time.sleep(0.1)
    return seen


def replaced(serving: Started) -> list[dict[str, object]]:
    return [line for line in lines(serving) if line["event"] == "worker replaced"]


def test_a_process_that_stands_still_for_seven_seconds_goes_on() -> None:
    assert UVICORN_SECONDS < PAUSE_SECONDS < HUNG_SECONDS
    with supervised(HUNG_SECONDS) as (serving, before):
        os.kill(before[0], signal.SIGSTOP)
        time.sleep(PAUSE_SECONDS)
        os.kill(before[0], signal.SIGCONT)
        time.sleep(1.5)
        assert sorted(child_pids(serving.process.pid)) == before
        assert replaced(serving) == []
        seen: set[int] = set()
        eventually(lambda: before[0] in answering(serving, seen), 60, serving.written)


def test_a_process_that_stands_still_for_longer_than_the_limit_is_replaced_and_that_is_said() -> None:
    with supervised(3) as (serving, before):
        os.kill(before[0], signal.SIGSTOP)
        eventually(lambda: replaced(serving) != [], 60, serving.written)
        (said,) = replaced(serving)
        assert (said["pid"], said["hung"], said["exit_code"]) == (before[0], True, -signal.SIGKILL)
        after = child_pids(serving.process.pid)
        assert before[1] in after
        assert before[0] not in after
        (new,) = set(after) - {before[1]}
        seen: set[int] = set()
        eventually(lambda: new in answering(serving, seen), 60, serving.written)
