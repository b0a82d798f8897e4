"""Delimited text, and which row of any sheet is the header of the others."""

import csv
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path

from backend.documents.parsing.blocks import BlockKind, Fragment, row_text
from backend.documents.parsing.errors import CorruptFile, FileTooLarge
from backend.documents.parsing.findings import Findings
from backend.documents.parsing.text import opened

_DELIMITERS = ",;\t|^~"
_SAID = re.compile(r"sep=(.)\r?\n")
_TORN = re.compile(r'"[,;\t|^~]|[,;\t|^~]"')  # quotation marks of other cells
_SAMPLE_CHARACTERS = 65_536
_SAMPLE_ROWS = 200
_LONGEST_CELL = 1_000_000
_MOST_COLUMNS = 16_384


def fragments(path: Path, findings: Findings) -> Iterator[Fragment]:
    """Yields the rows; the first with more than one value is the header."""
    csv.field_size_limit(_LONGEST_CELL)
    with opened(path, findings) as file:
        sample = file.read(_SAMPLE_CHARACTERS)
        said = _SAID.match(sample)
        delimiter = said[1] if said else _delimiter(sample)
        file.seek(0)
        if said:
            file.readline()
        try:
            yield from rows_under_header(_rows(csv.reader(file, delimiter=delimiter)), None)
        except csv.Error as error:
            raise CorruptFile("The comma-separated values are malformed.") from error


def _rows(rows: Iterable[list[str]]) -> Iterator[list[str]]:
    for row in rows:
        if len(row) > _MOST_COLUMNS:
            raise FileTooLarge(f"A row has {len(row)} columns; {_MOST_COLUMNS} are allowed.")
        yield row


def _delimiter(sample: str) -> str:
    """Returns the delimiter that cuts most rows of the sample into the same number of columns, more than one.

    A title line above the table may hold commas of its own, and cells in quotation marks any delimiter.
    """
    complete = sample.rpartition("\n")[0] or sample

    def agreement(delimiter: str) -> tuple[float, int]:
        counts: Counter[int] = Counter()
        torn = 0
        try:
            for number, row in enumerate(csv.reader(complete.splitlines(keepends=True), delimiter=delimiter)):
                if number >= _SAMPLE_ROWS:
                    break
                if row:
                    counts[len(row)] += 1
                    torn += any(cell.count('"') % 2 and _TORN.search(cell) for cell in row)
        except csv.Error:
            return 0.0, 0
        several = {width: rows for width, rows in counts.items() if width > 1}
        if not several:
            return 0.0, 0
        width, rows = max(several.items(), key=lambda item: (item[1], item[0]))
        return (rows - torn) / counts.total(), width

    return max(_DELIMITERS, key=agreement)


def rows_under_header(rows: Iterable[Iterable[str]], sheet: str | None) -> Iterator[Fragment]:
    """Yields rows under a header, which is the first row with several values; rows before it are captions.

    A second row without figures, right below a header with repeated or empty cells, belongs to the header. After an
    empty row, another row of several values and no numbers is a new header.
    """
    has_header = after_gap = False
    header: list[str] | None = None
    for row in rows:
        values = list(row)
        cells = [cell for cell in values if cell.strip()]
        text = row_text(values)
        if not text:
            after_gap, header = True, None
            continue
        has_numbers = any(map(_is_number, cells))
        continues = header is not None and not has_numbers and len(cells) > 1 and _spans(header)
        if len(cells) > 1 and (not has_header or continues or (after_gap and not has_numbers)):
            kind = BlockKind.TABLE_HEADER
            has_header = True
            header = values if header is None else None
        else:
            kind = BlockKind.TABLE_ROW if has_header else BlockKind.PARAGRAPH
            header = None
        after_gap = False
        yield Fragment(kind, text, sheet=sheet)


def _spans(header: list[str]) -> bool:
    """Returns whether a header's cell stands over several columns: it is repeated, or empty cells follow it."""
    named = [cell.strip() for cell in header]
    return any(a and a == b for a, b in pairwise(named))


def _is_number(cell: str) -> bool:
    return any(map(str.isdigit, cell)) and not any(map(str.isalpha, cell))
