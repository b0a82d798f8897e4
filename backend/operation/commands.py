"""`affidavit tenant …` and `affidavit operator-key …`."""

from datetime import timedelta
from pathlib import Path
from typing import Annotated

import asyncpg
import typer
from rich.table import Table

from backend.operation.terminal import as_owner, console, database_urls, fail, read_settings, run_operator, secret

tenant_app = typer.Typer(no_args_is_help=True, help="Create, suspend, resume, export and delete tenants.")
operator_key_app = typer.Typer(no_args_is_help=True, help="Create, list and revoke keys of the operator's API.")

Slug = Annotated[str, typer.Argument(help="The tenant's slug.")]


@tenant_app.command("create")
def tenant_create(
    slug: Annotated[str, typer.Argument(help="Lower-case letters, digits and hyphens.")],
    name: Annotated[str | None, typer.Option(help="Full name.")] = None,
) -> None:
    """Create a tenant with the collection `default`.

    Example: affidavit tenant create meridian-bank --name "Meridian Bank"
    """
    from backend.operation.tenants import Tenants  # noqa: PLC0415

    as_owner(lambda owner: Tenants(owner).create(slug, name or slug))
    console.print(f"Created the tenant {slug}.")


@tenant_app.command("list")
def tenant_list() -> None:
    """List all tenants, with how many chunks they hold and where; a proposed promotion makes searches cheaper.

    Example: affidavit tenant list
    """
    from backend.operation.tenants import Tenants, promotion_proposed  # noqa: PLC0415

    table = Table("slug", "name", "status", "created", "can be purged from", "chunks", "placement")
    for row in as_owner(lambda owner: Tenants(owner).list()):
        end = f"{row['delete_after']:%Y-%m-%d %H:%M}" if row["delete_after"] else ""
        where = "shared, promotion proposed" if promotion_proposed(row) else row["placement"]
        table.add_row(
            row["slug"], row["name"], row["status"], f"{row['created_at']:%Y-%m-%d}", end, f"{row['chunks']:,}", where
        )
    console.print(table)


@tenant_app.command("suspend")
def tenant_suspend(slug: Slug) -> None:
    """Refuse everything to a tenant's users and keys from the next request on.

    Example: affidavit tenant suspend meridian-bank
    """
    from backend.operation.tenants import Tenants  # noqa: PLC0415

    as_owner(lambda owner: Tenants(owner).suspend(slug))
    console.print(f"Suspended {slug}.")


@tenant_app.command("resume")
def tenant_resume(slug: Slug) -> None:
    """Let a suspended or deleted tenant work again.

    Example: affidavit tenant resume meridian-bank
    """
    from backend.operation.tenants import Tenants  # noqa: PLC0415

    as_owner(lambda owner: Tenants(owner).resume(slug))
    console.print(f"Resumed {slug}.")


@tenant_app.command("limit")
def tenant_limit(
    slug: Slug,
    per_minute: Annotated[int | None, typer.Option(help="Requests of the whole tenant.", min=1)] = None,
    principal_per_minute: Annotated[int | None, typer.Option(help="Requests of each user and key.", min=1)] = None,
) -> None:
    """Limit how much a tenant may ask in a minute; what is left out has no limit.

    Example: affidavit tenant limit meridian-bank --per-minute 6000 --principal-per-minute 600
    """
    from backend.operation.tenants import Tenants  # noqa: PLC0415

    limits = {"requests_per_minute": per_minute, "principal_requests_per_minute": principal_per_minute}
    as_owner(lambda owner: Tenants(owner).change(slug, limits))
    console.print(f"Limited {slug}.")


