"""What the style sheets inside a page say of its elements, as far as it decides what a reader sees."""

import re
from collections import defaultdict
from collections.abc import Mapping

from selectolax.lexbor import LexborHTMLParser

_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
_RULE = re.compile(r"([^{}]+)\{([^{}]*)\}")
_OTHER_MEDIA = re.compile(r"@media(?![^{]*\b(?:screen|all)\b\s*\{)[^{]*\{(?:[^{}]*\{[^{}]*\})*[^{}]*\}")
_DECIDING = re.compile(
    r"(?i)(?:^|;)\s*(?:display|visibility|text-decoration(?:-line)?|vertical-align|color|background(?:-color)?|font-size|opacity"
    r"|list-style(?:-type)?|left|text-indent)\s*:"
)
_PLAIN = re.compile(r"[\w\s.#,>*-]+")
_MOST_RULES = 2_000
_MOST_MATCHES = 100_000
_LONGEST = 200_000

Styles = Mapping[int, str]
"""By the number of an element: what style sheets declare of it, as its own style would be written."""


def styles_of(tree: LexborHTMLParser) -> Styles:
    """Returns what rules for screens of any width declare; selectors with conditions are left alone."""
    written = "".join(node.text() for node in tree.css("style"))[:_LONGEST]
    sheet = _OTHER_MEDIA.sub("", _COMMENT.sub("", written))
    styles: dict[int, str] = defaultdict(str)
    matches = 0
    for number, rule in enumerate(_RULE.finditer(sheet)):
        selector, declarations = rule[1].strip(), rule[2]
        if number >= _MOST_RULES or matches >= _MOST_MATCHES:
            break
        if not _DECIDING.search(declarations) or not _PLAIN.fullmatch(selector):
            continue
        for node in tree.css(selector):
            styles[node.mem_id] += f";{declarations}"
            matches += 1
    return styles
