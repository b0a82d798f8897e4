"""What pages hold one after another: sentences that go over a page are made whole, headings need a body."""

from collections.abc import Iterator

from backend.documents.parsing.blocks import BlockKind, Fragment
from backend.documents.parsing.pdf.headings import SENTENCE
from backend.documents.parsing.pdf.hyphens import Vocabulary
from backend.documents.parsing.pdf.prose import Item

_LEAST_BODY_WORDS = 7
_CONTINUED = (BlockKind.PARAGRAPH, BlockKind.LIST_ITEM)
_LONGEST_CHAIN = 4
_LEAST_EXPLANATION = 15


class Sequence:
    """Takes pages in order and gives each once the next one is known."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        self._body: list[Item] = []
        self._foot: list[Fragment] = []

    def add(self, head: list[Fragment], body: list[Item], foot: list[Fragment]) -> Iterator[Fragment]:
        """Take a page; yield what is certain of the page before, and the head of this one."""
        joined = self._join(body)
        yield from self._certain(body)
        yield from self._foot
        yield from head
        self._body, self._foot = (body[1:] if joined else body), foot

    def finish(self) -> Iterator[Fragment]:
        """Yield the last page."""
        yield from self._certain([])
        yield from self._foot

    def _certain(self, following: list[Item]) -> Iterator[Fragment]:
        sequence = [*self._body, *following[: _LONGEST_CHAIN + 1]]
        for index, item in enumerate(self._body):
            fragment = item.fragment
            if fragment.kind is BlockKind.HEADING and not _has_body(sequence, index):
                fragment = fragment._replace(kind=BlockKind.PARAGRAPH, level=0)
            yield fragment

    def _join(self, body: list[Item]) -> bool:
        """Append to the last paragraph of the page before what continues it on this one."""
        if not body or body[0].fragment.kind is not BlockKind.PARAGRAPH or not self._body:
            return False
        first = body[0]
        for index in range(len(self._body) - 1, -1, -1):
            last = self._body[index]
            if last.fragment.kind not in _CONTINUED:
                return False
            if abs(last.height - first.height) > 0.5 or last.is_bold != first.is_bold:
                continue  # notes at the foot of the page
            if not last.is_open or not _continues(last.fragment.text, first.fragment.text):
                return False
            text = self._vocabulary.joined(last.fragment.text, first.fragment.text)
            at = len(text) - len(first.fragment.text)
            joined = last.fragment._replace(text=text, next_page_at=at)
            self._body[index] = last._replace(fragment=joined)
            return True
        return False


def _continues(text: str, following: str) -> bool:
    """Return whether the words go on: the first text ends no sentence, the second begins none."""
    if text.rstrip("\"'”’)")[-1:] in {".", "!", "?", ":", ";"} or following.startswith("[note "):
        return False
    return (
        following[:1].islower()
        or following[:1].isdigit()
        or following[:1] in '($€£“"'
        or text[-1:] in {",", "-", "\ufffe"}
        or (
            text.rsplit(" ", 1)[-1].lower()
            in {"the", "of", "and", "or", "to", "in", "a", "for", "by", "with", "our", "its", "as", "that", "at"}
        )
    )


def _has_body(sequence: list[Item], index: int) -> bool:
    """Return whether a heading is followed by a table, a list or a paragraph of some length, maybe after others."""
    heading = sequence[index].fragment
    for item in sequence[index + 1 : index + 1 + _LONGEST_CHAIN]:
        kind, text = item.fragment.kind, item.fragment.text
        if kind in {BlockKind.TABLE_HEADER, BlockKind.TABLE_ROW}:
            return not sequence[index].is_inset and heading.level != SENTENCE
        if kind is BlockKind.LIST_ITEM:
            return heading.level != SENTENCE
        if kind is BlockKind.PARAGRAPH:
            if heading.level == SENTENCE:
                return len(text.split()) >= _LEAST_EXPLANATION and not item.is_bold
            return len(text.split()) >= _LEAST_BODY_WORDS or text.startswith("(")
        if item.fragment.level < heading.level:
            return False
    return False
