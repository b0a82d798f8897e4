"""Colours in style sheets: whether words have the colour of their ground, so that nobody sees them."""

import re
from collections.abc import Iterable

_COLOUR = re.compile(r"(?i)(?:^|;)\s*color\s*:\s*([^;!]+)")
_GROUND = re.compile(r"(?i)(?:^|;)\s*background(?:-color)?\s*:\s*([^;!]+)")
_HEX = re.compile(r"#([0-9a-fA-F]{3,4}|[0-9a-fA-F]{6}|[0-9a-fA-F]{8})$")
_RGB = re.compile(r"rgba?\(\s*(\d{1,3})[\s,]+(\d{1,3})[\s,]+(\d{1,3})(?:[\s,/]+([\d.]+)(%?))?\s*\)$")
_NAMES = {
    "white": (255, 255, 255), "snow": (255, 250, 250), "ivory": (255, 255, 240), "black": (0, 0, 0), "red": (255, 0, 0),
    "blue": (0, 0, 255), "navy": (0, 0, 128), "green": (0, 128, 0), "gray": (128, 128, 128), "grey": (128, 128, 128),
    "yellow": (255, 255, 0), "silver": (192, 192, 192),
}  # fmt: skip
_NO_GROUND = {"none", "transparent", "inherit", "initial", "unset"}
_PAPER = (255, 255, 255)
_SAME = 6


def is_in_colour_of_ground(style: str, around: Iterable[str]) -> bool:
    """Returns whether a style gives words the colour of the nearest ground; `around` are styles from the words outwards.

    A ground that is no single known colour, such as a picture, lets words be seen.
    """
    written = _COLOUR.findall(style)
    if not written:
        return False
    colour = written[-1].strip().lower()
    if "background-clip" in style:
        return False  # the ground shows through the letters alone
    if colour == "transparent" or _alpha(colour) == 0:
        return True
    named = _parsed(colour)
    if named is None:
        return False
    ground = _ground(around)
    return ground is not None and max(abs(a - b) for a, b in zip(named, ground, strict=True)) <= _SAME


def _ground(around: Iterable[str]) -> tuple[int, ...] | None:
    for style in around:
        written = [value.strip().lower() for value in _GROUND.findall(style)]
        if written and written[-1] not in _NO_GROUND and _alpha(written[-1]) != 0:
            return _parsed(written[-1])
    return _PAPER


def _parsed(colour: str) -> tuple[int, ...] | None:
    if colour in _NAMES:
        return _NAMES[colour]
    if found := _HEX.match(colour):
        digits = found[1] if len(found[1]) > 4 else "".join(2 * digit for digit in found[1])
        return tuple(bytes.fromhex(digits[:6]))
    found = _RGB.match(colour)
    return None if found is None else tuple(min(int(part), 255) for part in found.groups()[:3])


def _alpha(colour: str) -> float:
    found = _RGB.match(colour)
    return 1.0 if found is None or found[4] is None else float(found[4])
