"""What pages hold one after another: sentences that go over a page are made whole, headings need a body."""

from collections.abc import Iterator

from backend.documents.parsing.blocks import Block, BlockKind, Fragment
from backend.documents.parsing.pdf.headings import SENTENCE, is_item
from backend.documents.parsing.pdf.hyphens import Vocabulary
from backend.documents.parsing.pdf.prose import Item
from backend.documents.parsing.sentences import sentences

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
        """Takes a page; yields what is certain of the page before, and the head of this one."""
        rest = self._join(body)
        yield from self._certain(rest)
        yield from self._foot
        yield from head
        self._body, self._foot = rest, foot

    def finish(self) -> Iterator[Fragment]:
        """Yields the last page."""
        yield from self._certain([])
        yield from self._foot

    def _certain(self, following: list[Item]) -> Iterator[Fragment]:
        sequence = [*self._body, *following[: _LONGEST_CHAIN + 1]]
        for index, item in enumerate(self._body):
            fragment = item.fragment
            if fragment.kind is BlockKind.HEADING and not _has_body(sequence, index):
                fragment = fragment._replace(kind=BlockKind.PARAGRAPH, level=0)
            yield fragment

    def _join(self, body: list[Item]) -> list[Item]:
        """Appends to the last paragraph of the page before the sentence that goes on here; returns what is left of this page."""
        if not body or body[0].fragment.kind is not BlockKind.PARAGRAPH or not self._body:
            return body
        first = body[0]
        for index in range(len(self._body) - 1, -1, -1):
            last = self._body[index]
            if last.fragment.kind not in _CONTINUED:
                return body
            if abs(last.height - first.height) > 0.5 or last.is_bold != first.is_bold:
                continue  # notes at the foot of the page
            if not last.is_open or not _continues(last.fragment.text, first.fragment.text):
                return body
            sentence, rest = _first_sentence(first.fragment)
            text = self._vocabulary.joined(last.fragment.text, sentence)
            joined = last.fragment._replace(text=text, next_page_at=len(text) - len(sentence))
            self._body[index] = last._replace(fragment=joined)
            kept = first._replace(fragment=first.fragment._replace(text=rest))
            return [kept, *body[1:]] if rest else body[1:]
        return body


def _first_sentence(fragment: Fragment) -> tuple[str, str]:
    """Returns the end of the sentence that the page begins with, and what follows it: that may go over the next page."""
    block = Block(fragment.kind, fragment.text, 0)
    sentence = next((text for _, text in sentences(block)), fragment.text)
    return sentence, fragment.text[len(sentence) :].strip()


def _continues(text: str, following: str) -> bool:
    """Returns whether the words go on: the first text ends no sentence, the second begins none."""
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
    """Returns whether a heading is followed by a table, a list or a paragraph of some length, maybe after others."""
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
            return len(text.split()) >= _LEAST_BODY_WORDS or text.startswith("(") or is_item(heading.text)
        if item.fragment.level < heading.level:
            return False
    return False
