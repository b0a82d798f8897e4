"""Commands that speak to a running service as one user or key, and the options by which they say who it is."""

import inspect
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any, Concatenate, ParamSpec

import typer

from backend.client import AffidavitError, Client, Refused
from backend.command_output import CommandFailed, CommandResult, ask_secret

P = ParamSpec("P")


def as_caller(command: Callable[Concatenate[Client, P], CommandResult]) -> Callable[..., CommandResult]:
    """Gives a command the options by which callers sign in, and calls it with a client of whoever they name."""

    def run(
        *,
        tenant: Annotated[str, typer.Option(help="The tenant's slug.")],
        key: Annotated[str | None, typer.Option(help="An API key.", envvar="AFFIDAVIT_API_KEY")] = None,
        username: Annotated[str | None, typer.Option(help="A user, instead of a key.")] = None,
        password: Annotated[str | None, typer.Option(help="Asked for if unset.", envvar="AFFIDAVIT_PASSWORD")] = None,
        url: Annotated[str, typer.Option(help="The service.", envvar="AFFIDAVIT_URL")] = "http://127.0.0.1:8000",
        **own: Any,  # noqa: ANN401 - the command's own options
    ) -> CommandResult:
        with _signed_in(url, tenant, key, username, password) as client:
            return command(client, **own)  # type: ignore[call-arg]  # what the signature below has made of the command line

    *shared, _ = inspect.signature(run).parameters.values()
    _, *own = inspect.signature(command).parameters.values()
    taken = [*(parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in own), *shared]
    run.__name__, run.__doc__ = command.__name__, command.__doc__
    run.__signature__ = inspect.Signature(taken)  # type: ignore[attr-defined]  # typer reads options from it
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in taken}
    return run


@contextmanager
def _signed_in(url: str, tenant: str, key: str | None, username: str | None, password: str | None) -> Iterator[Client]:
    """Yields a client of whoever the options name; a failure of it ends the command with one sentence and status 1."""
    if key is None and username is None:
        raise CommandFailed("set AFFIDAVIT_API_KEY, or name a user with --username")
    if key is None and password is None:
        password = _asked_password()
    try:
        with _client(url, tenant, key, username or "", password or "") as client:
            _refuse_another_tenant(client, tenant)
            yield client
    except AffidavitError as error:
        raise CommandFailed(str(error)) from None


def _asked_password() -> str:
    try:
        return ask_secret("Password")
    except typer.Abort:
        if sys.stdin.isatty():
            raise
        raise CommandFailed("nobody is there to type the password: set AFFIDAVIT_PASSWORD") from None


def _client(url: str, tenant: str, key: str | None, username: str, password: str) -> Client:
    if key is not None:
        return Client.with_key(url, key)
    return Client.sign_in(url, tenant=tenant, username=username, password=password)


def _refuse_another_tenant(client: Client, tenant: str) -> None:
    try:
        known = client.me().tenant.slug
    except Refused as error:
        if error.code == "unauthenticated":
            raise AffidavitError("the service does not know this user, tenant and password, or this key") from error
        raise
    if known != tenant:
        raise AffidavitError(f"the key is of the tenant {known}, not of {tenant}")
