"""`affidavit source …`: from where documents of a tenant come by themselves, as an administrator of it says."""

from collections.abc import Mapping
from typing import Annotated, Any
from uuid import UUID

import typer
from rich.table import Table

from backend.client import Client
from backend.command_output import CommandGroup, CommandResult, ask_secret
from backend.identity.sign_in.as_caller import as_caller

source_app = CommandGroup(help="Let documents of a tenant come from elsewhere by themselves.")

Source = Annotated[UUID, typer.Argument(help="The source's id, as `affidavit source list` shows it.")]


@source_app.command("create")
@as_caller
def create(  # noqa: PLR0913 - each is an option
    client: Client,
    name: Annotated[str, typer.Argument(help="What people call it.")],
    address: Annotated[
        str, typer.Argument(help="Where it is: HTTPS, or IMAPS for mail, on a host that the operator allows.")
    ],
    kind: Annotated[str, typer.Option(help="urls, sitemap, s3, webdav, imap or graph.")],
    collection: Annotated[str, typer.Option(help="Where its documents go; it must ask for approvals.")],
    source_type: Annotated[str, typer.Option(help="What kind of documents they are.")] = "document",
    prefix: Annotated[str | None, typer.Option(help="Of a bucket, only objects whose keys begin so.")] = None,
    region: Annotated[str | None, typer.Option(help="Where a bucket is.")] = None,
    authority: Annotated[
        str | None, typer.Option(help="The directory of a library: https://login.microsoftonline.com/DIRECTORY.")
    ] = None,
    every: Annotated[int | None, typer.Option(help="Minutes between two runs.")] = None,
    daily_at: Annotated[str | None, typer.Option(help="When it runs each day, in UTC: 02:30.")] = None,
    credential: Annotated[
        list[str] | None,
        typer.Option(help="What the source asks for, such as password; each is asked for, and not shown."),
    ] = None,
) -> CommandResult:
    """Let documents of a collection come from a source, and print its id.

    Example: affidavit source create intranet https://www.bank.example/sitemap.xml --kind sitemap --collection policies
    --every 60 --tenant meridian-bank --username admin
    """
    # On the command line, others of the machine could read them.
    proof = {name: ask_secret(name) for name in credential or []} or None
    schedule, options = {"every_minutes": every, "daily_at": daily_at}, {
        "prefix": prefix, "region": region, "authority": authority,
    }  # fmt: skip
    more = {"schedule": schedule, "options": options, "source_type": source_type, "credentials": proof}
    made = client.sources.create(name, kind, collection, address, **more)
    return CommandResult(made, str(made.id))


@source_app.command("list")
@as_caller
def list_sources(client: Client) -> CommandResult:
    """List sources, and how they fare.

    Example: affidavit source list --tenant meridian-bank --username admin
    """
    found = client.sources.list()
    table = Table("id", "name", "kind", "collection", "state", "last run", "next run")
    for one in found:
        last = "" if one.last_run is None else f"{one.last_run.state} {one.last_run.reason or ''}".strip()
        due = "" if one.next_run_at is None else f"{one.next_run_at:%Y-%m-%d %H:%M}Z"
        table.add_row(str(one.id), one.name, one.kind, one.collection, one.status, last, due)
    return CommandResult(found, table)


@source_app.command("run")
@as_caller
def run(
    client: Client,
    source: Source,
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what a run would do.")] = False,
    accept_gone: Annotated[bool, typer.Option("--accept-gone", help="Go on although most files are gone.")] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until it is over, and print what came of it.")] = False,
) -> CommandResult:
    """Run a source now, and print the run's id, or what came of it.

    Example: affidavit source run ID --dry-run --wait --tenant meridian-bank --username admin
    """
    asked = client.sources.run(source, dry_run=dry_run, accept_gone=accept_gone)
    if not wait:
        return CommandResult(asked, str(asked.id))
    client.jobs.wait(asked.id)
    done = client.sources.run_details(source, asked.id)
    files = [f"{one.change}  {one.path or '-'}  {one.reason or ''}".rstrip() for one in done.changes or ()]
    return CommandResult(done, "\n".join([_counts(done.counts), *files]))


@source_app.command("runs")
@as_caller
def runs(client: Client, source: Source) -> CommandResult:
    """List the last runs of a source.

    Example: affidavit source runs ID --tenant meridian-bank --username admin
    """
    found = client.sources.runs(source)
    table = Table("id", "began", "state", "dry", "counts")
    for one in found:
        state = one.state if one.reason is None else f"{one.state} ({one.reason})"
        dry = "yes" if one.dry_run else ""
        table.add_row(str(one.id), f"{one.created_at:%Y-%m-%d %H:%M:%S}Z", state, dry, _counts(one.counts))
    return CommandResult(found, table)


@source_app.command("enable")
@as_caller
def enable(client: Client, source: Source) -> CommandResult:
    """Let a source run again; who says so answers for what it writes.

    Example: affidavit source enable ID --tenant meridian-bank --username admin
    """
    return CommandResult(client.sources.change(source, status="enabled"), "It runs again.")


@source_app.command("disable")
@as_caller
def disable(client: Client, source: Source) -> CommandResult:
    """Let a source run no more until it is enabled again.

    Example: affidavit source disable ID --tenant meridian-bank --username admin
    """
    return CommandResult(client.sources.change(source, status="disabled"), "It does not run any more.")


@source_app.command("delete")
@as_caller
def delete(client: Client, source: Source) -> CommandResult:
    """Forget a source; the documents that came from it stay.

    Example: affidavit source delete ID --tenant meridian-bank --username admin
    """
    client.sources.delete(source)
    return CommandResult({"source": source}, "It is forgotten; what came from it stays.")


def _counts(counts: Mapping[str, Any] | None) -> str:
    return ", ".join(f"{count} {name}" for name, count in (counts or {}).items() if name != "reasons" and count) or "-"
