"""Page furniture: lines that stand at the head or foot of several pages, and the numbers of the pages."""

import re
from collections.abc import Sequence
from itertools import pairwise

from backend.documents.parsing.pdf.rows import Row

_ROWS_AT_AN_EDGE = 3
_SAME_PLACE = 6.0
_NUMBER = re.compile(r"\d+")
_PAGE_NUMBER = re.compile(
    r"(?i)[\W_]*(?:page|p\.|seite|f-)?[\W_]*(?:\d{1,4}|[ivxl]{1,6})[\W_]*(?:(?:of|/|von)\s*\d{1,4})?[\W_]*"
)


def edges(rows: Sequence[Row]) -> list[Row]:
    """Returns the rows nearest to the head and foot of a page, which may be furniture."""
    return [*rows[:_ROWS_AT_AN_EDGE], *rows[max(_ROWS_AT_AN_EDGE, len(rows) - _ROWS_AT_AN_EDGE) :]]


def furniture(page: int, rows: Sequence[Row], others: Sequence[tuple[int, Sequence[Row]]]) -> dict[int, bool]:
    """Returns the indexes of rows that are furniture, each with whether it repeats the same words.

    `others` are the edges of pages nearby. What differs only by counting the pages is furniture as well.
    """
    if len(rows) > 2 * _ROWS_AT_AN_EDGE:
        # A copy of the page, as of a contract that a file holds twice, shows nothing: its body repeats as well.
        own = [row.text for row in edges(rows)]
        others = [(number, edge) for number, edge in others if [row.text for row in edge] != own]
    found: dict[int, bool] = {}
    last = len(rows) - 1
    heads, feet = range(min(_ROWS_AT_AN_EDGE, len(rows))), range(last, max(last - _ROWS_AT_AN_EDGE, -1), -1)
    for zone in (heads, feet):
        run: dict[int, bool] = {}
        for index in zone:
            same = _repeated(page, rows[index], others)
            if same is None and not (index in {0, last} and len(rows) > 1 and _PAGE_NUMBER.fullmatch(rows[index].text)):
                break  # furniture is outermost
            run[index] = bool(same)
        # Pages that are filled alike also begin with the same lines; furniture stands apart from them.
        while run and run[innermost := list(run)[-1]] and not _stands_apart(rows, innermost, zone is heads):
            del run[innermost]
        found |= run
    return found if len(found) < len(rows) or all(found.values()) else {}


def _stands_apart(rows: Sequence[Row], edge: int, is_head: bool) -> bool:  # noqa: FBT001 — the head or the foot
    """Returns whether a gap or another type separates the last row of furniture from the body."""
    inner = edge + 1 if is_head else edge - 1
    if not 0 <= inner < len(rows):
        return True
    steps = sorted(step for a, b in pairwise(rows) if (step := a.bottom - b.bottom) > 0)
    usual = steps[len(steps) // 2] if steps else 0.0
    step = abs(rows[edge].bottom - rows[inner].bottom)
    return (
        step > 1.2 * usual
        or abs(rows[edge].height - rows[inner].height) > 0.5
        or rows[edge].is_bold != rows[inner].is_bold
    )


def _repeated(page: int, row: Row, others: Sequence[tuple[int, Sequence[Row]]]) -> bool | None:
    """Returns whether another page has the same line there; None if none has it, false if it counts the pages."""
    counts = False
    for number, edge in others:
        for other in edge:
            if abs(other.bottom - row.bottom) > _SAME_PLACE or abs(other.height - row.height) > 1:
                continue
            if other.text == row.text:
                return True
            counts |= _counts_pages(row.text, other.text, number - page)
    return False if counts else None


def _counts_pages(text: str, other: str, apart: int) -> bool:
    if _NUMBER.sub("#", text) != _NUMBER.sub("#", other):
        return False
    pairs = zip(_NUMBER.findall(text), _NUMBER.findall(other), strict=True)
    steps = {int(b) - int(a) for a, b in pairs if len(a) < 6 and len(b) < 6}
    return steps <= {0, apart} and apart in steps
