"""`affidavit audit archive`: lets months of the log leave whose retention is over."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import asyncpg
import typer
from rich.progress import Progress

from backend.command_output import CommandResult, progress, remark, tell
from backend.operation.command_line import (
    kept_checkpoints,
    owner_address,
    public_key,
    read_settings,
    run_operator,
    runtime_address,
    secret,
)  # fmt: skip
from backend.settings import Settings

if TYPE_CHECKING:
    from backend.operation.archiving import Archiver


def archive(
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would leave.")] = False,
    key: Annotated[str | None, typer.Option(help="File with the public key of checkpoints, or the key itself.")] = None,
    checkpoints: Annotated[Path | None, typer.Option(help="Checkpoints that were kept outside the database.")] = None,
    despite_findings: Annotated[
        bool, typer.Option("--despite-findings", help="Also what does not verify; the log will say so.")
    ] = False,
) -> None:
    """Let months of the audit log leave whose every retention is over, for verified archives; run it monthly.

    Example: affidavit audit archive --dry-run
    """

    async def run(archiver: "Archiver") -> None:
        if not dry_run:
            await archiver.clear()
        months = await archiver.due()
        for month in months:
            if not dry_run:
                await archiver.archive(month, despite_findings=despite_findings)
            left = "would leave" if dry_run else "left"
            told = f"{month.first:%Y-%m} {left}: {month.events} events of {len(month.tenants)} tenants."
            facts = {"month": f"{month.first:%Y-%m}", "events": month.events, "tenants": len(month.tenants)}
            tell(CommandResult({**facts, "archived": not dry_run}, told))
        if not months:
            remark("No month may leave yet.")

    settings = read_settings()
    with progress() as bar:
        run_operator(_with_archiver(settings, public_key(settings, key), kept_checkpoints(checkpoints), bar, run))


async def _with_archiver(
    settings: Settings, keys: str, kept: list[str], bar: Progress, run: Callable[["Archiver"], Awaitable[None]]
) -> None:
    from backend.database import open_pool  # noqa: PLC0415
    from backend.operation.archiving import Archiver  # noqa: PLC0415 - loads what --help does not need
    from backend.storage.service import archives_from_settings  # noqa: PLC0415
    from backend.tenancy import ContextSigner, Tenancy  # noqa: PLC0415

    signer = ContextSigner(secret(settings, "context_key"))
    owner = await asyncpg.connect(owner_address(settings))
    pool = await open_pool(
        runtime_address(settings), size=1, timeout=settings.database_timeout, behind_pooler=settings.behind_pooler
    )
    tenancy = Tenancy(pool, signer, timeout=settings.database_timeout, behind_pooler=settings.behind_pooler)
    task = bar.add_task("looking", total=None)
    try:
        archiver = Archiver(
            owner, tenancy, archives_from_settings(settings), keys,
            timedelta(days=settings.audit_retention_days),
            lambda step, done, total: bar.update(task, description=step, completed=done, total=total), kept,
        )  # fmt: skip
        await run(archiver)
    finally:
        await pool.close()
        await owner.close()
