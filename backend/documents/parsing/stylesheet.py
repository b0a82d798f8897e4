"""What the style sheets inside a page say of its elements, as far as it decides what a reader sees."""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from selectolax.lexbor import LexborHTMLParser, LexborNode

from backend.documents.parsing.declarations import Declared, declared, uncommented

_BRACE = re.compile(r"[{}]")
_SHOWN_MEDIA = re.compile(r"@media\b(?!.*\bnot\b).*\b(?:screen|all)$|@(?:supports|layer)\b", re.DOTALL | re.IGNORECASE)
_DECIDING = re.compile(
    r"(?i)(?:^|;)\s*(?:display|visibility|text-decoration(?:-line)?|vertical-align|color|background(?:-color|-image|-clip)?"
    r"|-webkit-background-clip|font(?:-size)?|opacity|list-style(?:-type)?|left|top|text-indent|transform|clip(?:-path)?"
    r"|overflow(?:-[xy])?|(?:max-)?(?:height|width)|content|counter-(?:reset|increment|set))\s*:"
)
_BESIDE = re.compile(r"(?P<element>.*[^:\s])\s*::?(?P<side>before|after|marker)", re.IGNORECASE)
_PLAIN = re.compile(r"[\w\s.#>*-]+")
_PARTS = re.compile(r"([.#]?)[\w-]+")
_MOST_RULES = 2_000
_MOST_MATCHES = 100_000
_LONGEST = 200_000
_NOTHING: Declared = {}


class StyleSheet:
    """What is declared of each element of a page."""

    def __init__(self, rules: Mapping[tuple[int, str], Sequence[str]]) -> None:
        """Takes the rules for each element, by its number, and for what is beside it, the one that counts most last."""
        self._rules = rules
        self._declared: dict[int, Declared] = {}
        self._beside: dict[tuple[str, ...], Declared] = {}
        self._has_beside = any(side for _, side in rules)

    def of(self, node: LexborNode) -> Declared:
        """Returns the declarations for an element: of older attributes, of style sheets, and of its own."""
        if (known := self._declared.get(node.mem_id)) is not None:
            return known
        attributes = node.attributes
        styles = [*self._rules.get((node.mem_id, ""), ())]
        if attributes.get("bgcolor"):
            styles.insert(0, f"background:{attributes['bgcolor']}")
        if node.tag == "font" and attributes.get("color"):
            styles.insert(0, f"color:{attributes['color']}")
        if own := attributes.get("style"):
            styles.append(own)
        if not styles:
            return _NOTHING
        found = self._declared[node.mem_id] = declared(styles)
        return found

    def beside(self, node: LexborNode, side: str) -> Declared:
        """Returns the declarations for what a style writes `before` or `after` an element, or as its `marker`."""
        styles = self._rules.get((node.mem_id, side)) if self._has_beside else None
        if not styles:
            return _NOTHING
        # Elements by the thousand share their rules.
        together = tuple(styles)
        if together not in self._beside:
            self._beside[together] = declared(together)
        return self._beside[together]


def styles_of(tree: LexborHTMLParser) -> StyleSheet:
    """Returns what rules for screens of any width declare; selectors with conditions are left alone."""
    written = "".join(node.text() for node in tree.css("style"))[:_LONGEST]
    found: dict[tuple[int, str], list[tuple[tuple[int, ...], str]]] = defaultdict(list)
    matches = 0
    for number, (selector, style) in enumerate(_rules(uncommented(written))):
        if number >= _MOST_RULES or matches >= _MOST_MATCHES:
            break
        rank = (*_specificity(selector), number)
        beside = _BESIDE.fullmatch(selector)
        for node in tree.css(selector if beside is None else beside["element"]):
            found[node.mem_id, "" if beside is None else beside["side"].lower()].append((rank, style))
            matches += 1
    return StyleSheet({place: [style for _, style in sorted(ranked)] for place, ranked in found.items()})


def _rules(sheet: str) -> Iterator[tuple[str, str]]:
    """Yields each plain selector with the declarations for it that may decide what is seen, from the first."""
    heads: list[str] = []
    others = 0
    start = 0
    for brace in _BRACE.finditer(sheet):
        text, start = sheet[start : brace.start()], brace.end()
        if brace[0] == "{":
            heads.append(text.rpartition(";")[2].strip())
            others += _is_other(heads[-1])
            continue
        head = heads.pop() if heads else ""
        if head.startswith("@"):
            others -= _is_other(head)
        elif not others and _DECIDING.search(text):
            selectors = (selector.strip() for selector in head.split(","))
            for selector in filter(None, selectors):
                beside = _BESIDE.fullmatch(selector)
                if _PLAIN.fullmatch(selector if beside is None else beside["element"]):
                    yield selector, text


def _is_other(head: str) -> bool:
    """Returns whether what stands within is for paper, for some widths, or no rules for elements."""
    return head.startswith("@") and not _SHOWN_MEDIA.match(head)


def _specificity(selector: str) -> tuple[int, int, int]:
    """Returns how much a selector counts: its ids, its classes, its elements."""
    signs = _PARTS.findall(selector)
    return signs.count("#"), signs.count("."), signs.count("")
