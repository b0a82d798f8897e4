"""What commands of the operator share: settings, the database's addresses, and how a database says no."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import TypeVar

import asyncpg
from pydantic import SecretStr, ValidationError
from pydantic_settings import SettingsError

from backend.command_output import CommandFailed
from backend.database import Connection
from backend.errors import ServiceError
from backend.secret_files import SecretFileError
from backend.settings import Settings

_Result = TypeVar("_Result")


def read_settings() -> Settings:
    """Returns the settings of the environment; exits with the names of those that are wrong, and never their values."""
    try:
        return Settings()
    except (SecretFileError, SettingsError) as error:
        raise CommandFailed(str(error)) from None
    except ValidationError as error:
        problems = (f"AFFIDAVIT_{'_'.join(map(str, e['loc'])).upper()}: {e['msg']}" for e in error.errors())
        raise CommandFailed("; ".join(problems)) from None


def needed(settings: Settings, *names: str) -> list[str]:
    """Returns the values of secret settings; exits with the names of those that are not set."""
    values: list[SecretStr | None] = [getattr(settings, name) for name in names]
    if missing := [f"AFFIDAVIT_{name.upper()}" for name, value in zip(names, values, strict=True) if value is None]:
        raise CommandFailed(
            f"not set: {', '.join(missing)}. To try the service without any settings, run `affidavit demo`"
        )
    return [value.get_secret_value() for value in values if value is not None]


def owner_address(settings: Settings) -> str:
    """Returns the owner's address of the database, or that of the embedded one in the home folder."""
    return _address(settings, "database_url", "owner_url")


def runtime_address(settings: Settings) -> str:
    """Returns the address by which the service reads the database, or that of the embedded one in the home folder."""
    return _address(settings, "runtime_database_url", "runtime_url")


def _address(settings: Settings, name: str, embedded: str) -> str:
    configured: SecretStr | None = getattr(settings, name)
    if configured is not None:
        return configured.get_secret_value()
    written = settings.home_folder / "database.json"
    # Whoever configured another address means that database, and none that a demo left behind.
    if settings.database_url or settings.runtime_database_url or not written.exists():
        raise CommandFailed(f"no database: set AFFIDAVIT_{name.upper()}, or start `affidavit demo` once")
    return str(json.loads(written.read_text())[embedded])


def secret(settings: Settings, name: str) -> str:
    """Returns the configured `context_key` or `payload_key`, or the demo's."""
    configured: SecretStr | None = getattr(settings, name)
    if configured is not None:
        return configured.get_secret_value()
    written = settings.home_folder / "secrets.json"
    if not written.exists():
        raise CommandFailed(f"AFFIDAVIT_{name.upper()} is not set; it must be the service's")
    return str(json.loads(written.read_text())[name])


def public_key(settings: Settings, given: str | None) -> str:
    """Returns the key that is given, configured, or the demo's; exits when there is none."""
    written = settings.home_folder / "checkpoint-key.pub"
    if given is not None:
        return Path(given).read_text() if Path(given).is_file() else given
    if settings.checkpoint_public_key is not None:
        return settings.checkpoint_public_key
    if written.is_file():
        return written.read_text()
    raise CommandFailed("no public key: give --key or set AFFIDAVIT_CHECKPOINT_PUBLIC_KEY")


def kept_checkpoints(checkpoints: Path | None) -> list[str]:
    """Returns the notes in a file, a folder or a bundle; exits when they cannot be read."""
    from backend.ledger.verifier import notes_in  # noqa: PLC0415

    try:
        return list(notes_in(checkpoints)) if checkpoints else []
    except (OSError, ValueError) as error:
        raise CommandFailed(f"the kept checkpoints cannot be read: {error}") from None


def refused(error: OSError | asyncpg.PostgresError) -> CommandFailed:
    """Returns the sentence for a database that is away or does not do what it is asked."""
    if isinstance(error, asyncpg.ReadOnlySQLTransactionError):
        return CommandFailed("the database is a standby, and nothing was changed: give the address of the primary")
    if isinstance(error, OSError):
        return CommandFailed(f"the database cannot be reached: {error}")
    return CommandFailed(f"the database refused: {error}")


def run_operator(coroutine: Coroutine[None, None, _Result]) -> _Result:
    """Runs what an operator's command does; exits with a sentence when it cannot be done."""
    from backend.operation.service import OperatorError  # noqa: PLC0415 - loads what --help does not need

    try:
        return asyncio.run(coroutine)
    except OperatorError as error:
        raise CommandFailed(str(error)) from None
    except ServiceError as error:
        raise CommandFailed(error.detail) from None
    except (OSError, asyncpg.PostgresError) as error:
        raise refused(error) from None


def as_owner(act: Callable[[Connection], Awaitable[_Result]]) -> _Result:
    """Runs something in one transaction of the owner."""
    from backend.operation.service import operator  # noqa: PLC0415

    async def run() -> _Result:
        async with operator(owner_address(read_settings())) as acting:
            return await act(acting.connection)

    return run_operator(run())
