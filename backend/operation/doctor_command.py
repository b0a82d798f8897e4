"""`affidavit doctor`, and the self-check without which nothing is served."""

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import asyncpg
import structlog
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from backend.command_output import CommandFailed, CommandResult
from backend.database import connect
from backend.operation.command_line import needed, owner_address, read_settings, run_operator, runtime_address
from backend.operation.commands import AllCells
from backend.operation.retrieval_commands import embedder_finding, outgrown_tenants, uncalibrated_model
from backend.self_check import CheckResult, check, check_clocks, check_conditions, check_sealer, check_server
from backend.settings import MissingSettingError, Settings

log = structlog.get_logger()

if TYPE_CHECKING:
    from backend.operation.moving.adding import Signing


def doctor(*, all_cells: AllCells = False) -> CommandResult:
    """Check role, row-level security, policies, versions and keys; exit 1 if anything is wrong.

    Also names an embedding model that nobody calibrated and, with the owner's address, tenants that have outgrown the shared
    partition. That is advice.
    Of all cells, also whether each answers for the tenants that the directory has there.

    Example: affidavit doctor --json
    """
    if all_cells:
        return _doctor_of_every_cell()
    settings = read_settings()
    address = runtime_address(settings)
    findings = findings_of(address, settings.other_passwords, thorough=True, ordered=True)
    if settings.embeddings_url is not None and all(finding.problem is None for finding in findings):
        findings.append(asyncio.run(embedder_finding(address, settings)))
    sound = all(finding.problem is None for finding in findings)
    as_owner = sound and (settings.runtime_database_url is None or settings.database_url is not None)
    outgrown = asyncio.run(outgrown_tenants(owner_address(settings))) if as_owner else []
    uncalibrated = uncalibrated_model(settings)
    facts = {
        "ok": sound,
        "checks": [{"check": f.check, "ok": f.problem is None, "problem": f.problem} for f in findings],
        "promotions_proposed": [{"tenant": slug, "chunks": chunks} for slug, chunks in outgrown],
        "uncalibrated_model": uncalibrated,
    }
    table = Table("check", "result")
    for finding in findings:
        table.add_row(finding.check, Text(finding.problem, "red") if finding.problem else Text("ok", "green"))
    advice = [f"{slug} has {chunks} chunks; run `affidavit tenant promote {slug}`" for slug, chunks in outgrown]
    if uncalibrated:
        advice.append(f"nothing is measured of {uncalibrated}; run `affidavit calibrate`")
    words: list[RenderableType] = [table, *(Text.assemble(("advice:", "yellow"), " ", text) for text in advice)]
    return CommandResult(facts, words, status=0 if sound else 1)


def findings_of(runtime_url: str, others: Sequence[str], *, thorough: bool, ordered: bool) -> list[CheckResult]:
    """Checks as the runtime role. Serving may begin before sealing does, and on a server that cannot be closed entirely."""
    return asyncio.run(_findings(runtime_url, others, thorough=thorough, ordered=ordered))


async def _findings(runtime_url: str, others: Sequence[str], *, thorough: bool, ordered: bool) -> list[CheckResult]:
    try:
        connection = await connect(runtime_url, other_passwords=others, timeout=5, statement_cache_size=0)
    except (OSError, TimeoutError, asyncpg.PostgresError) as error:
        return [CheckResult("database", f"cannot connect: {type(error).__name__}")]
    try:
        async with connection.transaction():  # a pooler lends one server process to each
            findings = [await check_clocks(connection), *await check(connection)]
            if ordered:
                findings.append(await check_conditions(connection))
            if thorough and all(finding.problem is None for finding in findings):
                findings += [await check_server(connection), await check_sealer(connection)]
        return findings
    finally:
        await connection.close()


def check_before_serving(settings: Settings) -> None:
    """Exits unless the database passes the self-check; of several cells, at least one must, and none is served that does not."""
    if not settings.served_cells:
        if problem := _problem_before_serving(settings):
            raise CommandFailed(f"the self-check failed: {problem}")
        return
    from backend.cells.served import served_cells  # noqa: PLC0415 - loads what --help does not need

    try:
        cells = served_cells(settings)
    except MissingSettingError as error:
        raise CommandFailed(str(error)) from None
    problems = {name: _problem_before_serving(own) for name, own in cells.items()}
    failed = [f"{name}: {problem}" for name, problem in problems.items() if problem]
    if len(failed) == len(cells):
        raise CommandFailed(f"the self-check failed in every cell: {'; '.join(failed)}")
    for problem in failed:
        log.error("a cell is not served until it passes the self-check", problem=problem)


def _problem_before_serving(settings: Settings) -> str:
    """Returns what keeps a database from being served; empty for nothing."""
    runtime_url, *_ = needed(settings, "runtime_database_url", "context_key", "payload_key", "jwt_private_key")
    findings = findings_of(
        runtime_url, settings.other_passwords, thorough=False, ordered=not settings.accept_conditions_before_policies
    )
    return "; ".join(f"{finding.check}: {finding.problem}" for finding in findings if finding.problem)


def _doctor_of_every_cell() -> CommandResult:
    from backend.operation.signing import signing_from  # noqa: PLC0415 - loads what --help does not need

    settings = read_settings()

    async def run() -> list[dict[str, Any]]:
        async with signing_from(settings) as signing:
            return await _cells_checked(signing)

    cells = run_operator(run())
    sound = all(cell["ok"] for cell in cells)
    table = Table("cell", "check", "result")
    for cell in cells:
        for one in cell["checks"]:
            table.add_row(cell["cell"], one["check"], Text("ok", "green") if one["ok"] else Text(one["problem"], "red"))
    advice = [f"{cell['cell']}: {text}" for cell in cells for text in cell["advice"]]
    words: list[RenderableType] = [table, *(Text.assemble(("advice:", "yellow"), " ", text) for text in advice)]
    return CommandResult({"ok": sound, "cells": cells}, words, status=0 if sound else 1)


async def _cells_checked(signing: "Signing") -> list[dict[str, Any]]:
    from backend.operation import every_cell  # noqa: PLC0415
    from backend.operation.service import OperatorError  # noqa: PLC0415

    checked = []
    for asked in await every_cell.check_homes(signing):
        homes = asked.answer.result if asked.answer else CheckResult("homes", asked.problem)
        try:
            settings, url = every_cell.runtime_url(signing, asked.cell.name)
            findings = await _findings(url, settings.other_passwords, thorough=True, ordered=True)
        except OperatorError as error:
            findings = [CheckResult("database", str(error))]
        findings.append(homes)
        checked.append({
            "cell": asked.cell.name, "ok": all(finding.problem is None for finding in findings),
            "checks": [{"check": f.check, "ok": f.problem is None, "problem": f.problem} for f in findings],
            "advice": list(asked.answer.advice) if asked.answer else [],
        })  # fmt: skip
    return checked
