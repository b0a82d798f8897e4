"""`affidavit evaluate`."""

import json
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import typer
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from backend.client import AffidavitError, Client
from backend.command_output import CommandResult, progress
from backend.identity.sign_in.as_caller import as_caller

_SHOWN = 80  # characters of a question in the table
_MEMBERS = ("question", "expected", "value", "owner", "collection", "reported_turn")


@as_caller
def evaluate(
    client: Client,
    name: Annotated[str, typer.Argument(help="The set's name.")],
    file: Annotated[
        Path | None,
        typer.Option("--set", help="Questions as JSON lines; a new version is written where they differ.", exists=True),
    ] = None,
    change: Annotated[UUID | None, typer.Option(help="A proposed change to try.")] = None,
) -> CommandResult:
    """Run an evaluation set, and say what differs from the run that was approved last; exit 1 when it is worse.

    A line of the file is {"question": …, "expected": "document" | "quote" | "refusal", "value": …}, and may name an owner and a
    collection. A version that nobody has approved is run as well, but its run cannot be approved.

    Example: AFFIDAVIT_API_KEY=… affidavit evaluate card-disputes --tenant meridian-bank --set questions.jsonl --json
    """
    questions = None if file is None else _questions(file)
    with progress() as bar:
        version = None if questions is None else _version(client, name, questions)
        task = bar.add_task("questions", total=None)
        made = client.evaluations.run(
            name, version=version, change=change,
            progress=lambda so_far: bar.update(task, completed=so_far.done, total=so_far.total),
        )  # fmt: skip
        asked = client.evaluations.get_set(name, made["version"])
    if asked is None:
        raise AffidavitError("the set is not there any more")
    worse = made["compared"] is not None and made["compared"]["worse"]
    return CommandResult(made, _words(made, asked["questions"]), status=1 if worse else 0)


def _questions(file: Path) -> list[dict[str, Any]]:
    """Returns the questions of a file of JSON lines; exits with the number of a line that is none."""
    found = list[dict[str, Any]]()
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1):
        if not line.strip():
            continue
        try:
            question = json.loads(line)
        except ValueError:
            question = None
        if not isinstance(question, dict):
            raise typer.BadParameter(f"line {number} is no JSON object", param_hint="--set")
        found.append(question)
    if not found:
        raise typer.BadParameter("has no question", param_hint="--set")
    return found


def _version(client: Client, name: str, questions: list[dict[str, Any]]) -> int:
    """Returns the newest version of a set when it asks the same, else that of one which is written now."""
    newest = client.evaluations.newest_version(name)
    if newest is not None and _same(newest["questions"], questions):
        return int(newest["version"])
    return int(client.evaluations.write(name, questions)["version"])


def _same(known: list[dict[str, Any]], wanted: list[dict[str, Any]]) -> bool:
    """Tells whether two lists ask the same; a question that names no owner keeps the one that it has."""
    if len(known) != len(wanted) or any(set(question) - set(_MEMBERS) for question in wanted):
        return False
    return all(
        question.get(member) == before.get(member) or (member == "owner" and member not in question)
        for before, question in zip(known, wanted, strict=True)
        for member in _MEMBERS
    )


def _words(made: dict[str, Any], questions: list[dict[str, Any]]) -> list[RenderableType]:
    compared = made["compared"] or {"newly_failed": [], "newly_passed": []}
    table = Table("", "question", "result", "before")
    for question, result in zip(questions, made["results"], strict=True):
        position = result["position"]
        before = (
            "passed"
            if position in compared["newly_failed"]
            else "failed"
            if position in compared["newly_passed"]
            else ""
        )
        said = Text("passed", "green") if result["passed"] else Text(str(result["why"]), "red")
        table.add_row(str(position), question["question"][:_SHOWN], said, before)
    approved = "No run of this set was approved yet." if made["compared"] is None else _difference(made["compared"])
    return [table, f"{made['passed']} of {made['questions']} passed.", approved]


def _difference(compared: dict[str, Any]) -> str:
    differs = ", ".join(compared["differs"]) or "nothing"
    verdict = "Worse than" if compared["worse"] else "Not worse than"
    return f"{verdict} the approved run {compared['run']}; different since: {differs}."
