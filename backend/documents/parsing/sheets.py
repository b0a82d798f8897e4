"""Spreadsheets and comma-separated values as table rows, one row in memory at a time."""

import csv
import datetime as dt
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Protocol

from openpyxl import load_workbook

from backend.documents.parsing.blocks import BlockKind, Findings, Fragment, row_text
from backend.documents.parsing.errors import CorruptFile
from backend.documents.parsing.text import encoding_of

_DELIMITERS = ",;\t|"
_SAMPLE_CHARACTERS = 8_192
_LONGEST_CELL = 1_000_000


class _Cell(Protocol):
    @property
    def value(self) -> object: ...
    @property
    def number_format(self) -> str | None: ...


def xlsx_fragments(path: Path, findings: Findings) -> Iterator[Fragment]:
    """Yield each visible sheet's name and rows; formulas appear as the value that was last calculated."""
    workbook = load_workbook(path, read_only=True, data_only=True, keep_links=False)
    findings.title = (workbook.properties.title or "").strip() or None
    for sheet in workbook.worksheets:
        if sheet.sheet_state != "visible":
            findings.warn(f"The hidden sheet {sheet.title!r} is not read.")
            continue
        # A sheet may claim a million columns; without the claim, rows are as long as what is in them.
        sheet.reset_dimensions()
        yield Fragment(BlockKind.HEADING, sheet.title, level=1, sheet=sheet.title)
        yield from _table(([_shown(cell) for cell in row] for row in sheet.iter_rows()), sheet.title)


def csv_fragments(path: Path, findings: Findings) -> Iterator[Fragment]:
    """Yield the rows; the first with more than one value is the header."""
    csv.field_size_limit(_LONGEST_CELL)
    with path.open(encoding=encoding_of(path, findings), errors="replace", newline="") as file:
        sample = file.read(_SAMPLE_CHARACTERS)
        file.seek(0)
        try:
            yield from _table(csv.reader(file, delimiter=_delimiter(sample)), None)
        except csv.Error as error:
            raise CorruptFile("The comma-separated values are malformed.") from error


def _delimiter(sample: str) -> str:
    """Return the delimiter that is most frequent on the first line that has any."""
    for line in sample.splitlines():
        best = max(_DELIMITERS, key=line.count)
        if best in line:
            return best
    return ","


def _table(rows: Iterable[Iterable[str]], sheet: str | None) -> Iterator[Fragment]:
    """Yield rows under a header, which is the first row with several values; rows before it are captions.

    After an empty row, another row of several values and no numbers is a new header.
    """
    has_header = False
    after_gap = False
    for row in rows:
        cells = [cell for cell in row if cell.strip()]
        text = row_text(row)
        if not text:
            after_gap = True
            continue
        if len(cells) > 1 and (not has_header or (after_gap and not any(map(_is_number, cells)))):
            kind = BlockKind.TABLE_HEADER
            has_header = True
        else:
            kind = BlockKind.TABLE_ROW if has_header else BlockKind.PARAGRAPH
        after_gap = False
        yield Fragment(kind, text, sheet=sheet)


def _is_number(cell: str) -> bool:
    return any(map(str.isdigit, cell)) and not any(map(str.isalpha, cell))


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
