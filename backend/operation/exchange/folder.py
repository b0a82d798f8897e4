"""The folder of secrets that `affidavit init` makes: one below it for each process, with a file for each of its settings."""

import json
import os
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from backend.secret_files import secret_in

PROCESSES = ("migrate", "serve", "worker", "sealer", "operator")
_RECORD = "exchanged.json"
_UNDER_WAY = "under-way"


class KeyKind(StrEnum):
    """What `affidavit keys rotate` exchanges, in the order in which it does."""

    CONTEXT = "context"
    PAYLOAD = "payload"
    SEARCH = "search"
    TOKENS = "tokens"
    CHECKPOINTS = "checkpoints"
    PASSWORDS = "passwords"


class SecretsFolder:
    """Reads and writes the secrets of all processes.

    While a kind of key is exchanged, its old and new values lie below `under-way`, so that a step that was interrupted can be
    taken again.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def is_one(self) -> bool:
        """Whether `affidavit init` made this folder."""
        return all((self.path / process).is_dir() for process in PROCESSES)

    def text(self, process: str, setting: str) -> str:
        """Returns a setting of a process, or an empty text."""
        path = self.path / process / setting
        return secret_in(path) if path.is_file() else ""

    def give(self, processes: tuple[str, ...], **settings: str) -> None:
        """Writes settings of processes, each whole; an empty text takes the setting away."""
        for process in processes:
            for setting, text in settings.items():
                _write(self.path / process / setting, text)

    def replace_line(self, name: str, start: str, line: str) -> None:
        """Replaces the line of a file that begins so."""
        path = self.path / name
        lines = [line if old.startswith(start) else old for old in path.read_text().splitlines()]
        _write(path, "".join(f"{one}\n" for one in lines))

    def write(self, name: str, text: str) -> None:
        """Writes a file of the folder itself."""
        _write(self.path / name, text)

    def under_way(self, kind: str, name: str, make: Callable[[], str]) -> str:
        """Returns a value of an exchange that is under way, made when it is first asked for."""
        path = self.path / _UNDER_WAY / kind / name
        if not path.is_file():
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            _write(path, make())
        return path.read_text()

    def over(self, kind: str) -> None:
        """Forgets the old and the new values of an exchange."""
        shutil.rmtree(self.path / _UNDER_WAY / kind, ignore_errors=True)

    def record(self) -> dict[str, Any]:
        """Returns of each kind when its key was made, and the step that was taken last while it is exchanged, with its time."""
        path = self.path / _RECORD
        known: dict[str, Any] = json.loads(path.read_text()) if path.is_file() else {}
        return known

    def note(self, kind: str, **facts: str | None) -> None:
        """Records facts about a kind."""
        known = self.record()
        known[kind] = known.get(kind, {}) | facts
        _write(self.path / _RECORD, json.dumps(known, indent=2) + "\n")


def now() -> str:
    """Returns the moment as the record has it."""
    return f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"


def _write(path: Path, text: str) -> None:
    if not text:
        path.unlink(missing_ok=True)
        return
    partial = path.with_name(f".{path.name}.partial")
    partial.unlink(missing_ok=True)
    # As readable as init makes it: a container's user reads its own folder, and nobody passes the one above.
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
