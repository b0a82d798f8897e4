"""What a model wrote, as sentences with the numbers that they cite: without its thoughts, lists, headings and emphasis.

Models cite as they were trained to: `[1]`, `【1】`, `[Passage 1]`, `[[1]]`, or once at the end of a paragraph, for all of it.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from backend.language import sentences

_THOUGHT = re.compile(r"<(think|thinking|thought|reasoning)>", re.IGNORECASE)
_THOUGHT_END = re.compile(r"</(?:think|thinking|thought|reasoning)>", re.IGNORECASE)
_PARTIAL_TAG = re.compile(r"</?[a-z]{0,9}$", re.IGNORECASE)

_NUMBER = r"(?:(?:passages?|sources?|citations?|docs?|documents?|refs?)[\s\-_#:.]*)?\^?#?(\d{1,3})(?:\u2020[^\]\u3011]{0,40})?"
_LIST = rf"{_NUMBER}(?:\s*(?:,|;|and|&)\s*{_NUMBER})*"
_CITATION = re.compile(
    rf"\s*(?:\[\[\s*{_LIST}\s*\]\]|[\[\u3010\uff3b]\s*{_LIST}\s*[\]\u3011\uff3d]|\((?:passages?|sources?)\s*{_LIST}\))",
    re.IGNORECASE,
)
_DIGITS = re.compile(r"\d{1,3}")
_MARKERS = re.compile(r"(?:\s*\[\d{1,3}\])+")
_MARKER = re.compile(r"\[(\d{1,3})\]")

_ITEM = re.compile(r"^\s{0,12}(?:[-*+\u2022\u2013\u25aa\u25cf]|\(?\d{1,2}[.)]|[a-z][.)])\s+")
_HEADING = re.compile(r"^\s{0,3}#{1,6}\s|^\s*\*\*[^*\n]{1,120}\*\*:?\s*$|^\s*[-=*_]{3,}\s*$")
_EMPHASIS = re.compile(r"(\*\*|__|`)(?=\S)(.+?)(?<=\S)\1")
_PARAGRAPH = re.compile(
    r"\n[ \t]*\n|\n(?=\s{0,12}(?:[-*+\u2022\u2013\u25aa\u25cf]|\(?\d{1,2}[.)])\s)|\n(?=\s{0,3}#{1,6}\s)"
)
_MAY_END = re.compile(r"[.!?\n\u3002]")


@dataclass(frozen=True, slots=True)
class Said:
    """One sentence of a model, without its citations, and the passages it cites, by their numbers."""

    text: str
    numbers: tuple[int, ...]

    @property
    def marked(self) -> str:
        """The sentence with its citations in one spelling, such as `Fees are 5 USD. [1][3]`."""
        return f"{self.text} {''.join(f'[{number}]' for number in self.numbers)}".rstrip()


class Thoughts:
    """Takes a model's text as it arrives, and leaves out what it only thought."""

    def __init__(self) -> None:
        self._held = ""
        self._thinking = False
        self.any = False

    def feed(self, text: str) -> str:
        """Returns what was said; the beginning of what may become a tag waits."""
        self._held += text
        said = ""
        while (match := (_THOUGHT_END if self._thinking else _THOUGHT).search(self._held)) is not None:
            said += "" if self._thinking else self._held[: match.start()]
            self._held = self._held[match.end() :]
            self._thinking = not self._thinking
            self.any = True
        keep = _PARTIAL_TAG.search(self._held)
        ready, self._held = (self._held[: keep.start()], keep[0]) if keep else (self._held, "")
        return said if self._thinking else said + ready

    def close(self) -> str:
        """Returns what was held back."""
        return "" if self._thinking else self._held


class Completion:
    """Takes what a model says as it arrives, and gives out its sentences once it is known what they cite."""

    def __init__(self) -> None:
        self._thoughts = Thoughts()
        self._unread = ""
        self._uncited: list[str] = []
        self.said = ""

    @property
    def thought(self) -> bool:
        """Whether it thought aloud."""
        return self._thoughts.any

    def feed(self, text: str) -> list[Said]:
        """Returns the sentences that the text completes."""
        return self._read(self._thoughts.feed(text))

    def close(self) -> list[Said]:
        """Returns what was left."""
        read = self._read(self._thoughts.close())
        _, found = _without_hidden_thought(self._unread)
        self._unread = ""
        return [*read, *self._sentences(found, ended=True), *self._paragraph_ends()]

    def _read(self, text: str) -> list[Said]:
        self.said += text
        self._unread += text
        hidden, self._unread = _without_hidden_thought(self._unread)
        if hidden:  # the tag that began it was in the prompt, as with some reasoning models
            self._thoughts.any = True
            self._uncited = []
        if not _MAY_END.search(self._unread):
            return []
        found: list[Said] = []
        *paragraphs, self._unread = _PARAGRAPH.split(self._unread)
        for paragraph in paragraphs:
            found += [*self._sentences(paragraph, ended=True), *self._paragraph_ends()]
        complete, self._unread = _complete(self._unread)
        return [*found, *self._sentences(complete, ended=False)]

    def _sentences(self, text: str, *, ended: bool) -> Iterator[Said]:
        """Yields the sentences of a piece of a paragraph that are cited; the others wait for who cites them."""
        for line in _lines(text):
            for sentence in sentences.split(_cited_in_one_spelling(line)):
                yield from self._sentence(sentence)
        if ended and _LEAD_IN.search(text) and self._uncited:
            self._uncited.pop()  # it introduces a list, and says nothing itself

    def _sentence(self, sentence: str) -> Iterator[Said]:
        numbers = tuple(dict.fromkeys(int(number) for number in _MARKER.findall(sentence)))
        text = _MARKERS.sub("", sentence).strip()
        text = _EMPHASIS.sub(r"\2", text).strip()
        if not any(map(str.isalnum, text)):
            return
        if not numbers:
            self._uncited.append(text)
            return
        yield from (Said(earlier, numbers) for earlier in self._uncited)
        self._uncited = []
        yield Said(text, numbers)

    def _paragraph_ends(self) -> Iterator[Said]:
        yield from (Said(text, ()) for text in self._uncited)
        self._uncited = []


_LEAD_IN = re.compile(r":\s*$")


def _without_hidden_thought(text: str) -> tuple[bool, str]:
    """Returns what stands behind the last end of a thought that had no beginning, and whether there was one."""
    ends = list(_THOUGHT_END.finditer(text))
    return (True, text[ends[-1].end() :]) if ends else (False, text)


def _lines(text: str) -> Iterator[str]:
    """Yields the text of a paragraph without headings and marks of lists; lines of running text stay together."""
    kept = [line for line in text.splitlines() if not _HEADING.match(line)]
    yield "\n".join(_ITEM.sub("", line) for line in kept)


def _cited_in_one_spelling(text: str) -> str:
    return _CITATION.sub(lambda match: "".join(f"[{int(n)}]" for n in _DIGITS.findall(_undated(match[0]))), text)


def _undated(marker: str) -> str:
    return re.sub(r"\u2020[^\]\u3011,;]*", "", marker)


def _complete(text: str) -> tuple[str, str]:
    """Returns the sentences at the beginning of a paragraph that nothing can change, and the rest.

    The last one may go on, and a bracket behind a sentence may become its citation.
    """
    spans = sentences.spans(text)
    if len(spans) < 2:
        return "", text
    start = spans[-1][0]
    if text[start] in "[\u3010\uff3b(":
        if len(spans) < 3:
            return "", text
        start = spans[-2][0]
    return text[:start], text[start:]
