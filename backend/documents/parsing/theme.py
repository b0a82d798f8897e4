"""The colours of an office document's theme: what background1 or accent2 is in it, and in its lighter and darker shades."""

import colorsys
import re
from collections.abc import Iterable, Mapping
from typing import TypeAlias

from backend.documents.parsing.openxml import Element

_A = "{http://schemas.openxmlformats.org/drawingml/2006/main}"
_WHOLE = 100_000
_NEARLY_WHITE = 245
_HEX = re.compile(r"[0-9a-fA-F]{6}")
_PRESET = {"white": (255, 255, 255), "black": (0, 0, 0)}
COLOURS = tuple(_A + name for name in ("srgbClr", "schemeClr", "sysClr", "prstClr", "scrgbClr", "hslClr"))
"""The elements that are a colour."""

Colour: TypeAlias = tuple[int, int, int]
"""Red, green and blue."""


class Theme:
    """The colours of a theme, by the names that a document has for them."""

    def __init__(self, root: Element | None, names: Mapping[str, str]) -> None:
        """Reads the part of the theme; without one, the first light colour is white and the first dark one black."""
        self._names = names
        self._colours: dict[str, Colour] = {"lt1": (255, 255, 255), "dk1": (0, 0, 0)}
        scheme = None if root is None else next(root.iter(_A + "clrScheme"), None)
        for named in () if scheme is None else scheme.iterchildren("*"):
            for element in named.iterchildren("*"):
                if colour := self.of(element):
                    self._colours[named.tag.rpartition("}")[2]] = colour

    def named(self, name: str) -> Colour | None:
        """Returns the colour of a name, None if the theme has none."""
        return self._colours.get(self._names.get(name, name))

    def of(self, element: Element) -> Colour | None:
        """Returns the colour that an element of a drawing is, None if it is not known."""
        value = element.get("val", "")
        match element.tag.rpartition("}")[2]:
            case "srgbClr":
                colour = colour_of(value)
            case "sysClr":
                colour = colour_of(element.get("lastClr", ""))
            case "prstClr":
                colour = _PRESET.get(value)
            case "schemeClr":
                colour = self.named(value)
            case _:
                colour = None
        return None if colour is None else _changed(colour, element.iterchildren("*"))


def colour_of(digits: str) -> Colour | None:
    """Returns the colour of six hexadecimal digits, None for anything else."""
    return (int(digits[:2], 16), int(digits[2:4], 16), int(digits[4:], 16)) if _HEX.fullmatch(digits) else None


def is_nearly_white(colour: Colour) -> bool:
    """Returns whether words in a colour cannot be read on white."""
    return min(colour) >= _NEARLY_WHITE


def shaded(colour: Colour, *, tint: float = 1.0, shade: float = 1.0) -> Colour:
    """Returns a colour mixed with white, of which 1 - `tint` is taken, or with black."""
    red, green, blue = (round((255 - (255 - part) * tint) * shade) for part in colour)
    return red, green, blue


def _changed(colour: Colour, changes: Iterable[Element]) -> Colour:
    for change in changes:
        written = change.get("val", "")
        share = int(written) / _WHOLE if written.isdecimal() else 1.0
        match change.tag.rpartition("}")[2]:
            case "tint":
                colour = shaded(colour, tint=share)
            case "shade":
                colour = shaded(colour, shade=share)
            case "lumMod":
                colour = _with_luminance(colour, share, 0.0)
            case "lumOff":
                colour = _with_luminance(colour, 1.0, share)
    return colour


def _with_luminance(colour: Colour, factor: float, more: float) -> Colour:
    hue, luminance, saturation = colorsys.rgb_to_hls(*(part / 255 for part in colour))
    parts = colorsys.hls_to_rgb(hue, max(0.0, min(luminance * factor + more, 1.0)), saturation)
    red, green, blue = (round(255 * part) for part in parts)
    return red, green, blue
