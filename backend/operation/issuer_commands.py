"""`affidavit issuer …`: which OpenID provider a tenant trusts."""

from typing import Annotated

import typer
from rich.table import Table

from backend.command_output import CommandFailed, CommandGroup, CommandResult, ask_secret
from backend.identity.callers.permissions import Role
from backend.operation.command_line import as_owner, read_settings, secret

issuer_app = CommandGroup(help="Let a tenant's users sign in with its own OpenID provider.")

Slug = Annotated[str, typer.Argument(help="The tenant's slug.")]


@issuer_app.command("trust")
def issuer_trust(
    slug: Slug,
    issuer: Annotated[str, typer.Argument(help="The issuer, exactly as its tokens name it.")],
    client_id: Annotated[str, typer.Argument(help="Affidavit's client there, for this tenant only.")],
    role: Annotated[list[str], typer.Option(help="GROUP=ROLE; repeat for more.")],
    *,
    create_users: Annotated[bool, typer.Option(help="Create users when they first sign in.")] = False,
    confidential: Annotated[bool, typer.Option(help="Ask for the client's secret; PKCE is used anyway.")] = False,
    groups_claim: Annotated[str, typer.Option(help="The claim of ID tokens that holds the groups.")] = "groups",
    scopes: Annotated[str, typer.Option(help="What to ask the provider for.")] = "openid profile email",
) -> CommandResult:
    """Trust an OpenID provider; its page is then at /auth/oidc/SLUG/login.

    Example: affidavit issuer trust meridian-bank https://id.example client-1 --role Risk=analyst --create-users
    """
    from backend.identity.sign_in.seal import client_secret_seal  # noqa: PLC0415 - loads what --help does not need
    from backend.operation import issuers  # noqa: PLC0415

    mapping = {group: _role(name) for group, _, name in (entry.rpartition("=") for entry in role)}
    sealed = None
    if confidential:
        typed = ask_secret("Client secret")
        sealed = client_secret_seal(secret(read_settings(), "payload_key")).close(typed.encode())
    as_owner(
        lambda owner: issuers.trust(
            owner, slug, issuer, client_id, mapping, creates_users=create_users, sealed_secret=sealed,
            groups_claim=groups_claim, scopes=scopes,
        )
    )  # fmt: skip
    return CommandResult({"tenant": slug, "issuer": issuer, "client_id": client_id}, f"{slug} trusts {issuer}.")


@issuer_app.command("list")
def issuer_list() -> CommandResult:
    """List which provider each tenant trusts, as which client, and whether unknown users are made.

    Example: affidavit issuer list --json
    """
    from backend.operation import issuers  # noqa: PLC0415

    rows = as_owner(issuers.trusted)
    table = Table("tenant", "issuer", "client", "creates users")
    for row in rows:
        table.add_row(row.tenant, row.issuer, row.client_id, "yes" if row.creates_users else "no")
    return CommandResult(rows, table)


@issuer_app.command("distrust")
def issuer_distrust(slug: Slug) -> CommandResult:
    """Trust the tenant's provider no more, and end the sessions of all who signed in with it.

    Example: affidavit issuer distrust meridian-bank
    """
    from backend.operation import issuers  # noqa: PLC0415

    as_owner(lambda owner: issuers.distrust(owner, slug))
    return CommandResult({"tenant": slug, "issuer": None}, f"{slug} trusts no issuer any more.")


@issuer_app.command("link")
def issuer_link(
    slug: Slug,
    username: Annotated[str, typer.Argument(help="A user of the tenant.")],
    subject: Annotated[str, typer.Argument(help="The `sub` that the provider knows that user by.")],
) -> CommandResult:
    """Say which subject of the provider an existing user is.

    Example: affidavit issuer link meridian-bank jane 00u1a2b3c4
    """
    from backend.operation import issuers  # noqa: PLC0415

    as_owner(lambda owner: issuers.link(owner, slug, username, subject))
    facts = {"tenant": slug, "username": username, "subject": subject}
    return CommandResult(facts, f"{username} of {slug} signs in as {subject}.")


def _role(name: str) -> Role:
    try:
        return Role(name)
    except ValueError:
        raise CommandFailed(f"{name!r} is no role; write GROUP=ROLE with one of {', '.join(Role)}") from None
