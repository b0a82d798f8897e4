"""Golden files: who may do what, written down so that a change of access is a diff that somebody reviews."""

import difflib
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parent


def assert_golden(config: pytest.Config, name: str, lines: list[str]) -> None:
    """Compares with the golden file, or rewrites it when pytest runs with --update-golden."""
    path = FOLDER / name
    actual = "\n".join(lines) + "\n"
    if config.getoption("update_golden"):
        path.write_text(actual)
    known = path.read_text() if path.exists() else ""
    difference = "".join(
        difflib.unified_diff(known.splitlines(keepends=True), actual.splitlines(keepends=True), name, "found", n=1)
    )
    assert not difference, f"access differs from {name}; review, then run pytest with --update-golden\n{difference}"
