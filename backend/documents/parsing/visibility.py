"""What of a web page its readers see, and what of that belongs to the page and not to the site around it."""

import re
from collections.abc import Iterator

from selectolax.lexbor import LexborNode

from backend.documents.parsing.colours import is_in_colour_of_ground
from backend.documents.parsing.declarations import NUMBER, Declared
from backend.documents.parsing.findings import Findings, WarningKind
from backend.documents.parsing.stylesheet import StyleSheet

_MACHINERY = frozenset("script style template noscript head title datalist meta link base rt rp".split())  # noqa: SIM905
_SHADOWS = {"shadowrootmode", "shadowroot"}
_EMBEDDED = frozenset({"iframe", "object", "embed", "video", "audio", "canvas"})
_STRUCK = frozenset({"del", "s", "strike"})
_HIGHEST_ABOVE = 100  # elements: a page nested thousands deep is not searched to its root for each
_HEADINGS = {"h1", "h2", "h3", "h4", "h5", "h6", "dt", "summary"}
_SITE = frozenset({"nav", "footer", "menu"})
_INLINE = {"span", "b", "i", "em", "strong", "li", "p", "td", "th", "h3", "h4"}
_SITE_ROLES = frozenset({"navigation", "contentinfo", "search", "banner", "menu", "menubar"})
_SITE_NAME = re.compile(
    r"(?i)(?:^|[\s_-])(?:cookie[\w-]*|[\w-]*consent[\w-]*|gdpr[\w-]*|breadcrumbs?|(?:site-?|page-?|global-?)?(?:footer|nav|navbar"
    r"|navigation|menu|menubar)|site-?header|skip-?(?:link|to|nav)\w*|social|social-?(?:share|links?|media)|share-?(?:bar|buttons?|links?)"
    r"|related-?(?:articles?|posts?|links?|content))(?:$|\s)"
)
_FOR_EARS = re.compile(r"(?i)sr-?only|visually-?hidden|screen-?reader|off-?screen|assistive|katex-mathml")
_NOTICE = re.compile(r"(?i)\b(?:cookies?|consent)\b")
_LENGTH = re.compile(rf"({NUMBER})([a-z]*|%)")
_PIXELS = {"px": 1.0, "": 1.0, "pt": 4 / 3, "em": 16.0, "rem": 16.0}
_SMALLEST = {"px": 2.0, "pt": 2.0, "em": 0.2, "rem": 0.2, "%": 20.0}
_FAINTEST = 0.05
_FAR_AWAY = -1000.0
_FLAT = re.compile(r"scale[xy]?\(\s*0(?:\.0+)?\s*[,)]")
_CUT_OFF = re.compile(r"inset\(\s*(?:100|50)%|circle\(\s*0")
_CLIP = re.compile(r"rect\(([^()]*)\)")


def is_visible(node: LexborNode, styles: StyleSheet, findings: Findings) -> bool:
    """Returns whether an element is read; what is left out although somebody may miss it is told."""
    tag = node.tag or ""
    if tag in _MACHINERY:
        if tag == "template" and node.attributes.keys() & _SHADOWS:
            findings.warn(
                WarningKind.EMBEDDED_FILE, "element template", "A part of the page with a tree of its own is not read."
            )
        return False
    attributes = node.attributes
    style = styles.of(node)
    told = _left_out(tag, attributes, style, styles, node)
    if told is None:
        return True
    kind, detail = told
    if kind is not None and (tag in _EMBEDDED or _has_text(node)):
        findings.warn(kind, f"element {tag}", detail)
    return False


def has_gap(style: Declared, least: float) -> bool:
    """Returns whether an element has so many pixels free at one of its sides."""
    sides = (
        f"{box}-{side}" for box in ("margin", "padding") for side in ("left", "right", "inline-start", "inline-end")
    )
    return bool(style) and any(_pixels(style, side, 0.0) >= least for side in sides)


def _left_out(  # noqa: PLR0911 — a return for each reason
    tag: str, attributes: dict[str, str | None], style: Declared, styles: StyleSheet, node: LexborNode
) -> tuple[WarningKind | None, str] | None:
    if tag in _EMBEDDED:
        return WarningKind.EMBEDDED_FILE, "Embedded content is not read."
    if tag == "svg":
        return WarningKind.PICTURE, "A drawing with text is not read."
    if tag in _STRUCK or "line-through" in style.get("text-decoration-line", ""):
        return WarningKind.STRUCK_OUT, "Struck-out text is left out."
    if _is_hidden(style) or ("hidden" in attributes and "display" not in style):
        return WarningKind.HIDDEN_CONTENT, "Hidden text is left out."
    if _is_invisible(style) or is_in_colour_of_ground(style, map(styles.of, _around(node))):
        return WarningKind.INVISIBLE_TEXT, "Text in the colour of its ground or too small to read is left out."
    if attributes.get("aria-hidden") == "true" and _is_said_beside(node):
        return None, ""
    if tag == "option":
        chosen = "selected" in attributes or not _has_selected(node)
        return None if chosen else (None, "")
    if tag == "button":
        # What opens a part of the page is a heading of it.
        is_heading = "aria-expanded" in attributes or _is_within(node, _HEADINGS)
        return None if is_heading else (None, "")
    if _is_of_the_site(tag, attributes, node):
        return WarningKind.BOILERPLATE, "Navigation, notices on cookies and footers of the site are left out."
    return None


