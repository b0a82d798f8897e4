"""Colours in style sheets: whether words have the colour of their ground, so that nobody sees them."""

import colorsys
import re
from collections.abc import Iterable
from typing import NamedTuple

from backend.documents.parsing.declarations import NUMBER, Declared

_HEX = re.compile(r"#([0-9a-f]{3,4}|[0-9a-f]{6}|[0-9a-f]{8})$")
_NUMBER = rf"({NUMBER})(%?)"
_LONGEST = 100  # characters of a colour
_RGB = re.compile(rf"rgba?\(\s*{_NUMBER}[\s,]+{_NUMBER}[\s,]+{_NUMBER}(?:[\s,/]+{_NUMBER})?\s*\)$")
_HSL = re.compile(rf"hsla?\(\s*{_NUMBER}(?:deg)?[\s,]+{_NUMBER}[\s,]+{_NUMBER}(?:[\s,/]+{_NUMBER})?\s*\)$")
_NAMES = {
    "white": (255, 255, 255), "snow": (255, 250, 250), "ivory": (255, 255, 240), "black": (0, 0, 0), "red": (255, 0, 0),
    "blue": (0, 0, 255), "navy": (0, 0, 128), "green": (0, 128, 0), "gray": (128, 128, 128), "grey": (128, 128, 128),
    "yellow": (255, 255, 0), "silver": (192, 192, 192), "transparent": (0, 0, 0, 0),
}  # fmt: skip
_NO_GROUND = {"none", "transparent", "inherit", "initial", "unset"}
_SAME = 6


class Colour(NamedTuple):
    """A colour by its red, green and blue of 255, and how much of it covers what is behind it."""

    red: float
    green: float
    blue: float
    alpha: float = 1.0

    def over(self, ground: "Colour") -> "Colour":
        """Returns what is seen of the colour on a ground."""
        parts = zip(self[:3], ground[:3], strict=True)
        red, green, blue = (self.alpha * own + (1 - self.alpha) * behind for own, behind in parts)
        return Colour(red, green, blue, ground.alpha + self.alpha * (1 - ground.alpha))


_PAPER = Colour(255, 255, 255)


def is_in_colour_of_ground(style: Declared, around: Iterable[Declared]) -> bool:
    """Returns whether a style gives words the colour of the nearest ground; `around` are styles from the words outwards.

    A ground that is no single known colour, such as a picture, lets words be seen.
    """
    written = style.get("color")
    if written is None or "text" in style.get("background-clip", style.get("-webkit-background-clip", "")):
        return False  # or the ground shows through the letters alone
    colour = parsed(written)
    if colour is None:
        return False
    if not colour.alpha:
        return True
    ground = _ground(around)
    return ground is not None and max(abs(a - b) for a, b in zip(colour.over(ground), ground, strict=True)) <= _SAME


def _ground(around: Iterable[Declared]) -> Colour | None:
    layers: list[Colour] = []
    for style in around:
        if style.get("background-image", "none") not in _NO_GROUND:
            return None
        written = style.get("background-color", "none")
        if written in _NO_GROUND:
            continue
        layer = _of_shorthand(written)
        if layer is None:
            return None
        layers.append(layer)
        if layer.alpha >= 1:
            break
    ground = _PAPER
    for layer in reversed(layers):
        ground = layer.over(ground)
    return ground


def _of_shorthand(written: str) -> Colour | None:
    """Returns the colour of a background, which may be written with more than a colour; None if it is not known."""
    whole = parsed(written)
    if whole is not None:
        return whole
    known = [colour for word in re.sub(r"\s*,\s*|\s*/\s*", ",", written).split() if (colour := parsed(word))]
    return known[0] if len(known) == 1 else None


def parsed(written: str) -> Colour | None:
    """Returns a colour as it is written in a style, None if it is not known."""
    if written in _NAMES:
        return Colour(*_NAMES[written])
    if len(written) > _LONGEST:
        return None
    if found := _HEX.match(written):
        digits = found[1] if len(found[1]) > 4 else "".join(2 * digit for digit in found[1])
        parts = bytes.fromhex(digits.ljust(8, "f"))
        return Colour(parts[0], parts[1], parts[2], parts[3] / 255)
    if found := _RGB.match(written):
        red, green, blue = (_share(*found.group(place, place + 1), whole=255) * 255 for place in (1, 3, 5))
        return Colour(red, green, blue, _share(found[7] or "1", found[8] or "", whole=1))
    if found := _HSL.match(written):
        hue, saturation, light = float(found[1]) % 360 / 360, *(min(float(found[place]) / 100, 1) for place in (3, 5))
        red, green, blue = (255 * part for part in colorsys.hls_to_rgb(hue, light, saturation))
        return Colour(red, green, blue, _share(found[7] or "1", found[8] or "", whole=1))
    return None


def _share(number: str, percent: str, *, whole: float) -> float:
    return max(0.0, min(float(number) / (100 if percent else whole), 1.0))
