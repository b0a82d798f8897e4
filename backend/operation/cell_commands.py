"""`affidavit cell …` and `affidavit tenant move`: several databases, and which tenant is at home in which."""

from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import Progress
from rich.table import Table

from backend.command_output import CommandFailed, CommandGroup, CommandResult, progress, tell
from backend.operation.command_line import read_settings, run_operator
from backend.operation.commands import Slug, tenant_app
from backend.operation.signing import signing_from

cell_app = CommandGroup(help="Add and list cells: databases over which tenants are spread.")

CellName = Annotated[str, typer.Argument(help="The cell's name.")]


@cell_app.command("key")
def cell_key(
    path: Annotated[str, typer.Argument(help="Where the private key is written; the public one gets `.pub`.")],
) -> CommandResult:
    """Make the key that signs the directory. Whoever has it says where every tenant is at home.

    Example: affidavit cell key directory-key.pem
    """
    import os  # noqa: PLC0415

    from backend.ledger.checkpoints import SigningKey  # noqa: PLC0415

    key = SigningKey.generate(read_settings().directory_key_name)
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(key.pem())
    except OSError as error:
        raise CommandFailed(f"{path}: {error.strerror}") from None
    Path(f"{path}.pub").write_text(f"{key.verifier_key}\n", encoding="utf-8")
    return CommandResult({"files": [path, f"{path}.pub"]}, f"Wrote {path} and {path}.pub.")


@cell_app.command("add")
def cell_add(
    name: CellName,
    region: Annotated[str, typer.Option(help="Where its data is.")],
    address: Annotated[str, typer.Option(help="Where its processes answer, such as https://eu.affidavit.example.")],
    *,
    most_tenants: Annotated[
        int | None, typer.Option(help="Tenants above which nobody moves there or is made there.", min=1)
    ] = None,
    most_gigabytes: Annotated[
        float | None, typer.Option(help="Size of its database above which nobody does.", min=0.01)
    ] = None,
) -> CommandResult:
    """Add a cell to the directory, with the tenants in its database and their domains; given again, it adds what is new.

    Its limits are those that were given last. Nobody is turned out by one that is lower than what there is.
    Its settings are in AFFIDAVIT_CELLS_FOLDER, as NAME.toml.

    Example: affidavit cell add eu-1 --region eu --address https://eu.affidavit.example
    """
    from backend.cells.entries import CellEntry  # noqa: PLC0415 - loads what --help does not need
    from backend.operation.moving.adding import add_cell  # noqa: PLC0415

    settings = read_settings()
    most_bytes = None if most_gigabytes is None else int(most_gigabytes * 1e9)
    entered_cell = CellEntry(name, region, address, most_tenants=most_tenants, most_bytes=most_bytes)

    async def run() -> int:
        async with signing_from(settings) as signing, AsyncExitStack() as stack:
            return await add_cell(signing, await signing.opened(stack, name, named=False), entered_cell)

    entered = run_operator(run())
    told = f"{name} is in the directory; {entered} tenants were entered."
    return CommandResult({"cell": name, "tenants_entered": entered}, told)


@cell_app.command("list")
def cell_list() -> CommandResult:
    """List the cells: who is at home in each, whether its database answers, its revision and size, and how work goes there.

    Example: affidavit cell list
    """
    from backend.operation import every_cell  # noqa: PLC0415 - loads what --help does not need

    settings = read_settings()

    async def run() -> list[dict[str, Any]]:
        async with signing_from(settings) as signing:
            return await every_cell.states(signing)

    cells = run_operator(run())
    table = Table(
        "cell", "region", "address", "tenants", "revision", "size", "jobs queued", "events unsealed", "problem"
    )
    for cell in cells:
        size = "" if cell["bytes"] is None else f"{cell['bytes'] / 1e9:,.2f} GB"
        queued = "" if cell["jobs"] is None else cell["jobs"].get("queued", 0)
        shown = (
            cell["name"],
            cell["region"],
            cell["address"],
            cell["tenants"],
            cell["revision"],
            size,
            queued,
            cell["unsealed"],
        )
        table.add_row(*("" if one is None else str(one) for one in shown), cell["problem"] or "")
    return CommandResult(cells, table)


