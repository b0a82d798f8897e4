"""`affidavit audit export`."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from backend.client import Client
from backend.command_output import CommandResult, progress
from backend.identity.sign_in.as_caller import as_caller


@as_caller
def export(
    client: Client,
    file: Annotated[
        Path, typer.Argument(help="Where to write it; parts of a long export get numbers.", dir_okay=False)
    ],
    since: Annotated[datetime | None, typer.Option("--from", help="In UTC; a year ago if unset.")] = None,
    until: Annotated[datetime | None, typer.Option("--to", help="In UTC; now if unset.")] = None,
    reason: Annotated[str | None, typer.Option(help="Also export decrypted texts, for this reason.")] = None,
) -> CommandResult:
    """Export the audit log as a bundle: asks for it, waits until it is written, and fetches it. Prints the files.

    Example: AFFIDAVIT_PASSWORD=… affidavit audit export export.zip --tenant meridian-bank --username compliance
    """
    end = until or datetime.now(UTC)
    with progress() as bar:
        task = bar.add_task("leaves", total=None)
        asked = client.exports.request(_utc(since or end - timedelta(days=365)), _utc(end), reason=reason)
        written = client.exports.fetch(
            asked, file, lambda so_far: bar.update(task, completed=so_far.done, total=so_far.total)
        )
    return CommandResult({"files": written}, [str(path) for path in written])


def _utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=moment.tzinfo or UTC)