@tenant_app.command("delete")
def tenant_delete(
    slug: Slug,
    grace_days: Annotated[int | None, typer.Option(help="Days for which it can be resumed.", min=0, max=365)] = None,
) -> None:
    """Suspend a tenant and set when `affidavit tenant purge` may delete all its rows.

    Example: affidavit tenant delete meridian-bank --grace-days 30
    """
    from backend.operation.tenants import Tenants  # noqa: PLC0415

    grace = timedelta(days=read_settings().deletion_grace_days if grace_days is None else grace_days)
    row = as_owner(lambda owner: Tenants(owner).delete(slug, grace))
    console.print(f"{slug} can be resumed until {row['delete_after']:%Y-%m-%d %H:%M %Z}, and purged from then on.")


@tenant_app.command("purge")
def tenant_purge() -> None:
    """Delete the rows of tenants whose time of grace is over; run it daily. The sealed audit log stays.

    Example: affidavit tenant purge
    """
    from backend.operation import deletion  # noqa: PLC0415

    owner_url = database_urls(read_settings())["owner_url"]

    async def run() -> None:
        owner = await asyncpg.connect(owner_url)
        try:
            for tenant_id, slug in await deletion.purgeable(owner):
                purged = await deletion.purge(owner_url, owner, tenant_id, slug)
                kept = f"; {purged.retained} texts are kept until their retention is over" if purged.retained else ""
                console.print(f"Deleted {slug}: {purged.rows} rows{kept}.")
        finally:
            await owner.close()

    run_operator(run())


@tenant_app.command("export")
def tenant_export(slug: Slug, target: Annotated[Path, typer.Argument(help="The zip file to write.")]) -> None:
    """Write all that is a tenant's into a zip of JSON lines, one file a table.

    Example: affidavit tenant export meridian-bank meridian-bank.zip
    """
    from backend.database import open_pool  # noqa: PLC0415
    from backend.operation.export import export  # noqa: PLC0415
    from backend.operation.tenants import Tenants  # noqa: PLC0415
    from backend.tenancy import ContextSigner, Tenancy  # noqa: PLC0415

    if target.exists():
        raise fail(f"{target} exists")
    settings = read_settings()
    urls, signer = database_urls(settings), ContextSigner(secret(settings, "context_key"))

    async def run() -> dict[str, int]:
        owner = await asyncpg.connect(urls["owner_url"])
        pool = await open_pool(urls["runtime_url"], size=1, timeout=settings.database_timeout)
        try:
            tenant = await Tenants(owner).get(slug)
            tenancy = Tenancy(pool, signer, timeout=settings.database_timeout)
            return await export(owner, tenancy, tenant["id"], slug, target)
        finally:
            await pool.close()
            await owner.close()

    rows = run_operator(run())
    console.print(f"Wrote {sum(rows.values())} rows of {len(rows)} tables to {target}.")


@operator_key_app.command("create")
def operator_key_create(name: Annotated[str, typer.Argument(help="Which system will use it.")]) -> None:
    """Create a key of the operator's API and print it, the only time that it is shown.

    Example: affidavit operator-key create provisioning
    """
    from backend.operation import operator_keys  # noqa: PLC0415

    console.print(as_owner(lambda owner: operator_keys.create(owner, name)))


@operator_key_app.command("list")
def operator_key_list() -> None:
    """List the keys of the operator's API.

    Example: affidavit operator-key list
    """
    from backend.operation import operator_keys  # noqa: PLC0415

    table = Table("name", "created", "revoked")
    for row in as_owner(operator_keys.listed):
        revoked = f"{row['revoked_at']:%Y-%m-%d %H:%M}" if row["revoked_at"] else ""
        table.add_row(row["name"], f"{row['created_at']:%Y-%m-%d %H:%M}", revoked)
    console.print(table)


@operator_key_app.command("revoke")
def operator_key_revoke(name: Annotated[str, typer.Argument(help="The key's name.")]) -> None:
    """End a key of the operator's API.

    Example: affidavit operator-key revoke provisioning
    """
    from backend.operation import operator_keys  # noqa: PLC0415

    as_owner(lambda owner: operator_keys.revoke(owner, name))
    console.print(f"Revoked {name}.")
