"""The command line as a newcomer meets it: the demo in a folder with a space, and the operator's commands beside it."""

import json
import os
import re
import shutil
import signal
import socket
import stat
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from backend.embedded_postgres import run_psql
from tests.scratch import new_folder
from tests.serving import ROOT, Started, affidavit, eventually, started

DELAYED_ACKNOWLEDGEMENT_SECONDS = 0.040  # that Linux waits at least
HEALTHY = b'{"status":"ok"}'
PASSWORD = "a long enough password"


@pytest.fixture(scope="module")
def home(model_home: Path) -> Iterator[Path]:
    folder = new_folder("affidavit test ")
    if (model_home / "models").exists():  # another test has built the model already
        (folder / "models").symlink_to(model_home / "models")
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def settings(home: Path) -> dict[str, str]:
    return {"AFFIDAVIT_HOME": str(home)}


@pytest.fixture(scope="module")
def demo(settings: dict[str, str]) -> Iterator[Started]:
    """The first start."""
    with started("demo", settings=settings) as running:
        yield running


def credentials(home: Path) -> dict[str, Any]:
    known: dict[str, Any] = json.loads((home / "demo-credentials.json").read_text())
    return known


@dataclass(frozen=True)
class DemoUser:
    """Somebody with an access token."""

    url: str
    headers: dict[str, str]

    def get(self, path: str) -> httpx.Response:
        return httpx.get(f"{self.url}{path}", headers=self.headers)

    def post(self, path: str, body: dict[str, Any]) -> httpx.Response:
        return httpx.post(f"{self.url}{path}", json=body, headers=self.headers)


def sign_in(url: str, tenant: str, username: str, password: str) -> DemoUser:
    form = {"client_id": tenant, "username": username, "password": password}
    answer = httpx.post(f"{url}/auth/token", data=form)
    assert answer.status_code == 200, answer.text
    return DemoUser(url, {"Authorization": f"Bearer {answer.json()['access_token']}"})


def as_demo_user(running: Started, home: Path, username: str, tenant: int = 0) -> DemoUser:
    known = credentials(home)["tenants"][tenant]
    password = next(user["password"] for user in known["users"] if user["username"] == username)
    return sign_in(running.url, known["slug"], username, password)


def as_superuser(home: Path, statement: str) -> None:
    url = json.loads((home / "database.json").read_text())["superuser_url"]
    run_psql(["--command", statement, url], {})


def test_the_demo_writes_its_credentials_for_its_owner_alone(demo: Started, home: Path) -> None:
    known = credentials(home)
    assert known.keys() >= {"base_url", "tenants"}
    assert known["base_url"] == demo.url
    assert [tenant["slug"] for tenant in known["tenants"]] == ["meridian-bank", "harbor-insurance"]
    for tenant in known["tenants"]:
        roles = {user["username"]: user["roles"] for user in tenant["users"]}
        assert {"admin", "editor", "approver", "analyst", "compliance"} <= roles.keys()
        assert all(roles[name] == [name] for name in ("admin", "editor", "approver", "analyst", "compliance"))
        (key,) = tenant["api_keys"]
        assert (key["name"], key["permissions"]) == ("partner", ["retrieval:query", "answers:create"])
    urls = json.loads((home / "database.json").read_text())
    assert urls.keys() >= {"owner_url", "runtime_url", "superuser_url"}
    for name in ("demo-credentials.json", "database.json", "secrets.json", "checkpoint-key.pub"):
        assert stat.S_IMODE((home / name).stat().st_mode) == 0o600, name


def test_no_answer_of_the_demo_waits_for_an_acknowledgement(demo: Started) -> None:
    """With Nagle's algorithm the body would wait 43 ms until the client has acknowledged the headers."""
    request = b"GET /health HTTP/1.1\r\nHost: demo\r\n\r\n"
    taken = []
    with socket.create_connection(("127.0.0.1", demo.port), timeout=30) as connection:
        for _ in range(30):
            began = time.perf_counter()
            connection.sendall(request)
            answer = b""
            while not answer.endswith(HEALTHY):
                more = connection.recv(65_536)
                assert more, answer
                answer += more
            taken.append(time.perf_counter() - began)
            assert answer.startswith(b"HTTP/1.1 200 ")
    assert statistics.median(taken) < DELAYED_ACKNOWLEDGEMENT_SECONDS / 2, taken


