"""Words broken at the end of a line, mended by the words that the document itself uses."""

import re
from collections.abc import Iterable

from backend.documents.parsing.pdf.glyph_runs import HYPHEN

_WORDS = re.compile(r"[^\W\d_]{2,}(?:-[^\W\d_]+)*")
_MOST_WORDS = 200_000
_LONGEST_WORD = 60
_LAST = re.compile(rf"([^\W\d_]+)(?:-|{HYPHEN})$")
_FIRST = re.compile(r"[^\W\d_]+")
_COMPOUNDING = frozenset(
    "non self well co ex long short mid year half high low cross anti semi full part right first third multi all so"  # noqa: SIM905 — or a line for each
    " one two three four five six seven eight nine ten day month low-".split()
)


class Vocabulary:
    """The words of a document as far as it is read."""

    def __init__(self) -> None:
        self._words: set[str] = set()

    def learn(self, lines: Iterable[str]) -> None:
        """Remembers the words of lines, except those that a line's end breaks."""
        if len(self._words) >= _MOST_WORDS:
            return
        kept = []
        is_broken = False
        for line in lines:
            text = line.partition(" ")[2] if is_broken else line
            is_broken = line.endswith((HYPHEN, "-"))
            kept.append(text.rpartition(" ")[0] if is_broken else text)
        self._words.update(_WORDS.findall("\n".join(kept).lower()))

    def joined(self, text: str, following: str) -> str:
        """Returns two lines as one text; a word that the first line breaks is whole again."""
        if not text.endswith((HYPHEN, "-")):
            return f"{text.replace(HYPHEN, '-')} {following}"
        begun, rest = _LAST.search(text, max(0, len(text) - _LONGEST_WORD)), _FIRST.match(following)
        if begun is None or rest is None:
            space = "" if following[:1].isdigit() else " "
            return f"{text.replace(HYPHEN, '-')}{space}{following}"
        if self._is_one_word(begun[1], rest[0]):
            return text[: begun.end(1)] + following
        return f"{text[: begun.end(1)]}-{following}"

    def _is_one_word(self, begun: str, rest: str) -> bool:
        first, second = begun.lower(), rest.lower()
        if first + second in self._words:
            return True
        if f"{first}-{second}" in self._words or not rest[0].islower() or first in _COMPOUNDING:
            return False
        return not (first in self._words and second in self._words)
