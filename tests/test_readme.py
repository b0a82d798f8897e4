"""The handbooks say what is so: paths exist, targets, commands and options are there, programs run."""

import asyncio
import json
import re
import shlex
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import urlsplit

import click
import pytest
from typer.main import get_command

from backend import openapi
from backend.cli import app as command_line
from backend.gateways.mcp.door import PATH as MCP_PATH
from backend.identity.keys import api_keys
from backend.settings import Settings
from tests.client.wheel import unpacked
from tests.isolation.attacks import SHOWN_BY_POSTGRES
from tests.listening import listening
from tests.operation.test_handbook import commands as handbook_commands
from tests.service import PASSWORD, Service, Tenant
from tests.test_floors import FLOORS, rooms

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()
CONNECTING = (ROOT / "backend/openapi/connecting.md").read_text()


HANDBOOKS = {
    name: (ROOT / name).read_text()
    for name in (
        "README.md", "policies/README.md", "migrations/README.md", "infra/README.md", "tests/README.md",
        "tests/benchmarks/README.md", "backend/documents/parsing/README.md", "backend/client/README.md",
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
    known = {f"AFFIDAVIT_{name.upper()}" for name in Settings.model_fields} | {
        "AFFIDAVIT_API_KEY",
        "AFFIDAVIT_PASSWORD",
        "AFFIDAVIT_SECRETS_DIRECTORY",
    }
    secret = {
        f"AFFIDAVIT_{name.upper()}_FILE"
        for name, field in Settings.model_fields.items()
        if "Secret" in str(field.annotation)
    }
    assert set(re.findall(r"AFFIDAVIT_[A-Z_]+", text)) <= known | secret


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


RUN_BY = {
    "audit archive": "operation/test_archiving.py",
    "audit check": "review/test_audit_commands.py",
    "audit export": "review/test_audit_commands.py",
    "audit restore": "operation/test_handbook.py",
    "audit verifier": "operation/test_handbook.py",
    "audit verify": "review/test_audit_commands.py",
    "backup": "demo/test_backup.py",
    "cell add": "cells/world.py",
    "cell checkpoints": "cells/test_every_cell.py",
    "cell drain": "cells/test_three_cells.py",
    "cell key": "cells/test_homes.py",
    "cell list": "cells/test_homes.py",
    "cell plan": "cells/test_three_cells.py",
    "cell purge": "cells/test_moving.py",
    "cell remove": "cells/test_three_cells.py",
    "calibrate": "retrieval/test_calibration.py",
    "context-key add": "operation/test_rotation.py",
    "context-key retire": "operation/test_rotation.py",
    "demo": "test_cli.py",
    "doctor": "test_cli.py",
    "evaluate": "evaluation/test_command.py",
    "ingest": "documents/test_folder_upload.py",
    "init": "test_infra.py",
    "issuer distrust": "operation/test_handbook.py",
    "issuer link": "test_command_output.py",
    "key list": "operation/test_key_commands.py",
    "key revoke": "operation/test_key_commands.py",
    "key rotate": "operation/test_key_commands.py",
    "keys rehash": "operation/test_exchange.py",
    "keys rewrap": "operation/test_rotation.py",
    "keys rotate": "operation/test_exchange.py",
    "keys status": "operation/test_rotation.py",
    "migrate": "test_infra.py",
    "operator-key rotate": "test_command_output.py",
    "reembed": "operation/test_handbook.py",
    "restore": "demo/test_backup.py",
    "sealer": "test_infra.py",
    "serve": "test_infra.py",
    "source create": "sources/test_commands.py",
    "source run": "sources/test_commands.py",
    "source runs": "sources/test_commands.py",
    "tenant move": "cells/test_moving.py",
    "user create": "test_cli.py",
    "user link": "test_command_output.py",
    "webhook create": "webhooks/test_commands.py",
    "webhook deliveries": "webhooks/test_commands.py",
    "webhook replay": "webhooks/test_commands.py",
    "webhook rotate": "webhooks/test_commands.py",
    "worker": "test_infra.py",
}
"""Of each command of the handbooks, which test runs it."""

AS_WRITTEN = ("Tenants", "Sign-in", "Incidents")
"""The sections whose commands `operation/test_handbook.py` runs as they stand there."""


def command_of(words: Iterable[str]) -> str:
    """The name of the command that these words call, with the groups that it is in; none of a group itself."""
    command, name = get_command(command_line), []
    for word in words:
        inner = getattr(command, "commands", {}).get(word)
        if inner is None:
            break
        command = inner
        name.append(word)
    return "" if hasattr(command, "commands") else " ".join(name)


def test_every_command_that_the_handbooks_name_is_run_by_a_test() -> None:
    named = {command_of(words) for text in HANDBOOKS.values() for words in commands_in(text)} - {""}
    as_written = {command_of(words) for section in AS_WRITTEN for words in handbook_commands(section)}
    assert named - as_written <= set(RUN_BY) <= named
    not_run = {
        command: file for command, file in RUN_BY.items()
        if f'"{command.split()[-1]}"' not in (text := (ROOT / "tests" / file).read_text()) and command not in text
    }  # fmt: skip
    assert not_run == {}


OTHER_PROGRAMS = {
    "cp": "operation/test_backup_runbook.py",
    "docker": "operation/test_first_day.py",  # not docker itself, but what compose has it start, with the same settings
    "helm": "deployment/test_helm.py",
    "kubectl": "deployment/test_helm.py",  # not kubectl itself, but what each pod reads of the Secrets that it makes
    "pg_basebackup": "operation/test_backup_runbook.py",
    "pgbackrest": None,  # Debian's 2.45 knows no PostgreSQL after 15, and the server of the tests is 18
    "psql": "operation/test_first_day.py",
    "uv": "test_package.py",
}
"""Of each other program of the operator's handbook, which test does what it is for."""


def test_every_program_of_the_operators_handbook_is_run_by_a_test_or_said_to_be_in_none() -> None:
    text = HANDBOOKS["infra/README.md"]
    blocks = "\n".join(re.findall(r"```sh\n(.*?)```", text, re.DOTALL))
    called = {word for word in re.findall(r"[a-z_]+", re.sub(r"#.*", "", blocks)) if word in OTHER_PROGRAMS}
    assert called == set(OTHER_PROGRAMS)
    begins = set(
        re.findall(r"(?:^|&& |do\n {2}|\n)(?:\w+=\S+ )*([a-z_]+) ", re.sub(r" *#.*|.*<<'END'(?s:.*?)\nEND", "", blocks))
    )
    assert begins - set(OTHER_PROGRAMS) <= {"affidavit", "done", "export", "for", "mkdir", "touch"}
    assert all((ROOT / "tests" / file).exists() for file in OTHER_PROGRAMS.values() if file)
    assert "pgBackRest is in no test" in text.replace("\n", " ")


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


async def test_its_python_programs_reach_an_answer_its_record_and_the_same_through_openais_client(
    service: Service, tenant: Tenant, tmp_path: Path
) -> None:
    programs = re.findall(r"```python\n(.*?)```", README.replace(CONNECTING, ""), re.DOTALL)
    users = [
        {"username": name, "password": PASSWORD, "roles": [name]}
        for name in ("editor", "analyst", "compliance", "admin")
    ]
    async with listening(service) as address:
        demo = {"base_url": address, "tenants": [{"slug": tenant.slug, "users": users}]}
        (tmp_path / "demo-credentials.json").write_text(json.dumps(demo))
        running = await asyncio.create_subprocess_exec(
            sys.executable, "-c", "".join(programs),
            env={"AFFIDAVIT_HOME": str(tmp_path), "PYTHONPATH": str(unpacked(tmp_path))},
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        output = (await running.communicate())[0].decode()
    assert running.returncode == 0, output
    chunk, answer, record, chat, response = output.splitlines()
    assert chunk == "Card disputes must be filed within 60 days of statement date."
    assert "60 days" in answer
    assert record.startswith("answer:returned user ")
    assert chat.startswith(chunk)
    assert response.startswith(chunk)


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
async def test_its_requests_with_curl_store_a_chunk_and_find_it(service: Service, tenant: Tenant) -> None:
    (program,) = (block for block in re.findall(r"```sh\n(.*?)```", README, re.DOTALL) if "curl" in block)
    async with listening(service) as address:
        program = program.replace("localhost:8000", urlsplit(address).netloc).replace("meridian-bank", tenant.slug)
        program = program.replace("PASSWORD=…", f"PASSWORD={shlex.quote(PASSWORD)}")
        running = await asyncio.create_subprocess_exec(
            "bash", "-euo", "pipefail", "-c", program, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
        output = (await running.communicate())[0].decode()
    assert running.returncode == 0, output
    stored, found = (json.loads(line) for line in output.replace("}{", "}\n{").splitlines())
    assert stored["doc_id"] == "pol-001"
    assert [context["chunk_id"] for context in found["contexts"]] == [stored["id"]]


def test_it_shows_the_same_lines_for_each_client_as_the_description_of_the_api() -> None:
    assert CONNECTING in README
    assert CONNECTING.replace("http://127.0.0.1:8000", "https://here") in openapi.description("https://here", ())
    (servers,) = (
        json.loads(block) for block in re.findall(r"```json\n(.*?)```", CONNECTING, re.DOTALL) if "mcpServers" in block
    )
    server = servers["mcpServers"]["affidavit"]
    assert urlsplit(server["url"]).path == MCP_PATH
    assert api_keys.looks_like_api_key(server["headers"]["Authorization"].removeprefix("Bearer "))
