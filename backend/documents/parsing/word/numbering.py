"""The numbers that Word prints before paragraphs: they are nowhere in the document and are counted here."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from backend.documents.parsing.numerals import formatted
from backend.documents.parsing.openxml import Element

W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_LEVELS = 9
_PLACEHOLDER = re.compile(r"%([1-9])")
_HIGHEST = 100_000


@dataclass(frozen=True, slots=True)
class Level:
    """How one level of a list is numbered; `restarts_after` is the level (from 1) that resets it, 0 for none."""

    start: int = 1
    number_format: str = "decimal"
    text: str = ""
    is_legal: bool = False
    restarts_after: int | None = None


@dataclass(slots=True)
class _Counts:
    """The state of a list: the current number of each level, None for one that was not used yet."""

    numbers: list[int | None] = field(default_factory=lambda: [None] * _LEVELS)


class Numbering:
    """Counts the paragraphs of all lists of a document in order."""

    def __init__(self, root: Element | None) -> None:
        self._abstract: dict[str, dict[int, Level]] = {}
        self._style_levels: dict[str, dict[str, int]] = {}
        self._style_links: dict[str, str] = {}
        self._lists: dict[str, tuple[str, dict[int, int], dict[int, Level]]] = {}
        self._counts: dict[str, _Counts] = {}
        self._begun: set[tuple[str, int]] = set()
        if root is not None:
            self._read(root)

    def level_of_style(self, list_id: str, style: str) -> int | None:
        """Returns the level of a list that is tied to a paragraph style."""
        known = self._lists.get(list_id)
        return None if known is None else self._style_levels.get(known[0], {}).get(style)

    def next(self, list_id: str, level: int, list_of_style: Callable[[str], str | None]) -> str | None:
        """Counts a paragraph; returns its number as printed, empty for a bullet, None if it is in no list."""
        known = self._lists.get(list_id)
        if known is None or not 0 <= level < _LEVELS:
            return None
        abstract, starts, replaced = self._resolved(known, list_of_style)
        levels = self._abstract.get(abstract, {}) | replaced
        if level not in levels:
            return None
        numbers = self._counts.setdefault(abstract, _Counts()).numbers
        self._restart(list_id, level, starts, numbers)
        current = numbers[level]
        numbers[level] = min(_HIGHEST, levels[level].start if current is None else current + 1)
        for deeper in range(level + 1, _LEVELS):
            after = levels[deeper].restarts_after if deeper in levels else None
            if after is None or level < after:
                numbers[deeper] = None
        return _printed(levels, level, numbers)

    def _restart(self, list_id: str, level: int, starts: dict[int, int], numbers: list[int | None]) -> None:
        if level in starts and (list_id, level) not in self._begun:
            numbers[level] = starts[level] - 1
        self._begun.add((list_id, level))

    def _resolved(
        self, known: tuple[str, dict[int, int], dict[int, Level]], list_of_style: Callable[[str], str | None]
    ) -> tuple[str, dict[int, int], dict[int, Level]]:
        abstract, starts, replaced = known
        style = self._style_links.get(abstract)
        linked = self._lists.get(list_of_style(style) or "") if style is not None else None
        return (linked[0], starts, replaced) if linked is not None else known

    def _read(self, root: Element) -> None:
        for abstract in root.iterchildren(W + "abstractNum"):
            name = abstract.get(W + "abstractNumId", "")
            self._abstract[name] = {}
            self._style_levels[name] = {}
            for element in abstract.iterchildren(W + "lvl"):
                number, level = _level(element)
                self._abstract[name][number] = level
                style = element.find(W + "pStyle")
                if style is not None:
                    self._style_levels[name][style.get(W + "val", "")] = number
            link = abstract.find(W + "numStyleLink")
            if link is not None:
                self._style_links[name] = link.get(W + "val", "")
        for element in root.iterchildren(W + "num"):
            abstract_id = element.find(W + "abstractNumId")
            if abstract_id is not None:
                name = abstract_id.get(W + "val", "")
                self._lists[element.get(W + "numId", "")] = (name, *self._overrides(element, name))

    def _overrides(self, element: Element, abstract: str) -> tuple[dict[int, int], dict[int, Level]]:
        starts, replaced = {}, {}
        for override in element.iterchildren(W + "lvlOverride"):
            number = _number(override.get(W + "ilvl"), 0)
            level = override.find(W + "lvl")
            if level is not None:
                replaced[number] = _level(level)[1]
            start = override.find(W + "startOverride")
            if start is not None:
                starts[number] = _number(start.get(W + "val"), 1)
                base = replaced.get(number) or self._abstract.get(abstract, {}).get(number)
                if base is not None:
                    replaced[number] = replace(base, start=starts[number])
        return starts, replaced


def _level(element: Element) -> tuple[int, Level]:
    def value(name: str, default: str) -> str:
        child = element.find(W + name)
        return default if child is None else child.get(W + "val", "true" if name == "isLgl" else default)

    restart = element.find(W + "lvlRestart")
    return _number(element.get(W + "ilvl"), 0), Level(
        start=_number(value("start", "1"), 1),
        number_format=_format(element, value("numFmt", "decimal")),
        text=value("lvlText", ""),
        is_legal=value("isLgl", "false") not in {"false", "0", "off"},
        restarts_after=None if restart is None else _number(restart.get(W + "val"), 0),
    )


def _format(element: Element, written: str) -> str:
    """Returns the number format; one that newer programs know, such as "001, 002", is given by its first number."""
    custom = element.find("{*}AlternateContent/{*}Choice/" + W + "numFmt")
    first = "" if custom is None else custom.get(W + "format", "").partition(",")[0]
    return first if first.isdigit() else written


def _number(text: str | None, default: int) -> int:
    try:
        return max(0, min(_HIGHEST, int(text or default)))
    except ValueError:
        return default


def _printed(levels: dict[int, Level], level: int, numbers: list[int | None]) -> str:
    shown = levels[level]
    if shown.number_format in {"bullet", "none"} and not _PLACEHOLDER.search(shown.text):
        return ""

    def placed(match: re.Match[str]) -> str:
        index = int(match[1]) - 1
        referred = levels.get(index, shown)
        number = numbers[index]
        style = "decimal" if shown.is_legal and referred.number_format != "none" else referred.number_format
        return formatted(referred.start if number is None else number, style)

    return _PLACEHOLDER.sub(placed, shown.text).strip()
