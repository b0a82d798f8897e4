"""Every command takes `--json`: it prints one JSON document, or a line for each thing that it did, and nothing else."""

import ast
import asyncio
import json
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main
from pydantic import BaseModel
from typer.testing import CliRunner, Result

from backend.cli import app
from backend.identity.keys.models import Budgets, KeyChange, NewKeyRequest
from backend.jobs.worker import Worker
from backend.ledger.checkpoints import SigningKey
from backend.operation import operator_keys
from backend.operation.models import NewTenant, TenantChange
from backend.operation.routes import router as operator_routes
from tests.factories import ingest
from tests.ledger.sealed_log import KEY
from tests.service import PASSWORD, Service, Tenant, sealing
from tests.serving import affidavit, environment

pytestmark = pytest.mark.anyio

BACKEND = Path(__file__).resolve().parent.parent / "backend"
# They print a line for each thing that they did, which can be none. Long-running processes print nothing: they log.
STREAMS = {"audit archive", "cell drain", "cell purge", "demo", "sealer", "serve", "tenant purge", "worker"}
# Programs of their own, which speak to whoever started them or are run by an auditor.
PROGRAMS = {"demo/smollm2_server.py", "ledger/verifier/command.py"}


def _below(group: Any, *before: str) -> Iterator[tuple[str, Any]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _below(command, *before, name)
        else:
            yield " ".join((*before, name)), command


COMMANDS = dict(_below(typer.main.get_command(app)))


def test_every_command_takes_json_and_shows_an_example() -> None:
    assert len(COMMANDS) > 50
    assert [name for name, one in COMMANDS.items() if "--json" not in [o for p in one.params for o in p.opts]] == []
    assert [
        name for name, one in COMMANDS.items() if not re.search(r"\bExample: .*\baffidavit ", one.help, re.DOTALL)
    ] == []


# What the API calls otherwise than the command line.
OPTION_OF = {
    "permissions": "permission", "collections": "collection", "allowed_networks": "network", "expires_at": "expires",
    "requests_per_minute": "per_minute", "requests_per_day": "per_day", "principal_requests_per_minute": "principal_per_minute",
}  # fmt: skip
COMMAND_OF = {
    "Create a tenant": "tenant create", "List tenants": "tenant list", "Read a tenant": "tenant list",
    "Rename or limit a tenant": "tenant limit", "Give a tenant a domain": "tenant domain add",
    "Take a domain away from a tenant": "tenant domain remove", "Suspend a tenant": "tenant suspend",
    "Resume a tenant": "tenant resume", "Delete a tenant": "tenant delete", "Read how sealing and jobs go": "doctor",
}  # fmt: skip


@pytest.mark.parametrize(
    ("commands", "body"),
    [
        ({"key create"}, NewKeyRequest),
        ({"key change"}, KeyChange),
        ({"tenant create"}, NewTenant),
        ({"tenant limit", "tenant rename"}, TenantChange),
    ],
)
def test_keys_and_tenants_have_every_option_of_the_api(commands: set[str], body: type[BaseModel]) -> None:
    fields = set(body.model_fields)
    if "budgets" in fields:
        fields = fields - {"budgets"} | set(Budgets.model_fields)
    if body is KeyChange:
        fields -= {"owner"}  # who answers for a key says so itself; the operator does not say it for anybody
    taken = {parameter.name for name in commands for parameter in COMMANDS[name].params}
    assert {OPTION_OF.get(field, field) for field in fields} <= taken
    assert {route.summary for route in operator_routes.routes} == set(COMMAND_OF)
    assert set(COMMAND_OF.values()) <= set(COMMANDS)


def _name(node: ast.AST) -> str:
    """The last part of a dotted name."""
    return str(getattr(node, "attr", "") or getattr(node, "id", ""))


def test_one_module_alone_writes_to_standard_output() -> None:
    writing = {
        path.relative_to(BACKEND).as_posix()
        for path in BACKEND.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if (isinstance(node, ast.Call) and _name(node.func) in {"print", "echo", "secho", "print_json", "Console"})
        or (isinstance(node, ast.Attribute) and node.attr == "stdout" and _name(node.value) == "sys")
    }  # fmt: skip
    assert writing == {"command_output.py", *PROGRAMS}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_wrong_call_is_said_as_json(name: str) -> None:
    done = CliRunner().invoke(app, [*name.split(), "--no-such-option", "--json"])
    assert (done.exit_code, done.stdout) == (2, "")
    assert json.loads(done.stderr)["error"] == "usage"
    assert "--no-such-option" in json.loads(done.stderr)["detail"]


PROGRAM = """
import time
import structlog
from rich.table import Table
from backend.command_output import CommandGroup, CommandResult, ask_secret, remark
group = CommandGroup()
@group.command()
def warns() -> CommandResult:
    structlog.get_logger().warning("something is odd")
    return CommandResult({"done": True}, "Done [bold].")
@group.command()
def names() -> CommandResult:
    table = Table("name")
    table.add_row("[bold] :bank: Bank")
    remark("remark :bank: [red]")
    return CommandResult({}, [":bank: [bold]", table])
@group.command()
def asks() -> CommandResult:
    return CommandResult({"answer": ask_secret("Password")})
@group.command()
def waits() -> CommandResult:
    remark("waiting")
    time.sleep(60)
    return CommandResult({})
group()
"""


def run_program(*arguments: str, text: str | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", PROGRAM, *arguments]
    return subprocess.run(
        command, env=environment({}), input=text, capture_output=True, text=True, start_new_session=True, check=False
    )


def test_what_a_command_logs_or_asks_is_no_part_of_what_it_prints() -> None:
    warned = run_program("warns", "--json")
    assert (json.loads(warned.stdout), json.loads(warned.stderr)["event"]) == ({"done": True}, "something is odd")
    assert run_program("warns").stdout == "Done [bold].\n"
    asked = run_program("asks", "--json", text="a secret\n")
    assert json.loads(asked.stdout) == {"answer": "a secret"}
    silent = run_program("asks", "--json", text="")
    assert (silent.returncode, silent.stdout) == (1, "")
    assert json.loads(silent.stderr.splitlines()[-1])["error"] == "aborted"


def test_brackets_and_words_between_colons_in_a_name_are_printed_as_they_are() -> None:
    named = run_program("names")
    assert named.stdout.startswith(":bank: [bold]\n")
    assert "[bold] :bank: Bank" in named.stdout
    assert named.stderr == "remark :bank: [red]\n"


@pytest.mark.parametrize("asked", [(), ("--json",)])
def test_somebody_who_interrupts_a_command_gets_status_130_and_no_traceback(asked: tuple[str, ...]) -> None:
    command = [sys.executable, "-c", PROGRAM, "waits", *asked]
    with subprocess.Popen(command, env=environment({}), stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert b"waiting" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        said = process.stderr.read().decode()
        assert process.stdout.read() == b""
    assert process.returncode == 130
    assert "Traceback" not in said


@pytest.mark.parametrize("asked", [(), ("--json",)])
def test_whoever_stops_reading_costs_a_sentence(asked: tuple[str, ...]) -> None:
    command = [sys.executable, "-c", PROGRAM, "warns", *asked]
    with subprocess.Popen(command, env=environment({}), stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        said = process.stderr.read().decode()
    assert process.returncode == 1
    assert "standard output was closed before everything was written" in said
    assert "Traceback" not in said
    assert "BrokenPipeError" not in said


@pytest.fixture(scope="module")
async def url(service: Service, address: str) -> AsyncIterator[str]:
    """The service on a socket, with a worker and a sealer."""
    working = asyncio.create_task(Worker(service.services.tenancy, service.services.job_handlers()).run())
    async with sealing(service.database, KEY):
        yield address
    working.cancel()
    await asyncio.gather(working, return_exceptions=True)


class Invocations:
    """Runs commands as on the operator's machine, asks each for JSON, and knows which were run and which did their work."""

    def __init__(self, service: Service, url: str, folder: Path) -> None:
        self.asked = set[str]()
        self.environment = {
            "AFFIDAVIT_HOME": str(folder / "home"), "AFFIDAVIT_DATABASE_URL": service.database.owner_url,
            "AFFIDAVIT_RUNTIME_DATABASE_URL": service.database.runtime_url, "AFFIDAVIT_PASSWORD": PASSWORD,
            "AFFIDAVIT_CONTEXT_KEY": service.services.settings.context_key.get_secret_value(),
            "AFFIDAVIT_PAYLOAD_KEY": service.services.settings.payload_key.get_secret_value(), "AFFIDAVIT_URL": url,
        }  # fmt: skip

    async def run(self, line: str, *, text: str | None = None, fails: str | None = None, **more: str) -> Any:
        """Runs one command; returns its document, or its lines, or the sentence of its failure."""
        words = line.split()
        name = next(name for name in COMMANDS if words[: len(name.split())] == name.split())
        done = await self._invoked(words, text, self.environment | more)
        assert done.returncode == (0 if fails is None else 1), (line, done)
        said = [json.loads(one) for one in done.stderr.splitlines()]
        self.asked.add(name)
        if fails is not None:
            assert done.stdout == "", line
            assert said[-1]["error"] == "failed"
            assert fails in said[-1]["detail"], said
            return said[-1]
        documents = [json.loads(one) for one in done.stdout.splitlines()]
        assert len(documents) == 1 or name in STREAMS, (line, done.stdout)
        return documents if name in STREAMS else documents[0]

    @staticmethod
    async def _invoked(
        words: list[str], text: str | None, settings: dict[str, str]
    ) -> subprocess.CompletedProcess[str]:
        """Runs a command in this process, which spares it the start; what takes signals and logs, in one of its own."""
        if words[0] in {"demo", "sealer", "serve", "worker"}:
            return await asyncio.to_thread(affidavit, *words, "--json", settings=settings)
        done: Result = await asyncio.to_thread(CliRunner().invoke, app, [*words, "--json"], input=text, env=settings)
        assert done.exception is None or isinstance(done.exception, SystemExit), (words, done.exception)
        return subprocess.CompletedProcess(words, done.exit_code, done.stdout, done.stderr)


@pytest.fixture
async def bank(service: Service) -> Tenant:
    tenant = await service.create_tenant()
    await ingest(service, tenant, "rule", "The monthly fee of a checking account is 12 dollars.")
    return tenant


async def test_every_command_prints_json_and_nothing_else(
    service: Service, url: str, bank: Tenant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = Invocations(service, url, tmp_path)
    for part in (of_tenants, of_keys, of_providers, of_callers, of_logs, of_deployments, of_processes):
        await part(done, bank, tmp_path, service)
    assert done.asked == set(COMMANDS)


async def of_tenants(done: Invocations, bank: Tenant, _folder: Path, _service: Service) -> None:
    assert (await done.run("tenant create acme --name Acme"))["tenant"] == "acme"
    assert {"acme", bank.slug} <= {row["slug"] for row in await done.run("tenant list")}
    await done.run("tenant suspend acme")
    await done.run("tenant resume acme")
    assert (await done.run("tenant rename acme Acme-plc"))["name"] == "Acme-plc"
    assert [row["name"] for row in await done.run("tenant list") if row["slug"] == "acme"] == ["Acme-plc"]
    assert (await done.run("tenant limit acme --per-minute 60"))["requests_per_minute"] == 60
    assert (await done.run("user create acme jane --role editor", text=f"{PASSWORD}\n"))["roles"] == ["editor"]
    assert "/console/reset#token=afp_" in (await done.run("user link acme jane"))["link"]
    for nobody in ("nobody", "no:body"):  # the second is no name that anybody could have
        await done.run(f"user link acme {nobody}", fails="no active user")
    assert (await done.run("tenant export acme acme.zip"))["file"] == "acme.zip"
    await done.run(f"tenant promote {bank.slug}")
    await done.run(f"tenant demote {bank.slug}")
    await done.run(f"reembed {bank.slug}")
    await done.run(f"calibrate {bank.slug}", fails="add documents")
    assert (await done.run("tenant domain add acme Acme.example"))["domains"] == ["acme.example"]
    assert {"tenant": "acme", "domains": ["acme.example"]} in await done.run("tenant domain list")
    assert (await done.run("tenant domain remove acme acme.example"))["domains"] == []
    await done.run("tenant delete acme --grace-days 0")
    assert [one["tenant"] for one in await done.run("tenant purge")] == ["acme"]
    assert await done.run("tenant purge") == []
    await done.run(f"tenant move {bank.slug} --to eu-2", fails="AFFIDAVIT_DIRECTORY_URL")


async def of_keys(done: Invocations, bank: Tenant, _folder: Path, _service: Service) -> None:
    made = await done.run(f"key create {bank.slug} portal --permission retrieval:query")
    assert made["key"].startswith("afd_")
    await done.run(
        f"key create {bank.slug} x --permission retrieval:query --owner no:body", fails="'no:body' can hand out"
    )
    assert made["id"] in {row["id"] for row in await done.run(f"key list {bank.slug}")}
    assert (await done.run(f"key change {bank.slug} portal --per-day 5"))["changed"] == ["per_day"]
    assert (await done.run(f"key rotate {bank.slug} portal"))["key"] != made["key"]
    assert (await done.run(f"key revoke {bank.slug} portal"))["revoked"]
    await done.run("operator-key create provisioning")
    assert [row["name"] for row in await done.run("operator-key list")] == ["provisioning"]
    await done.run("operator-key rotate provisioning")
    await done.run("operator-key revoke provisioning")


async def of_providers(done: Invocations, bank: Tenant, _folder: Path, _service: Service) -> None:
    await done.run(f"issuer trust {bank.slug} https://id.example client-1 --role Risk=analyst")
    assert [row["tenant"] for row in await done.run("issuer list")] == [bank.slug]
    await done.run(f"issuer link {bank.slug} analyst 00u1")
    assert (await done.run(f"scim create {bank.slug} entra"))["bearer"]
    assert [row["name"] for row in await done.run("scim list")] == ["entra"]
    await done.run(f"scim revoke {bank.slug} entra")
    await done.run(f"issuer distrust {bank.slug}")


async def of_callers(done: Invocations, bank: Tenant, folder: Path, _service: Service) -> None:
    (folder / "policies").mkdir()
    (folder / "policies" / "fees.md").write_text("A wire costs 25 dollars.")
    (folder / "policies" / "notes.docm").write_bytes(b"macros")
    ingested = await done.run(f"ingest policies --tenant {bank.slug} --username editor")
    assert (ingested["ingested"], len(ingested["skipped"])) == (1, 1)
    (folder / "set.jsonl").write_text(
        '{"question": "What does a wire cost?", "expected": "quote", "value": "25 dollars"}'
    )
    evaluated = await done.run(f"evaluate fees --set set.jsonl --tenant {bank.slug} --username approver")
    assert evaluated["questions"] == 1
    as_admin = f"--tenant {bank.slug} --username admin"
    await done.run(f"webhook create https://elsewhere.example/ --kind hold.placed {as_admin}", fails="does not allow")
    assert await done.run(f"webhook list {as_admin}") == []
    for line in ("deliveries", "test", "rotate", "enable", "disable", "delete", "replay --since 2026-11-01"):
        action, *more = line.split()
        endpoint = "01968a1c-9c5e-7d60-8a3f-0f6d2a4c1b7e"
        await done.run(" ".join(("webhook", action, endpoint, *more, as_admin)), fails="")
    await done.run(
        f"source create x https://elsewhere.example/a --kind urls --collection default {as_admin}",
        fails="does not allow",
    )
    assert await done.run(f"source list {as_admin}") == []
    for action in ("run", "runs", "enable", "disable", "delete"):
        await done.run(f"source {action} 01968a1c-9c5e-7d60-8a3f-0f6d2a4c1b7e {as_admin}", fails="")


async def of_logs(done: Invocations, bank: Tenant, folder: Path, service: Service) -> None:
    assert (await service.post("/retrieve", bank, "analyst", {"query": "fees"})).status_code == 200
    exported = await done.run(f"audit export export.zip --tenant {bank.slug} --username compliance")
    assert exported["files"] == ["export.zip"]
    (folder / "key.pub").write_text(str(KEY.verifier_key))
    assert (await done.run("audit verify export.zip --key key.pub"))["ok"]
    assert (await done.run(f"audit check --key key.pub --tenant {bank.slug}"))["ok"]
    assert await done.run("audit archive --dry-run --key key.pub") == []
    await done.run("audit verifier verifier.py")
    program = [sys.executable, "verifier.py", "export.zip", "--key", "key.pub", "--json"]
    own = await asyncio.to_thread(subprocess.run, program, capture_output=True, cwd=folder, check=True)
    assert json.loads(own.stdout) == await done.run("audit verify export.zip --key key.pub")
    async with service.operator() as acting:
        key = await operator_keys.create(acting.connection, "restoring")
    sealer = {
        "AFFIDAVIT_SEALER_DATABASE_URL": service.database.sealer_url, "AFFIDAVIT_OPERATOR_KEY": key,
        "AFFIDAVIT_CHECKPOINT_KEY": SigningKey.generate("a-test").pem().decode(),
    }  # fmt: skip
    await done.run("audit restore --reason drill", fails="nothing is lost", **sealer)


async def of_deployments(done: Invocations, bank: Tenant, folder: Path, service: Service) -> None:
    assert len((await done.run("init secrets"))["next"]) == 2
    await done.run("init secrets", fails="exists")
    await done.run("keys rotate secrets --kind tokens")
    assert "wrapped" in await done.run("keys status")
    assert "words" in await done.run("keys status")
    await done.run("keys rewrap")
    assert (await done.run("keys rehash"))["unreadable"] == 0
    added = await done.run("context-key add", AFFIDAVIT_CONTEXT_KEY="another-context-key-of-this-test-alone-0123456789")
    await done.run(f"context-key retire {added['id']}")
    await done.run("migrate")
    await done.run("cell key directory.pem")
    assert (folder / "directory.pem.pub").exists()
    for line in (
        "cell add eu-1 --region eu --address https://eu.example", "cell list", "cell purge eu-1", "cell checkpoints", "cell plan", "cell drain eu-1",
        "cell remove eu-1", "migrate --all-cells", "doctor --all-cells", "tenant list --all-cells",
    ):  # fmt: skip
        await done.run(line, fails="AFFIDAVIT_DIRECTORY_URL")
    await done.run("backup backup.tar", fails="holds no embedded database")
    (folder / "no.tar").write_bytes(b"nothing")
    await done.run("restore no.tar", fails="no whole backup", AFFIDAVIT_HOME=str(folder / "another"))


async def of_processes(done: Invocations, bank: Tenant, _folder: Path, service: Service) -> None:
    nothing = {"AFFIDAVIT_RUNTIME_DATABASE_URL": "", "AFFIDAVIT_DATABASE_URL": ""}
    assert (await done.run("doctor"))["ok"]
    await done.run("serve", fails="JWT_PRIVATE_KEY")
    await done.run("worker", fails="AFFIDAVIT_", **nothing)
    await done.run("sealer", fails="AFFIDAVIT_SEALER_DATABASE_URL")
    taken = done.environment["AFFIDAVIT_URL"].rpartition(":")[2]
    await done.run(f"demo --port {taken}", fails=f"port {taken} is in use")
