"""`affidavit ingest`."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import typer
from rich.progress import TimeRemainingColumn

from backend.client import AffidavitError, Client, Job
from backend.command_output import CommandResult, progress, remark
from backend.documents.files.folder_upload import AmbiguousName, LocalFile, Summary, files_below
from backend.identity.sign_in.as_caller import as_caller


@dataclass(frozen=True, slots=True)
class Shared:
    """What all files of one command have in common."""

    collection: str
    source_type: str
    metadata: dict[str, Any]


@as_caller
def ingest(
    client: Client,
    paths: Annotated[list[Path], typer.Argument(help="Files, or folders of files.", exists=True)],
    collection: Annotated[str, typer.Option(help="The collection that the documents go to.")] = "default",
    source_type: Annotated[str, typer.Option(help="What kind of documents they are.")] = "document",
    root: Annotated[
        Path | None,
        typer.Option(help="Documents are called by their path below this folder.", exists=True, file_okay=False),
    ] = None,
    metadata: Annotated[str, typer.Option(help="A JSON object for all of them.")] = "{}",
) -> CommandResult:
    """Upload files and folders, and wait until they are ingested. What is there unchanged already is skipped.

    A document is called by its path below --root. Without it, the path begins with the name of the folder that you name,
    wherever you are. Exit status 1 says that something was not ingested.

    Example: AFFIDAVIT_API_KEY=… affidavit ingest policies/ --tenant meridian-bank --collection default
    """
    shared = Shared(collection, source_type, _json_object(metadata))
    try:
        found, others = files_below(paths, root)
    except AmbiguousName as error:
        raise AffidavitError(str(error)) from error
    for path in others:
        remark(f"skipped, not of a supported type: {path}")
    summary = _upload(client, found, shared)
    told = f"{summary.ingested} ingested, {summary.unchanged} unchanged, {len(summary.failed)} failed"
    failed = [{"doc_id": doc_id, "reason": reason} for doc_id, reason in summary.failed]
    facts = {"ingested": summary.ingested, "unchanged": summary.unchanged, "failed": failed, "skipped": others}
    return CommandResult(facts, told, status=1 if failed else 0)


def _json_object(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise typer.BadParameter("must be a JSON object", param_hint="--metadata")
    return value


def _upload(client: Client, files: list[LocalFile], shared: Shared) -> Summary:
    summary, jobs = Summary(), list[tuple[str, UUID]]()
    with progress(TimeRemainingColumn()) as bar:
        uploaded = bar.add_task("uploaded", total=len(files))
        ended = bar.add_task("ingested", total=len(files))
        for file in files:
            try:
                upload = client.documents.upload(file.path, doc_id=file.doc_id, **asdict(shared))
            except AffidavitError as error:
                _failed(summary, file.doc_id, str(error))
                bar.advance(ended)
            else:
                if upload.job_id is None:
                    summary.unchanged += 1
                    bar.advance(ended)
                else:
                    jobs.append((file.doc_id, upload.job_id))
            bar.advance(uploaded)
        for doc_id, job_id in jobs:
            try:
                _warn(doc_id, client.jobs.wait(job_id))
                summary.ingested += 1
            except AffidavitError as error:
                _failed(summary, doc_id, str(error))
            bar.advance(ended)
    return summary


def _warn(doc_id: str, job: Job) -> None:
    for warning in (job.result or {}).get("warnings", ()):
        remark(f"not all is in the text: {doc_id}: {warning['kind']}: {warning['place']}")


def _failed(summary: Summary, doc_id: str, reason: str) -> None:
    summary.failed.append((doc_id, reason))
    remark(f"failed: {doc_id}: {reason}")
