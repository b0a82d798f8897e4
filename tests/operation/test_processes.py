"""How the processes of a deployment start, end and are looked after, as an orchestrator sees them."""

# ruff: noqa: ASYNC210, ASYNC220, ASYNC251, FBT001 - these tests watch other processes, and nothing runs beside them

import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import asyncpg
import httpx
import pytest

from backend.ledger.checkpoints import SigningKey
from tests.service import PASSWORD, Database, Secrets, Service, Tenant
from tests.serving import Started, environment, eventually, free_port, is_ready, started

pytestmark = [pytest.mark.anyio, pytest.mark.servers]

Settings = dict[str, str]


@pytest.fixture(scope="module")
def settings(database: Database, run_secrets: Secrets, model_home: Path) -> Settings:
    return {
        "AFFIDAVIT_HOME": str(model_home),
        "AFFIDAVIT_RUNTIME_DATABASE_URL": database.runtime_url,
        "AFFIDAVIT_CONTEXT_KEY": run_secrets.context_key,
        "AFFIDAVIT_PAYLOAD_KEY": run_secrets.payload_key,
        "AFFIDAVIT_JWT_PRIVATE_KEY": run_secrets.jwt_private_key,
    }


@contextmanager
def background(*arguments: str, settings: Settings, until: str) -> Iterator[Started]:
    """A command without a port, once it has said something."""
    with tempfile.NamedTemporaryFile(prefix="affidavit-test-") as output:
        command = [sys.executable, "-m", "backend", *arguments]
        process = subprocess.Popen(command, env=environment(settings), stdout=output, stderr=output)
        running = Started(process, Path(output.name), 0)
        try:
            eventually(lambda: until in running.written() or process.poll() is not None, 60, running.written)
            assert process.poll() is None, running.written()
            yield running
        finally:
            if process.poll() is None:
                process.kill()
                process.wait(60)


class Load:
    """Clients that ask without a pause, and what they were answered."""

    def __init__(self, url: str, token: str, clients: int = 2) -> None:
        self.answers: list[int | str] = []
        self._url, self._headers, self._over = url, {"Authorization": f"Bearer {token}"}, threading.Event()
        self._threads = [threading.Thread(target=self._ask) for _ in range(clients)]

    def _ask(self) -> None:
        while not self._over.is_set():
            try:
                answer = httpx.post(f"{self._url}/retrieve", json={"query": "wires"}, headers=self._headers, timeout=30)
                self.answers.append(answer.status_code)
            except httpx.HTTPError as error:
                self.answers.append(type(error).__name__)
            time.sleep(0.05)

    def more(self, answers: int) -> None:
        """Waits until so many more were answered."""
        wanted = len(self.answers) + answers
        eventually(lambda: len(self.answers) >= wanted, 120, lambda: f"{len(self.answers)} answers")

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()


def lines(running: Started) -> list[dict[str, Any]]:
    return [json.loads(line) for line in running.written().splitlines() if line.startswith("{")]


def said_otherwise(running: Started) -> str:
    """What a process said, without its requests."""
    return "\n".join(line for line in running.written().splitlines() if '"event":"request"' not in line)


def sample(text: str, series: str) -> float:
    found = re.search(rf"^{re.escape(series)} (\S+)$", text, re.MULTILINE)
    return float(found[1]) if found else 0.0


def child_pids(parent: int) -> list[int]:
    listed = subprocess.run(
        ["ps", "-ww", "-o", "pid=,args=", "--ppid", str(parent)], capture_output=True, text=True, check=True
    )
    return [int(line.split()[0]) for line in listed.stdout.splitlines() if "spawn_main" in line]


async def token_of(service: Service, tenant: Tenant) -> str:
    return (await service.as_user(tenant, "analyst"))["Authorization"].removeprefix("Bearer ")


async def test_readiness_drains_before_the_service_ends(service: Service, tenant: Tenant, settings: Settings) -> None:
    token = await token_of(service, tenant)
    with started("serve", settings={**settings, "AFFIDAVIT_DRAIN_SECONDS": "15"}) as serving:
        serving.process.send_signal(signal.SIGTERM)
        eventually(lambda: httpx.get(f"{serving.url}/ready").status_code == 503, 60, serving.written)
        body = httpx.get(f"{serving.url}/ready").json()
        assert body["detail"] == "The service is about to stop."
        headers = {"Authorization": f"Bearer {token}"}
        assert httpx.post(f"{serving.url}/retrieve", json={"query": "wires"}, headers=headers).status_code == 200
        assert serving.process.wait(120) == -signal.SIGTERM  # of the signal, when it has drained
    assert "Traceback" not in serving.written() if serving.output.exists() else True


def shows_the_id_of_a_request(serving: Started, token: str, port: int) -> bool:
    """Asks once; tells whether the measures of all processes together name that request beside its time."""
    headers = {"Authorization": f"Bearer {token}"}
    asked = httpx.post(f"{serving.url}/retrieve", json={"query": "wires"}, headers=headers, timeout=30)
    form = {"Accept": "application/openmetrics-text; version=1.0.0"}
    shown = httpx.get(f"http://127.0.0.1:{port}/metrics", headers=form).text
    named = re.findall(
        r'affidavit_request_seconds_bucket\{le="[^"]+",route="/retrieve"\} .* # \{.*request_id="([^"]+)"', shown
    )
    time.sleep(1)  # they leave ids once a second
    return asked.headers["x-request-id"] in named


