"""`affidavit audit restore`: declares what a restored database has lost of the log, so that sealing can go on."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import asyncpg
import typer

from backend.command_output import CommandFailed, CommandResult, ask_secret
from backend.operation.command_line import needed, owner_address, read_settings, run_operator

if TYPE_CHECKING:
    from backend.operation.restoring import Restoring


def restore(
    reason: Annotated[str | None, typer.Option(help="Why: proposes the declaration.")] = None,
    confirm: Annotated[UUID | None, typer.Option(help="The proposal that a second person confirms.")] = None,
    operator_key: Annotated[
        str | None, typer.Option(envvar="AFFIDAVIT_OPERATOR_KEY", help="Your own operator key; asked for if unset.")
    ] = None,
) -> CommandResult:
    """Declare what a restored or promoted database has lost of the log; two people do it, each with an operator key.

    Run it where the sealer runs, with its settings and the owner's AFFIDAVIT_DATABASE_URL. The sealer then goes on, and the
    verifier names the leaves that were lost.

    Example: affidavit audit restore --reason "Disk failure, restored to 02:00"
    """
    if (reason is None) == (confirm is None):
        raise CommandFailed("give --reason to propose, or --confirm with the id of a proposal")

    own_key = operator_key or ask_secret("Operator key")

    async def run(restoring: "Restoring") -> CommandResult:
        if confirm is not None:
            found = await restoring.confirm(confirm, own_key)
            told = f"Declared what {len(found)} logs have lost; the sealer goes on." if found else "Declared again."
            return CommandResult({"confirmed": confirm, "logs": len(found)}, told)
        lost = await restoring.lost()
        proposed = await restoring.propose(str(reason), own_key)
        words = [f"{one.log} has lost leaves {one.left.size} to {one.newest.size - 1}." for one in lost]
        logs = [{"log": one.log, "first_lost": one.left.size, "last_lost": one.newest.size - 1} for one in lost]
        words.append(f"Somebody else confirms it: affidavit audit restore --confirm {proposed}")
        return CommandResult({"proposal": proposed, "lost": logs}, words)

    return run_operator(_with_restoring(run))


async def _with_restoring(run: "Callable[[Restoring], Awaitable[CommandResult]]") -> CommandResult:
    from backend.ledger.keyring import KeyNotUsable, Keyring  # noqa: PLC0415 - loads what --help does not need
    from backend.ledger.process import sinks_from_settings  # noqa: PLC0415
    from backend.operation.restoring import Restoring  # noqa: PLC0415

    settings = read_settings()
    sealer_url, _ = needed(settings, "sealer_database_url", "checkpoint_key")
    try:
        keys = Keyring.from_settings(settings)
    except KeyNotUsable as error:
        raise CommandFailed(str(error)) from None
    owner = await asyncpg.connect(owner_address(settings))
    sealer = await asyncpg.connect(sealer_url)
    try:
        return await run(Restoring(owner, sealer, sinks_from_settings(settings), keys))
    finally:
        await sealer.close()
        await owner.close()
