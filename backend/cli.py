"""The command line: `affidavit --help`."""

import asyncio
import os
from pathlib import Path
from typing import Annotated, Literal

import asyncpg
import typer

from backend import http_server, logging, metrics
from backend.command_output import CommandFailed, CommandGroup, CommandResult, doing, is_json, tell
from backend.documents.files.commands import ingest
from backend.evaluation.commands import evaluate
from backend.ledger.verifier_commands import audit_verifier, audit_verify
from backend.operation.archive_commands import archive
from backend.operation.balance_commands import cell_app
from backend.operation.check_commands import check as check_log
from backend.operation.command_line import needed, read_settings, refused, run_operator
from backend.operation.commands import AllCells, operator_key_app, tenant_app
from backend.operation.doctor_command import check_before_serving, doctor
from backend.operation.domain_commands import domain_app
from backend.operation.init_command import init
from backend.operation.issuer_commands import issuer_app
from backend.operation.key_commands import key_app
from backend.operation.restore_commands import restore
from backend.operation.retrieval_commands import calibrate, reembed
from backend.operation.rotation_commands import context_key_app, keys_app
from backend.operation.scim_commands import scim_app
from backend.operation.user_commands import user_app
from backend.provenance import VERSION
from backend.review.exports.commands import export
from backend.sources.commands import source_app
from backend.webhooks.commands import webhook_app

app = CommandGroup()
app.add_typer(tenant_app, name="tenant")
tenant_app.add_typer(domain_app, name="domain")
app.add_typer(cell_app, name="cell")
app.add_typer(user_app, name="user")
app.add_typer(key_app, name="key")
app.add_typer(issuer_app, name="issuer")
app.add_typer(scim_app, name="scim")
app.add_typer(webhook_app, name="webhook")
app.add_typer(source_app, name="source")
app.add_typer(operator_key_app, name="operator-key")
app.add_typer(keys_app, name="keys")
app.add_typer(context_key_app, name="context-key")
audit_app = CommandGroup(help="Verify the audit log and exports of it, and archive what need not be kept in it.")
app.add_typer(audit_app, name="audit")
audit_app.command("archive")(archive)
audit_app.command("check")(check_log)
audit_app.command("export")(export)
audit_app.command("restore")(restore)
audit_app.command("verifier")(audit_verifier)
audit_app.command("verify")(audit_verify)
app.command()(reembed)
app.command()(calibrate)
app.command()(ingest)
app.command()(evaluate)
app.command()(init)
app.command()(doctor)


def _print_version(asked: bool) -> None:  # noqa: FBT001 - typer calls it so
    if asked:
        tell(CommandResult({"version": VERSION}, f"affidavit {VERSION}"))
        raise typer.Exit


