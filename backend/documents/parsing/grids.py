"""Tables with merged cells: every row is given the values that stand over and beside it."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from backend.documents.parsing.blocks import BlockKind, Fragment, collapse, row_text

_MOST_COLUMNS = 1_000
_MOST_CELLS_OF_A_ROW = 5_000


class Cell(NamedTuple):
    """A cell as it is written; `is_continued` says that it only continues the cell above it."""

    text: str
    columns: int = 1
    rows: int = 1
    is_header: bool = False
    is_continued: bool = False


class Grid:
    """Follows a table row by row; merged cells are carried into each row and column that they cover."""

    def __init__(self) -> None:
        self._covering: dict[int, tuple[int, str]] = {}
        self._above: list[str] = []
        self._rows = 0
        self._header_rows = 0
        self._header_has_merged = False

    def row(
        self, cells: Iterable[Cell], *, declared_header: bool = False, first_is_header: bool = False
    ) -> Iterator[Fragment]:
        """Yields the row as a fragment; a row of one cell over several columns is a caption or a heading of rows.

        Without a declared header and if so asked, the first row is the header, and so is the second below merged
        cells if it holds no figures.
        """
        written = list(cells)[:_MOST_CELLS_OF_A_ROW]
        values, has_merged = self._carried(written)
        text = row_text(values)
        if not text:
            return
        alone = [cell for cell in written if cell.text.strip()]
        if len(alone) == 1 and len(written) == 1 and written[0].columns > 1 and not written[0].is_continued:
            kind = BlockKind.TABLE_ROW if self._header_rows else BlockKind.PARAGRAPH
            yield Fragment(kind, collapse(alone[0].text))
            return
        is_header = declared_header or (len(values) > 1 and all(cell.is_header for cell in written))
        if not is_header and first_is_header:
            is_header = self._header_rows == self._rows == 0 or (
                self._header_rows == self._rows == 1 and self._header_has_merged and not _has_figures(written)
            )
        self._rows += 1
        self._header_rows += is_header
        self._header_has_merged |= is_header and has_merged
        several = len(values) > 1
        row = BlockKind.TABLE_HEADER if is_header else BlockKind.TABLE_ROW
        yield Fragment(row if several or self._rows > 1 else BlockKind.PARAGRAPH, text)

    def _carried(self, cells: list[Cell]) -> tuple[list[str], bool]:
        values: list[str] = []
        has_merged = False

        def take_covered() -> None:
            while (covered := self._covering.get(len(values))) is not None:
                rows, text = covered
                if rows > 1:
                    self._covering[len(values)] = (rows - 1, text)
                else:
                    del self._covering[len(values)]
                values.append(text)

        covering_later: dict[int, tuple[int, str]] = {}
        for cell in cells:
            take_covered()
            has_merged |= cell.columns > 1 or cell.rows > 1
            for _ in range(min(cell.columns, _MOST_COLUMNS - len(values))):
                column = len(values)
                text = self._above[column] if cell.is_continued and column < len(self._above) else cell.text
                if cell.rows > 1:
                    covering_later[column] = (cell.rows - 1, text)
                values.append(text)
        take_covered()
        self._covering |= covering_later
        self._above = values
        return values, has_merged


def _has_figures(cells: list[Cell]) -> bool:
    return any(character.isdigit() for cell in cells for character in cell.text)
