"""What the sheets of a workbook share: their names and parts, the strings, and how cells are shown."""

import re
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, NamedTuple, TypeVar

from lxml import etree

from backend.documents.parsing import marks
from backend.documents.parsing.openxml import Element, Package, R
from backend.documents.parsing.sheets.number_format import BUILT_IN

_Kind = TypeVar("_Kind")
S = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
_STRICT_S = "{http://purl.oclc.org/ooxml/spreadsheetml/main}"
_OFF = {"0", "false"}
_ESCAPED = re.compile(r"_x([0-9A-Fa-f]{4})_")
_WHITE = {"FFFFFFFF", "00FFFFFF"}


class Sheet(NamedTuple):
    """A sheet: its position in the workbook from 1, its name, its part, and whether it is shown."""

    number: int
    name: str
    part: str
    is_hidden: bool
    is_worksheet: bool


class CellStyle(NamedTuple):
    """How a cell is shown."""

    number_format: str = "General"
    is_struck: bool = False
    is_white: bool = False


@dataclass(slots=True)
class Strings:
    """The shared strings, in as many bytes as they need: a list of texts would take several times as many."""

    content: bytearray
    ends: "array[int]"
    struck: set[int]
    """The numbers of the strings of which a part is struck out."""

    @classmethod
    def read(cls, file: IO[bytes] | None) -> "Strings":
        """Reads the part of shared strings as a stream."""
        strings = cls(bytearray(), array("Q"), set())
        if file is not None:
            for item in elements(file, "si"):
                strings.content += rich_text(item).encode()
                if has_struck(item):
                    strings.struck.add(len(strings.ends))
                strings.ends.append(len(strings.content))
        return strings

    def get(self, index: int) -> str:
        """Returns a string by its number; the empty string for a number that there is not."""
        if not 0 <= index < len(self.ends):
            return ""
        start = self.ends[index - 1] if index else 0
        return self.content[start : self.ends[index]].decode()


class Workbook:
    """A workbook's sheets, styles and strings."""

    def __init__(self, package: Package) -> None:
        self._package = package
        main = package.main_part()
        root = package.xml(main)
        related = package.related(main)
        parts = {relationship.id: relationship for relationship in related}
        self.sheets: list[Sheet] = []
        self.since_1904 = False
        if root is not None:
            properties = root.find(S + "workbookPr")
            self.since_1904 = properties is not None and properties.get("date1904", "0") not in _OFF
            for number, sheet in enumerate(root.iterfind(f"{S}sheets/{S}sheet"), start=1):
                part = parts.get(sheet.get(R + "id", ""))
                if part is not None:
                    hidden = sheet.get("state", "visible") != "visible"
                    self.sheets.append(
                        Sheet(number, sheet.get("name", ""), part.target, hidden, part.kind == "worksheet")
                    )
        named = {relationship.kind: relationship.target for relationship in related}
        self.styles = _styles(package.xml(named["styles"])) if "styles" in named else []
        strings = package.name(named.get("sharedStrings", ""))
        if strings is None:
            self.strings = Strings.read(None)
        else:
            with package.archive.open(strings) as file:
                self.strings = Strings.read(file)


def elements(file: IO[bytes], name: str) -> Iterator[Element]:
    """Yields the elements of that name as the stream reaches their ends, each emptied after it was used."""
    tags = [namespace + name for namespace in (S, _STRICT_S)]
    for _, element in etree.iterparse(file, events=("end",), tag=tags, resolve_entities=False, no_network=True):
        yield element
        element.clear()
        parent = element.getparent()
        while parent is not None and element.getprevious() is not None:
            del parent[0]


def rich_text(item: Element) -> str:
    """Returns a text of runs: struck-out runs are left out and raised ones stand apart; readings are left out."""
    pieces: list[str] = []
    for child in item.iterchildren("*"):
        name = etree.QName(child).localname
        if name == "t":
            pieces.append(unescaped(child.text or ""))
        elif name == "r":
            pieces.append(_run(child, "".join(pieces[-3:])))
    return "".join(pieces)


def has_struck(item: Element) -> bool:
    """Returns whether a run of a text is struck out."""
    return any(map(_is_struck_run, item.iterchildren("{*}r")))


def unescaped(text: str) -> str:
    """Returns a text with the characters that XML cannot hold, which are written as _x000D_."""
    return _ESCAPED.sub(lambda found: chr(int(found[1], 16)), text) if "_x" in text else text


def _run(run: Element, before: str) -> str:
    text = unescaped("".join(node.text or "" for node in run.iterchildren("{*}t")))
    if _is_struck_run(run):
        return ""
    align = run.find("{*}rPr/{*}vertAlign")
    place = (
        None if align is None else {"superscript": marks.raised, "subscript": marks.lowered}.get(align.get("val", ""))
    )
    return text if place is None else place(before, text)


def _is_struck_run(run: Element) -> bool:
    strike = run.find("{*}rPr/{*}strike")
    return strike is not None and strike.get("val", "1") not in _OFF and any(t.text for t in run.iterchildren("{*}t"))


def _styles(root: Element | None) -> list[CellStyle]:
    if root is None:
        return []
    formats = dict(BUILT_IN)
    for element in root.iterfind(f"{S}numFmts/{S}numFmt"):
        identity = element.get("numFmtId", "")
        if identity.isdigit():
            formats[int(identity)] = element.get("formatCode", "General")
    fonts = [(_is_struck(font), _is_white(font.find(S + "color"))) for font in root.iterfind(f"{S}fonts/{S}font")]
    fills = [_is_ground(fill.find(S + "patternFill")) for fill in root.iterfind(f"{S}fills/{S}fill")]
    return [_style(element, formats, fonts, fills) for element in root.iterfind(f"{S}cellXfs/{S}xf")]


def _style(element: Element, formats: dict[int, str], fonts: list[tuple[bool, bool]], fills: list[bool]) -> CellStyle:
    number_format = element.get("numFmtId", "0")
    is_struck, is_white = _numbered(element, "fontId", fonts, (False, False))
    is_on_ground = _numbered(element, "fillId", fills, default=True)
    code = formats.get(int(number_format), "General") if number_format.isdigit() else "General"
    return CellStyle(code, is_struck, is_white and not is_on_ground)


def _numbered(element: Element, name: str, of: list[_Kind], default: _Kind) -> _Kind:
    number = element.get(name, "0")
    return of[int(number)] if number.isdigit() and int(number) < len(of) else default


def _is_struck(font: Element) -> bool:
    strike = font.find(S + "strike")
    return strike is not None and strike.get("val", "1") not in _OFF


def _is_white(colour: Element | None) -> bool:
    """Returns whether a colour is white, which is also the first of a theme."""
    if colour is None:
        return False
    return colour.get("rgb", "").upper() in _WHITE or (
        colour.get("theme") == "0" and float(colour.get("tint", "0")) > -0.05
    )


def _is_ground(pattern: Element | None) -> bool:
    """Returns whether a fill is another than none or white."""
    if pattern is None:
        return True  # a gradient
    if pattern.get("patternType", "none") == "none":
        return False
    return pattern.get("patternType") != "solid" or not _is_white(pattern.find(S + "fgColor"))
