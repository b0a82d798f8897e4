"""`affidavit cell plan|drain|remove`: which tenants should move, and cells that are given up."""

from dataclasses import asdict
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import RenderableType
from rich.progress import Progress
from rich.table import Table

from backend.command_output import CommandFailed, CommandResult, progress, tell
from backend.operation.cell_commands import CellName, cell_app
from backend.operation.command_line import read_settings, run_operator
from backend.operation.signing import signing_from

__all__ = ["cell_app"]

if TYPE_CHECKING:
    from backend.operation.every_cell import CellAnswer
    from backend.operation.moving.planning import MeasuredTenant, ProposedMove


@cell_app.command("plan")
def cell_plan(
    *, most_moves: Annotated[int, typer.Option(help="How many moves a day are proposed at most.", min=1, max=1000)] = 3
) -> CommandResult:
    """Propose which tenants move where, and say why; changes nothing.

    A tenant stays in its region. Cells that are being emptied come first, then large tenants that share a cell, then cells that
    have much more to hold and to do than others. Exit 1 if a cell does not answer, which is left out.

    Example: affidavit cell plan --most-moves 5
    """
    from backend.operation import every_cell  # noqa: PLC0415 - loads what --help does not need
    from backend.operation.moving.planning import counted  # noqa: PLC0415

    settings = read_settings()

    async def run() -> "list[CellAnswer[list[MeasuredTenant]]]":
        async with signing_from(settings) as signing:
            return await every_cell.measure(signing)

    answers = run_operator(run())
    plan = every_cell.proposed(answers, most_moves)
    sizes = counted(tenant for asked in answers for tenant in asked.answer or ())
    cells: list[dict[str, Any]] = [
        {
            "cell": asked.cell.name, "region": asked.cell.region, "state": asked.cell.state,
            **sizes.get(asked.cell.name, {"tenants": 0, "chunks": 0, "chunks_per_day": 0.0, "events_per_day": 0.0}),
            "share": plan.before[asked.cell.name], "share_after": plan.after[asked.cell.name],
        }
        for asked in answers if asked.problem is None
    ]  # fmt: skip
    silent = [{"cell": asked.cell.name, "problem": asked.problem} for asked in answers if asked.problem]
    table = Table("cell", "region", "tenants", "chunks", "a day", "events a day", "share of the region", "after")
    for cell in cells:
        figures = (cell["tenants"], cell["chunks"], cell["chunks_per_day"], cell["events_per_day"])
        shares = (cell["share"], cell["share_after"])
        table.add_row(
            cell["cell"], cell["region"], *(f"{one:,.0f}" for one in figures), *(f"{one:.0%}" for one in shares)
        )
    words: list[RenderableType] = [
        table,
        *(f"affidavit tenant move {move.tenant} --to {move.target}   # {move.why}" for move in plan.moves),
        *([] if plan.moves else ["Nothing is to be moved."]),
        *(f"{slug} has nowhere to go in its region" for slug in plan.stuck),
        *(f"{one['cell']}: {one['problem']}" for one in silent),
    ]
    facts = {
        "moves": [asdict(move) for move in plan.moves], "stuck": plan.stuck, "cells": cells, "without_answer": silent
    }  # fmt: skip
    return CommandResult(facts, words, status=1 if silent else 0)


@cell_app.command("drain")
def cell_drain(
    name: CellName,
    *,
    to: Annotated[str | None, typer.Option(help="The cell that takes all; unset means where most room is.")] = None,
    grace_hours: Annotated[int, typer.Option(help="Hours for which old copies stay.", min=0, max=8_760)] = 72,
) -> None:
    """Empty a cell: nobody moves there any more, and its tenants move to others of its region, one after the other.

    Given again, it goes on. A tenant that cannot move stays and works, and the others move. `affidavit cell add` takes it back.

    Example: affidavit cell drain eu-1
    """
    from backend.operation import balancing  # noqa: PLC0415

    settings = read_settings()

    def ended(move: "ProposedMove", problem: str | None) -> None:
        facts = {"tenant": move.tenant, "to": move.target, "moved": problem is None, "problem": problem}
        said = f"is at home in {move.target}." if problem is None else f"stays: {problem}"
        tell(CommandResult(facts, f"{move.tenant} {said}"))

    async def run(bar: Progress) -> list[str]:
        task = bar.add_task("measuring", total=None)
        async with signing_from(settings) as signing:
            return await balancing.drain(
                signing, name, timedelta(hours=grace_hours),
                lambda move, step, done, total: bar.update(
                    task, description=f"{move.tenant}: {step}", completed=done, total=total
                ),
                ended, to,
            )  # fmt: skip

    with progress() as bar:
        left = run_operator(run(bar))
    if left:
        raise CommandFailed(f"still at home in {name}: {', '.join(left)}")


@cell_app.command("remove")
def cell_remove(
    name: CellName,
    *,
    lost: Annotated[bool, typer.Option("--lost", help="Its servers are gone for good, with what they held.")] = False,
    reason: Annotated[str, typer.Option(help="With --lost: why. The directory says it for good.")] = "",
) -> CommandResult:
    """Take an empty cell out of the directory; refused while a tenant is at home there, or an old copy waits.

    With --lost, one whose servers are gone for good; refused while its database answers. Who is at home there is named, and told
    so by every process. `affidavit cell add` takes it back when it was restored.

    Example: affidavit cell remove eu-1
    """
    from backend.operation import balancing  # noqa: PLC0415

    settings = read_settings()

    async def run() -> list[str]:
        async with signing_from(settings) as signing:
            if lost:
                return await balancing.remove_lost(signing, name, reason)
            await balancing.remove(signing, name)
            return []

    tenants = run_operator(run())
    facts = {"cell": name, "removed": not lost, "lost": lost, "tenants": tenants}
    if lost:
        return CommandResult(facts, f"{name} is lost. At home there: {', '.join(tenants) or 'nobody'}.")
    return CommandResult(facts, f"{name} is no cell any more.")
