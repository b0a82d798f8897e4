"""What of a slide its readers see: neither hidden shapes, nor those beyond its edges, nor white words on white."""

from pptx.shapes.base import BaseShape
from pptx.slide import Slide

from backend.documents.parsing.findings import WarningKind
from backend.documents.parsing.openxml import Element, parsed_or_none
from backend.documents.parsing.theme import COLOURS, Theme, is_nearly_white

_A = "{http://schemas.openxmlformats.org/drawingml/2006/main}"
_P = "{http://schemas.openxmlformats.org/presentationml/2006/main}"
_FILLS = {_A + name for name in ("solidFill", "gradFill", "blipFill", "pattFill", "grpFill")}
_NAMES = {"bg1": "lt1", "tx1": "dk1", "bg2": "lt2", "tx2": "dk2"}


class Visibility:
    """Judges the shapes of one slide."""

    def __init__(self, slide: Slide, size: tuple[int, int]) -> None:
        """Looks at the slide's ground and at what is drawn on it; `size` is its width and height."""
        self._size = size
        layers = (slide, slide.slide_layout, slide.slide_layout.slide_master)
        grounds = [layer.element.find(f"{_P}cSld/{_P}bg") for layer in layers]
        ground = next((ground for ground in grounds if ground is not None), None)
        self._theme = _theme_of(slide)
        self._is_white_ground = ground is None or _is_white_fill(ground, self._theme)
        self._drawn = [shape for layer in layers for shape in layer.shapes if _is_drawn(shape, self._theme)]

    def left_out(self, shape: BaseShape, *, is_member: bool = False) -> tuple[WarningKind, str] | None:
        """Returns why a shape is not read, None if it is; the places of a group's members are counted within the group."""
        named = next(shape.element.iter(_P + "cNvPr"), None)
        if named is not None and named.get("hidden") in {"1", "true"}:
            return WarningKind.HIDDEN_CONTENT, "A hidden shape is left out."
        if is_member:
            return None
        width, height = self._size
        left, top = shape.left or 0, shape.top or 0
        beside = left + (shape.width or 0) <= 0 or left >= width
        if width and (beside or top + (shape.height or 0) <= 0 or top >= height) and (shape.width or shape.height):
            return WarningKind.INVISIBLE_TEXT, "Text beyond the edge of the slide is left out."
        return None

    def is_on_ground(self, shape: BaseShape) -> bool:
        """Returns whether white words of a shape can be read: on the slide's colour, their own, or that of a shape behind."""
        styled = shape.element.find(f"{_P}style/{_A}fillRef")
        if not self._is_white_ground or _is_drawn(shape, self._theme) or styled is not None:
            return True
        return any(_overlaps(shape, other) for other in self._drawn if other.shape_id != shape.shape_id)

    def is_white(self, properties: Element | None) -> bool:
        """Returns whether run properties make words white."""
        fill = None if properties is None else properties.find(_A + "solidFill")
        return fill is not None and _is_white_fill(fill, self._theme)


def _theme_of(slide: Slide) -> Theme:
    """Returns the colours of a slide's theme, by the names that its master gives them, or the slide itself."""
    master = slide.slide_layout.slide_master
    part = next((r.target_part for r in master.part.rels.values() if r.reltype.endswith("/theme")), None)
    names = dict(_NAMES)
    mappings = [master.element.find(_P + "clrMap")]
    mappings += [e.find(f"{_P}clrMapOvr/{_A}overrideClrMapping") for e in (slide.slide_layout.element, slide.element)]
    for mapping in mappings:
        names |= {} if mapping is None else dict(mapping.attrib)
    return Theme(parsed_or_none(None if part is None else part.blob), names)


def _is_white_fill(element: Element, theme: Theme) -> bool:
    """Returns whether the only colours within are white."""
    colours = [theme.of(colour) for colour in element.iter(*COLOURS)]
    is_picture = next(element.iter(_A + "blip"), None) is not None
    return not is_picture and all(colour is not None and is_nearly_white(colour) for colour in colours)


def _is_drawn(shape: BaseShape, theme: Theme) -> bool:
    """Returns whether a shape is a picture, or filled with another colour than white."""
    if shape.element.tag == _P + "pic":
        return True
    properties = shape.element.find(_P + "spPr")
    fill = None if properties is None else next((c for c in properties.iterchildren() if c.tag in _FILLS), None)
    if fill is not None:
        return not _is_white_fill(fill, theme)
    is_unfilled = properties is not None and properties.find(_A + "noFill") is not None
    return not is_unfilled and shape.element.find(f"{_P}style/{_A}fillRef") is not None


def _overlaps(one: BaseShape, other: BaseShape) -> bool:
    left, top = max(one.left or 0, other.left or 0), max(one.top or 0, other.top or 0)
    right = min((one.left or 0) + (one.width or 0), (other.left or 0) + (other.width or 0))
    return left < right and top < min((one.top or 0) + (one.height or 0), (other.top or 0) + (other.height or 0))
