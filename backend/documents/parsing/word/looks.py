"""How a run stands on its line, raised or lowered, and whether anybody can see it."""

import re
from collections.abc import Callable, Iterator

from backend.documents.parsing import marks
from backend.documents.parsing.openxml import Element
from backend.documents.parsing.theme import Colour, Theme, colour_of, is_nearly_white, shaded
from backend.documents.parsing.word.numbering import W
from backend.documents.parsing.word.styles import Look

_SMALLEST_READABLE = 4  # half points
_LEAST_SHIFT = 3  # half points
_BYTE = re.compile(r"[0-9a-fA-F]{1,2}")
_SCHEME = {
    "light1": "lt1", "dark1": "dk1", "light2": "lt2", "dark2": "dk2", "background1": "lt1", "text1": "dk1",
    "background2": "lt2", "text2": "dk2", "hyperlink": "hlink", "followedHyperlink": "folHlink",
}  # fmt: skip
_MAPPED = {"bg1": "background1", "t1": "text1", "bg2": "background2", "t2": "text2"}


def shift_of(look: Look) -> Callable[[str, str], str] | None:
    """Returns how a run's text is raised or lowered, by name or by its place above the line in smaller type."""
    named = {"superscript": marks.raised, "subscript": marks.lowered}.get(look.get("vertAlign"))
    if named is not None:
        return named
    place = look.get("position", "0")
    if look.find("sz") is None or not place.lstrip("-").isdigit() or abs(int(place)) < _LEAST_SHIFT:
        return None
    return marks.raised if int(place) > 0 else marks.lowered


def is_invisible(look: Look, run: Element, theme: Theme) -> bool:
    """Returns whether a run is too small to read, or white on a white ground."""
    size = look.get("sz")
    if size.isdigit() and int(size) <= _SMALLEST_READABLE:
        return True
    colour = look.find("color")
    if colour is None or not _is_white_colour(colour, theme):
        return False
    # White on a dark ground is readable, and tables and boxes take their ground from styles.
    grounds = [look.find("shd"), *(above.find(f"{W}{above.tag.removeprefix(W)}Pr/{W}shd") for above in _around(run))]
    if look.find("highlight") is not None or any(_is_ground(ground, theme) for ground in grounds):
        return False
    return not any(
        above.tag == W + "txbxContent" or above.find(f"{W}tblPr/{W}tblStyle") is not None
        for above in run.iterancestors(W + "txbxContent", W + "tbl")
    )


def _around(run: Element) -> Iterator[Element]:
    yield from run.iterancestors(W + "p", W + "tc", W + "tbl")


def _is_white_colour(colour: Element, theme: Theme) -> bool:
    shown = _shown(colour, "val", "theme", theme)
    return shown is not None and is_nearly_white(shown)


def _is_ground(shading: Element | None, theme: Theme) -> bool:
    if shading is None or shading.get(W + "val") == "nil":
        return False
    if shading.get(W + "val", "clear") != "clear":
        return True
    named = shading.get(W + "themeFill")
    fill = _shown(shading, "fill", "themeFill", theme)
    return named is not None if fill is None else not is_nearly_white(fill)


def _shown(element: Element, written: str, prefix: str, theme: Theme) -> Colour | None:
    """Returns a colour by its name in the theme, in its shade, or else as it is written."""
    name = element.get(f"{W}{prefix}Color" if prefix == "theme" else W + prefix)
    named = None if name is None else theme.named(name)
    if named is None:
        return colour_of(element.get(W + written, ""))
    tint, shade = (element.get(f"{W}{prefix}{change}", "") for change in ("Tint", "Shade"))
    return shaded(named, tint=_share(tint), shade=_share(shade))


def _share(digits: str) -> float:
    return int(digits, 16) / 255 if _BYTE.fullmatch(digits) else 1.0


def word_theme(root: Element | None, settings: Element | None) -> Theme:
    """Returns the colours of the theme of a Word document, whose settings say which are those of text and background."""
    mapping = None if settings is None else settings.find(W + "clrSchemeMapping")
    names = dict(_SCHEME)
    for short, name in _MAPPED.items():
        asked = None if mapping is None else mapping.get(W + short)
        names[name] = _SCHEME.get(asked or "", names[name])
    return Theme(root, names)
