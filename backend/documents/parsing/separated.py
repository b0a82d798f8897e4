"""Comma-separated values, and which row of any sheet is the header of the others."""

import csv
from collections.abc import Iterable, Iterator
from pathlib import Path

from backend.documents.parsing.blocks import BlockKind, Findings, Fragment, row_text
from backend.documents.parsing.errors import CorruptFile
from backend.documents.parsing.text import encoding_of

_DELIMITERS = ",;\t|"
_SAMPLE_CHARACTERS = 8_192
_LONGEST_CELL = 1_000_000


def fragments(path: Path, findings: Findings) -> Iterator[Fragment]:
    """Yield the rows; the first with more than one value is the header."""
    csv.field_size_limit(_LONGEST_CELL)
    with path.open(encoding=encoding_of(path, findings), errors="replace", newline="") as file:
        sample = file.read(_SAMPLE_CHARACTERS)
        file.seek(0)
        try:
            yield from rows_under_header(csv.reader(file, delimiter=_delimiter(sample)), None)
        except csv.Error as error:
            raise CorruptFile("The comma-separated values are malformed.") from error


def _delimiter(sample: str) -> str:
    """Return the delimiter that is most frequent on the first line that has any."""
    for line in sample.splitlines():
        best = max(_DELIMITERS, key=line.count)
        if best in line:
            return best
    return ","


def rows_under_header(rows: Iterable[Iterable[str]], sheet: str | None) -> Iterator[Fragment]:
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
