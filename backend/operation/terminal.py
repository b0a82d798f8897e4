"""What commands of the operator share: output, errors, and the database's addresses."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Coroutine
from typing import TypeVar

import asyncpg
import typer
from pydantic import SecretStr, ValidationError
from rich.console import Console

from backend.database import Connection
from backend.errors import ServiceError
from backend.settings import Settings

console = Console(highlight=False, soft_wrap=True)
errors = Console(stderr=True, highlight=False, soft_wrap=True)

_Result = TypeVar("_Result")


def fail(message: str) -> typer.Exit:
    """Prints an error and returns what to raise."""
    errors.print("[red]error:[/red]", end=" ")
    errors.print(message, markup=False)
    return typer.Exit(1)


def read_settings() -> Settings:
    """Returns the settings of the environment; exits with the names of those that are wrong, and never their values."""
    try:
        return Settings()
    except ValidationError as error:
        problems = (f"AFFIDAVIT_{'_'.join(map(str, e['loc'])).upper()}: {e['msg']}" for e in error.errors())
        raise fail("; ".join(problems)) from None


def needed(settings: Settings, *names: str) -> list[str]:
    """Returns the values of secret settings; exits with the names of those that are not set."""
    values: list[SecretStr | None] = [getattr(settings, name) for name in names]
    if missing := [f"AFFIDAVIT_{name.upper()}" for name, value in zip(names, values, strict=True) if value is None]:
        raise fail(f"not set: {', '.join(missing)}. To try the service without any settings, run `affidavit demo`")
    return [value.get_secret_value() for value in values if value is not None]


def database_urls(settings: Settings) -> dict[str, str]:
    """Returns the configured URLs, or those of the embedded database in the home folder."""
    if settings.database_url and settings.runtime_database_url:
        return {
            "owner_url": settings.database_url.get_secret_value(),
            "runtime_url": settings.runtime_database_url.get_secret_value(),
        }
    written = settings.home_folder / "database.json"
    if not written.exists():
        raise fail(
            "no database: set AFFIDAVIT_DATABASE_URL and AFFIDAVIT_RUNTIME_DATABASE_URL, or start `affidavit demo` once"
        )
    known: dict[str, str] = json.loads(written.read_text())
    return known


def secret(settings: Settings, name: str) -> str:
    """Returns the configured `context_key` or `payload_key`, or the demo's."""
    configured: SecretStr | None = getattr(settings, name)
    if configured is not None:
        return configured.get_secret_value()
    written = settings.home_folder / "secrets.json"
    if not written.exists():
        raise fail(f"AFFIDAVIT_{name.upper()} is not set; it must be the service's")
    return str(json.loads(written.read_text())[name])


def run_operator(coroutine: Coroutine[None, None, _Result]) -> _Result:
    """Runs what an operator's command does; exits with a sentence when it cannot be done."""
    from backend.operation.service import OperatorError  # noqa: PLC0415 - loads what --help does not need

    try:
        return asyncio.run(coroutine)
    except OperatorError as error:
        raise fail(str(error)) from None
    except ServiceError as error:
        raise fail(error.detail) from None
    except (OSError, asyncpg.PostgresError) as error:
        raise fail(f"the database refused: {error}") from None


def as_owner(act: Callable[[Connection], Awaitable[_Result]]) -> _Result:
    """Runs something in one transaction of the owner."""
    from backend.operation.service import operator  # noqa: PLC0415

    async def run() -> _Result:
        async with operator(database_urls(read_settings())["owner_url"]) as acting:
            return await act(acting.connection)

    return run_operator(run())
