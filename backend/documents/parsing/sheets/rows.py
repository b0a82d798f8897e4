"""The rows of one sheet as a stream: cells as shown, merged cells in every row and column that they cover."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import IO

from backend.documents.parsing.errors import CorruptFile, FileTooLarge
from backend.documents.parsing.findings import Findings, WarningKind, listed
from backend.documents.parsing.openxml import Element
from backend.documents.parsing.sheets.number_format import shown, shown_text
from backend.documents.parsing.sheets.workbook import CellStyle, Workbook, elements, has_struck, rich_text, unescaped

MOST_COLUMNS = 16_384
_MOST_MERGED = 100_000
_WIDEST_MERGED = 256
_SCAN_BYTES = 1 << 18
_REFERENCE = re.compile(r"\$?([A-Z]{1,3})\$?(\d{1,7})")
_MERGED = re.compile(rb"<(?:\w+:)?mergeCell\s[^>]*?ref=[\"']([A-Z0-9:$]{2,30})[\"']")
_PAGE_TEXT = re.compile(rb"<(?:\w+:)?(?:odd|even|first)(?:Header|Footer)>([^<]{1,1500})<")
_GROUNDS = re.compile(rb"<(?:\w+:)?(?:tablePart|conditionalFormatting)\b")
_OVERLAP = 2_000  # bytes of a page header at most
_COLUMNS = re.compile(rb"<(?:\w+:)?col\s[^>]*>")
_ATTRIBUTE = re.compile(rb"(\w+)=[\"']([^\"']*)[\"']")
_SHEET_DATA = re.compile(rb"<(?:\w+:)?sheetData\b")
_OFF = {"0", "false"}
_NO_STYLE = CellStyle()
_LONGEST_EXACT = 15  # digits of a number; sheets keep no more, and other programs write identifiers as longer ones
_AS_WRITTEN = {"General", "0", "@"}


@dataclass(slots=True)
class Layout:
    """What a sheet says about its rows apart from them: hidden columns before them, merged cells after them."""

    hidden_columns: set[int] = field(default_factory=set)
    merged: dict[int, list[tuple[int, int, int]]] = field(default_factory=dict)
    """By first row: first column, last column, last row."""
    page_texts: list[str] = field(default_factory=list)
    """What page headers and footers say, as it is written with its codes."""
    has_other_grounds: bool = False
    """Whether cells may take their ground from a table's style or a condition."""

    @classmethod
    def read(cls, file: IO[bytes]) -> "Layout":
        """Searches the bytes of the sheet, which costs a fraction of parsing it twice."""
        layout = cls()
        before_rows, count = True, 0
        rest = b""
        while piece := file.read(_SCAN_BYTES):
            text = rest + piece
            if before_rows:
                start = _SHEET_DATA.search(text)
                layout._hide_columns(text[: start.start()] if start else text)
                before_rows = start is None and len(text) < 4 * _SCAN_BYTES
            end = 0
            for match in _MERGED.finditer(text):
                count += 1
                if count <= _MOST_MERGED:
                    layout._merge(match[1].decode())
                end = match.end()
            layout.has_other_grounds |= bool(_GROUNDS.search(text))
            for match in _PAGE_TEXT.finditer(text):
                layout.page_texts.append(match[1].decode("utf-8", "replace"))
                end = max(end, match.end())
            rest = text if before_rows else text[max(end, len(text) - _OVERLAP) :]
        return layout

    def _hide_columns(self, head: bytes) -> None:
        for match in _COLUMNS.finditer(head):
            attributes = {key.decode(): value.decode() for key, value in _ATTRIBUTE.findall(match[0])}
            first, last = attributes.get("min", ""), attributes.get("max", "")
            hidden = attributes.get("hidden", "0") not in _OFF or attributes.get("width") == "0"
            if hidden and first.isdigit() and last.isdigit():
                self.hidden_columns.update(range(int(first), min(int(last), MOST_COLUMNS) + 1))

    def _merge(self, reference: str) -> None:
        first, _, last = reference.partition(":")
        if last:
            (column_1, row_1), (column_2, row_2) = position(first), position(last)
            self.merged.setdefault(row_1, []).append((column_1, min(column_2, column_1 + _WIDEST_MERGED), row_2))


