"""Equations in one line of text: what stands above, below or beside a figure on the page must not lengthen it."""

import re
from collections.abc import Iterable

_PLAIN = re.compile(r"[\w.,%$€£]*")
_FIGURE_GOES_ON = re.compile(r"\d|[.,]\d")


class Laid(str):
    """Text of a fraction, power, index or root, which the page shows apart from its neighbours: 5 and ½ are not 51/2."""

    __slots__ = ()


def fraction(above: str, below: str) -> Laid:
    """Returns above/below."""
    return Laid(f"{grouped(above)}/{grouped(below)}")


def power(base: str, over: str) -> Laid:
    """Returns base^over."""
    return Laid(f"{base}^{grouped(over)}")


def index(base: str, under: str) -> Laid:
    """Returns base_under."""
    return Laid(f"{base}_{grouped(under)}")


def index_and_power(base: str, under: str, over: str) -> Laid:
    """Returns base_under^over."""
    return Laid(f"{base}_{grouped(under)}^{grouped(over)}")


def struck(text: str) -> Laid:
    """Returns a part that is struck out, as it is cancelled against another, marked as such."""
    return Laid(f"[struck out: {text}]")


def grouped(text: str) -> str:
    """Returns the text in brackets if it is more than a word or figure."""
    return text if _PLAIN.fullmatch(text) else f"({text})"


def joined(parts: Iterable[str]) -> str:
    """Returns the parts as one text, in which no figure runs on into what is laid out apart from it."""
    written: list[str] = []
    for part in filter(None, parts):
        if written and _runs_on(written[-1], part):
            written.append(" ")
        written.append(part)
    text = "".join(written)
    return Laid(text) if any(isinstance(part, Laid) for part in written) else text


def _runs_on(before: str, after: str) -> bool:
    apart = isinstance(before, Laid) or isinstance(after, Laid)
    return apart and before[-1].isdigit() and _FIGURE_GOES_ON.match(after) is not None
