"""The first day of the operator's handbook, with real processes: typed as it stands, and as infra/compose.yaml has it."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from backend.embedded_postgres import EmbeddedPostgres, Passwords, binaries
from tests.scratch import new_folder
from tests.serving import ROOT, environment, eventually, free_port

pytestmark = pytest.mark.servers

HANDBOOK = (ROOT / "infra" / "README.md").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "infra" / "compose.yaml").read_text())["services"]
ENTRYPOINT: list[str] = json.loads(
    re.findall(r"^ENTRYPOINT (.*)$", (ROOT / "infra" / "Dockerfile").read_text(), re.MULTILINE)[-1]
)
PASSWORD = "a long enough password"
(TYPED,) = (block for block in re.findall(r"```sh\n(.*?)```", HANDBOOK, re.DOTALL) if "psql --file" in block)


@pytest.fixture
def server() -> Iterator[EmbeddedPostgres]:
    """A PostgreSQL as a database administrator hands it over."""
    folder = new_folder()
    empty = EmbeddedPostgres(folder / "data", Passwords.generate(), settings={"fsync": "off", "shared_buffers": "64MB"})
    empty.start()
    try:
        yield empty
    finally:
        empty.stop("immediate")
        shutil.rmtree(folder, ignore_errors=True)


def programs(model_home: Path) -> dict[str, str]:
    """The environment of somebody who has installed the wheel and PostgreSQL's client, and nothing else."""
    path = f"{Path(sys.executable).parent}:{binaries()}:{os.environ['PATH']}"
    return environment({"PATH": path, "AFFIDAVIT_HOME": str(model_home)})


@contextmanager
def together(folder: Path) -> Iterator[None]:
    """Ends what the block started in the background and noted in the file `pids`."""
    try:
        yield
    finally:
        noted = folder / "pids"
        for pid in noted.read_text().split() if noted.exists() else ():
            subprocess.run(["kill", "-TERM", pid], check=False, capture_output=True)
        eventually(
            lambda: not any(_runs(pid) for pid in (noted.read_text().split() if noted.exists() else ())), 60, str
        )


def _runs(pid: str) -> bool:
    try:
        return (Path("/proc") / pid / "stat").read_text().rpartition(") ")[2][0] != "Z"
    except OSError:
        return False


def a_first_answer(url: str) -> None:
    """Jane signs in, makes an editor and an analyst, and these reach an answer that is proved a moment later."""

    def signed_in(username: str) -> httpx.Client:
        form = {"client_id": "acme", "username": username, "password": PASSWORD}
        token = httpx.post(f"{url}/auth/token", data=form).raise_for_status().json()["access_token"]
        return httpx.Client(base_url=url, headers={"Authorization": f"Bearer {token}"}, timeout=60)

    with signed_in("jane") as jane:
        for name in ("editor", "analyst"):
            made = jane.post("/users", json={"username": name, "password": PASSWORD, "roles": [name]})
            assert made.status_code == 201, made.text
    with signed_in("editor") as editor, signed_in("analyst") as analyst:
        files, form = (
            {"file": ("fees.txt", b"An outgoing wire costs $25.", "text/plain")},
            {"doc_id": "fees", "source_type": "policy"},
        )
        sent = editor.post("/documents", files=files, data=form)
        assert sent.status_code == 202, sent.text
        job = f"/jobs/{sent.json()['job_id']}"
        eventually(lambda: editor.get(job).json()["status"] == "succeeded", 120, lambda: editor.get(job).text)
        answer = analyst.post("/answer", json={"question": "What does an outgoing wire cost?"})
        assert "$25" in answer.json()["answer"], answer.text