def test_what_the_demo_says_to_paste_works_as_it_stands(demo: Started, tmp_path: Path) -> None:
    said = demo.written()
    pasted = "\n".join(re.findall(r"^  .*$", said[said.index("Ask a question") :], re.MULTILINE))
    done = subprocess.run(["bash", "-c", pasted], capture_output=True, text=True, cwd=tmp_path, check=True)
    decoder = json.JSONDecoder()
    answer, end = decoder.raw_decode(done.stdout)
    events, _ = decoder.raw_decode(done.stdout[end:].lstrip())
    assert not answer["refused"]
    assert "60 days" in answer["answer"]
    assert answer["audit_event_id"] in {event["id"] for event in events["events"]}


def test_the_first_start_says_what_it_does_in_a_few_lines(demo: Started) -> None:
    """And not what the processes log meanwhile, of which there were sixty lines."""
    before, _, _ = demo.written().partition("Open this link")
    said = [line for line in before.splitlines() if line.strip()]
    told = [line for line in said if not line.startswith("{")]
    assert told[0] == "First start: making two tenants."
    assert len(told) > 2, before
    assert len(said) < 20, before


def test_the_demo_has_a_collection_that_the_analyst_may_not_read(demo: Started, home: Path) -> None:
    for tenant in (0, 1):
        hidden = set(as_demo_user(demo, home, "editor", tenant).get("/auth/me").json()["readable_collections"])
        hidden -= set(as_demo_user(demo, home, "analyst", tenant).get("/auth/me").json()["readable_collections"])
        assert hidden