def _is_hidden(style: Declared) -> bool:
    return (
        style.get("display") == "none"
        or style.get("visibility") in {"hidden", "collapse"}
        or style.get("content-visibility") == "hidden"
    )


def _is_invisible(style: Declared) -> bool:
    """Returns whether words are too small or faint to be read, far outside the page, or cut off, however it is written."""
    if not style:
        return False
    size, unit = _length(style, "font-size")
    if size is not None and (not size or size < _SMALLEST.get(unit, 0.0)):
        return True
    opacity, percent = _length(style, "opacity")
    if opacity is not None and opacity < _FAINTEST * (100 if percent else 1):
        return True
    if any(_pixels(style, side, 0.0) <= _FAR_AWAY for side in ("left", "top", "text-indent")):
        return True
    if _FLAT.search(style.get("transform", "")) or _CUT_OFF.search(style.get("clip-path", "")):
        return True
    is_cut = any(
        style.get(name, "").startswith(("hidden", "clip")) for name in ("overflow", "overflow-x", "overflow-y")
    )
    sides = ("height", "width", "max-height", "max-width")
    return _is_clipped_away(style.get("clip", "")) or (is_cut and any(_pixels(style, side, 2.0) <= 1 for side in sides))


def _length(style: Declared, name: str) -> tuple[float | None, str]:
    found = _LENGTH.fullmatch(style.get(name, ""))
    return (None, "") if found is None else (float(found[1]), found[2])


def _pixels(style: Declared, name: str, default: float) -> float:
    length, unit = _length(style, name)
    if length is None or (length and unit not in _PIXELS):
        return default
    return length * _PIXELS.get(unit, 1.0)


def _is_clipped_away(clip: str) -> bool:
    """Returns whether a box, of which top, right, bottom and left are written, is at most a point."""
    found = _CLIP.match(clip)
    sides = [_LENGTH.fullmatch(side) for side in re.split(r"[\s,]+", found[1].strip())] if found else []
    if len(sides) != 4 or any(side is None for side in sides):
        return False
    top, right, bottom, left = (float(side[1]) for side in sides if side is not None)
    return right <= left or bottom <= top


def _is_of_the_site(tag: str, attributes: dict[str, str | None], node: LexborNode) -> bool:
    if tag in {"html", "body", "main", "article"}:
        return False
    if tag == "footer":
        return not _is_within(node, {"article", "blockquote", "section", "main"})
    role = (attributes.get("role") or "").lower()
    if tag in _SITE or (role in _SITE_ROLES and (role != "banner" or node.css_first("h1") is None)):
        return True
    if role == "dialog" and _NOTICE.search(f"{attributes.get('aria-label') or ''} {(node.text() or '')[:200]}"):
        return True
    names = f"{attributes.get('id') or ''} {attributes.get('class') or ''}"
    # A policy on cookies is a page of its own, so that what holds a heading of first rank stays.
    return bool(_SITE_NAME.search(names)) and node.css_first("h1, h2, table") is None and tag not in _INLINE


def _is_within(node: LexborNode, tags: set[str]) -> bool:
    above = node.parent
    for _ in range(_HIGHEST_ABOVE):
        if above is None:
            return False
        if above.tag in tags:
            return True
        above = above.parent
    return False


def _around(node: LexborNode) -> Iterator[LexborNode]:
    """Yields the element and those around it, from the innermost."""
    current: LexborNode | None = node
    for _ in range(_HIGHEST_ABOVE):
        if current is None or not current.is_element_node:
            return
        yield current
        current = current.parent


def _has_selected(option: LexborNode) -> bool:
    """Returns whether a list shows another option than this one: one that is selected, or the one before it."""
    around = option.parent
    while around is not None and around.tag != "select":
        around = around.parent
    if around is None:
        return False
    first = around.css_first("option")
    return around.css_first("option[selected]") is not None or (first is not None and first.mem_id != option.mem_id)


def _is_said_beside(node: LexborNode) -> bool:
    """Returns whether an element only draws what its neighbour says to those who cannot see it, such as an equation."""
    before, after = node.prev, node.next
    while before is not None and before.is_text_node and not (before.text_content or "").strip():
        before = before.prev
    while after is not None and after.is_text_node and not (after.text_content or "").strip():
        after = after.next
    beside = [other for other in (before, after) if other is not None and other.is_element_node]
    return any(
        _FOR_EARS.search(f"{other.tag} {other.attributes.get('class') or ''}") and _has_text(other) for other in beside
    )


def _has_text(node: LexborNode) -> bool:
    return bool((node.text() or "").strip())