def test_the_handbooks_commands_lead_to_a_service_that_answers(
    server: EmbeddedPostgres, model_home: Path, tmp_path: Path
) -> None:
    port = free_port()
    (tmp_path / "infra").symlink_to(ROOT / "infra")
    superuser = f"postgres:{server.passwords.superuser}@127.0.0.1:{server.port}"
    script = TYPED.replace("postgres@db.internal", superuser).replace("db.internal", f"127.0.0.1:{server.port}")
    script = script.replace("/srv/affidavit", str(tmp_path / "srv")).replace(
        "--workers 2", f"--workers 2 --port {port}"
    )
    script = script.replace(" &\n", " >>log 2>&1 & echo $! >>pids\n")
    # Whoever types waits for what was started before.
    script = script.replace("affidavit doctor ", "until affidavit doctor; do sleep 0.5; done ")
    with together(tmp_path):
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script], cwd=tmp_path, env=programs(model_home), text=True,
            input=f"{PASSWORD}\n", capture_output=True, timeout=300, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        url = f"http://127.0.0.1:{port}"
        eventually(lambda: _answers(url), 240, (tmp_path / "log").read_text)
        a_first_answer(url)
        kept = tmp_path / "srv" / "checkpoints"
        eventually(lambda: any(kept.iterdir()), 60, (tmp_path / "log").read_text)
        assert any(path.is_file() for path in (tmp_path / "srv" / "documents").rglob("*"))
    said = (tmp_path / "log").read_text()
    assert "Traceback" not in said
    lines = [line for line in said.splitlines() if line.startswith("{")]  # what measures coverage warns there in text
    assert {"worker stopped", "sealer stopped"} <= {line["event"] for line in map(json.loads, lines)}


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/ready").status_code == 200
    except httpx.TransportError:
        return False


def test_init_says_the_two_commands_that_follow_also_for_a_server_of_ones_own(
    server: EmbeddedPostgres, model_home: Path, tmp_path: Path
) -> None:
    plain = programs(model_home)
    command = ["affidavit", "init", "secrets of the bank", "--host", f"127.0.0.1:{server.port}", "--json"]
    made = subprocess.run(command, cwd=tmp_path, env=plain, check=True, capture_output=True, text=True)
    following: list[str] = json.loads(made.stdout)["next"]
    assert len(following) == 2
    for line in following:
        typed = line.replace("SUPERUSER_ADDRESS", server.url("postgres", server.passwords.superuser, "postgres"))
        done = subprocess.run(
            ["bash", "-c", typed], cwd=tmp_path, env=plain, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, (line, done.stderr)


def test_what_compose_starts_works_together(server: EmbeddedPostgres, model_home: Path, tmp_path: Path) -> None:
    """Each process behind the image's entrypoint, with the settings and the folder that compose gives it; docker is not needed."""
    folder, port, plain = tmp_path / "infra", free_port(), programs(model_home)
    places = {"/documents": tmp_path / "documents", "/checkpoints": tmp_path / "checkpoints"}
    for place in places.values():
        place.mkdir()
    secrets = ["affidavit", "init", str(folder / "secrets"), "--host", f"127.0.0.1:{server.port}"]
    subprocess.run(secrets, env=plain, check=True, capture_output=True)
    known = dict(line.split("=", 1) for line in (folder / "secrets" / "database.env").read_text().splitlines())
    roles = [
        "psql",
        "--file",
        str(ROOT / "infra" / "roles.sql"),
        server.url("postgres", server.passwords.superuser, "postgres"),
    ]
    subprocess.run(roles, env=plain | known, check=True, capture_output=True)

    def given(name: str) -> dict[str, str]:
        service = COMPOSE[name]
        mounted = service["volumes"][0].partition(":")[0]
        settings = {
            variable: str(places.get(value, free_port() if variable.endswith("_PORT") else value))
            for variable, value in service["environment"].items()
        }
        return plain | settings | {"AFFIDAVIT_SECRETS_DIRECTORY": str(folder / mounted)}

    def once(name: str, *words: str, text: str = "") -> None:
        command = [*ENTRYPOINT, *(words or COMPOSE[name]["command"])]
        done = subprocess.run(
            command, env=given(name), cwd=tmp_path, input=text, capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, (command, done.stdout, done.stderr)

    once("migrate")
    said = tmp_path / "log"
    with ExitStack() as stack, said.open("w") as log:
        started = {}
        for name in ("service", "worker", "sealer"):
            listening = ["--port", str(port)] if name == "service" else []
            command = [*ENTRYPOINT, *COMPOSE[name]["command"], *listening]
            started[name] = subprocess.Popen(command, env=given(name), cwd=tmp_path, stderr=log)
            stack.callback(started[name].wait, 60)
            stack.callback(started[name].send_signal, signal.SIGTERM)
        eventually(lambda: _answers(f"http://127.0.0.1:{port}"), 240, said.read_text)
        eventually(lambda: '"sealing"' in said.read_text(), 60, said.read_text)
        once("operator", "tenant", "create", "acme", "--name", "Acme Bank")
        once("operator", "user", "create", "acme", "jane", "--role", "admin", text=f"{PASSWORD}\n")
        a_first_answer(f"http://127.0.0.1:{port}")
        once("operator")  # doctor
    assert {name: process.returncode for name, process in started.items()} == dict.fromkeys(started, 0)
    assert "Traceback" not in said.read_text()
