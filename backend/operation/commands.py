"""`affidavit tenant …` and `affidavit operator-key …`."""

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import asyncpg
import typer
from rich.console import RenderableType
from rich.table import Table

from backend.command_output import CommandFailed, CommandGroup, CommandResult, tell
from backend.operation.command_line import as_owner, owner_address, read_settings, run_operator, runtime_address, secret

if TYPE_CHECKING:
    from uuid import UUID

    from backend.database import Connection
    from backend.operation.every_cell import CellAnswer

tenant_app = CommandGroup(help="Create, rename, limit, suspend, resume, export, move and delete tenants.")
operator_key_app = CommandGroup(help="Create, list, rotate and revoke keys of the operator's API.")

Slug = Annotated[str, typer.Argument(help="The tenant's slug.")]
AllCells = Annotated[
    bool, typer.Option("--all-cells", help="In every cell of the directory, rather than in one database.")
]

_LONGEST_NAME = 200  # as the operator's API has it
_MOST_REQUESTS = 1_000_000


@tenant_app.command("create")
def tenant_create(
    slug: Annotated[str, typer.Argument(help="Lower-case letters, digits and hyphens.")],
    name: Annotated[str | None, typer.Option(help="Full name.")] = None,
) -> CommandResult:
    """Create a tenant with the collection `default`.

    Example: affidavit tenant create meridian-bank --name "Meridian Bank"
    """
    from backend.operation.room import cell_of_database, refuse_full  # noqa: PLC0415
    from backend.operation.tenants import Tenants  # noqa: PLC0415

    settings = read_settings()

    async def create(owner: "Connection") -> "UUID":
        await refuse_full(owner, await cell_of_database(owner, settings))
        return await Tenants(owner).create(slug, name or slug)

    made = as_owner(create)
    return CommandResult({"tenant": slug, "id": made}, f"Created the tenant {slug}.")


@tenant_app.command("list")
def tenant_list(*, all_cells: AllCells = False) -> CommandResult:
    """List all tenants, with how many chunks they hold and where; a proposed promotion makes searches cheaper.

    Of all cells, each with its cell; exit 1 if one of them does not answer.

    Example: affidavit tenant list
    """
    from backend.operation.tenants import Tenants  # noqa: PLC0415

    if all_cells:
        return _tenants_of_every_cell()

    rows = as_owner(lambda owner: Tenants(owner).list())
    table = Table("slug", "name", "status", "created", "can be purged from", "chunks", "placement")
    for row in rows:
        end = f"{row.delete_after:%Y-%m-%d %H:%M}" if row.delete_after else ""
        where = "shared, promotion proposed" if row.promotion_proposed else row.placement
        table.add_row(row.slug, row.name, row.status, f"{row.created_at:%Y-%m-%d}", end, f"{row.chunks:,}", where)
    return CommandResult([row.told() for row in rows], table)


def _tenants_of_every_cell() -> CommandResult:
    from backend.operation import every_cell  # noqa: PLC0415
    from backend.operation.signing import signing_from  # noqa: PLC0415

    settings = read_settings()

    async def run() -> "list[CellAnswer[list[dict[str, Any]]]]":
        async with signing_from(settings) as signing:
            return await every_cell.tenants(signing)

    answers = run_operator(run())
    rows = [row for asked in answers for row in asked.answer or ()]
    silent = [{"cell": asked.cell.name, "problem": asked.problem} for asked in answers if asked.problem]
    table = Table("cell", "slug", "name", "status", "created", "chunks", "placement")
    for row in rows:
        created = f"{row['created_at']:%Y-%m-%d}"
        table.add_row(
            row["cell"], row["slug"], row["name"], row["status"], created, f"{row['chunks']:,}", row["placement"]
        )
    words: list[RenderableType] = [table, *(f"{one['cell']}: {one['problem']}" for one in silent)]
    return CommandResult({"tenants": rows, "without_answer": silent}, words, status=1 if silent else 0)


