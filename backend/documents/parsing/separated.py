"""Delimited text, and which row of any sheet is the header of the others."""

import csv
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path

from backend.documents.parsing.blocks import BlockKind, Fragment, row_text
from backend.documents.parsing.errors import CorruptFile, FileTooLarge
from backend.documents.parsing.findings import Findings, WarningKind
from backend.documents.parsing.text import opened

_DELIMITERS = ";\t|^~,"  # of equals the first: commas stand in figures as well
_SAID = re.compile(r"sep=(.)\r?\n")
_TORN = re.compile(r'"[,;\t|^~]|[,;\t|^~]"')  # quotation marks of other cells
_IN_APOSTROPHES = re.compile(r"(?m)(?:^|[,;\t|])'[^'\n]*'(?=[,;\t|\r\n])")
_DECIMAL = re.compile(r"[-+(]?\d{1,3}(?:\.?\d{3})*,\d+\s?[%)]?")
_NONE = "\x1f"  # which no text file holds
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
        quote = "'" if '"' not in sample and len(_IN_APOSTROPHES.findall(sample)) * 2 >= sample.count("\n") > 0 else '"'
        delimiter, escape = _dialect(sample, said[1] if said else None, quote)
        file.seek(0)
        if said:
            file.readline()
        reader = csv.reader(file, delimiter=delimiter, escapechar=escape, quotechar=quote, skipinitialspace=True)
        try:
            yield from rows_under_header(_closed(_rows(reader), delimiter, findings), None)
        except csv.Error as error:
            raise CorruptFile("The comma-separated values are malformed.") from error


def _rows(rows: Iterable[list[str]]) -> Iterator[list[str]]:
    for row in rows:
        if len(row) > _MOST_COLUMNS:
            raise FileTooLarge(f"A row has {len(row)} columns; {_MOST_COLUMNS} are allowed.")
        yield row


def _closed(rows: Iterable[list[str]], delimiter: str, findings: Findings) -> Iterator[list[str]]:
    """Yields the rows, and those that a quotation mark without its end took for one cell, which is told."""
    width = 0
    for number, row in enumerate(rows, start=1):
        within = next((i for i, cell in enumerate(row) if width > 1 and "\n" in cell), None)
        lines = [] if within is None else row[within].rstrip("\r\n").splitlines()
        others = [next(csv.reader([line], delimiter=delimiter), []) for line in lines[1:]]
        if within is None or not others or any(len(other) != width for other in others[:-1] or others):
            width = max(width, len(row))
            yield row
            continue
        detail = "A quotation mark has no end, so that it was read as a sign like others."
        findings.warn(WarningKind.DAMAGED_PART, f"row {number}", detail)
        first, *rest = next(csv.reader([lines[0]], delimiter=delimiter), [""])
        yield [*row[:within], f'"{first}', *rest]
        yield from others[:-1]
        yield [*others[-1], *row[within + 1 :]]


def _dialect(sample: str, said: str | None, quote: str) -> tuple[str, str | None]:
    """Returns the delimiter that cuts most rows of the sample into as many columns, more than one, and what escapes a sign.

    A title line above the table may hold commas of its own, and cells in quotation marks any delimiter. Some programs write
    a quotation mark within a cell with a backslash rather than twice.
    """
    complete = sample.rpartition("\n")[0] or sample
    escapes = (None, "\\") if '\\"' in sample else (None,)

    def agreement(dialect: tuple[str, str | None]) -> tuple[float, int]:
        delimiter, escape = dialect
        counts: Counter[int] = Counter()
        torn = 0
        try:
            reader = csv.reader(
                complete.splitlines(keepends=True),
                delimiter=delimiter,
                escapechar=escape,
                quotechar=quote,
                skipinitialspace=True,
            )
            for number, row in enumerate(reader):
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

    if said is None and _is_one_column(complete):
        return _NONE, None
    found = {
        (delimiter, escape): agreement((delimiter, escape)) for delimiter in said or _DELIMITERS for escape in escapes
    }
    best = max(found, key=found.__getitem__)
    return best if said or found[best][0] > 0 else (",", None)


def _is_one_column(sample: str) -> bool:
    """Returns whether the commas are those of figures (1,50) that stand alone under a name without one."""
    name, *rows = [line.strip() for line in sample.splitlines() if line.strip()] or [""]
    return bool(rows) and "," not in name and all(map(_DECIMAL.fullmatch, rows))


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
