"""The sentences of a passage as evidence: each with what it needs in order to be understood."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property

from backend.language import sentences
from backend.language.languages import Language, detected
from backend.language.legible import legible
from backend.language.parsed_sentences import ParsedSentence, parsed
from backend.language.quantities import named_units, scales
from backend.language.tokens import TokenKind, tokens

_CONTEXT = 2  # sentences before, to which "it" or "this" may refer
_LONGEST = 1_200  # characters; a longer "sentence" is a table or a list, of which any words can be found in a row

# A sentence addressed to a language model is no evidence: it is how a document tries to give orders.
_ADDRESSES_A_MODEL = re.compile(
    r"""
      \b(?:ignore|disregard|forget|override)\s+(?:\w+\s+){0,3}
      (?:previous|prior|above|earlier|preceding|your|system)\s+(?:\w+\s+){0,2}(?:instruction|prompt|rule|context)
    | \b(?:system|developer)\s+(?:prompt|message)
    | \b(?:as|you\s+are)\s+(?:now\s+)?an?\s+(?:ai|large\s+language\s+model|language\s+model)\b
    | \b(?:ai|chat)\s*(?:assistants?|models?|bots?|systems?)\s*[,:]?\s+(?:must|should|shall|please)
    | \b(?:respond|reply|answer)\s+(?:only|exactly|just)\s+(?:with|that)\b
    """,
    re.VERBOSE | re.IGNORECASE,
)


def addresses_a_model(text: str) -> bool:
    """Whether the text reads like an instruction to a language model."""
    return bool(_ADDRESSES_A_MODEL.search(legible(text).text))


@dataclass(frozen=True)
class EvidenceUnit:
    """A sentence of a passage, with the line that introduces it if it is an item of a list.

    `start` and `end` are where it stands in the passage; `context` are the stems of what it may refer to.
    """

    text: str
    start: int
    end: int
    lead: str
    language: Language | None
    context: frozenset[str]
    context_forms: frozenset[str]
    table_units: frozenset[str]
    table_scales: frozenset[Decimal]

    @property
    def whole(self) -> str:
        """The introducing line and the sentence."""
        return f"{self.lead} {self.text}" if self.lead else self.text

    @cached_property
    def parsed(self) -> ParsedSentence | None:
        """What it says; None in a language without rules."""
        return parsed(legible(self.whole).text, self.language) if self.language else None

    @cached_property
    def stems(self) -> frozenset[str]:
        """The stems of its words, by which it is found."""
        if self.parsed is None:
            return frozenset()
        return frozenset(token.stem for token in self.parsed.tokens if token.kind is TokenKind.WORD)


class PassageEvidence:
    """A passage's units, read once."""

    def __init__(self, text: str, title: str | None) -> None:
        """Takes a passage's text and the title of its document."""
        self.text = text
        self._title = title or ""

    @cached_property
    def language(self) -> Language | None:
        """The language that the passage is written in, if it has rules."""
        return detected(self.text)

    @cached_property
    def spans(self) -> list[tuple[int, int]]:
        """Where its sentences stand, without those that address a model."""
        return [
            (start, end) for start, end in sentences.spans(self.text) if not addresses_a_model(self.text[start:end])
        ]  # fmt: skip

    @cached_property
    def units(self) -> list[EvidenceUnit]:
        """Its sentences as evidence."""
        return list(self._units())

    def _units(self) -> Iterator[EvidenceUnit]:
        title = self._words(self._title)
        heading = self._numbers_of(self.text)
        words = [self._words(self.text[start:end]) for start, end in self.spans]
        lead = ""
        for position, (start, end) in enumerate(self.spans):
            text = self.text[start:end]
            if len(text) > _LONGEST:
                continue
            before = [words[place] for place in range(max(position - _CONTEXT, 0), position)]
            stems = title[0].union(*(stems for stems, _ in before))
            forms = title[1].union(*(forms for _, forms in before))
            yield EvidenceUnit(text, start, end, lead if lead != text else "", self.language, stems, forms, *heading)
            lead = self._lead_after(position, text, lead)

    def _lead_after(self, position: int, text: str, lead: str) -> str:
        """Returns the line that introduces the next sentence: one that ends in a colon, until the list is over."""
        if text.endswith(":"):
            return text
        if not lead or position + 1 >= len(self.spans):
            return ""
        between = self.text[self.spans[position][1] : self.spans[position + 1][0]]
        return lead if "\n" in between and "\n\n" not in between.replace(" ", "") else ""

    def _words(self, text: str) -> tuple[frozenset[str], frozenset[str]]:
        if self.language is None or not text:
            return frozenset(), frozenset()
        found = [token for token in tokens(legible(text).text, self.language) if token.kind is TokenKind.WORD]
        return frozenset(token.stem for token in found), frozenset(token.form for token in found)

    def _numbers_of(self, text: str) -> tuple[frozenset[str], frozenset[Decimal]]:
        """Returns the units and scales that a table states apart from its numbers, as in "USD in millions"."""
        if self.language is None or not re.search(r"\bin (?:thousands|millions|billions)\b", text, re.IGNORECASE):
            return frozenset(), frozenset()
        found = tokens(legible(text).text, self.language)
        return named_units(found, self.language), scales(found, self.language)
