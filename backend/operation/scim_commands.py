"""`affidavit scim …`: bearers with which a tenant's provider keeps its users and groups here."""

from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.table import Table

from backend.command_output import CommandGroup, CommandResult
from backend.operation.command_line import as_owner

scim_app = CommandGroup(help="Let a tenant's provider keep its users and groups here (SCIM 2.0).")

Slug = Annotated[str, typer.Argument(help="The tenant's slug; it trusts a provider (affidavit issuer trust).")]


@scim_app.command("create")
def scim_create(
    slug: Slug,
    name: Annotated[str, typer.Argument(help="What to call the bearer; it is on record with each use.")],
    expires: Annotated[
        datetime | None, typer.Option(help="When it ends.", formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S%z"])
    ] = None,
) -> CommandResult:
    """Create a bearer and print it, the only time that it is shown. Who holds it says who signs in, and as what.

    Example: affidavit scim create meridian-bank entra --expires 2027-06-30
    """
    from backend.operation import provisioning  # noqa: PLC0415 - loads what --help does not need

    until = expires.replace(tzinfo=UTC) if expires is not None and expires.tzinfo is None else expires
    bearer = as_owner(lambda owner: provisioning.create(owner, slug, name, until))
    return CommandResult({"tenant": slug, "name": name, "bearer": bearer, "expires_at": until}, bearer)


@scim_app.command("list")
def scim_list() -> CommandResult:
    """List the bearers of all tenants' providers, and when each was last used.

    Example: affidavit scim list --json
    """
    from backend.operation import provisioning  # noqa: PLC0415

    rows = as_owner(provisioning.listed)
    table = Table("tenant", "bearer", "issuer", "last used", "state")
    for row in rows:
        state = "revoked" if row.revoked_at else f"until {row.expires_at:%Y-%m-%d}" if row.expires_at else "good"
        used = f"{row.last_used_at:%Y-%m-%d %H:%M}" if row.last_used_at else "never"
        table.add_row(row.tenant, row.name, row.issuer, used, state)
    return CommandResult(rows, table)


@scim_app.command("revoke")
def scim_revoke(slug: Slug, name: Annotated[str, typer.Argument(help="The bearer's name.")]) -> CommandResult:
    """End a bearer from the next request on. Users, groups and roles stay as they are.

    Example: affidavit scim revoke meridian-bank entra
    """
    from backend.operation import provisioning  # noqa: PLC0415

    as_owner(lambda owner: provisioning.revoke(owner, slug, name))
    told = f"{name} of {slug} opens nothing any more."
    return CommandResult({"tenant": slug, "name": name, "revoked": True}, told)
