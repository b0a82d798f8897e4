"""README says what is so: its paths exist, its targets and commands are there, its program runs."""

import asyncio
import json
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import uvicorn
from typer.main import get_command

from backend.cli import app as command_line
from tests.conftest import PASSWORD, Service, Tenant
from tests.isolation.attacks import SHOWN_BY_POSTGRES

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()


@pytest.mark.parametrize("name", ["README.md", "policies/README.md", "migrations/README.md"])
def test_every_path_that_it_names_exists(name: str) -> None:
    named = re.findall(r"`((?:backend|tests|policies|migrations|infra)/[^`\s]*)`", (ROOT / name).read_text())
    assert named
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_every_target_that_it_names_is_in_the_makefile() -> None:
    targets = set(re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"(?:^|`)make ([a-z-]+)", README, re.MULTILINE)) <= targets


def test_every_command_that_it_names_is_there() -> None:
    commands = set(get_command(command_line).commands)  # type: ignore[attr-defined]
    assert set(re.findall(r"`affidavit ([a-z]+)", README)) <= commands


def test_it_lists_all_that_postgresql_shows_to_everyone() -> None:
    shows = (ROOT / "policies" / "README.md").read_text()
    assert [shown for shown in SHOWN_BY_POSTGRES if f"- {shown}\n" not in shows] == []


@asynccontextmanager
async def served(service: Service) -> AsyncIterator[int]:
    """The service on a real port."""
    server = uvicorn.Server(uvicorn.Config(service.app, port=0, lifespan="off", log_config=None))
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.02)
    try:
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        await serving


async def test_its_python_program_reaches_an_answer_and_its_record(
    service: Service, tenant: Tenant, tmp_path: Path
) -> None:
    program = re.search(r"```python\n(.*?)```", README, re.DOTALL)
    assert program is not None
    users = [{"username": name, "password": PASSWORD, "roles": [name]} for name in ("editor", "analyst", "compliance")]
    async with served(service) as port:
        demo = {"base_url": f"http://127.0.0.1:{port}", "tenants": [{"slug": tenant.slug, "users": users}]}
        (tmp_path / "demo-credentials.json").write_text(json.dumps(demo))
        running = await asyncio.create_subprocess_exec(
            sys.executable, "-c", program[1], env={"AFFIDAVIT_HOME": str(tmp_path)},
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        output = (await running.communicate())[0].decode()
    assert running.returncode == 0, output
    chunk, answer, record = output.splitlines()
    assert chunk == "Card disputes must be filed within 60 days of statement date."
    assert "60 days" in answer
    assert record.startswith("answer:returned analyst ")