async def test_several_processes_are_replaced_without_a_failed_request(
    service: Service, tenant: Tenant, settings: Settings
) -> None:
    token, port = await token_of(service, tenant), free_port()
    more = {"AFFIDAVIT_METRICS_PORT": str(port), "AFFIDAVIT_DRAIN_SECONDS": "0.5"}
    with started("serve", "--workers", "2", settings={**settings, **more}) as serving:
        before = child_pids(serving.process.pid)
        assert len(before) == 2
        with Load(serving.url, token) as load:
            load.more(20)
            serving.process.send_signal(signal.SIGHUP)
            eventually(lambda: "all workers replaced" in serving.written(), 240, lambda: said_otherwise(serving))
            load.more(20)
        after = child_pids(serving.process.pid)
        assert len(after) == 2
        assert not set(before) & set(after)
        assert set(load.answers) == {200}
        shown = httpx.get(f"http://127.0.0.1:{port}/metrics").text
        counted = sample(shown, 'affidavit_requests_total{cell="",method="POST",route="/retrieve",status="200"}')
        assert counted == len(load.answers)  # of all processes, also those that have ended
        eventually(lambda: shows_the_id_of_a_request(serving, token, port), 60, lambda: said_otherwise(serving))
        in_use = "affidavit_connections_in_use"  # one is while a process looks whether it is ready
        eventually(
            lambda: sample(httpx.get(f"http://127.0.0.1:{port}/metrics").text, in_use) == 0,
            60,
            lambda: said_otherwise(serving),
        )


async def test_a_process_that_dies_is_replaced_and_that_is_said(settings: Settings) -> None:
    with started("serve", "--workers", "2", settings={**settings, "AFFIDAVIT_DRAIN_SECONDS": "0"}) as serving:
        killed, *_ = child_pids(serving.process.pid)
        os.kill(killed, signal.SIGKILL)
        eventually(lambda: len(set(child_pids(serving.process.pid)) - {killed}) == 2, 120, serving.written)
        eventually(lambda: "worker replaced" in serving.written(), 30, serving.written)
        (said,) = [line for line in lines(serving) if line["event"] == "worker replaced"]
        assert (said["pid"], said["exit_code"], said["level"]) == (killed, -9, "warning")
        assert serving.stop(signal.SIGTERM) == 0
        assert all({"event", "level", "timestamp"} <= line.keys() for line in lines(serving))
        assert "Traceback" not in serving.written()


async def test_a_worker_that_is_asked_to_stop_hands_its_job_back(
    service: Service, tenant: Tenant, settings: Settings, database: Database
) -> None:
    text = "\n\n".join(f"Paragraph {n} says that wire {n} leaves before {n % 12} o'clock." * 8 for n in range(3_000))
    files, form = {"file": ("long.txt", text.encode(), "text/plain")}, {"doc_id": "long", "source_type": "policy"}
    headers = await service.as_user(tenant, "editor")
    job = (await service.client.post("/documents", files=files, data=form, headers=headers)).json()["job_id"]
    watching = await asyncpg.connect(database.superuser_url)
    storage = {"AFFIDAVIT_STORAGE_FOLDER": str(service.services.settings.home_folder / "files")}

    async def state() -> asyncpg.Record:
        row = await watching.fetchrow(
            "select status, attempts, run_after <= now() as due from jobs.job where id = $1", job
        )
        assert row is not None
        return row

    try:
        stopping = {**settings, **storage, "AFFIDAVIT_STOP_SECONDS": "0.2"}
        with background("worker", settings=stopping, until="worker ready") as worker:
            while (await state())["status"] == "queued":
                time.sleep(0.05)
            assert worker.stop(signal.SIGTERM) == 0
            said = [line["event"] for line in lines(worker)]
        assert said[-2:] == ["job handed back", "worker stopped"]
        assert tuple(await state()) == ("queued", 0, True)  # at once another worker's, and no attempt lost
    finally:
        await watching.close()
        await service.client.post(f"/jobs/{job}/cancel", headers=headers)


async def test_a_worker_finishes_a_short_job_before_it_ends(
    service: Service, tenant: Tenant, settings: Settings, database: Database
) -> None:
    text = "\n\n".join(f"Paragraph {n} says that wire {n} leaves at noon." * 8 for n in range(150))
    files, form = {"file": ("short.txt", text.encode(), "text/plain")}, {"doc_id": "short", "source_type": "policy"}
    headers = await service.as_user(tenant, "editor")
    job = (await service.client.post("/documents", files=files, data=form, headers=headers)).json()["job_id"]
    storage = {"AFFIDAVIT_STORAGE_FOLDER": str(service.services.settings.home_folder / "files")}
    watching = await asyncpg.connect(database.superuser_url)
    try:
        stopping = {**settings, **storage, "AFFIDAVIT_STOP_SECONDS": "120"}
        with background("worker", settings=stopping, until="worker ready") as worker:
            while await watching.fetchval("select status from jobs.job where id = $1", job) == "queued":
                time.sleep(0.02)
            assert worker.stop(signal.SIGTERM) == 0
        assert await watching.fetchval("select status from jobs.job where id = $1", job) == "succeeded"
    finally:
        await watching.close()


