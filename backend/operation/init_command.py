"""`affidavit init`: makes every secret of a deployment, a folder for each process with only what that needs."""

import secrets
from pathlib import Path
from shlex import quote
from typing import Annotated

import typer

from backend.command_output import CommandFailed, CommandResult
from backend.embedded_postgres import ROLES_SCRIPT
from backend.operation.exchange.folder import KeyKind, SecretsFolder, now

_OF_COMPOSE = "database"  # as infra/compose.yaml calls its server
ROLES = ("owner", "runtime", "sealer", "operator")


def init(
    folder: Annotated[Path, typer.Argument(help="A folder that does not exist yet.")] = Path("secrets"),
    host: Annotated[str, typer.Option(help="Where the processes find PostgreSQL.")] = _OF_COMPOSE,
    pooler: Annotated[
        str | None, typer.Option(help="Where a PgBouncer stands before it, for what answers and works.")
    ] = None,
    name: Annotated[str, typer.Option(help="Name of the checkpoint key, usually the service's domain.")] = "affidavit",
) -> CommandResult:
    """Make all secrets of a new deployment, and say what to do next. Nothing that exists is overwritten.

    Of several hosts, as db-1,db-2, processes take the one that writes.
    Example: affidavit init infra/secrets
    """
    from backend.identity.sign_in.tokens import generate_private_key_pem  # noqa: PLC0415 - loads what --help does not need
    from backend.ledger.checkpoints import SigningKey  # noqa: PLC0415

    if folder.exists():
        raise CommandFailed(f"{folder} exists; it may hold the only copy of a key")
    passwords = {role: secrets.token_hex(24) for role in ROLES}
    urls = {role: _address(role, passwords[role], pooler if role == "runtime" and pooler else host) for role in ROLES}
    context_key, payload_key = (secrets.token_urlsafe(48) for _ in range(2))
    checkpoint_key = SigningKey.generate(name)
    public_key = str(checkpoint_key.verifier_key)
    reading = {"runtime_database_url": urls["runtime"], "context_key": context_key, "payload_key": payload_key}
    given = {
        "migrate": {"database_url": urls["owner"], "context_key": context_key},
        "serve": reading | {
            "operator_database_url": urls["operator"], "jwt_private_key": generate_private_key_pem(),
            "checkpoint_public_key": public_key, "checkpoint_key_name": name,
        },
        "worker": reading | {"checkpoint_public_key": public_key},
        "operator": {"database_url": urls["owner"]} | reading | {"checkpoint_public_key": public_key},
        "sealer": {
            "sealer_database_url": urls["sealer"], "checkpoint_key": checkpoint_key.pem().decode(), "checkpoint_key_name": name,
        },
    }  # fmt: skip
    folder.mkdir(parents=True, mode=0o700)
    for process, settings in given.items():
        # A container's user reads its own folder; nobody else on this machine passes the one above.
        (folder / process).mkdir(mode=0o755)
        for setting, text in settings.items():
            (folder / process / setting).write_text(text)
    database = {f"AFFIDAVIT_{role.upper()}_PASSWORD": password for role, password in passwords.items()}
    lines = (
        f"{variable}={value}\n" for variable, value in {"POSTGRES_PASSWORD": secrets.token_hex(24), **database}.items()
    )
    (folder / "database.env").write_text("".join(lines))
    (folder / "checkpoint-key.pub").write_text(f"{public_key}\n")
    for kind in KeyKind:
        SecretsFolder(folder).note(kind, made=now())
    told = f"Made all secrets in {folder}. Keep a copy where the database's backups are not."
    if host == _OF_COMPOSE:
        following = [
            "docker compose --file infra/compose.yaml up --detach --wait",
            "docker compose --file infra/compose.yaml run --rm operator doctor",
        ]
        if folder.resolve() != Path("infra/secrets").resolve():
            told += " infra/compose.yaml mounts infra/secrets: name this folder there."
    else:
        following = [
            f"(set -a && . {quote(str(folder / 'database.env'))} && psql --file {quote(str(ROLES_SCRIPT))} SUPERUSER_ADDRESS)",
            f"AFFIDAVIT_SECRETS_DIRECTORY={quote(str(folder / 'migrate'))} affidavit migrate",
        ]
    facts = {"folder": folder, "checkpoint_public_key": public_key, "next": following}
    where = "Next:" if host == _OF_COMPOSE else "Next, unless the Helm chart does it:"
    return CommandResult(facts, [told, where, *(f"  {command}" for command in following)])


def _address(role: str, password: str, host: str) -> str:
    """Returns where a role connects to; of several hosts, to the primary, also after another was promoted."""
    primary = "?target_session_attrs=read-write" if "," in host else ""
    return f"postgresql://affidavit_{role}:{password}@{host}/affidavit{primary}"
