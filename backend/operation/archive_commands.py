"""`affidavit audit archive`: lets months of the log leave whose retention is over."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import asyncpg
import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from backend.operation.terminal import console, database_urls, errors, fail, read_settings, run_operator, secret
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
            console.print(f"{month.first:%Y-%m} {left}: {month.events} events of {len(month.tenants)} tenants.")
        if not months:
            console.print("No month may leave yet.")

    settings = read_settings()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=errors) as bar:
        run_operator(_with_archiver(settings, _public_key(settings, key), _kept(checkpoints), bar, run))


async def _with_archiver(
    settings: Settings, keys: str, kept: list[str], bar: Progress, run: Callable[["Archiver"], Awaitable[None]]
) -> None:
    from backend.database import open_pool  # noqa: PLC0415
    from backend.operation.archiving import Archiver  # noqa: PLC0415 - loads what --help does not need
    from backend.storage.service import archives_from_settings  # noqa: PLC0415
    from backend.tenancy import ContextSigner, Tenancy  # noqa: PLC0415

    urls, signer = database_urls(settings), ContextSigner(secret(settings, "context_key"))
    owner = await asyncpg.connect(urls["owner_url"])
    pool = await open_pool(urls["runtime_url"], size=1, timeout=settings.database_timeout)
    task = bar.add_task("looking", total=None)
    try:
        archiver = Archiver(
            owner, Tenancy(pool, signer, timeout=settings.database_timeout), archives_from_settings(settings), keys,
            timedelta(days=settings.audit_retention_days),
            lambda step, done, total: bar.update(task, description=step, completed=done, total=total), kept,
        )  # fmt: skip
        await run(archiver)
    finally:
        await pool.close()
        await owner.close()


def _public_key(settings: Settings, given: str | None) -> str:
    """Returns the key that is given, configured, or the demo's."""
    written = settings.home_folder / "checkpoint-key.pub"
    if given is not None:
        return Path(given).read_text() if Path(given).is_file() else given
    if settings.checkpoint_public_key is not None:
        return settings.checkpoint_public_key
    if written.is_file():
        return written.read_text()
    raise fail("no public key: give --key or set AFFIDAVIT_CHECKPOINT_PUBLIC_KEY")


def _kept(checkpoints: Path | None) -> list[str]:
    from backend.ledger.verifier import notes_in  # noqa: PLC0415

    try:
        return list(notes_in(checkpoints)) if checkpoints else []
    except (OSError, ValueError) as error:
        raise fail(f"the kept checkpoints cannot be read: {error}") from None
