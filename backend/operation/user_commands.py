"""`affidavit user …`."""

import sys
from typing import Annotated

import typer

from backend.command_output import CommandGroup, CommandResult, ask_secret
from backend.identity.callers.permissions import Role
from backend.operation.command_line import owner_address, read_settings, run_operator

user_app = CommandGroup(help="Create users, and make links to choose a password.")


@user_app.command("create")
def user_create(
    tenant: Annotated[str, typer.Argument(help="The tenant's slug.")],
    username: Annotated[str, typer.Argument(help="The name to sign in with.")],
    role: Annotated[list[Role], typer.Option(help="A role; repeat for more.")],
) -> CommandResult:
    """Create a user; the password is asked for twice at a terminal, or is the first line of standard input.

    Example: affidavit user create meridian-bank jane --role editor < password.txt
    """
    typed = sys.stdin.isatty()
    password = ask_secret("Password", twice=True) if typed else sys.stdin.readline().removesuffix("\n")

    async def run() -> None:
        async with operator(owner_address(read_settings())) as acting:
            await acting.create_user(await acting.tenant(tenant), username, password, role)

    from backend.operation.service import operator  # noqa: PLC0415

    run_operator(run())
    facts = {"tenant": tenant, "username": username, "roles": role}
    return CommandResult(facts, f"Created the user {username} of {tenant}.")


@user_app.command("link")
def user_link(
    tenant: Annotated[str, typer.Argument(help="The tenant's slug.")],
    username: Annotated[str, typer.Argument(help="The name to sign in with.")],
) -> CommandResult:
    """Make a link with which a user chooses a password, once and within a day. The user then counts as a person of its own.

    Example: affidavit user link meridian-bank jane
    """
    settings = read_settings()

    async def run() -> str:
        async with operator(owner_address(settings)) as acting:
            secret = await acting.create_link(await acting.tenant(tenant), username)
        return reset_links.address(settings.public_url, secret)

    from backend.identity.sign_in import reset_links  # noqa: PLC0415
    from backend.operation.service import operator  # noqa: PLC0415

    link = run_operator(run())
    facts = {"tenant": tenant, "username": username, "link": link}
    return CommandResult(facts, f"For {username} of {tenant} only:\n{link}")