def test_the_operator_creates_a_tenant_a_user_and_a_key(demo: Started, settings: dict[str, str]) -> None:
    for done in (
        affidavit("tenant", "create", "northwind", "--name", "Northwind", settings=settings),
        affidavit(
            "user", "create", "northwind", "jane", "--role", "editor", "--role", "compliance", settings=settings,
            text=f"{PASSWORD}\n",
        ),
        key := affidavit("key", "create", "northwind", "portal", "--permission", "retrieval:query", settings=settings),
    ):  # fmt: skip
        assert done.returncode == 0, done.stderr
    jane = sign_in(demo.url, "northwind", "jane", PASSWORD)
    assert jane.get("/auth/me").json()["roles"] == ["compliance", "editor"]
    portal = httpx.get(f"{demo.url}/auth/me", headers={"Authorization": f"Bearer {key.stdout.strip()}"})
    assert (portal.json()["name"], portal.json()["readable_collections"]) == ("portal", ["default"])
    actions = [event["action"] for event in jane.get("/audit/events").json()["events"]]
    assert {"tenant:changed", "user:changed", "key:created", "grant:changed"} <= set(actions)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("tenant", "create", "meridian-bank"), "already"),
        (("tenant", "create", "No Slug"), "lower-case letters"),
        (("key", "create", "nonesuch", "n", "--permission", "retrieval:query"), "no tenant"),
        (
            ("key", "create", "meridian-bank", "n", "--permission", "retrieval:query", "--collection", "x"),
            "no collection",
        ),
        (("user", "create", "meridian-bank", "joe", "--role", "analyst"), "at least 12 characters"),
        (("demo",), "already"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence(
    demo: Started, settings: dict[str, str], arguments: tuple[str, ...], said: str
) -> None:
    done = affidavit(*arguments, settings=settings, text="short\nshort\n")
    assert done.returncode == 1
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert demo.process.poll() is None


def test_doctor_finds_a_table_without_row_level_security_and_serve_then_refuses(
    demo: Started, home: Path, settings: dict[str, str]
) -> None:
    assert affidavit("doctor", settings=settings).returncode == 0
    report = affidavit("doctor", "--json", settings=settings)
    assert json.loads(report.stdout)["ok"] is True
    runtime_url = json.loads((home / "database.json").read_text())["runtime_url"]
    secrets = json.loads((home / "secrets.json").read_text())
    serving = {
        **settings, "AFFIDAVIT_RUNTIME_DATABASE_URL": runtime_url, "AFFIDAVIT_CONTEXT_KEY": secrets["context_key"],
        "AFFIDAVIT_PAYLOAD_KEY": secrets["payload_key"], "AFFIDAVIT_JWT_PRIVATE_KEY": secrets["jwt_private_key"],
    }  # fmt: skip
    as_superuser(home, "alter table documents.chunk disable row level security")
    try:
        found = affidavit("doctor", "--json", settings=settings)
        refused = affidavit("serve", "--port", "1", settings=serving)
        eventually(
            lambda: httpx.get(f"{demo.url}/ready").status_code == 503, 20, demo.written
        )  # it looks every few seconds
    finally:
        as_superuser(home, "alter table documents.chunk enable row level security")
    assert (found.returncode, json.loads(found.stdout)["ok"]) == (1, False)
    assert "documents.chunk: row-level security is not enabled" in found.stdout
    assert refused.returncode == 1
    assert "documents.chunk" in refused.stderr
    assert affidavit("doctor", settings=settings).returncode == 0


def test_serving_without_settings_names_what_is_missing_and_no_secret() -> None:
    done = affidavit("serve", settings={"AFFIDAVIT_HOME": "/nonexistent"})
    assert done.returncode == 1
    for name in ("RUNTIME_DATABASE_URL", "CONTEXT_KEY", "PAYLOAD_KEY", "JWT_PRIVATE_KEY"):
        assert f"AFFIDAVIT_{name}" in done.stderr
    short = affidavit("serve", settings={"AFFIDAVIT_CONTEXT_KEY": "tooshortsecret"})
    assert short.returncode == 1
    assert "AFFIDAVIT_CONTEXT_KEY" in short.stderr
    assert "tooshortsecret" not in short.stderr


def test_a_database_that_is_away_is_said_to_be_away() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # and does not listen
        url = f"postgresql://affidavit_owner@127.0.0.1:{unused.getsockname()[1]}/affidavit"
        done = affidavit("migrate", settings={"AFFIDAVIT_DATABASE_URL": url, "AFFIDAVIT_CONTEXT_KEY": "k" * 48})
    assert done.returncode == 1
    assert done.stderr.startswith("error: the database cannot be reached: ")
    assert len(done.stderr.splitlines()) == 1


def test_a_port_in_use_is_said() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, tempfile.TemporaryDirectory() as elsewhere:
        port = str(taken.getsockname()[1])
        done = affidavit("demo", "--port", port, settings={"AFFIDAVIT_HOME": elsewhere})
    assert done.returncode == 1
    assert f"port {port} is in use" in done.stderr


def test_make_gives_the_demo_the_port_that_it_is_told() -> None:
    command = ["make", "--dry-run", "--no-print-directory", "demo", "PORT=8123"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == ".venv/bin/affidavit demo --port 8123"


@pytest.mark.parametrize(
    ("typed", "completed"), [("ten", {"tenant"}), ("key create --tok", {"--tokens-day", "--tokens-month"})]
)
def test_the_shell_completes_commands_and_options(typed: str, completed: set[str]) -> None:
    words = f"affidavit {typed}"
    asked = {"_AFFIDAVIT_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
    program = Path(sys.executable).with_name("affidavit")
    done = subprocess.run([program], env={**os.environ, **asked}, capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) == completed


def test_after_an_interruption_the_second_start_keeps_everything(
    demo: Started, home: Path, settings: dict[str, str]
) -> None:
    """Stops the demo that the tests before use, so it comes last."""
    editor = as_demo_user(demo, home, "editor")
    chunk = {"doc_id": "kept", "chunk_text": "Zanzibar branch opens at nine.", "source_type": "notice"}
    assert editor.post("/ingest", chunk).status_code == 201
    before = credentials(home)
    assert demo.stop(signal.SIGINT) == 0
    assert "Traceback" not in demo.written()
    assert not (home / "postgres" / "postmaster.pid").exists()

    with started("demo", "--json", settings=settings) as again:
        analyst = as_demo_user(again, home, "analyst")
        found = analyst.post("/retrieve", {"query": "Zanzibar branch"}).json()["contexts"]
        assert found[0]["doc_id"] == "kept"
        assert credentials(home)["tenants"] == before["tenants"]
        assert again.stop(signal.SIGTERM) == 0
        lines = [json.loads(line) for line in again.written().splitlines()]  # of both standard output and error
        (greeted,) = [line for line in lines if "sign_in" in line]
        assert greeted["base_url"] == again.url
    assert not (home / "postgres" / "postmaster.pid").exists()
