"""What a style sheet writes before and after elements: numbers of clauses that stand nowhere in the page, units, signs."""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice

from backend.documents.parsing.declarations import Declared
from backend.documents.parsing.lists import numbered

_PIECE = re.compile(
    r"""(?i)"(?P<double>(?:[^"\\]|\\.)*+)"?|'(?P<single>(?:[^'\\]|\\.)*+)'?|attr\(\s*(?P<attribute>[\w-]{1,50})[^()]*\)"""
    r"""|(?P<all>counters)\(\s*(?P<names>[\w-]{1,100})\s*,\s*(?:"(?P<between>[^"]{0,20})"|'(?P<apart>[^']{0,20})')\s*(?:,\s*(?P<styles>[\w-]{1,40}))?\s*\)"""
    r"""|counter\(\s*(?P<name>[\w-]{1,100})\s*(?:,\s*(?P<style>[\w-]{1,40}))?\s*\)"""
)
_ESCAPED = re.compile(r"\\(?:([0-9a-fA-F]{1,6})\s?|(.))", re.DOTALL)
_COUNTED = re.compile(r"(?i)(?P<name>-?[a-z_][\w-]{0,100})(?:\s+(?P<number>-?\d{1,9}))?")
_SIGNS = set("%‰°§±<>≤≥+=#()[]")
_HIGHEST = 10**9
_MOST = 50  # counters at once
_LONGEST = 500  # characters of what is written


@dataclass(slots=True)
class Counters:
    """The counters of a page where its reader is; one that an element begins ends with what is around the element."""

    _open: list[tuple[int, str, int]] = field(default_factory=list)
    """Depth of the element that began it, name, number; the innermost last."""

    def enter(self, style: Declared, depth: int) -> None:
        """Counts as an element asks for that is so deep in the page."""
        if self._open:
            self._open = [counter for counter in self._open if counter[0] <= depth]
        for name, number in _counted(style.get("counter-reset", ""), 0):
            self._open = [counter for counter in self._open if counter[:2] != (depth, name)]
            self._begin(depth, name, number)
        for name, step in _counted(style.get("counter-increment", ""), 1):
            self._change(name, step, depth)
        for name, number in _counted(style.get("counter-set", ""), 0):
            self._change(name, number - self.values(name)[-1] if self.values(name) else number, depth)

    def values(self, name: str) -> list[int]:
        """Returns the numbers of the counters of a name, the outermost first."""
        return [number for _, named, number in self._open if named == name]

    def _change(self, name: str, step: int, depth: int) -> None:
        for index in range(len(self._open) - 1, -1, -1):
            begun, named, number = self._open[index]
            if named == name:
                self._open[index] = (begun, name, max(-_HIGHEST, min(_HIGHEST, number + step)))
                return
        self._begin(depth, name, step)

    def _begin(self, depth: int, name: str, number: int) -> None:
        if len(self._open) < _MOST:
            self._open.append((depth, name, number))


def content(style: Declared, attributes: dict[str, str | None], counters: Counters) -> str:
    """Returns what `content` writes, the empty string for mere decoration such as bullets, quotation marks and icons."""
    written = "".join(_pieces(style.get("content", ""), attributes, counters))
    return written if any(map(_says_something, written)) else ""


def _pieces(value: str, attributes: dict[str, str | None], counters: Counters) -> Iterator[str]:
    for piece in _PIECE.finditer(value[:_LONGEST]):
        if (text := piece["double"] if piece["double"] is not None else piece["single"]) is not None:
            yield _ESCAPED.sub(lambda found: _character(found[1]) if found[1] else found[2], text)
        elif piece["attribute"]:
            yield attributes.get(piece["attribute"].lower()) or ""
        elif piece["all"]:
            between = piece["between"] if piece["between"] is not None else piece["apart"]
            yield between.join(numbered(n, piece["styles"] or "") for n in counters.values(piece["names"]) or [0])
        else:
            yield numbered((counters.values(piece["name"]) or [0])[-1], piece["style"] or "")


def _character(code: str) -> str:
    number = int(code, 16)
    return chr(number) if 0 < number < 0x110000 else " "


def _says_something(character: str) -> bool:
    return character.isalnum() or character in _SIGNS or unicodedata.category(character) == "Sc"


def _counted(value: str, default: int) -> Iterator[tuple[str, int]]:
    if value in {"", "none"}:
        return
    for found in islice(_COUNTED.finditer(value), _MOST):
        yield found["name"], int(found["number"]) if found["number"] else default
