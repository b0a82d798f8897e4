"""User names: spelt as people like, and the same whatever the case, the width or the accents' encoding."""

import re
import unicodedata

MAX_CHARACTERS = 128
# Letters, digits and what is in names and addresses. No colon or slash: `end-user:x` and paths are told apart by them.
_NAME = re.compile(r"\w[\w.@+'’-]*")
_PART = re.compile(r"[^\W_]+")

_LATIN = "LATIN"
# As Unicode has it for identifiers (UTS 39, 5.2, highly restrictive): these are written together, others are not.
_TOGETHER = (
    frozenset({_LATIN, "CJK", "IDEOGRAPHIC", "HIRAGANA", "KATAKANA", "KATAKANA-HIRAGANA"}),
    frozenset({_LATIN, "CJK", "IDEOGRAPHIC", "BOPOMOFO"}),
    frozenset({_LATIN, "CJK", "IDEOGRAPHIC", "HANGUL"}),
)
# Small letters of other scripts that nobody tells from Latin ones: Cyrillic, Greek, Armenian.
_LIKE_LATIN = frozenset("асԁеһіјӏорԛѕԝхуαινορυχϲϳոսօցզհ")
_PHONETIC = frozenset("ɑɡ")  # beside small capitals: Latin by name, and in no language's names


class UnacceptableName(ValueError):
    """The text is no user name; the message says why."""


def fold(name: str) -> str:
    """Returns the one spelling under which a name is stored and found; raises UnacceptableName."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name.strip()).casefold())
    if not _NAME.fullmatch(folded) or len(folded) > MAX_CHARACTERS:
        message = f"A user name has at most {MAX_CHARACTERS} letters, digits and . _ @ + - ', and no spaces."
        raise UnacceptableName(message)
    return folded


def new(name: str) -> str:
    """Returns the spelling of a name that somebody is to have from now on; raises UnacceptableName.

    Nobody gets a name that looks like another's: whoever reads the log would take one person for the other.
    """
    folded = fold(name)
    parts = _PART.findall(folded)
    if not all(_is_of_one_script(part) for part in parts) or _seems_latin(folded):
        message = "A user name has no letters that only look like Latin ones: write each word in one alphabet."
        raise UnacceptableName(message)
    return folded


def presented(name: str) -> str:
    """Returns what somebody who signs in typed as a name would be stored as; anything, if it is no name."""
    try:
        return fold(name)
    except UnacceptableName:
        return name.strip()


def _is_of_one_script(part: str) -> bool:
    scripts = {_script(letter) for letter in part if letter.isalpha()}
    zeros = {ord(digit) - unicodedata.decimal(digit) for digit in part if digit.isdecimal()}
    together = len(scripts) <= 1 or any(scripts <= known for known in _TOGETHER)
    return together and len(zeros) <= 1 and "PHONETIC" not in scripts


def _seems_latin(name: str) -> bool:
    """Whether a name has a word of look-alikes alone, and no letter shows that it is written in another alphabet."""
    words = [set(filter(str.isalpha, part)) for part in _PART.findall(name)]
    alike = any(word and word <= _LIKE_LATIN for word in words)
    return alike and all(_script(letter) == _LATIN for letter in set().union(*words) - _LIKE_LATIN)


def _script(letter: str) -> str:
    """Returns the first word of a letter's name in Unicode, which is its script: LATIN, CYRILLIC, CJK."""
    name = unicodedata.name(letter, "")
    return "PHONETIC" if letter in _PHONETIC or "SMALL CAPITAL" in name else name.partition(" ")[0]
