"""What of a web page its readers see, and what of that belongs to the page and not to the site around it."""

import re

from selectolax.lexbor import LexborNode

from backend.documents.parsing.findings import Findings, WarningKind

_MACHINERY = frozenset("script style template noscript head title datalist meta link base".split())  # noqa: SIM905
_EMBEDDED = frozenset({"iframe", "object", "embed", "video", "audio", "canvas"})
_STRUCK = frozenset({"del", "s", "strike"})
_HIGHEST_ABOVE = 100  # elements: a page nested thousands deep is not searched to its root for each
_SITE = frozenset({"nav", "footer", "menu"})
_SITE_ROLES = frozenset({"navigation", "contentinfo", "search", "banner", "menu", "menubar"})
_SITE_NAME = re.compile(
    r"(?i)(?:^|[\s_-])(?:cookies?|consent|gdpr|breadcrumbs?|site-?(?:footer|nav|header)"
    r"|skip-?(?:link|to|nav)\w*)(?:$|[\s_-])"
)
_HIDDEN_STYLE = re.compile(r"(?i)display\s*:\s*none|visibility\s*:\s*(?:hidden|collapse)")
_INVISIBLE_STYLE = re.compile(
    r"(?i)font-size\s*:\s*(?:0(?:\.\d+)?|1(?:\.\d+)?(?=px|pt))(?![\d.%]|r?em)|opacity\s*:\s*0(?:\.0+)?\s*(?:;|$)"
    r"|(?:left|text-indent|top)\s*:\s*-\d{4,}"
)
_WHITE = re.compile(
    r"(?i)(?:^|;)\s*color\s*:\s*(?:white|#fff(?:fff)?|rgb\(\s*255\s*,\s*255\s*,\s*255\s*\))\s*(?:;|!|$)"
)
_STRUCK_STYLE = re.compile(r"(?i)text-decoration(?:-line)?\s*:[^;]*line-through")


def is_visible(node: LexborNode, findings: Findings) -> bool:
    """Return whether an element is read; what is left out although somebody may miss it is told."""
    tag = node.tag or ""
    if tag in _MACHINERY:
        return False
    attributes = node.attributes
    style = attributes.get("style") or ""
    told = _left_out(tag, attributes, style, node)
    if told is None:
        return True
    kind, detail = told
    if kind is not None and (tag in _EMBEDDED or _has_text(node)):
        findings.warn(kind, f"element {tag}", detail)
    return False


def _left_out(  # noqa: PLR0911 — a return for each reason
    tag: str, attributes: dict[str, str | None], style: str, node: LexborNode
) -> tuple[WarningKind | None, str] | None:
    if tag in _EMBEDDED:
        return WarningKind.EMBEDDED_FILE, "Embedded content is not read."
    if tag == "svg":
        return WarningKind.PICTURE, "A drawing with text is not read."
    if tag in _STRUCK or _STRUCK_STYLE.search(style):
        return WarningKind.STRUCK_OUT, "Struck-out text is left out."
    if "hidden" in attributes or _HIDDEN_STYLE.search(style):
        return WarningKind.HIDDEN_CONTENT, "Hidden text is left out."
    if _INVISIBLE_STYLE.search(style) or (_WHITE.search(style) and not _is_on_a_ground(node)):
        return WarningKind.INVISIBLE_TEXT, "Text in white or too small to read is left out."
    if tag == "option":
        chosen = "selected" in attributes or not _has_selected(node)
        return None if chosen else (None, "")
    if _is_of_the_site(tag, attributes, node):
        return WarningKind.BOILERPLATE, "Navigation, notices on cookies and footers of the site are left out."
    return None


def _is_of_the_site(tag: str, attributes: dict[str, str | None], node: LexborNode) -> bool:
    if tag in {"html", "body", "main", "article"}:
        return False
    if tag == "footer":
        return not _is_within(node, {"article", "blockquote", "section", "main"})
    role = (attributes.get("role") or "").lower()
    if tag in _SITE or (role in _SITE_ROLES and (role != "banner" or node.css_first("h1") is None)):
        return True
    names = f"{attributes.get('id') or ''} {attributes.get('class') or ''}"
    # A policy on cookies is a page of its own, so that what holds a heading of first rank stays.
    return bool(_SITE_NAME.search(names)) and node.css_first("h1, h2, table") is None


def _is_within(node: LexborNode, tags: set[str]) -> bool:
    above = node.parent
    for _ in range(_HIGHEST_ABOVE):
        if above is None:
            return False
        if above.tag in tags:
            return True
        above = above.parent
    return False


def _is_on_a_ground(node: LexborNode) -> bool:
    current: LexborNode | None = node
    for _ in range(_HIGHEST_ABOVE):
        if current is None or not current.is_element_node:
            return False
        if "background" in (current.attributes.get("style") or "") or current.attributes.get("bgcolor"):
            return True
        current = current.parent
    return False


def _has_selected(option: LexborNode) -> bool:
    """Return whether a list shows another option than this one: one that is selected, or the one before it."""
    around = option.parent
    while around is not None and around.tag != "select":
        around = around.parent
    if around is None:
        return False
    first = around.css_first("option")
    return around.css_first("option[selected]") is not None or (first is not None and first.mem_id != option.mem_id)


def _has_text(node: LexborNode) -> bool:
    return bool((node.text() or "").strip())
