"""How a run stands on its line, raised or lowered, and whether anybody can see it."""

import re
from collections.abc import Callable, Iterator

from backend.documents.parsing import marks
from backend.documents.parsing.openxml import Element
from backend.documents.parsing.word.numbering import W
from backend.documents.parsing.word.styles import Look

_SMALLEST_READABLE = 4  # half points
_LEAST_SHIFT = 3  # half points
_NEARLY_WHITE = 245
_WHITE_THEME = {"background1", "light1"}
_COLOUR = re.compile(r"[0-9a-fA-F]{6}")


def shift_of(look: Look) -> Callable[[str, str], str] | None:
    """Returns how a run's text is raised or lowered, by name or by its place above the line in smaller type."""
    named = {"superscript": marks.raised, "subscript": marks.lowered}.get(look.get("vertAlign"))
    if named is not None:
        return named
    place = look.get("position", "0")
    if look.find("sz") is None or not place.lstrip("-").isdigit() or abs(int(place)) < _LEAST_SHIFT:
        return None
    return marks.raised if int(place) > 0 else marks.lowered


def is_invisible(look: Look, run: Element) -> bool:
    """Returns whether a run is too small to read, or white on a white ground."""
    size = look.get("sz")
    if size.isdigit() and int(size) <= _SMALLEST_READABLE:
        return True
    colour = look.find("color")
    if colour is None or not _is_white_colour(colour):
        return False
    # White on a dark ground is readable, and tables and boxes take their ground from styles.
    grounds = [look.find("shd"), *(above.find(f"{W}{above.tag.removeprefix(W)}Pr/{W}shd") for above in _around(run))]
    if look.find("highlight") is not None or any(map(_is_ground, grounds)):
        return False
    return not any(
        above.tag == W + "txbxContent" or above.find(f"{W}tblPr/{W}tblStyle") is not None
        for above in run.iterancestors(W + "txbxContent", W + "tbl")
    )


def _around(run: Element) -> Iterator[Element]:
    yield from run.iterancestors(W + "p", W + "tc", W + "tbl")


def _is_white(colour: str) -> bool:
    return bool(_COLOUR.fullmatch(colour)) and min(bytes.fromhex(colour)) >= _NEARLY_WHITE


def _is_white_colour(colour: Element) -> bool:
    theme = colour.get(W + "themeColor")
    return _is_white(colour.get(W + "val", "")) and (theme is None or theme in _WHITE_THEME)


def _is_ground(shading: Element | None) -> bool:
    if shading is None or shading.get(W + "val") == "nil":
        return False
    fill = shading.get(W + "fill", "auto")
    is_plain = shading.get(W + "val", "clear") == "clear" and shading.get(W + "themeFill") is None
    return not is_plain or (fill != "auto" and not _is_white(fill))
