"""The numbers of a chart, from the copy that an office document keeps of them."""

from collections.abc import Iterator
from dataclasses import dataclass

from backend.documents.parsing.blocks import BlockKind, Fragment, collapse, row_text
from backend.documents.parsing.openxml import Element, Package
from backend.documents.parsing.sheets import number_format

_C = "{http://schemas.openxmlformats.org/drawingml/2006/chart}"
_A = "{http://schemas.openxmlformats.org/drawingml/2006/main}"
_MOST_POINTS = 10_000
_AXES = {_C + name for name in ("valAx", "catAx", "dateAx", "serAx")}


@dataclass(frozen=True, slots=True)
class _Series:
    """A series: its name, where each point stands on the axis of categories, and its values, by the points' numbers."""

    name: str
    categories: dict[int, str]
    values: dict[int, str]
    sizes: dict[int, str]
    labels: dict[int, str]


def chart_rows(package: Package, part: str) -> list[Fragment]:
    """Returns the chart as a table: a header with the series' names, then a row for each category; empty if unknown.

    Series that stand at other categories than the first, as in a scatter chart, have a header and rows of their own.
    """
    root = package.xml(part)
    if root is None:
        return []
    found = [_series(element, number) for number, element in enumerate(root.iter(_C + "ser"), start=1)]
    if not any(series.values for series in found):
        return []
    title = _caption(root.find(f"{_C}chart/{_C}title")) or "Chart"
    axes = "; ".join(_axes(root))
    rows: list[Fragment] = []
    while found:
        first = found[0].categories
        together = [series for series in found if series.categories == first or not series.categories]
        found = [series for series in found if series.categories != first and series.categories]
        header, *others = _table(f"{title} ({axes})" if axes else title, together)
        rows.append(Fragment(BlockKind.TABLE_HEADER, row_text(header)))
        rows += [Fragment(BlockKind.TABLE_ROW, row_text(row)) for row in others]
    return rows


def _table(title: str, series: list[_Series]) -> Iterator[list[str]]:
    categories = next((s.categories for s in series if s.categories), {})
    columns: list[tuple[str, dict[int, str]]] = []
    for one in series:
        columns.append((one.name, one.values))
        columns += [(f"{one.name} (size)", one.sizes)] if one.sizes else []
        columns += [(f"{one.name} (label)", one.labels)] if one.labels else []
    yield [title, *(name for name, _ in columns)]
    for index in sorted({index for _, column in columns for index in column} | set(categories)):
        yield [categories.get(index, str(index + 1)), *(column.get(index, "") for _, column in columns)]


def _series(element: Element, number: int) -> _Series:
    labels = {}
    for label in element.iterfind(f"{_C}dLbls/{_C}dLbl"):
        index, text = label.find(_C + "idx"), _caption(label)
        if index is not None and text and index.get("val", "").isdecimal():
            labels[int(index.get("val"))] = text
    return _Series(
        " ".join(_points(element, "tx").values()) or f"Series {number}",
        _points(element, "cat") or _points(element, "xVal"),
        _points(element, "val") or _points(element, "yVal"),
        _points(element, "bubbleSize"),
        labels,
    )


def _axes(root: Element) -> list[str]:
    """Returns what stands beside the axes, such as the unit of the values."""
    named = (_caption(axis.find(_C + "title")) for axis in root.iter(*_AXES))
    units = (unit.get("val", "") for unit in root.iter(_C + "builtInUnit"))
    return list(dict.fromkeys(filter(None, (*named, *units))))


def _caption(element: Element | None) -> str:
    """Returns the words of a title or label, which are written in it or copied from a cell."""
    if element is None:
        return ""
    texts = element.find(_C + "tx")
    written = () if texts is None else texts.iter(_A + "t", _C + "v", _A + "p")
    return collapse("".join(" " if node.tag == _A + "p" else node.text or "" for node in written))


def _points(series: Element, name: str) -> dict[int, str]:
    element = series.find(_C + name)
    if element is None:
        return {}
    literal = element.find(_C + "v")
    if literal is not None:
        return {0: literal.text or ""}
    levels = [_level(level) for level in element.iter(_C + "lvl")]
    if levels:
        return _within(levels)
    return _level(element)


def _within(levels: list[dict[int, str]]) -> dict[int, str]:
    """Returns categories in several levels, the innermost first, each under the ones that it stands within."""
    named = dict(levels[0])
    for level in levels[1:]:
        above = ""
        for index in sorted(set(named) | set(level)):
            above = level.get(index, above)
            named[index] = f"{above} {named.get(index, '')}".strip()
    return named


def _level(element: Element) -> dict[int, str]:
    points: dict[int, str] = {}
    code = element.findtext(f".//{_C}formatCode") or "General"
    is_number = next(element.iter(_C + "numCache", _C + "numLit"), None) is not None
    for point in element.iter(_C + "pt"):
        value = point.findtext(_C + "v")
        if value is not None and len(points) < _MOST_POINTS:
            shown = _as_shown(value, point.get("formatCode") or code) if is_number else value
            points.setdefault(int(point.get("idx", "0")), shown)
    return points


def _as_shown(value: str, code: str) -> str:
    try:
        return number_format.shown(float(value), code)
    except (ValueError, OverflowError):
        return value
