"""The command line: `affidavit --help`."""

import asyncio
from pathlib import Path
from typing import Annotated

import asyncpg
import typer
import uvicorn
from rich.table import Table

from backend import http_server
from backend.documents.files.commands import ingest
from backend.identity.callers.permissions import Permission, Role
from backend.operation.archive_commands import archive
from backend.operation.commands import operator_key_app, tenant_app
from backend.operation.issuer_commands import issuer_app
from backend.operation.restore_commands import restore
from backend.operation.retrieval_commands import outgrown_tenants, reembed
from backend.operation.terminal import console, database_urls, fail, needed, read_settings, run_operator
from backend.provenance import VERSION
from backend.self_check import Finding, check, check_conditions, check_sealer, check_server

app = typer.Typer(
    no_args_is_help=True, add_completion=False, rich_markup_mode="rich", pretty_exceptions_enable=False,
)  # fmt: skip
user_app = typer.Typer(no_args_is_help=True, help="Create users.")
key_app = typer.Typer(no_args_is_help=True, help="Create API keys.")
app.add_typer(tenant_app, name="tenant")
app.add_typer(user_app, name="user")
app.add_typer(key_app, name="key")
app.add_typer(issuer_app, name="issuer")
app.add_typer(operator_key_app, name="operator-key")
audit_app = typer.Typer(
    no_args_is_help=True, help="Verify exports of the audit log, and archive what need not be kept in it."
)
app.add_typer(audit_app, name="audit")
audit_app.command("archive")(archive)
audit_app.command("restore")(restore)
app.command()(reembed)
app.command()(ingest)


def _print_version(asked: bool) -> None:  # noqa: FBT001 - typer calls it so
    if asked:
        console.print(f"affidavit {VERSION}", highlight=False)
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
def demo(port: Annotated[int, typer.Option(help="Port of the service.", min=1, max=65535)] = 8000) -> None:
    """Serve two demo tenants from an embedded PostgreSQL; needs nothing else.

    Example: affidavit demo --port 8000
    """
    from backend.demo.run import DemoError, run  # noqa: PLC0415 - loads the model runtime

    try:
        run(read_settings(), port)
    except DemoError as error:
        raise fail(str(error)) from None


@app.command()
def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.", min=1, max=65535)] = 8000,
    workers: Annotated[int, typer.Option(help="Processes.", min=1, max=64)] = 1,
) -> None:
    """Serve against the configured database; refuses to start when the self-check fails.

    Example: affidavit serve --host 0.0.0.0 --workers 4
    """
    settings = read_settings()
    runtime_url, *_ = needed(settings, "runtime_database_url", "context_key", "payload_key", "jwt_private_key")
    findings = _self_check(runtime_url, thorough=False, ordered=not settings.accept_conditions_before_policies)
    if problems := [finding for finding in findings if finding.problem]:
        raise fail("the self-check failed: " + "; ".join(f"{finding.check}: {finding.problem}" for finding in problems))
    uvicorn.run("backend.app:create_app", factory=True, host=host, port=port, workers=workers, **http_server.options())


@app.command()
def migrate() -> None:
    """Bring the database to this version's schema and policies, as its owner.

    Example: AFFIDAVIT_DATABASE_URL=postgresql://affidavit_owner:…@db/affidavit affidavit migrate
    """
    from backend.migration import migrate as apply  # noqa: PLC0415 - loads alembic
    from backend.migration import store_context_key  # noqa: PLC0415
    from backend.tenancy import ContextSigner  # noqa: PLC0415

    owner_url, context_key = needed(read_settings(), "database_url", "context_key")
    try:
        differences = apply(owner_url)
        asyncio.run(store_context_key(owner_url, ContextSigner(context_key)))
    except (OSError, asyncpg.PostgresError) as error:
        raise fail(f"the database refused: {error}") from None
    if differences:
        raise fail("; ".join(f"{difference}: {difference.remedy}" for difference in differences))
    console.print("The schema and its policies are up to date.")


@app.command()
def sealer() -> None:
    """Seal audit events and sign checkpoints; several may run, one of them leads.

    Example: AFFIDAVIT_SEALER_DATABASE_URL=… AFFIDAVIT_CHECKPOINT_KEY="$(cat key.pem)" affidavit sealer
    """
    from backend import logging  # noqa: PLC0415
    from backend.ledger import process as sealing  # noqa: PLC0415

    settings = read_settings()
    logging.configure(settings.log_level)
    try:
        asyncio.run(sealing.run(settings))
    except sealing.SealerNotConfigured as error:
        raise fail(str(error)) from None
    except KeyboardInterrupt:
        return


