"""The numbers that a browser prints before the items of ordered lists."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from backend.documents.parsing.numerals import formatted

_STYLES = {"a": "lowerLetter", "A": "upperLetter", "i": "lowerRoman", "I": "upperRoman"}
_CSS_STYLES = {
    "lower-alpha": "lowerLetter", "lower-latin": "lowerLetter", "upper-alpha": "upperLetter", "upper-latin": "upperLetter",
    "lower-roman": "lowerRoman", "upper-roman": "upperRoman", "decimal-leading-zero": "decimalZero", "decimal": "decimal",
    **dict.fromkeys(("none", "disc", "circle", "square"), "none"),
}  # fmt: skip
_WORD = re.compile(r"[a-z-]+")


@dataclass(slots=True)
class OrderedList:
    """Counts the items of one list."""

    number: int
    step: int = 1
    style: str = "decimal"

    @classmethod
    def of(cls, attributes: Mapping[str, str | None], items: int) -> "OrderedList":
        """Returns the list that an `ol` element's attributes describe."""
        backwards = "reversed" in attributes
        start = _integer(attributes.get("start"))
        style = style_of(attributes) or "decimal"
        return cls(start if start is not None else items if backwards else 1, -1 if backwards else 1, style)

    def next(self, value: str | None = None, style: str | None = None) -> str:
        """Returns the next item's number with its full stop; the item may ask for a number (`value`) and a style of its own."""
        asked = _integer(value)
        if asked is not None:
            self.number = asked
        text = _shown(self.number, style or self.style)
        self.number += self.step
        return f"{text}." if text else ""


def style_of(attributes: Mapping[str, str | None]) -> str | None:
    """Returns how an element, of which `style` is its list-style-type, wants items numbered; None if it does not say."""
    if '"' in (attributes.get("style") or "") or "'" in (attributes.get("style") or ""):
        return "none"  # a sign of the author's own
    named = (_CSS_STYLES.get(word) for word in _WORD.findall((attributes.get("style") or "").lower()))
    return next(filter(None, named), None) or _STYLES.get(attributes.get("type") or "")


def numbered(number: int, style: str) -> str:
    """Returns a number in a style of style sheets, without its full stop."""
    return _shown(number, _CSS_STYLES.get(style.lower(), "decimal"))


def _shown(number: int, style: str) -> str:
    return formatted(number, style) if number > 0 or style == "none" else str(number)


def _integer(text: str | None) -> int | None:
    try:
        return None if text is None else max(-(10**9), min(10**9, int(text)))
    except ValueError:
        return None
