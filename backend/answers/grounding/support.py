"""Decides at which level, if at any, the passages that a sentence cites support it."""

import asyncio
from collections.abc import Sequence
from typing import Self

from backend.answers.generator import Claim, Passage, Quote
from backend.answers.grounding.check import Evidence, cited_numbers, without_citations
from backend.answers.grounding.judge import Judge, JudgeUnavailable
from backend.answers.grounding.likeness import Likeness
from backend.answers.grounding.verdict import Reason, Support, Verdict

DEFAULT_LEVELS = frozenset({Support.VERBATIM, Support.CLOSE})


class Grounding:
    """Checks sentences: by rules and likeness in this process, then by a judge if there is one."""

    def __init__(
        self, likeness: Likeness, judge: Judge | None = None, levels: frozenset[Support] = DEFAULT_LEVELS
    ) -> None:
        """Shows sentences of the given levels; without a judge none is of the level "judged"."""
        self._likeness = likeness
        self._judge = judge
        self.levels = levels

    def showing(self, levels: frozenset[Support] | None) -> Self:
        """Returns the same check for who lets only these levels be shown; None means all that this one shows."""
        return self if levels is None else type(self)(self._likeness, self._judge, self.levels & levels)

    def evidence(self, passages: Sequence[Passage]) -> Evidence:
        """Returns the passages, ready to be cited."""
        return Evidence(passages, self._likeness, self._likeness.threshold)

    async def aclose(self) -> None:
        """Closes the judge's connections."""
        if self._judge is not None:
            await self._judge.aclose()

    async def claim(self, sentence: str, evidence: Evidence) -> Claim | Reason:
        """Returns the sentence without its markers, with the quotes that support it; or why it may not be shown."""
        verdict = await self.verdict(sentence, evidence)
        if verdict.level is None:
            assert verdict.reason is not None
            return verdict.reason
        quotes = []
        for span in verdict.spans:
            passage = evidence.passages[span.passage]
            start = span.start if verdict.level is Support.VERBATIM else _below_headings(passage, span.start, span.end)
            quotes.append(Quote(passage, passage.text[start : span.end]))
        return Claim(without_citations(sentence), tuple(quotes), verdict.level, verdict)

    async def verdict(self, sentence: str, evidence: Evidence) -> Verdict:
        """Returns how the passages that a sentence cites support it.

        A citation that supports nothing is left out; one that does not exist condemns the sentence.
        """
        numbers = cited_numbers(sentence)
        if not numbers:
            return Verdict(None, reason=Reason.UNCITED)
        if not all(number in evidence.passages for number in numbers):
            return Verdict(None, reason=Reason.UNKNOWN_PASSAGE)
        text = without_citations(sentence)
        verdict = await asyncio.to_thread(evidence.verdict, text, numbers)
        if verdict.level in self.levels:
            return verdict
        if verdict.level is not None:
            verdict = Verdict(None, reason=Reason.LEVEL, likeness=verdict.likeness)
        if self._judge is None or Support.JUDGED not in self.levels or verdict.reason is Reason.EMPTY:
            return verdict
        return await self._judged(text, [evidence.passages[number] for number in numbers], verdict)

    async def _judged(self, sentence: str, passages: Sequence[Passage], verdict: Verdict) -> Verdict:
        assert self._judge is not None
        try:
            entailed = await self._judge.entails(sentence, [passage.text for passage in passages])
        except JudgeUnavailable:
            return Verdict(None, reason=Reason.JUDGE_UNAVAILABLE, likeness=verdict.likeness, judge=self._judge.name)
        if not entailed:
            return Verdict(None, reason=Reason.JUDGED_FALSE, likeness=verdict.likeness, judge=self._judge.name)
        spans = tuple(Evidence.whole(passage) for passage in passages)
        return Verdict(Support.JUDGED, spans, likeness=verdict.likeness, judge=self._judge.name)


def _below_headings(passage: Passage, start: int, end: int) -> int:
    """Returns where a sentence begins below the headings of its passage, which stand in front of it on lines of their own."""
    headings = {" ".join(heading.split()) for heading in passage.span.heading_path or ()}
    while (line_end := passage.text.find("\n", start, end)) != -1:
        if " ".join(passage.text[start:line_end].split()) not in headings:
            break
        start = line_end + 1
    return start