@cell_app.command("checkpoints")
def cell_checkpoints(
    folder: Annotated[Path | None, typer.Argument(help="Where the proof of each cell's checkpoint is written.")] = None,
) -> CommandResult:
    """Enter the newest checkpoint of every cell into one log, which the key of the directory signs; exit 1 if one has changed.

    Each cell proves that its log continues what was entered before. The verifier takes the proofs for kept checkpoints, with the
    directory's public key among its keys. Keep them where no cell's servers write.

    Example: affidavit cell checkpoints kept/
    """
    from backend.operation import cells_log  # noqa: PLC0415 - loads what --help does not need

    settings = read_settings()

    seen = settings.home_folder / "cells-checkpoints"
    last = seen.read_text(encoding="utf-8") if seen.exists() else ""

    async def run() -> "tuple[cells_log.CellsLog, list[dict[str, Any]]]":
        async with signing_from(settings) as signing:
            log, answers = await cells_log.record(signing, last)
            return log, cells_log.told(log, answers)

    log, cells = run_operator(run())
    seen.parent.mkdir(parents=True, exist_ok=True)
    seen.write_text(log.note, encoding="utf-8")
    newest = {cell: log.proof_of(entry) for cell, entry in log.newest.items()}
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        for cell, proof in newest.items():
            (folder / f"{cell}.note").write_text(proof, encoding="utf-8")
    table = Table("cell", "checkpoints", "leaf", "problem")
    for one in cells:
        table.add_row(
            one["cell"],
            *("" if one[name] is None else str(one[name]) for name in ("size", "leaf")),
            one["problem"] or "",
        )
    sound = all(one["problem"] is None for one in cells)
    facts = {"ok": sound, "leaves": len(log.entries), "cells": cells, "note": log.note}
    return CommandResult(facts, table, status=0 if sound else 1)


@cell_app.command("purge")
def cell_purge(name: CellName) -> None:
    """Remove the old copies of tenants that moved out of a cell and whose time of grace is over; run it daily, or more often.

    From old copies that stay, what was erased where the tenant is at home now is removed too.

    Example: affidavit cell purge eu-1
    """
    from backend.operation.moving.adding import purge_copies  # noqa: PLC0415

    settings = read_settings()

    def done(slug: str, rows: int, *, kept: bool) -> None:
        said = (
            f"Removed {rows} rows from the old copy of {slug}"
            if kept
            else f"Removed the old copy of {slug}: {rows} rows"
        )
        tell(CommandResult({"tenant": slug, "rows": rows, "kept": kept}, f"{said}."))

    async def run() -> None:
        async with signing_from(settings) as signing, AsyncExitStack() as stack:
            await purge_copies(signing, stack, name, done)

    run_operator(run())


@tenant_app.command("move")
def tenant_move(
    slug: Slug,
    to: Annotated[str, typer.Option(help="The cell that it moves to.")],
    *,
    grace_hours: Annotated[int, typer.Option(help="Hours for which the old copy stays.", min=0, max=8_760)] = 72,
    abort: Annotated[bool, typer.Option("--abort", help="Take back a move that did not come to its end.")] = False,
) -> CommandResult:
    """Move a tenant to another cell while it works; given again, it carries on.

    Example: affidavit tenant move meridian-bank --to eu-2
    """
    from backend.operation.moving.adding import mover  # noqa: PLC0415

    settings = read_settings()

    async def run(bar: Progress) -> None:
        task = bar.add_task("looking", total=None)
        async with (
            signing_from(settings) as signing,
            AsyncExitStack() as stack,
            mover(
                signing, stack, slug, to, timedelta(hours=grace_hours),
                lambda step, done, total: bar.update(task, description=step, completed=done, total=total),
            ) as moving,
        ):  # fmt: skip
            await (moving.abort() if abort else moving.move())

    with progress() as bar:
        run_operator(run(bar))
    told = f"{slug} stays where it was." if abort else f"{slug} is at home in {to}."
    return CommandResult({"tenant": slug, "to": to, "moved": not abort}, told)