@dataclass(slots=True)
class Rows:
    """Iterates over the shown rows of a sheet, and knows afterwards what of it is not shown."""

    workbook: Workbook
    findings: Findings
    layout: Layout
    place: str
    hidden_rows: list[int] = field(default_factory=list)
    used_hidden_columns: set[int] = field(default_factory=set)
    _covered: dict[int, tuple[int, str]] = field(default_factory=dict)

    def read(self, file: IO[bytes]) -> Iterator[list[str]]:
        """Yields the rows, without hidden columns; raises FileTooLarge for one with more columns than sheets have."""
        number = 0
        for row in elements(file, "row"):
            written = row.get("r", "")
            number = int(written) if written.isdigit() else number + 1
            if row.get("hidden", "0") not in _OFF or row.get("ht") == "0":
                if len(row):
                    self.hidden_rows.append(number)
                continue
            cells = self._cells(row, number)
            own = bool(cells) and any(cells.values())
            self._carry(cells, number)
            if not own:
                yield []
                continue
            yield [
                cells.get(column, "") for column in range(1, max(cells) + 1) if column not in self.layout.hidden_columns
            ]

    def _cells(self, row: Element, number: int) -> dict[int, str]:
        cells: dict[int, str] = {}
        column = 0
        for cell in row.iterchildren("{*}c"):
            reference = cell.get("r")
            column = position(reference)[0] if reference else column + 1
            if column > MOST_COLUMNS:
                raise FileTooLarge(f"A row has more than {MOST_COLUMNS} columns.")
            text = self._shown(cell, column, number)
            if text and column in self.layout.hidden_columns:
                self.used_hidden_columns.add(column)
            elif text:
                cells[column] = text
        return cells

    def _carry(self, cells: dict[int, str], number: int) -> None:
        """Writes merged cells into what they cover."""
        for column, (last_row, text) in list(self._covered.items()):
            if number > last_row:
                del self._covered[column]
            else:
                cells.setdefault(column, text)
        for first, last, last_row in self.layout.merged.pop(number, ()):
            text = cells.get(first, "")
            alone = len(cells) == 1
            for column in range(first, last + 1):
                if text and not (alone and column > first):
                    cells.setdefault(column, text)
                    if last_row > number:
                        self._covered[column] = (last_row, text)

    def _shown(self, cell: Element, column: int, row: int) -> str:
        style_index = cell.get("s", "0")
        styles = self.workbook.styles
        if self._has_struck_part(cell):
            self.findings.warn(WarningKind.STRUCK_OUT, self._at(column, row), "Struck-out text is left out.")
        style = styles[int(style_index)] if style_index.isdigit() and int(style_index) < len(styles) else _NO_STYLE
        kind = cell.get("t", "n")
        value = cell.findtext("{*}v")
        if kind == "e" and cell.get("vm"):
            self.findings.warn(
                WarningKind.UNREADABLE_TEXT,
                self._at(column, row),
                "A picture or a linked value of a newer kind is not read.",
            )
        if kind == "inlineStr":
            inline = cell.find("{*}is")
            text = "" if inline is None else _formatted(rich_text(inline), style)
        elif value is None or (value == "" and kind != "str"):
            text = self._formula(cell, column, row)
        else:
            text = self._value(kind, value, style)
            if not text and value and kind == "n":
                self.findings.warn(
                    WarningKind.HIDDEN_CONTENT, self._at(column, row), "The cell's format hides its value."
                )
        if text and style.is_white and not self.layout.has_other_grounds:
            self.findings.warn(WarningKind.INVISIBLE_TEXT, self._at(column, row), "White text on white is left out.")
            return ""
        if text and style.is_struck:
            self.findings.warn(WarningKind.STRUCK_OUT, self._at(column, row), "Struck-out text is left out.")
            return ""
        return text

    def _has_struck_part(self, cell: Element) -> bool:
        if cell.get("t") == "s":
            struck, value = self.workbook.strings.struck, cell.findtext("{*}v") or ""
            return bool(struck) and value.isdigit() and int(value) in struck
        inline = cell.find("{*}is") if cell.get("t") == "inlineStr" else None
        return inline is not None and has_struck(inline)

    def _value(self, kind: str, value: str, style: CellStyle) -> str:
        if kind == "s":
            text = self.workbook.strings.get(int(value) if value.isdigit() else -1)
            return _formatted(text, style)
        if kind == "b":
            return "TRUE" if value.strip() == "1" else "FALSE"
        if kind in {"str", "e", "d"}:
            return _formatted(unescaped(value), style) if kind == "str" else unescaped(value)
        if len(value) > _LONGEST_EXACT and value.isdecimal() and style.number_format in _AS_WRITTEN:
            return value
        try:
            return shown(float(value), style.number_format, since_1904=self.workbook.since_1904)
        except (ValueError, OverflowError):
            return value

    def _formula(self, cell: Element, column: int, row: int) -> str:
        formula = cell.find("{*}f")
        if formula is None:
            return ""
        self.findings.warn(
            WarningKind.FORMULA_WITHOUT_VALUE,
            self._at(column, row),
            "The file holds a formula but not its value; save it once in a spreadsheet program.",
        )
        return f"={formula.text}" if formula.text else ""

    def _at(self, column: int, row: int) -> str:
        return f"{self.place}, {column_name(column)}{row}"

    def tell_hidden(self) -> None:
        """Warns of the hidden rows and columns that hold something."""
        if self.hidden_rows:
            where = listed(self.hidden_rows, "row", "rows")
            self.findings.warn(WarningKind.HIDDEN_CONTENT, f"{self.place}, {where}", "Hidden rows are left out.")
        if self.used_hidden_columns:
            names = ", ".join(column_name(column) for column in sorted(self.used_hidden_columns)[:20])
            self.findings.warn(
                WarningKind.HIDDEN_CONTENT, f"{self.place}, columns {names}", "Hidden columns are left out."
            )


def _formatted(text: str, style: CellStyle) -> str:
    return text if style.number_format == "General" else shown_text(text, style.number_format)


def position(reference: str) -> tuple[int, int]:
    """Returns the column and row of a reference such as B7, both from 1; raises CorruptFile."""
    match = _REFERENCE.fullmatch(reference)
    if match is None:
        raise CorruptFile("A cell has no place in its sheet.")
    column = 0
    for letter in match[1]:
        column = column * 26 + ord(letter) - 64
    return column, int(match[2])


def column_name(column: int) -> str:
    """Returns the letters of a column counted from 1."""
    name = ""
    while column:
        column, letter = divmod(column - 1, 26)
        name = chr(65 + letter) + name
    return name
