"""Workbooks as table rows, through openpyxl, one row in memory at a time."""

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Protocol

from openpyxl import load_workbook

from backend.documents.parsing.blocks import BlockKind, Findings, Fragment
from backend.documents.parsing.separated import rows_under_header


class _Cell(Protocol):
    @property
    def value(self) -> object: ...
    @property
    def number_format(self) -> str | None: ...


def fragments(path: Path, findings: Findings) -> Iterator[Fragment]:
    """Yield each visible sheet's name and rows; formulas appear as the value that was last calculated."""
    with path.open("rb") as file:  # by its name it would be refused: a stored file has none of its own
        yield from _fragments(file, findings)


def _fragments(file: BinaryIO, findings: Findings) -> Iterator[Fragment]:
    workbook = load_workbook(file, read_only=True, data_only=True, keep_links=False)
    findings.title = (workbook.properties.title or "").strip() or None
    for sheet in workbook.worksheets:
        if sheet.sheet_state != "visible":
            findings.warn(f"The hidden sheet {sheet.title!r} is not read.")
            continue
        # A sheet may claim a million columns; without the claim, rows are as long as what is in them.
        sheet.reset_dimensions()
        yield Fragment(BlockKind.HEADING, sheet.title, level=1, sheet=sheet.title)
        yield from rows_under_header(([_shown(cell) for cell in row] for row in sheet.iter_rows()), sheet.title)


def _shown(cell: _Cell) -> str:
    """Return the value as a reader of the sheet would see it, near enough to be found and quoted."""
    value = cell.value
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, float):
        return f"{value:.2%}" if "%" in (cell.number_format or "") else f"{value:.15g}"
    if isinstance(value, dt.datetime) and value.time() == dt.time():
        return value.date().isoformat()
    if isinstance(value, dt.datetime | dt.date | dt.time):
        return value.isoformat()
    return str(value)
