"""Answers as they come, sentence by sentence."""

import json
from collections.abc import Iterable, Iterator
from typing import Any

from .errors import Refused, Unreachable
from .models import Answer, Citation
from .reading import read


class AnswerStream(Iterator[str]):
    """Yields the words of an answer; each stands on record before it comes.

    `citations` grows meanwhile; `answer` is there at the end. Raises Refused where the answer fails after it began.
    """

    def __init__(self, lines: Iterable[str]) -> None:
        self.citations: list[Citation] = []
        self._answer: Answer | None = None
        self._words = self._read(events(lines))

    def __next__(self) -> str:
        """Returns the next words."""
        return next(self._words)

    @property
    def answer(self) -> Answer:
        """The whole answer, or the refusal; reads what is left of the stream first."""
        for _ in self._words:
            pass
        if self._answer is None:
            raise Unreachable("the answer ended in the middle")
        return self._answer

    def _read(self, coming: Iterator[tuple[str, str]]) -> Iterator[str]:
        for kind, content in coming:
            if kind == "token":
                yield content
                continue
            told: dict[str, Any] = json.loads(content)
            if kind == "citation":
                self.citations.append(read(Citation, told))
            elif kind == "done":
                self._answer = read(Answer, told)
            elif kind == "error":
                raise Refused(200, told["error"], told["detail"], told.get("request_id"))


def events(lines: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yields name and content of each server-sent event."""
    name, content = "message", list[str]()
    for line in lines:
        field, _, value = line.partition(":")
        if not line and content:
            yield name, "\n".join(content)
        if not line:
            name, content = "message", []
        elif field == "event":
            name = value.removeprefix(" ")
        elif field == "data":
            content.append(value.removeprefix(" "))
