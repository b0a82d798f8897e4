"""The handbooks say what is so: paths exist, targets, commands and options are there, programs run."""

import asyncio
import json
import re
import shlex
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import click
import pytest
import uvicorn
from typer.main import get_command

from backend.cli import app as command_line
from backend.gateways.mcp.door import PATH as MCP_PATH
from backend.identity.keys import api_keys
from backend.settings import Settings
from tests.conftest import PASSWORD, Service, Tenant
from tests.isolation.attacks import SHOWN_BY_POSTGRES
from tests.test_floors import FLOORS, rooms

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()


HANDBOOKS = {
    name: (ROOT / name).read_text()
    for name in (
        "README.md", "policies/README.md", "migrations/README.md", "infra/README.md", "tests/README.md",
        "tests/benchmarks/README.md", "backend/documents/parsing/README.md",
    )
}  # fmt: skip
handbooks = pytest.mark.parametrize("text", HANDBOOKS.values(), ids=HANDBOOKS)


@handbooks
def test_every_path_that_it_names_exists(text: str) -> None:
    named = re.findall(r"`((?:backend|tests|policies|migrations|infra)/[^`\s]*)`", text)
    assert [path for path in named if not (ROOT / path).exists()] == []


@handbooks
def test_every_target_that_it_names_is_in_the_makefile(text: str) -> None:
    targets = set(re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"(?:^|`)make ([a-z-]+)", text, re.MULTILINE)) <= targets


@handbooks
def test_every_setting_that_it_names_is_one(text: str) -> None:
    known = {f"AFFIDAVIT_{name.upper()}" for name in Settings.model_fields} | {"AFFIDAVIT_PASSWORD"}
    assert set(re.findall(r"AFFIDAVIT_[A-Z_]+", text)) <= known


def commands_in(text: str) -> list[list[str]]:
    """Returns the words of each command of ours that stands in a block or in the text."""
    blocks = "\n".join(re.findall(r"```sh\n(.*?)```", text, re.DOTALL)).replace("\\\n", " ")
    lines = [part for line in blocks.splitlines() for part in line.split("&&")]
    lines += re.findall(r"`(affidavit [^`]+)`", text)
    split = [shlex.split(line, comments=True) for line in lines if re.search(r"\baffidavit [a-z-]", line)]
    return [words[next(n for n, word in enumerate(words) if word.endswith("affidavit")) + 1 :] for words in split]


@handbooks
def test_every_command_that_it_names_is_there_with_its_options(text: str) -> None:
    for named in commands_in(text):
        words = list(named)
        command: click.Command = get_command(command_line)  # type: ignore[assignment]
        while words and (inner := getattr(command, "commands", {}).get(words[0])):
            command = inner
            words.pop(0)
        assert not (words and hasattr(command, "commands") and not words[0].startswith("--")), words
        options = {option for parameter in command.params for option in parameter.opts} | {"--help"}
        assert {word for word in words if word.startswith("--")} <= options, (command.name, words)


def test_it_draws_the_floors_as_the_tree_keeps_them() -> None:
    drawn = re.findall(r"^[a-z].*$", re.findall(r"```text\n(.*?)```", README, re.DOTALL)[0], re.MULTILINE)
    levels = [next(n for n, floor in enumerate(FLOORS) if line.split()[0] in floor) for line in drawn]
    assert levels == sorted(set(levels), reverse=True)
    missing = [
        room for line, level in zip(drawn, levels, strict=True) if level for room in FLOORS[level] & rooms()
        if room not in re.findall(r"\w+", line) and room != "__main__"
    ]  # fmt: skip
    assert missing == []
    assert {level for level, floor in enumerate(FLOORS) if floor & rooms()} <= set(levels)


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


async def test_its_python_programs_reach_an_answer_its_record_and_the_same_through_openais_client(
    service: Service, tenant: Tenant, tmp_path: Path
) -> None:
    programs = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    users = [{"username": name, "password": PASSWORD, "roles": [name]} for name in ("editor", "analyst", "compliance")]
    async with served(service) as port:
        demo = {"base_url": f"http://127.0.0.1:{port}", "tenants": [{"slug": tenant.slug, "users": users}]}
        (tmp_path / "demo-credentials.json").write_text(json.dumps(demo))
        running = await asyncio.create_subprocess_exec(
            sys.executable, "-c", "".join(programs), env={"AFFIDAVIT_HOME": str(tmp_path)},
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        output = (await running.communicate())[0].decode()
    assert running.returncode == 0, output
    chunk, answer, record, chat, response = output.splitlines()
    assert chunk == "Card disputes must be filed within 60 days of statement date."
    assert "60 days" in answer
    assert record.startswith("answer:returned analyst ")
    assert chat.startswith(chunk)
    assert response.startswith(chunk)


def test_its_mcp_configuration_names_the_path_and_a_key_as_they_are() -> None:
    (configured,) = (json.loads(block) for block in re.findall(r"```json\n(.*?)```", README, re.DOTALL))
    server = configured["mcpServers"]["affidavit"]
    assert urlsplit(server["url"]).path == MCP_PATH
    assert api_keys.looks_like_api_key(server["headers"]["Authorization"].removeprefix("Bearer "))
