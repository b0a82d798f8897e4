"""`affidavit tenant domain …`: by which domains of e-mail addresses people name a tenant when they sign in."""

from collections.abc import Sequence
from typing import Annotated

import typer
from rich.table import Table

from backend.command_output import CommandGroup, CommandResult
from backend.operation.command_line import as_owner
from backend.operation.commands import Slug

domain_app = CommandGroup(help="Let people sign in to a tenant by the domain of their e-mail addresses.")

Domain = Annotated[str, typer.Argument(help="Such as meridian-bank.example.")]


@domain_app.command("add")
def domain_add(slug: Slug, domain: Domain) -> CommandResult:
    """Say that the e-mail addresses of a domain are a tenant's. Verify that before: it leads people to that tenant's sign-in.

    Example: affidavit tenant domain add meridian-bank meridian-bank.example
    """
    from backend.operation.tenants import Tenants  # noqa: PLC0415 - loads what --help does not need

    row = as_owner(lambda owner: Tenants(owner).add_domain(slug, domain))
    return _domains_of(slug, row.domains)


@domain_app.command("remove")
def domain_remove(slug: Slug, domain: Domain) -> CommandResult:
    """Take a domain away from a tenant; whoever is signed in stays so.

    Example: affidavit tenant domain remove meridian-bank meridian-bank.example
    """
    from backend.operation.tenants import Tenants  # noqa: PLC0415

    row = as_owner(lambda owner: Tenants(owner).remove_domain(slug, domain))
    return _domains_of(slug, row.domains)


@domain_app.command("list")
def domain_list() -> CommandResult:
    """List the domains of each tenant.

    Example: affidavit tenant domain list
    """
    from backend.operation.tenants import Tenants  # noqa: PLC0415

    rows = as_owner(lambda owner: Tenants(owner).list())
    table = Table("tenant", "domain")
    for row in rows:
        for domain in row.domains:
            table.add_row(row.slug, domain)
    return CommandResult([{"tenant": row.slug, "domains": list(row.domains)} for row in rows], table)


def _domains_of(slug: str, domains: Sequence[str]) -> CommandResult:
    words = f"{slug} has the domains {', '.join(domains)}." if domains else f"{slug} has no domain."
    return CommandResult({"tenant": slug, "domains": list(domains)}, words)
