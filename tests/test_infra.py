"""A deployment on a PostgreSQL of one's own: roles.sql, migrate, serve; and compose.yaml against the service's settings."""

import os
import re
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
import typer.main
import yaml
from pydantic import SecretStr

from backend.cli import app
from backend.embedded_postgres import ROLES_SCRIPT, EmbeddedPostgres, EmbeddedPostgresError, Passwords, run_psql
from backend.identity.sign_in.tokens import generate_private_key_pem
from backend.ledger.checkpoints import SigningKey
from backend.settings import Settings
from tests.scratch import new_folder
from tests.serving import ROOT, Started, affidavit, running, started

INFRA = ROOT / "infra"
DATABASE = "bank_affidavit"


@pytest.fixture(scope="module")
def server() -> Iterator[EmbeddedPostgres]:
    """A PostgreSQL as a database administrator hands it over: empty, and asking everybody for a password."""
    folder = new_folder()
    empty = EmbeddedPostgres(folder / "data", Passwords.generate(), settings={"fsync": "off"})
    empty.start()
    try:
        yield empty
    finally:
        empty.stop("immediate")
        shutil.rmtree(folder, ignore_errors=True)


def role_passwords(server: EmbeddedPostgres) -> dict[str, str]:
    """What roles.sql reads; every role that it asks a password for gets one."""
    asked = set(re.findall(r"AFFIDAVIT_(\w+)_PASSWORD", ROLES_SCRIPT.read_text()))
    return {f"AFFIDAVIT_{role}_PASSWORD": getattr(server.passwords, role.lower()) for role in asked}


@pytest.fixture(scope="module")
def prepared(server: EmbeddedPostgres) -> EmbeddedPostgres:
    superuser_url = server.url("postgres", server.passwords.superuser, "postgres")
    for _ in range(2):  # it can be run again
        run_psql(
            ["--file", str(ROLES_SCRIPT), superuser_url], role_passwords(server) | {"AFFIDAVIT_DATABASE_NAME": DATABASE}
        )
    return server