def children_of(parent: int) -> list[int]:
    listed = subprocess.run(["ps", "-o", "pid=", "--ppid", str(parent)], capture_output=True, text=True, check=False)
    return [int(pid) for pid in listed.stdout.split()]


def as_first_process(*arguments: str) -> list[str]:
    """A command in a process namespace of its own, where it has the number 1."""
    return ["unshare", "--fork", "--pid", "--mount-proc", sys.executable, "-m", "backend", *arguments]


def can_be_first() -> bool:
    command = ["unshare", "--fork", "--pid", "--mount-proc", "true"]
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


@pytest.mark.parametrize(
    "first",
    [
        False,
        pytest.param(True, marks=pytest.mark.skipif(not can_be_first(), reason="no right to make a process namespace")),
    ],
)
async def test_a_sealer_that_is_asked_to_stop_resigns(
    first: bool, settings: Settings, database: Database, tmp_path: Path
) -> None:
    sealing = {
        **settings,
        "AFFIDAVIT_SEALER_DATABASE_URL": database.sealer_url,
        "AFFIDAVIT_CHECKPOINT_KEY": SigningKey.generate("affidavit").pem().decode(),
    }
    watching = await asyncpg.connect(database.superuser_url)
    written = tmp_path / "output"
    command = as_first_process("sealer") if first else [sys.executable, "-m", "backend", "sealer"]
    try:
        with written.open("w") as output:
            process = subprocess.Popen(command, env=environment(sealing), stderr=output)
            eventually(lambda: '"sealing"' in written.read_text(), 60, written.read_text)
            pids = [process.pid]
            if first:
                pids = children_of(process.pid)
            for pid in pids:
                os.kill(pid, signal.SIGTERM)
            assert process.wait(120) == 0, written.read_text()
        assert "sealer stopped" in written.read_text()
        assert await watching.fetchval("select lease_until = '-infinity' from audit.sealer")
    finally:
        await watching.close()


@pytest.mark.skipif(not can_be_first(), reason="no right to make a process namespace")
@pytest.mark.parametrize("arguments", [("worker",), ("serve",), ("serve", "--workers", "2")], ids=" ".join)
async def test_a_first_process_ends_in_order_and_leaves_no_other(
    arguments: tuple[str, ...], settings: Settings, tmp_path: Path
) -> None:
    """The kernel gives number 1 no signal that it does not handle itself."""
    written, port = tmp_path / "output", free_port()
    listening = () if arguments[0] == "worker" else ("--port", str(port))
    with written.open("w") as output:
        command = as_first_process(*arguments, *listening)
        process = subprocess.Popen(
            command, env=environment({**settings, "AFFIDAVIT_DRAIN_SECONDS": "0.2"}), stderr=output
        )
        running = Started(process, written, port)
        eventually(
            lambda: is_ready(running) if listening else "worker ready" in running.written(), 120, running.written
        )
        (first,) = children_of(process.pid)
        below = children_of(first)
        os.kill(first, signal.SIGTERM)
        assert process.wait(120) == 0, running.written()
    assert [pid for pid in below if Path(f"/proc/{pid}").exists()] == []
    assert listening or "worker stopped" in running.written()


async def test_readiness_waits_for_no_request(service: Service, tenant: Tenant, settings: Settings) -> None:
    """All requests that may run wait for a table, and others for their turn."""
    token = await token_of(service, tenant)
    few = {"AFFIDAVIT_MAX_RUNNING_REQUESTS": "2", "AFFIDAVIT_MAX_TENANT_RUNNING_REQUESTS": "2"}
    locking = await asyncpg.connect(service.database.superuser_url)
    waiting = "select count(*) from pg_locks where relation = 'documents.chunk'::regclass and not granted"
    with started("serve", settings={**settings, **few, "AFFIDAVIT_DRAIN_SECONDS": "0"}) as serving:
        await locking.execute("begin; lock table documents.chunk")
        with Load(serving.url, token, clients=4) as load:
            while await locking.fetchval(waiting) < 2:
                time.sleep(0.02)
            ready, answered = httpx.get(f"{serving.url}/ready", timeout=30), list(load.answers)
            await locking.close()
        assert (ready.status_code, answered) == (200, [])
        assert set(load.answers) == {200}


def test_a_port_for_measures_that_is_taken_is_said(settings: Settings) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        command = [sys.executable, "-m", "backend", "serve", "--port", str(free_port())]
        done = subprocess.run(
            command,
            env=environment({**settings, "AFFIDAVIT_METRICS_PORT": port}),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 1
    assert f"port {port} for metrics" in done.stderr
    assert PASSWORD not in done.stderr
