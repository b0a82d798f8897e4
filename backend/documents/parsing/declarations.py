"""The declarations of a style as a browser takes them: a later one before an earlier, an important one before both."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import TypeAlias

Declared: TypeAlias = Mapping[str, str]
"""By property, in small letters: the value that counts."""

_STOP = re.compile(r"""[;"'()\n]""")
_IMPORTANT = re.compile(r"\s*!\s*important\s*$")
NUMBER = r"[+-]?(?:\d++(?:\.\d++)?|\.\d++)"
"""A number as style sheets write it; it gives nothing back, so that a long one is read once."""
_FONT_SIZE = re.compile(rf"(?:^|\s)({NUMBER}(?:[a-z]++|%)?+)(?:/|\s|$)")
_LONGHANDS = {"text-decoration": "text-decoration-line", "list-style": "list-style-type"}
_LONGEST = 20_000  # characters of one attribute
_IN_FULL = {"content", "counter-reset", "counter-increment", "counter-set"}


def declared(styles: Iterable[str]) -> Declared:
    """Returns what styles say together, in the order in which they count, the last one most."""
    values: dict[str, str] = {}
    important: set[str] = set()
    for style in styles:
        for name, value in _written(style):
            plain = _IMPORTANT.sub("", value)
            is_important = plain != value
            for longhand, own in _longhands(name, plain):
                if is_important or longhand not in important:
                    values[longhand] = own
                if is_important:
                    important.add(longhand)
    return values


def uncommented(text: str) -> str:
    """Returns a style without comments; one that does not end takes the rest with it."""
    kept = []
    start = 0
    while (begun := text.find("/*", start)) >= 0:
        kept.append(text[start:begun])
        ended = text.find("*/", begun + 2)
        start = ended + 2 if ended >= 0 else len(text)
    return "".join([*kept, text[start:]])


def _written(style: str) -> Iterator[tuple[str, str]]:
    for part in _parts(uncommented(style[:_LONGEST])):
        name, colon, value = part.partition(":")
        name, written = name.strip().lower(), value.strip()
        if colon and written:
            yield name, written if name in _IN_FULL else written.lower()


def _parts(style: str) -> Iterator[str]:
    """Yields what stands between semicolons that are neither quoted nor within brackets."""
    start, depth, quote = 0, 0, ""
    for found in _STOP.finditer(style):
        sign = found[0]
        if quote:
            quote = "" if sign in (quote, "\n") else quote
        elif sign in "\"'":
            quote = sign
        elif sign in "()":
            depth = max(depth + (1 if sign == "(" else -1), 0)
        elif sign == ";" and not depth:
            yield style[start : found.start()]
            start = found.end()
    yield style[start:]


def _longhands(name: str, value: str) -> Iterator[tuple[str, str]]:
    """Yields what a declaration says of the properties that are asked for."""
    if name == "background":
        yield "background-color", value
        yield "background-image", value if "url(" in value or "gradient(" in value or "image" in value else "none"
    elif name == "font":
        size = _FONT_SIZE.search(value)
        yield "font-size", size[1] if size else "medium"
    else:
        yield _LONGHANDS.get(name, name), value
