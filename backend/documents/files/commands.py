"""`affidavit ingest`."""

from functools import partial
from pathlib import Path
from typing import Annotated

import httpx
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from backend.documents.files.folder_upload import Credentials, Summary, Uploader, UploadRefused, files_below

_console = Console(highlight=False, soft_wrap=True)
_errors = Console(stderr=True, highlight=False, soft_wrap=True)


def ingest(
    paths: Annotated[list[Path], typer.Argument(help="Files, or folders of files.", exists=True)],
    tenant: Annotated[str, typer.Option(help="The tenant's slug.")],
    collection: Annotated[str, typer.Option(help="The collection that the documents go to.")] = "default",
    key: Annotated[str | None, typer.Option(help="An API key.", envvar="AFFIDAVIT_API_KEY")] = None,
    username: Annotated[str | None, typer.Option(help="A user, instead of a key.")] = None,
    password: Annotated[str | None, typer.Option(help="Asked for if unset.", envvar="AFFIDAVIT_PASSWORD")] = None,
    url: Annotated[str, typer.Option(help="The service.", envvar="AFFIDAVIT_URL")] = "http://127.0.0.1:8000",
    source_type: Annotated[str, typer.Option(help="What kind of documents they are.")] = "document",
    metadata: Annotated[str, typer.Option(help="A JSON object for all of them.")] = "{}",
) -> None:
    """Upload files and folders, and wait until they are ingested. What is there unchanged already is skipped.

    Example: AFFIDAVIT_API_KEY=… affidavit ingest policies/ --tenant meridian-bank --collection default
    """
    if key is None and username is None:
        _errors.print("[red]error:[/red] set AFFIDAVIT_API_KEY, or name a user with --username")
        raise typer.Exit(1)
    if key is None and password is None:
        password = typer.prompt("Password", hide_input=True)
    credentials = Credentials(tenant, key, username, password)
    fields = {"collection": collection, "source_type": source_type, "metadata": metadata}
    try:
        with httpx.Client(base_url=url, timeout=60) as client:
            summary = _upload(Uploader(client, credentials), paths, fields)
    except UploadRefused as error:
        _errors.print(f"[red]error:[/red] {error}")
        raise typer.Exit(1) from None
    _console.print(f"{summary.ingested} ingested, {summary.unchanged} unchanged, {len(summary.failed)} failed")
    if summary.failed:
        raise typer.Exit(1)


def _upload(uploader: Uploader, paths: list[Path], fields: dict[str, str]) -> Summary:
    found, others = files_below(paths)
    for path in others:
        _errors.print(f"skipped, not of a supported type: {path}", markup=False)
    summary, jobs = Summary(), []
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=_errors) as progress:
        uploaded = progress.add_task("uploaded", total=len(found))
        ended = progress.add_task("ingested", total=len(found))
        for file in found:
            try:
                job = uploader.upload(file, fields)
            except UploadRefused as error:
                _failed(summary, file.doc_id, str(error))
                progress.advance(ended)
            else:
                if job is None:
                    summary.unchanged += 1
                    progress.advance(ended)
                else:
                    jobs.append((file.doc_id, job))
            progress.advance(uploaded)
        for doc_id, job in jobs:
            reason = uploader.wait(job, partial(_warned, doc_id))
            if reason is None:
                summary.ingested += 1
            else:
                _failed(summary, doc_id, reason)
            progress.advance(ended)
    return summary


def _warned(doc_id: str, warning: str) -> None:
    _errors.print(f"not all is in the text: {doc_id}: {warning}", markup=False)


def _failed(summary: Summary, doc_id: str, reason: str) -> None:
    summary.failed.append((doc_id, reason))
    _errors.print(f"failed: {doc_id}: {reason}", markup=False)
