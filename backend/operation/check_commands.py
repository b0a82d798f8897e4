"""`affidavit audit check`: verifies the log in the live database."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import Progress

from backend.command_output import CommandFailed, CommandResult, progress
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


def check(
    tenant: Annotated[
        list[str] | None, typer.Option(help="Only the log of the tenant with this slug; repeat for more.")
    ] = None,
    key: Annotated[str | None, typer.Option(help="File with the public key of checkpoints, or the key itself.")] = None,
    checkpoints: Annotated[Path | None, typer.Option(help="Checkpoints that were kept outside the database.")] = None,
    *,
    texts: Annotated[bool, typer.Option("--texts", help="Also open every text; needs AFFIDAVIT_PAYLOAD_KEY.")] = False,
) -> CommandResult:
    """Verify the audit log in the live database; exit 0 only if nothing was changed, lost or forged. One line per finding.

    With AFFIDAVIT_SEALER_DATABASE_URL, also that every checkpoint of every log is still there. Who trusts neither this command
    nor the machine that it runs on exports the log, and verifies that: affidavit audit export, affidavit audit verify.

    Example: affidavit audit check --tenant meridian-bank --checkpoints kept/
    """
    settings = read_settings()
    keys, kept = public_key(settings, key), kept_checkpoints(checkpoints)
    with progress() as bar:
        findings = run_operator(_check(settings, tenant or [], keys, kept, bar, texts=texts))
    convicts = any(finding["kind"] in {"INVALID", "MISSING", "GAP"} for finding in findings)
    lines = [f"{one['kind']:<7} {one['log']}: {one['subject']}: {one['detail']}" for one in findings]
    return CommandResult({"ok": not convicts, "findings": findings}, lines, status=1 if convicts else 0)


async def _check(
    settings: Settings, slugs: list[str], keys: str, kept: list[str], bar: Progress, *, texts: bool
) -> list[dict[str, str]]:
    from backend.ledger.verifier import Report  # noqa: PLC0415 - loads what --help does not need
    from backend.operation import checking  # noqa: PLC0415

    tenants = await checking.tenants(owner_address(settings), slugs)
    if unknown := sorted(set(slugs) - tenants.keys()):
        raise CommandFailed(f"there is no tenant {unknown[0]}")
    found = dict[str, Report]()
    if settings.sealer_database_url is not None and not slugs:
        sealer_url = settings.sealer_database_url.get_secret_value()
        found["all logs"] = await checking.check_checkpoints(sealer_url, keys, kept)
    payload_key = secret(settings, "payload_key") if texts else None
    async with checking.open_reader(
        settings, runtime_address(settings), secret(settings, "context_key"), payload_key
    ) as reader:
        for slug, tenant_id in tenants.items():
            found[slug] = await reader.check(tenant_id, keys, kept, _shown(bar, slug))
    return [
        {"log": log, "kind": finding.kind.value, "subject": finding.subject, "detail": finding.detail}
        for log, report in found.items()
        for finding in report.findings
    ]


def _shown(bar: Progress, slug: str) -> Callable[[int, int], Awaitable[None]]:
    task = bar.add_task(slug, total=None)

    async def progress(done: int, total: int) -> None:
        bar.update(task, completed=done, total=total)

    return progress
