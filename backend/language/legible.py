"""A text as a reader sees it: hidden characters gone, look-alike letters, digits and marks written in one way."""

import re
import unicodedata
from dataclasses import dataclass

# Letters of Cyrillic, Greek and Armenian that look like Latin ones, each followed by the one that it looks like.
_PAIRS = (
    "аaвbсcԁdеeѕsіiјjкkӏlмmнhоoрpԛqтtуyԝwхxһhьbАAВBСCЕEЅSІIЈJКKМMНHОOРPԚQТTУYԜWХXҺHԌGαaεeιiκkνvοoρpτtυuχxγyωw"
    "ΑAΒBΕEΖZΗHΙIΚKΜMΝNΟOΡPΤTΥYΧXօoսuոnհhցgքpϲcϳj"
)
_LOOK_ALIKES = dict(zip(_PAIRS[::2], _PAIRS[1::2], strict=True))
_LATIN = re.compile(r"[A-Za-z]")
_TYPOGRAPHIC = {
    **dict.fromkeys("\u2018\u2019\u201a\u201b\u2032\u02bc\u00b4`", "'"),
    **dict.fromkeys("\u201c\u201d\u201e\u201f\u2033\u00ab\u00bb", '"'),
    **dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212\ufe63\uff0d", "-"),
}
_SUPERSCRIPT = frozenset("\u00b2\u00b3\u00b9\u2070\u2074\u2075\u2076\u2077\u2078\u2079")
_HIDDEN_CATEGORIES = frozenset({"Cf", "Cs", "Co", "Cn"})
_HIDDEN = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180e\u180f\u3164\uffa0")
_CLUSTER = re.compile(r".[\u0300-\u036f]*", re.DOTALL)  # a letter with its accents


@dataclass(frozen=True, slots=True)
class Legible:
    """A text in one way of writing; `origins[i]` is the index in `original` from which character i came."""

    text: str
    original: str
    origins: tuple[int, ...]

    def original_span(self, start: int, end: int) -> tuple[int, int]:
        """Returns where characters `start` to `end` of `text` stand in the original."""
        if start >= end:
            return (0, 0)
        last = self.origins[end - 1]
        return self.origins[start], self.origins[end] if end < len(self.origins) else max(
            last + 1, len(self.original.rstrip())
        )


def legible(text: str) -> Legible:
    """Returns the text as it is read: no invisible characters, look-alikes and other digits replaced, white space kept.

    A superscript number after a word or a number is the mark of a note, and becomes a space: "$25\u00b9" is 25 dollars.
    """
    if text.isascii() and text.isprintable() and "`" not in text:
        return Legible(text, text, tuple(range(len(text))))
    latin = _is_latin(text)
    written: list[str] = []
    origins: list[int] = []
    for match in _CLUSTER.finditer(text):
        if len(match[0]) == 1 and " " <= match[0] <= "~" and match[0] != "`":
            written.append(match[0])
            origins.append(match.start())
            continue
        characters = unicodedata.normalize("NFC", match[0])
        readable = "".join(_written(character, latin=latin) for character in characters)
        written.append(readable)
        origins += [match.start()] * len(readable)
    return Legible("".join(written), text, tuple(origins))


def is_hidden(character: str) -> bool:
    """Whether the character is shown as nothing: zero-width, direction and tag characters, private use, controls."""
    if character in "\n\r\t ":
        return False
    if " " < character <= "~":
        return False
    category = unicodedata.category(character)
    return (
        category in _HIDDEN_CATEGORIES
        or category == "Cc"
        or character in _HIDDEN
        or "\ufe00" <= character <= "\ufe0f"
        or "\U000e0000" <= character <= "\U000e0fff"
    )


def _is_latin(text: str) -> bool:
    """Whether letters that look Latin are meant to be: the text has more Latin letters than others."""
    if text.isascii():
        return True
    letters = sum(map(str.isalpha, text))
    return len(_LATIN.findall(text)) * 2 > letters


def _written(character: str, *, latin: bool) -> str:
    if character in _TYPOGRAPHIC:
        return _TYPOGRAPHIC[character]
    if " " <= character <= "~" or character in "\n\r\t":
        return character
    if character in _SUPERSCRIPT or (character.isspace() and not is_hidden(character)):
        return " "
    if is_hidden(character):
        return ""
    return (
        _LOOK_ALIKES.get(character, "") if latin and character in _LOOK_ALIKES else _compatible(character, latin=latin)
    )


def _compatible(character: str, *, latin: bool) -> str:
    if unicodedata.category(character) == "Nd":
        return str(unicodedata.digit(character))
    if latin and unicodedata.category(character) == "Mn":
        return ""  # accents that no letter takes: they strike out, or hide
    plain = unicodedata.normalize("NFKC", character)
    if "\u2044" in plain:  # a fraction; 2\u00bd is not 21/2
        return f" {plain}".replace("\u2044", "/")
    return "".join(_LOOK_ALIKES.get(one, one) for one in plain) if latin else plain
