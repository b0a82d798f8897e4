"""What the sheets of a workbook share: their names and parts, the strings, and how cells are shown."""

from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, NamedTuple

from lxml import etree

from backend.documents.parsing import marks
from backend.documents.parsing.openxml import Element, Package, R
from backend.documents.parsing.sheets.number_format import BUILT_IN

S = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
_STRICT_S = "{http://purl.oclc.org/ooxml/spreadsheetml/main}"
_OFF = {"0", "false"}


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


@dataclass(slots=True)
class Strings:
    """The shared strings, in as many bytes as they need: a list of texts would take several times as many."""

    content: bytearray
    ends: "array[int]"

    @classmethod
    def read(cls, file: IO[bytes] | None) -> "Strings":
        """Read the part of shared strings as a stream."""
        strings = cls(bytearray(), array("Q"))
        if file is not None:
            for item in elements(file, "si"):
                strings.content += rich_text(item).encode()
                strings.ends.append(len(strings.content))
        return strings

    def get(self, index: int) -> str:
        """Return a string by its number; the empty string for a number that there is not."""
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
    """Yield the elements of that name as the stream reaches their ends, each emptied after it was used."""
    tags = [namespace + name for namespace in (S, _STRICT_S)]
    for _, element in etree.iterparse(file, events=("end",), tag=tags, resolve_entities=False, no_network=True):
        yield element
        element.clear()
        parent = element.getparent()
        while parent is not None and element.getprevious() is not None:
            del parent[0]


def rich_text(item: Element) -> str:
    """Return a text of runs: struck-out runs are left out and raised ones stand apart; readings are left out."""
    pieces: list[str] = []
    for child in item.iterchildren("*"):
        name = etree.QName(child).localname
        if name == "t":
            pieces.append(child.text or "")
        elif name == "r":
            pieces.append(_run(child, "".join(pieces[-3:])))
    return "".join(pieces)


def _run(run: Element, before: str) -> str:
    text = "".join(node.text or "" for node in run.iterchildren("{*}t"))
    if run.find("{*}rPr/{*}strike") is not None and run.find("{*}rPr/{*}strike").get("val", "1") not in _OFF:
        return ""
    align = run.find("{*}rPr/{*}vertAlign")
    place = (
        None if align is None else {"superscript": marks.raised, "subscript": marks.lowered}.get(align.get("val", ""))
    )
    return text if place is None else place(before, text)


def _styles(root: Element | None) -> list[CellStyle]:
    if root is None:
        return []
    formats = dict(BUILT_IN)
    for element in root.iterfind(f"{S}numFmts/{S}numFmt"):
        identity = element.get("numFmtId", "")
        if identity.isdigit():
            formats[int(identity)] = element.get("formatCode", "General")
    struck = [
        strike is not None and strike.get("val", "1") not in _OFF
        for strike in (font.find(S + "strike") for font in root.iterfind(f"{S}fonts/{S}font"))
    ]
    return [_style(element, formats, struck) for element in root.iterfind(f"{S}cellXfs/{S}xf")]


def _style(element: Element, formats: dict[int, str], struck: list[bool]) -> CellStyle:
    font, number_format = element.get("fontId", "0"), element.get("numFmtId", "0")
    is_struck = font.isdigit() and int(font) < len(struck) and struck[int(font)]
    return CellStyle(formats.get(int(number_format), "General") if number_format.isdigit() else "General", is_struck)
