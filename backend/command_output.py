"""How commands tell what they did: people in words, and programs, with `--json`, by one JSON document.

A command returns its result. One that does several things tells each when it is done; with `--json` that is a line for each.
Only this module writes to standard output. What is said meanwhile goes to standard error, and with `--json` as lines of JSON.
"""

import inspect
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeAlias

import orjson
import typer
from rich.console import Console, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, TextColumn
from rich.text import Text
from typer.core import TyperGroup

from backend import logging

FAILED = 1
_OPTION = "--json"
_AsJson = Annotated[bool, typer.Option(_OPTION, help="Print JSON, errors too.")]

# What one invocation was asked for. It decides how something is said, and nothing else.
_as_json: ContextVar[bool] = ContextVar("as_json", default=False)


class CommandFailed(typer.TyperException):
    """The command could not do what it was asked for; the message is the sentence that is shown. Exit status 1."""


class _Paper(Console):
    """A console that says when nobody reads it any more."""

    def on_broken_pipe(self) -> None:
        """Raises what was caught, which `tell` makes a sentence of."""
        raise BrokenPipeError


# Names and texts of tenants are printed as they are: brackets in them are no markup, and words between colons no pictures.
_PLAIN: dict[str, Any] = {"markup": False, "emoji": False, "highlight": False, "soft_wrap": True}
_err = Console(stderr=True, **_PLAIN)


@dataclass(frozen=True, slots=True)
class CommandResult:
    """What a command did: `facts` for programs, the same in `words` for people, and the exit status."""

    facts: object
    words: RenderableType | Sequence[RenderableType] = ()
    status: Literal[0, 1] = 0


Command: TypeAlias = Callable[..., CommandResult | None]


class CommandGroup(typer.Typer):
    """A group of commands, each of which takes `--json` and returns its outcome."""

    def __init__(self, help: str | None = None) -> None:  # noqa: A002 - as Typer calls it
        super().__init__(
            cls=_CommandLine, no_args_is_help=True, help=help, rich_markup_mode="rich", pretty_exceptions_enable=False
        )

    def command(self, name: str | None = None, **options: Any) -> Callable[[Command], Command]:  # type: ignore[override]  # noqa: ANN401
        """Adds a command."""
        register = super().command(name, **options)

        def add(command: Command) -> Command:
            register(_with_json(command))
            return command

        return add


def _with_json(command: Command) -> Callable[..., None]:
    """Gives a command the option `--json`, and tells what it returns."""

    def run(*, as_json: bool, **own: object) -> None:
        token = _as_json.set(as_json)
        try:
            outcome = command(**own)
            if outcome is not None:
                tell(outcome)
        except OSError as error:
            told = (error.filename, error.strerror or error)
            raise CommandFailed(": ".join(str(part) for part in told if part)) from error
        finally:
            _as_json.reset(token)
        if outcome is not None and outcome.status:
            raise typer.Exit(outcome.status)

    own = inspect.signature(command).parameters.values()
    named = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in own]
    taken = [*named, inspect.Parameter("as_json", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=_AsJson)]
    run.__name__, run.__doc__ = command.__name__, command.__doc__
    run.__signature__ = inspect.Signature(taken)  # type: ignore[attr-defined]  # typer reads options from it
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in taken}
    return run


class _CommandLine(TyperGroup):
    """Says why a command ended: in a sentence, and as JSON where that was asked for, whatever else was wrong in the call."""

    def main(self, args: Sequence[str] | None = None, *, standalone_mode: bool = True, **extra: Any) -> Any:  # type: ignore[override]  # noqa: ANN401
        """Runs what the arguments name, and ends the process with its exit status."""
        as_json = _OPTION in (sys.argv[1:] if args is None else args)
        if args is None:  # a process of its own; a log that nobody configured would go to standard output
            logging.configure("WARNING", "json" if as_json else "auto")
        try:
            status = super().main(args, standalone_mode=standalone_mode and not as_json, **extra)
        except CommandFailed as error:
            _say_error("failed", error.message, as_json=as_json)
            status = FAILED
        except typer.TyperException as error:
            _say_error("usage", error.format_message(), as_json=as_json)
            status = error.exit_code
        except typer.Abort:
            _say_error("aborted", "nothing was answered", as_json=as_json)
            status = FAILED
        sys.exit(status)


def _say_error(code: str, detail: str, *, as_json: bool) -> None:
    if as_json:
        _write_json(sys.stderr, {"error": code, "detail": detail})
    else:
        _err.print("error:", style="red", end=" ")
        _err.print(detail)


def tell(outcome: CommandResult) -> None:
    """Writes an outcome to standard output, with `--json` as one line or more; raises CommandFailed when nobody reads it."""
    words = outcome.words if isinstance(outcome.words, list | tuple) else [outcome.words]
    try:
        if _as_json.get():
            _write_json(sys.stdout, outcome.facts)
        elif words:
            _Paper(**_PLAIN).print(*words, sep="\n")
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python complains once more when it ends
        raise CommandFailed("standard output was closed before everything was written") from None


def remark(text: str) -> None:
    """Says something on standard error while the command goes on."""
    if _as_json.get():
        _write_json(sys.stderr, {"remark": text})
    else:
        _err.print(text)


@contextmanager
def doing(text: str) -> Iterator[None]:
    """Shows what the command is doing while the block runs, to people only."""
    if _as_json.get():
        yield
        return
    with _err.status(Text(text)):  # a string would be read as markup
        yield


def progress(*more: ProgressColumn) -> Progress:
    """Returns a bar on standard error, for people only: what is done, and how much of how much."""
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), *more)
    return Progress(*columns, console=_err, disable=_as_json.get())


def ask_secret(what: str, *, twice: bool = False) -> str:
    """Asks a person for something that is not shown; the question is no part of what the command prints."""
    answer: str = typer.prompt(what, hide_input=True, confirmation_prompt=twice, err=True)
    return answer


def is_json() -> bool:
    """Tells whether the command is asked for JSON."""
    return _as_json.get()


def _write_json(file: Any, facts: object) -> None:  # noqa: ANN401 - a text file
    if isinstance(facts, Mapping):
        facts = dict(facts)
    file.write(orjson.dumps(facts, default=str, option=orjson.OPT_NON_STR_KEYS | orjson.OPT_APPEND_NEWLINE).decode())
    file.flush()