@app.command()
def worker(
    *, with_parent: Annotated[bool, typer.Option(hidden=True, help="End when the starting process has.")] = False
) -> None:
    """Do queued jobs, such as reading uploaded files; start as many as there are cores to spare.

    Example: AFFIDAVIT_RUNTIME_DATABASE_URL=… AFFIDAVIT_CONTEXT_KEY=… AFFIDAVIT_PAYLOAD_KEY=… affidavit worker
    """
    from backend import worker as working  # noqa: PLC0415 - loads the model runtime
    from backend.settings import MissingSettingError  # noqa: PLC0415

    try:
        asyncio.run(working.run(read_settings(), with_parent=with_parent))
    except MissingSettingError as error:
        raise fail(str(error)) from None
    except KeyboardInterrupt:
        return


@app.command()
def doctor(*, as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Check role, row-level security, policies, versions and keys; exit 1 if anything is wrong.

    Also names tenants that have outgrown the shared partition, which is advice and not an error.

    Example: affidavit doctor --json
    """
    urls = database_urls(read_settings())
    findings = _self_check(urls["runtime_url"], thorough=True, ordered=True)
    sound = all(finding.problem is None for finding in findings)
    outgrown = asyncio.run(outgrown_tenants(urls["owner_url"])) if sound else []
    if as_json:
        checks = [{"check": f.check, "ok": f.problem is None, "problem": f.problem} for f in findings]
        promotions = [{"tenant": slug, "chunks": chunks} for slug, chunks in outgrown]
        console.print_json(data={"ok": sound, "checks": checks, "promotions_proposed": promotions})
    else:
        table = Table("check", "result")
        for finding in findings:
            table.add_row(finding.check, f"[red]{finding.problem}[/red]" if finding.problem else "[green]ok[/green]")
        console.print(table)
        for slug, chunks in outgrown:
            console.print(f"[yellow]advice:[/yellow] {slug} has {chunks} chunks; run `affidavit tenant promote {slug}`")
    if not sound:
        raise typer.Exit(1)


def _self_check(runtime_url: str, *, thorough: bool, ordered: bool) -> list[Finding]:
    """Checks as the runtime role. Serving may begin before sealing does, and on a server that cannot be closed entirely."""

    async def run() -> list[Finding]:
        try:
            connection = await asyncpg.connect(runtime_url, timeout=5)
        except (OSError, TimeoutError, asyncpg.PostgresError) as error:
            return [Finding("database", f"cannot connect: {type(error).__name__}")]
        try:
            findings = await check(connection)
            if ordered:
                findings.append(await check_conditions(connection))
            if thorough and all(finding.problem is None for finding in findings):
                findings += [await check_server(connection), await check_sealer(connection)]
            return findings
        finally:
            await connection.close()

    return asyncio.run(run())


@user_app.command("create")
def user_create(
    tenant: Annotated[str, typer.Argument(help="The tenant's slug.")],
    username: Annotated[str, typer.Argument(help="The name to sign in with.")],
    role: Annotated[list[Role], typer.Option(help="A role; repeat for more.")],
) -> None:
    """Create a user; the password is asked for, or read from standard input.

    Example: affidavit user create meridian-bank jane --role editor
    """
    password = typer.prompt("Password", hide_input=True, confirmation_prompt=True)

    async def run() -> None:
        async with operator(database_urls(read_settings())["owner_url"]) as acting:
            await acting.create_user(await acting.tenant(tenant), username, password, role)

    from backend.operation.service import operator  # noqa: PLC0415

    run_operator(run())
    console.print(f"Created the user {username} of {tenant}.")


@key_app.command("create")
def key_create(
    tenant: Annotated[str, typer.Argument(help="The tenant's slug.")],
    name: Annotated[str, typer.Argument(help="What the key is for.")],
    permission: Annotated[list[Permission], typer.Option(help="A permission; repeat for more.")],
    collection: Annotated[list[str] | None, typer.Option(help="A collection it may read; repeat for more.")] = None,
    write: Annotated[list[str] | None, typer.Option(help="A collection it may write; repeat for more.")] = None,
) -> None:
    """Create an API key and print it, the only time that it is shown.

    Example: affidavit key create meridian-bank portal --permission retrieval:query
    """

    async def run() -> str:
        async with operator(database_urls(read_settings())["owner_url"]) as acting:
            return await acting.create_key(
                await acting.tenant(tenant), name, permission, collection or ["default"], writable=write or ()
            )

    from backend.operation.service import operator  # noqa: PLC0415

    console.print(run_operator(run()))


@audit_app.command("verify")
def audit_verify(
    bundles: Annotated[list[Path], typer.Argument(help="A bundle; or the parts of an export, or it and its archives.")],
    key: Annotated[str, typer.Option(help="File with the public key, or the key itself.")],
    checkpoints: Annotated[
        Path | None, typer.Option(help="Checkpoints that you kept: a file, a folder, or another bundle.")
    ] = None,
) -> None:
    """Verify bundles offline; exit 0 only if nothing was changed, lost or forged. One line per finding.

    Example: affidavit audit verify export.zip --key checkpoint-key.pub --checkpoints kept/
    """
    from backend.ledger import verifier  # noqa: PLC0415

    kept = ["--checkpoints", str(checkpoints)] if checkpoints else []
    raise typer.Exit(verifier.main([*map(str, bundles), "--key", key, *kept]))