@app.callback()
def affidavit(
    *,
    _version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Answers from approved documents, each with a record that proves it.

    Start with [bold]affidavit demo[/bold].
    """


@app.command()
def demo(
    port: Annotated[int, typer.Option(help="Port of the service.", min=1, max=65535)] = 8000,
    model: Annotated[
        Literal["smollm2"] | None,
        typer.Option(help="Let a small language model answer, out of packages; unset means the built-in generator."),
    ] = None,
) -> CommandResult:
    """Serve two demo tenants from an embedded PostgreSQL; needs nothing else.

    Example: affidavit demo --port 8000
    """
    from backend.demo.run import DemoError, run  # noqa: PLC0415 - loads the model runtime

    _log_as_told()
    try:
        run(read_settings(), port, small_model=model is not None)
    except DemoError as error:
        raise CommandFailed(str(error)) from None
    return CommandResult({"stopped": "demo"}, "Stopped; the next start keeps everything.")


@app.command()
def backup(target: Annotated[Path, typer.Argument(help="The file to write.")]) -> CommandResult:
    """Write all that the embedded database's home folder holds to one file, while it runs or not. It holds keys: guard it.

    For another PostgreSQL see infra/README.md.

    Example: affidavit backup monday.tar
    """
    from backend.demo.backup import BackupError, back_up  # noqa: PLC0415

    try:
        size = back_up(read_settings().home_folder, target)
    except BackupError as error:
        raise CommandFailed(str(error)) from None
    return CommandResult({"file": target, "bytes": size}, f"Wrote {size:,} bytes to {target}.")


@app.command("restore")
def restore_backup(
    archive: Annotated[Path, typer.Argument(help="The backup.", exists=True, dir_okay=False)],
) -> CommandResult:
    """Make the home folder anew from a backup; AFFIDAVIT_HOME must be empty or missing.

    Example: AFFIDAVIT_HOME=/srv/restored affidavit restore monday.tar
    """
    from backend.demo.backup import BackupError  # noqa: PLC0415
    from backend.demo.backup import restore as make_anew  # noqa: PLC0415

    home = read_settings().home_folder
    try:
        made = make_anew(archive, home)
    except BackupError as error:
        raise CommandFailed(str(error)) from None
    told = f"{home} is as it was at {made}. Start it with `affidavit demo`; `affidavit doctor` then checks it."
    return CommandResult({"home": home, "as_of": made}, told)


@app.command()
def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.", min=1, max=65535)] = 8000,
    workers: Annotated[int, typer.Option(help="Processes.", min=1, max=64)] = 1,
) -> None:
    """Serve against the configured database; refuses to start when the self-check fails.

    Example: affidavit serve --host 0.0.0.0 --workers 4
    """
    _log_as_told()
    settings = read_settings()
    http_server.refuse_taken(host, port)
    check_before_serving(settings)
    logging.configure(settings.log_level, settings.log_format)
    with metrics.exposed(settings.metrics_host, settings.metrics_port, processes=workers):
        http_server.run(
            "backend.app:create_prepared_app",
            host=host,
            port=port,
            workers=workers,
            drain_seconds=settings.drain_seconds,
        )


@app.command()
def migrate(*, all_cells: AllCells = False) -> CommandResult:
    """Bring the database to this version's schema and policies, as its owner.

    Of all cells, one after the other in the directory's order; it stops at the first that fails, and goes on when given again.

    Example: AFFIDAVIT_DATABASE_URL=postgresql://affidavit_owner:…@db/affidavit affidavit migrate
    """
    if all_cells:
        return _migrate_every_cell()
    owner_url, context_key = needed(read_settings(), "database_url", "context_key")
    _migrate(owner_url, context_key)
    return CommandResult({"up_to_date": True}, "The schema and its policies are up to date.")


def _migrate(owner_url: str, context_key: str | None) -> None:
    """Brings one database to this version; exits with a sentence when that cannot be done."""
    from backend.migration import OtherContextKey, store_context_key  # noqa: PLC0415
    from backend.migration import migrate as apply  # noqa: PLC0415 - loads alembic
    from backend.tenancy import ContextSigner  # noqa: PLC0415

    try:
        differences = apply(owner_url)
        if context_key is not None:
            asyncio.run(store_context_key(owner_url, ContextSigner(context_key)))
    except OtherContextKey:
        raise CommandFailed(
            "the schema is up to date, but the database verifies contexts of another AFFIDAVIT_CONTEXT_KEY; "
            "to exchange it, run `affidavit context-key add`"
        ) from None
    except (OSError, asyncpg.PostgresError) as error:
        raise refused(error) from None
    if differences:
        raise CommandFailed("; ".join(f"{difference}: {difference.remedy}" for difference in differences))


def _migrate_every_cell() -> CommandResult:
    from backend.operation import every_cell  # noqa: PLC0415 - loads what --help does not need
    from backend.operation.signing import signing_from  # noqa: PLC0415

    settings = read_settings()

    async def known() -> list[every_cell.CellToMigrate]:
        async with signing_from(settings) as signing:
            return every_cell.to_migrate(signing)

    cells = run_operator(known())
    done, failed = [], None
    for cell in cells:
        try:
            with doing(f"migrating {cell.name}"):
                run_operator(every_cell.refuse_other(cell))
                _migrate(cell.owner_url, cell.context_key)
        except CommandFailed as error:
            failed = {"cell": cell.name, "problem": error.message}
            break
        done.append(cell.name)
    left = [cell.name for cell in cells[len(done) + (failed is not None) :]]
    facts = {"up_to_date": failed is None, "done": done, "failed": failed, "not_begun": left}
    if failed is None:
        return CommandResult(facts, f"The schema and its policies are up to date in {len(done)} cells.")
    words = [f"Up to date: {', '.join(done) or 'none'}.", f"Failed: {failed['cell']}: {failed['problem']}.",
             f"Not begun: {', '.join(left) or 'none'}."]  # fmt: skip
    return CommandResult(facts, words, status=1)


@app.command()
def sealer() -> None:
    """Seal audit events and sign checkpoints; several may run, one of them leads.

    Example: AFFIDAVIT_SEALER_DATABASE_URL=… AFFIDAVIT_CHECKPOINT_KEY="$(cat key.pem)" affidavit sealer
    """
    from backend import sealer as sealing  # noqa: PLC0415
    from backend.ledger.process import SealerNotConfigured  # noqa: PLC0415

    _log_as_told()
    try:
        asyncio.run(sealing.run(read_settings()))
    except SealerNotConfigured as error:
        raise CommandFailed(str(error)) from None


@app.command()
def worker(
    *, with_parent: Annotated[bool, typer.Option(hidden=True, help="End when the starting process has.")] = False
) -> None:
    """Do queued jobs, such as reading uploaded files; start as many as there are cores to spare.

    Example: AFFIDAVIT_RUNTIME_DATABASE_URL=… AFFIDAVIT_CONTEXT_KEY=… AFFIDAVIT_PAYLOAD_KEY=… affidavit worker
    """
    import uvloop  # noqa: PLC0415

    from backend import worker as working  # noqa: PLC0415 - loads the model runtime
    from backend.settings import MissingSettingError  # noqa: PLC0415

    _log_as_told()
    try:
        uvloop.run(working.run(read_settings(), with_parent=with_parent))
    except MissingSettingError as error:
        raise CommandFailed(str(error)) from None


def _log_as_told() -> None:
    """Has this process and those that it starts log as JSON where the command is asked for JSON."""
    if is_json():
        os.environ["AFFIDAVIT_LOG_FORMAT"] = "json"
