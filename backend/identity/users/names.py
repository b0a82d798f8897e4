"""User names: spelt as people like, and the same whatever the case, the width or the accents' encoding."""

import re
import unicodedata

MAX_CHARACTERS = 128
# Letters, digits and what is in names and addresses. No colon or slash: `end-user:x` and paths are told apart by them.
_NAME = re.compile(r"\w[\w.@+'’-]*")


class UnacceptableName(ValueError):
    """The text is no user name; the message says why."""


def fold(name: str) -> str:
    """Returns the one spelling under which a name is stored and found; raises UnacceptableName."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name.strip()).casefold())
    if not _NAME.fullmatch(folded) or len(folded) > MAX_CHARACTERS:
        message = f"A user name has at most {MAX_CHARACTERS} letters, digits and . _ @ + - ', and no spaces."
        raise UnacceptableName(message)
    return folded


def presented(name: str) -> str:
    """Returns what somebody who signs in typed as a name would be stored as; anything, if it is no name."""
    try:
        return fold(name)
    except UnacceptableName:
        return name.strip()
