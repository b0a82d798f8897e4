"""What styles say of paragraphs and of runs, each with what it is based on."""

import re
from dataclasses import dataclass

from backend.documents.parsing.blocks import BlockKind
from backend.documents.parsing.openxml import Element
from backend.documents.parsing.theme import Theme
from backend.documents.parsing.word.numbering import W

_HEADING_NAME = re.compile(r"(?i)heading (\d)")
_NO_OUTLINE = 9
_OFF = {"0", "false", "off"}
_FONTS = W + "rFonts"


@dataclass(frozen=True, slots=True)
class ParagraphStyle:
    """What a paragraph style says of its paragraphs."""

    kind: BlockKind = BlockKind.PARAGRAPH
    level: int = 0
    list_id: str | None = None
    list_level: int | None = None


class Styles:
    """The styles of a document by their ids."""

    def __init__(self, root: Element | None, theme: Theme) -> None:
        """Reads the part of styles, if there is one."""
        self.theme = theme
        elements = [] if root is None else root.findall(W + "style")
        self._elements = {element.get(W + "styleId", ""): element for element in elements}
        self._resolved: dict[str, ParagraphStyle] = {}
        self._looks: dict[str, dict[str, Element]] = {}
        defaults = [e for e in elements if e.get(W + "type") == "paragraph" and e.get(W + "default") in {"1", "true"}]
        self.default = defaults[0].get(W + "styleId", "") if defaults else ""

    def of_paragraph(self, style_id: str, depth: int = 0) -> ParagraphStyle:
        """Returns what a style says of its paragraphs."""
        if style_id not in self._resolved:
            self._resolved[style_id] = self._read(style_id, depth)
        return self._resolved[style_id]

    def list_of(self, style_id: str) -> str | None:
        """Returns the list that a style is numbered by."""
        return self.of_paragraph(style_id).list_id

    def look(self, style_id: str, depth: int = 0) -> dict[str, Element]:
        """Returns the run properties of a style, and its shading of paragraphs as `shd`, by their tags."""
        if style_id not in self._looks:
            element = self._elements.get(style_id)
            if element is None or depth > len(self._elements):
                return {}
            based_on = value(element, "basedOn")
            look = dict(self.look(based_on, depth + 1)) if based_on and based_on != style_id else {}
            shading = element.find(f"{W}pPr/{W}shd")
            look |= {} if shading is None else {shading.tag: shading}
            properties = element.find(W + "rPr")
            look |= {} if properties is None else {child.tag: child for child in properties.iterchildren("*")}
            self._looks[style_id] = look
        return self._looks[style_id]

    def _read(self, style_id: str, depth: int) -> ParagraphStyle:
        element = self._elements.get(style_id)
        if element is None or depth > len(self._elements):
            return ParagraphStyle()
        based_on = value(element, "basedOn")
        base = self.of_paragraph(based_on, depth + 1) if based_on and based_on != style_id else ParagraphStyle()
        name = value(element, "name") or ""
        numbered = element.find(f"{W}pPr/{W}numPr")
        list_id, list_level = value(numbered, "numId") or base.list_id, value(numbered, "ilvl")
        level = int(list_level) if list_level and list_level.isdigit() else base.list_level
        kind, outline = base.kind, base.level
        if heading := _HEADING_NAME.match(name):
            kind, outline = BlockKind.HEADING, int(heading[1])
        elif name == "Title":
            kind, outline = BlockKind.HEADING, 1
        elif name.startswith("List"):
            kind, outline = BlockKind.LIST_ITEM, 0
        style = ParagraphStyle(kind, outline, list_id, level)
        outlined_by = element.find(f"{W}pPr/{W}outlineLvl")
        return style if outlined_by is None or (kind is BlockKind.HEADING and heading) else outlined(outlined_by, style)


class Look:
    """How a run is shown: by its own properties, else by those of its style, else by those of its paragraph's style."""

    def __init__(self, own: Element | None, styles: Styles, paragraph_style: str) -> None:
        """Reads properties as they are asked for."""
        self._own = own
        named = value(own, "rStyle")
        self._style = styles.look(named) if named else {}
        self._paragraph = styles.look(paragraph_style)

    def find(self, name: str) -> Element | None:
        """Returns the property of that name that counts."""
        tag = W + name
        own = None if self._own is None else self._own.find(tag)
        return own if own is not None else self._style.get(tag, self._paragraph.get(tag))

    def get(self, name: str, default: str = "") -> str:
        """Returns the value of a property."""
        found = self.find(name)
        return default if found is None else found.get(W + "val", default)

    def is_on(self, name: str) -> bool:
        """Returns whether a switch is set."""
        return self.find(name) is not None and self.get(name, "true") not in _OFF

    def font(self, script: str) -> str:
        """Returns the font for a script, such as `ascii`; one that the theme names is no font of symbols, and empty."""
        own = None if self._own is None else self._own.find(_FONTS)
        for fonts in (own, self._style.get(_FONTS), self._paragraph.get(_FONTS)):
            if fonts is not None and fonts.get(f"{W}{script}Theme") is not None:
                return ""
            if fonts is not None and (named := fonts.get(W + script)):
                return str(named)
        return ""


def outlined(outline: Element, style: ParagraphStyle) -> ParagraphStyle:
    """Returns the style with the level of an outline."""
    written = outline.get(W + "val", str(_NO_OUTLINE))
    level = int(written) if written.isdigit() else _NO_OUTLINE
    if level < _NO_OUTLINE:
        return ParagraphStyle(BlockKind.HEADING, level + 1, style.list_id, style.list_level)
    return ParagraphStyle(BlockKind.PARAGRAPH, 0, style.list_id, style.list_level)


def value(element: Element | None, name: str) -> str | None:
    """Returns the value of a child of that name, None if there is none."""
    child = None if element is None else element.find(W + name)
    return None if child is None else child.get(W + "val")
