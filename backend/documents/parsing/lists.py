"""The numbers that a browser prints before the items of ordered lists."""

from collections.abc import Mapping
from dataclasses import dataclass

from backend.documents.parsing.numerals import formatted

_STYLES = {"a": "lowerLetter", "A": "upperLetter", "i": "lowerRoman", "I": "upperRoman"}
_CSS_STYLES = {
    "lower-alpha": "lowerLetter", "lower-latin": "lowerLetter", "upper-alpha": "upperLetter", "upper-latin": "upperLetter",
    "lower-roman": "lowerRoman", "upper-roman": "upperRoman", "none": "none", "decimal-leading-zero": "decimalZero",
}  # fmt: skip


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
        style = _STYLES.get(attributes.get("type") or "", "decimal")
        for name, named in _CSS_STYLES.items():
            if name in (attributes.get("style") or "").lower():
                style = named
        return cls(start if start is not None else items if backwards else 1, -1 if backwards else 1, style)

    def next(self, value: str | None = None) -> str:
        """Returns the next item's number with its full stop; `value` is the number that the item asks for."""
        asked = _integer(value)
        if asked is not None:
            self.number = asked
        text = formatted(self.number, self.style) if self.number > 0 or self.style == "none" else str(self.number)
        self.number += self.step
        return f"{text}." if text else ""


def _integer(text: str | None) -> int | None:
    try:
        return None if text is None else max(-(10**9), min(10**9, int(text)))
    except ValueError:
        return None