@tenant_app.command("suspend")
def tenant_suspend(slug: Slug) -> CommandResult:
    """Refuse everything to a tenant's users and keys from the next request on.

    Example: affidavit tenant suspend meridian-bank
    """
    from backend.operation.tenants import Tenants  # noqa: PLC0415

    as_owner(lambda owner: Tenants(owner).suspend(slug))
    return CommandResult({"tenant": slug, "status": "suspended"}, f"Suspended {slug}.")


@tenant_app.command("resume")
def tenant_resume(slug: Slug) -> CommandResult:
    """Let a suspended or deleted tenant work again.

    Example: affidavit tenant resume meridian-bank
    """
    from backend.operation.tenants import Tenants  # noqa: PLC0415

    as_owner(lambda owner: Tenants(owner).resume(slug))
    return CommandResult({"tenant": slug, "status": "active"}, f"Resumed {slug}.")


@tenant_app.command("rename")
def tenant_rename(
    slug: Slug, name: Annotated[str, typer.Argument(help="Its full name from now on; the slug stays.")]
) -> CommandResult:
    """Give a tenant another full name.

    Example: affidavit tenant rename meridian-bank "Meridian Bank plc"
    """
    from backend.operation.tenants import Tenants  # noqa: PLC0415

    name = name.strip()
    if not 1 <= len(name) <= _LONGEST_NAME or not name.isprintable():
        raise CommandFailed(f"a name has 1 to {_LONGEST_NAME} characters, all of them printable")
    as_owner(lambda owner: Tenants(owner).change(slug, {"name": name}))
    return CommandResult({"tenant": slug, "name": name}, f"{slug} is called {name} now.")


@tenant_app.command("limit")
def tenant_limit(
    slug: Slug,
    per_minute: Annotated[
        int | None, typer.Option(help="Requests of the whole tenant.", min=1, max=_MOST_REQUESTS)
    ] = None,
    principal_per_minute: Annotated[
        int | None, typer.Option(help="Requests of each user and key.", min=1, max=_MOST_REQUESTS)
    ] = None,
) -> CommandResult:
    """Limit how much a tenant may ask in a minute; what is left out has no limit.

    Example: affidavit tenant limit meridian-bank --per-minute 6000 --principal-per-minute 600
    """
    from backend.operation.tenants import Tenants  # noqa: PLC0415

    limits = {"requests_per_minute": per_minute, "principal_requests_per_minute": principal_per_minute}
    as_owner(lambda owner: Tenants(owner).change(slug, limits))
    return CommandResult({"tenant": slug, **limits}, f"Limited {slug}.")


@tenant_app.command("delete")
def tenant_delete(
    slug: Slug,
    grace_days: Annotated[int | None, typer.Option(help="Days for which it can be resumed.", min=0, max=365)] = None,
) -> CommandResult:
    """Suspend a tenant and set when `affidavit tenant purge` may delete all its rows.

    Example: affidavit tenant delete meridian-bank --grace-days 30
    """
    from backend.operation.tenants import Tenants  # noqa: PLC0415

    grace = timedelta(days=read_settings().deletion_grace_days if grace_days is None else grace_days)
    row = as_owner(lambda owner: Tenants(owner).delete(slug, grace))
    told = f"{slug} can be resumed until {row.delete_after:%Y-%m-%d %H:%M %Z}, and purged from then on."
    return CommandResult(row.told(), told)


@tenant_app.command("purge")
def tenant_purge() -> None:
    """Delete the rows of tenants whose time of grace is over; run it daily. The sealed audit log stays.

    Example: affidavit tenant purge
    """
    from backend.operation import deletion  # noqa: PLC0415

    owner_url = owner_address(read_settings())

    async def run() -> None:
        owner = await asyncpg.connect(owner_url)
        try:
            for tenant_id, slug in await deletion.purgeable(owner):
                purged = await deletion.purge(owner_url, owner, tenant_id, slug)
                kept = f"; {purged.retained} texts are kept until their retention is over" if purged.retained else ""
                facts = {"tenant": slug, "rows": purged.rows, "texts_kept": purged.retained}
                tell(CommandResult(facts, f"Deleted {slug}: {purged.rows} rows{kept}."))
        finally:
            await owner.close()

    run_operator(run())