@pytest.fixture(scope="module")
def settings(prepared: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    urls = prepared.urls(DATABASE)
    return {
        "AFFIDAVIT_HOME": str(tmp_path_factory.getbasetemp().parent / "affidavit-test-home"),
        "AFFIDAVIT_DATABASE_URL": urls["owner_url"],
        "AFFIDAVIT_RUNTIME_DATABASE_URL": urls["runtime_url"],
        "AFFIDAVIT_CONTEXT_KEY": secrets.token_urlsafe(48),
        "AFFIDAVIT_PAYLOAD_KEY": secrets.token_urlsafe(48),
        "AFFIDAVIT_JWT_PRIVATE_KEY": generate_private_key_pem(),
    }


@pytest.fixture(scope="module")
def serving(prepared: EmbeddedPostgres, settings: dict[str, str]) -> Iterator[Started]:
    migrated = affidavit("migrate", settings=settings)
    assert migrated.returncode == 0, migrated.stderr
    # The process that serves does not know the owner's password.
    runtime_only = {name: value for name, value in settings.items() if name != "AFFIDAVIT_DATABASE_URL"}
    sealing = {
        "AFFIDAVIT_SEALER_DATABASE_URL": prepared.urls(DATABASE)["sealer_url"],
        "AFFIDAVIT_CHECKPOINT_KEY": SigningKey.generate("affidavit").pem().decode(),
    }
    with running("sealer", settings=sealing), started("serve", settings=runtime_only) as service:
        yield service


def test_roles_sql_asks_for_every_password(server: EmbeddedPostgres) -> None:
    superuser_url = server.url("postgres", server.passwords.superuser, "postgres")
    given = role_passwords(server)
    for missing in given:
        some = {name: value for name, value in given.items() if name != missing}
        with pytest.raises(EmbeddedPostgresError, match=missing):
            run_psql(["--file", str(ROLES_SCRIPT), superuser_url], some | {"AFFIDAVIT_DATABASE_NAME": "never_made"})


@pytest.mark.anyio
async def test_nobody_gets_in_without_a_password(prepared: EmbeddedPostgres) -> None:
    rules = [line.split() for line in (prepared.folder / "pg_hba.conf").read_text().splitlines()]
    assert {rule[-1] for rule in rules if rule and not rule[0].startswith("#")} == {"scram-sha-256"}
    for role in ("affidavit_owner", "affidavit_runtime", "affidavit_sealer", "postgres"):
        with pytest.raises(asyncpg.InvalidPasswordError):
            await asyncpg.connect(prepared.url(role, "guessed", DATABASE))


def test_serve_refuses_before_the_migration(settings: dict[str, str]) -> None:
    refused = affidavit("serve", "--port", "1", settings=settings)
    assert refused.returncode == 1
    assert "not migrated" in refused.stderr


def test_a_tenant_is_served_from_the_prepared_database(serving: Started, settings: dict[str, str]) -> None:
    password = "a long enough password"
    assert affidavit("tenant", "create", "northwind", settings=settings).returncode == 0
    created = affidavit(
        "user", "create", "northwind", "jane", "--role", "editor", "--role", "compliance", settings=settings,
        text=f"{password}\n",
    )  # fmt: skip
    assert created.returncode == 0, created.stderr
    form = {"client_id": "northwind", "username": "jane", "password": password}
    token = httpx.post(f"{serving.url}/auth/token", data=form).json()["access_token"]
    with httpx.Client(base_url=serving.url, headers={"Authorization": f"Bearer {token}"}) as jane:
        chunk = {"doc_id": "d", "chunk_text": "Wires leave before noon.", "source_type": "policy"}
        assert jane.post("/ingest", json=chunk).status_code == 201
        assert jane.post("/retrieve", json={"query": "When do wires leave?"}).json()["contexts"][0]["doc_id"] == "d"
        assert jane.get("/audit/events").json()["events"][0]["action"] == "retrieval:executed"
    assert affidavit("doctor", settings=settings).returncode == 0
    again = affidavit("migrate", settings=settings)
    assert again.returncode == 0, again.stderr


@pytest.mark.anyio
async def test_the_serving_role_owns_nothing(serving: Started, settings: dict[str, str]) -> None:
    assert serving.process.poll() is None
    connection = await asyncpg.connect(settings["AFFIDAVIT_RUNTIME_DATABASE_URL"])
    try:
        for forbidden in ("create table public.t ()", "create temporary table t ()", "set role affidavit_owner"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(forbidden)
    finally:
        await connection.close()


COMPOSE: dict[str, Any] = yaml.safe_load((INFRA / "compose.yaml").read_text())
OURS = {name: service for name, service in COMPOSE["services"].items() if "build" in service}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `affidavit init` makes."""
    folder = tmp_path_factory.mktemp("deployment") / "secrets"
    done = affidavit("init", str(folder), settings={})
    assert done.returncode == 0, done.stderr
    assert "docker compose --file infra/compose.yaml up" in done.stdout
    return folder


def test_init_overwrites_nothing(made: Path) -> None:
    before = {path: path.read_bytes() for path in made.rglob("*") if path.is_file()}
    done = affidavit("init", str(made), settings={})
    assert done.returncode == 1
    assert "only copy of a key" in done.stderr
    assert {path: path.read_bytes() for path in made.rglob("*") if path.is_file()} == before
    assert made.stat().st_mode & 0o077 == 0


def test_no_secret_is_in_the_environment_of_compose() -> None:
    for name, service in OURS.items():
        assert not [variable for variable in service["environment"] if re.search("PASSWORD|KEY|URL", variable)], name
    assert "environment" not in COMPOSE["services"]["database"]


def test_the_database_is_made_with_every_password_that_roles_sql_asks_for(made: Path) -> None:
    given = dict(line.split("=", 1) for line in (made / "database.env").read_text().splitlines())
    asked = set(re.findall(r"AFFIDAVIT_\w+_PASSWORD", ROLES_SCRIPT.read_text()))
    assert asked <= given.keys()
    url = (made / "serve" / "runtime_database_url").read_text()
    assert f":{given['AFFIDAVIT_RUNTIME_PASSWORD']}@database/" in url


@pytest.mark.parametrize("name", OURS)
def test_a_process_of_compose_has_all_that_it_needs_and_no_more(
    name: str, made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = OURS[name]
    for variable in [variable for variable in os.environ if variable.startswith("AFFIDAVIT_")]:
        monkeypatch.delenv(variable)
    mounted = next(volume for volume in service["volumes"] if volume.startswith("./secrets/")).split(":")
    assert mounted[1:] == [service["environment"]["AFFIDAVIT_SECRETS_DIRECTORY"], "ro"]
    for variable, value in service["environment"].items():
        monkeypatch.setenv(variable, str(value))
    monkeypatch.setenv("AFFIDAVIT_SECRETS_DIRECTORY", str(made / mounted[0].removeprefix("./secrets/")))
    known = {f"AFFIDAVIT_{setting.upper()}" for setting in Settings.model_fields} | {"AFFIDAVIT_SECRETS_DIRECTORY"}
    assert service["environment"].keys() <= known
    read = Settings()
    given = {setting for setting in Settings.model_fields if isinstance(getattr(read, setting), SecretStr)}
    assert given == SECRETS_OF[service["command"][0]]


SECRETS_OF = {
    "migrate": {"database_url", "context_key"},
    "serve": {"runtime_database_url", "operator_database_url", "context_key", "payload_key", "jwt_private_key"},
    "worker": {"runtime_database_url", "context_key", "payload_key"},
    "sealer": {"sealer_database_url", "checkpoint_key"},
    "doctor": {"database_url", "runtime_database_url", "context_key", "payload_key"},
}


def test_compose_runs_commands_that_exist() -> None:
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    assert COMPOSE["services"]["operator"]["profiles"] == ["operator"], "or it starts with the others"
    for service in OURS.values():
        command, *arguments = service["command"]
        options = {option for parameter in commands[command].params for option in parameter.opts}
        assert {argument for argument in arguments if argument.startswith("--")} <= options
    assert {service["command"][0] for service in OURS.values()} >= {"migrate", "serve", "worker", "sealer"}
