"""The numbers of a chart, from the copy that an office document keeps of them."""

from backend.documents.parsing.openxml import Element, Package
from backend.documents.parsing.sheets import number_format

_C = "{http://schemas.openxmlformats.org/drawingml/2006/chart}"
_A_TEXT = "{http://schemas.openxmlformats.org/drawingml/2006/main}t"
_MOST_POINTS = 10_000


def chart_rows(package: Package, part: str) -> list[list[str]]:
    """Returns the chart as a table: a header with the series' names, then a row for each category; empty if unknown."""
    root = package.xml(part)
    if root is None:
        return []
    names: list[str] = []
    columns: list[dict[int, str]] = []
    categories: dict[int, str] = {}
    for series in root.iter(_C + "ser"):
        names.append(" ".join(_points(series, "tx").values()) or f"Series {len(names) + 1}")
        columns.append(_points(series, "val") or _points(series, "yVal"))
        categories |= _points(series, "cat") or _points(series, "xVal")
    if not any(columns):
        return []
    title = root.find(f"{_C}chart/{_C}title")
    caption = "" if title is None else "".join(node.text or "" for node in title.iter(_A_TEXT))
    indexes = sorted({index for column in columns for index in column} | set(categories))
    rows = [
        [categories.get(index, str(index + 1)), *(column.get(index, "") for column in columns)] for index in indexes
    ]
    return [[caption or "Chart", *names], *rows]


def _points(series: Element, name: str) -> dict[int, str]:
    element = series.find(_C + name)
    if element is None:
        return {}
    literal = element.find(_C + "v")
    if literal is not None:
        return {0: literal.text or ""}
    points: dict[int, str] = {}
    code = element.findtext(f".//{_C}numCache/{_C}formatCode") or "General"
    for point in element.iter(_C + "pt"):
        value = point.findtext(_C + "v")
        if value is not None and len(points) < _MOST_POINTS:
            points.setdefault(int(point.get("idx", "0")), _as_shown(value, point.get("formatCode") or code))
    return points


def _as_shown(value: str, code: str) -> str:
    if code == "General":
        return value
    try:
        return number_format.shown(float(value), code)
    except (ValueError, OverflowError):
        return value