@tenant_app.command("export")
def tenant_export(slug: Slug, target: Annotated[Path, typer.Argument(help="The zip file to write.")]) -> CommandResult:
    """Write all that is a tenant's into a zip of JSON lines, one file a table.

    Example: affidavit tenant export meridian-bank meridian-bank.zip
    """
    from backend.database import open_pool  # noqa: PLC0415
    from backend.operation.export import export  # noqa: PLC0415
    from backend.operation.tenants import Tenants  # noqa: PLC0415
    from backend.tenancy import ContextSigner, Tenancy  # noqa: PLC0415

    if target.exists():
        raise CommandFailed(f"{target} exists")
    settings = read_settings()
    signer = ContextSigner(secret(settings, "context_key"))

    async def run() -> dict[str, int]:
        owner = await asyncpg.connect(owner_address(settings))
        pool = await open_pool(
            runtime_address(settings), size=1, timeout=settings.database_timeout, behind_pooler=settings.behind_pooler
        )
        try:
            tenant = await Tenants(owner).get(slug)
            tenancy = Tenancy(pool, signer, timeout=settings.database_timeout, behind_pooler=settings.behind_pooler)
            return await export(owner, tenancy, tenant, target)
        finally:
            await pool.close()
            await owner.close()

    rows = run_operator(run())
    told = f"Wrote {sum(rows.values())} rows of {len(rows)} tables to {target}."
    return CommandResult({"tenant": slug, "file": target, "rows": rows}, told)


@operator_key_app.command("create")
def operator_key_create(name: Annotated[str, typer.Argument(help="Which system will use it.")]) -> CommandResult:
    """Create a key of the operator's API and print it, the only time that it is shown.

    Example: affidavit operator-key create provisioning
    """
    from backend.operation import operator_keys  # noqa: PLC0415

    key = as_owner(lambda owner: operator_keys.create(owner, name))
    return CommandResult({"name": name, "key": key}, key)


@operator_key_app.command("list")
def operator_key_list() -> CommandResult:
    """List the keys of the operator's API.

    Example: affidavit operator-key list
    """
    from backend.operation import operator_keys  # noqa: PLC0415

    rows = as_owner(operator_keys.listed)
    table = Table("name", "created", "rotated", "revoked")
    for row in rows:
        moments = (row.created_at, row.rotated_at, row.revoked_at)
        table.add_row(row.name, *(f"{moment:%Y-%m-%d %H:%M}" if moment else "" for moment in moments))
    return CommandResult(rows, table)


@operator_key_app.command("rotate")
def operator_key_rotate(
    name: Annotated[str, typer.Argument(help="The key's name.")],
    overlap_seconds: Annotated[
        int, typer.Option(help="How long the present secret stays good.", min=0, max=30 * 86_400)
    ] = 86_400,
) -> CommandResult:
    """Give a key of the operator's API another secret and print it, the only time that it is shown.

    Example: affidavit operator-key rotate provisioning --overlap-seconds 3600
    """
    from backend.operation import operator_keys  # noqa: PLC0415

    key = as_owner(lambda owner: operator_keys.rotate(owner, name, overlap_seconds))
    return CommandResult({"name": name, "key": key, "overlap_seconds": overlap_seconds}, key)


@operator_key_app.command("revoke")
def operator_key_revoke(name: Annotated[str, typer.Argument(help="The key's name.")]) -> CommandResult:
    """End a key of the operator's API.

    Example: affidavit operator-key revoke provisioning
    """
    from backend.operation import operator_keys  # noqa: PLC0415

    as_owner(lambda owner: operator_keys.revoke(owner, name))
    return CommandResult({"name": name, "revoked": True}, f"Revoked {name}.")
