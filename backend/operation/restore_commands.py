"""`affidavit audit restore`: declares what a restored database has lost of the log, so that sealing can go on."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import asyncpg
import typer

from backend.operation.terminal import console, database_urls, fail, needed, read_settings, run_operator

if TYPE_CHECKING:
    from backend.operation.restoring import Restoring


def restore(
    reason: Annotated[str | None, typer.Option(help="Why: proposes the declaration.")] = None,
    confirm: Annotated[UUID | None, typer.Option(help="The proposal that a second person confirms.")] = None,
    operator_key: Annotated[
        str, typer.Option(envvar="AFFIDAVIT_OPERATOR_KEY", prompt=True, hide_input=True, help="Your own operator key.")
    ] = "",
) -> None:
    """Declare what a restored or promoted database has lost of the log; two people do it, each with an operator key.

    Run it where the sealer runs, with its settings and the owner's AFFIDAVIT_DATABASE_URL. The sealer then goes on, and the
    verifier names the leaves that were lost.

    Example: affidavit audit restore --reason "Disk failure, restored to 02:00"
    """
    if (reason is None) == (confirm is None):
        raise fail("give --reason to propose, or --confirm with the id of a proposal")

    async def run(restoring: "Restoring") -> None:
        if reason is not None:
            for one in await restoring.lost():
                console.print(f"{one.log} has lost leaves {one.left.size} to {one.newest.size - 1}.")
            proposed = await restoring.propose(reason, operator_key)
            console.print(f"Somebody else confirms it: affidavit audit restore --confirm {proposed}")
        elif confirm is not None:
            found = await restoring.confirm(confirm, operator_key)
            console.print(
                f"Declared what {len(found)} logs have lost; the sealer goes on." if found else "Declared again."
            )

    run_operator(_with_restoring(run))


async def _with_restoring(run: "Callable[[Restoring], Awaitable[None]]") -> None:
    from backend.ledger.checkpoints import SigningKey  # noqa: PLC0415 - loads what --help does not need
    from backend.ledger.process import sinks_from_settings  # noqa: PLC0415
    from backend.operation.restoring import Restoring  # noqa: PLC0415

    settings = read_settings()
    sealer_url, pem = needed(settings, "sealer_database_url", "checkpoint_key")
    owner = await asyncpg.connect(database_urls(settings)["owner_url"])
    sealer = await asyncpg.connect(sealer_url)
    try:
        key = SigningKey.load(settings.checkpoint_key_name, pem.encode())
        await run(Restoring(owner, sealer, sinks_from_settings(settings), key))
    finally:
        await sealer.close()
        await owner.close()
