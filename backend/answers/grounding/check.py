"""Checks a sentence of an answer against the passages that it cites."""

import re
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import islice

from backend.answers.generator import Passage
from backend.answers.grounding import vetoes
from backend.answers.grounding.alignment import Alignment, aligned
from backend.answers.grounding.evidence import EvidenceUnit, PassageEvidence
from backend.answers.grounding.exchange_vetoes import is_verb
from backend.answers.grounding.verbatim import quoted
from backend.answers.grounding.verdict import EvidencePlace, Reason, Support, Verdict
from backend.language.clauses import has_predicate
from backend.language.languages import Language, detected
from backend.language.legible import legible
from backend.language.modals import Modality
from backend.language.parsed_sentences import Clause, ParsedSentence, parsed
from backend.language.tokens import Token

LikenessOf = Callable[[Alignment], float]
"""Returns the probability that the evidence says the same as the statement."""

_MOST_UNITS = 4  # of a passage, those that share most words with the statement
_LEAST_SHARED = 0.2  # of the statement's words; a unit that shares fewer says something else
_FEWEST_WORDS = 2
_MOST_JOINTS = (
    12  # at which a statement is read in halves, each of which is parsed anew; a model that loops joins hundreds
)
_AND = frozenset({"and", "und", "et", "y", "e", "ed"})

_MARKER = re.compile(r"\s*\[(\d{1,3}(?:\s*,\s*\d{1,3})*)\]")


def cited_numbers(sentence: str) -> list[int]:
    """Returns the numbers of the passages that a sentence cites, in order."""
    lists = (match[1].split(",") for match in _MARKER.finditer(sentence))
    return list(dict.fromkeys(int(number) for numbers in lists for number in numbers))


def without_citations(sentence: str) -> str:
    """Returns the sentence without its citation markers."""
    return _MARKER.sub("", sentence).strip()


class Evidence:
    """The passages that an answer may cite; each is read once, when it is first cited."""

    def __init__(self, passages: Sequence[Passage], likeness: LikenessOf, threshold: float) -> None:
        """Takes the passages by their numbers, and the likeness from which on evidence supports."""
        self.passages = {passage.number: passage for passage in passages}
        self._read: dict[int, PassageEvidence] = {}
        self._likeness = likeness
        self._threshold = threshold

    @staticmethod
    def whole(passage: Passage) -> EvidencePlace:
        """Returns the span of a whole passage."""
        return EvidencePlace(passage.number, 0, len(passage.text))

    def verdict(self, sentence: str, numbers: Sequence[int]) -> Verdict:
        """Returns how the passages with these numbers support a sentence without markers; takes up to 100 ms."""
        spans = tuple(self._quoted(sentence, numbers))
        if spans:
            return Verdict(Support.VERBATIM, spans)
        if not any(map(str.isalnum, sentence)):
            return Verdict(None, reason=Reason.EMPTY)
        language = self._language(sentence, numbers)
        if language is None:
            return Verdict(None, reason=Reason.LANGUAGE)
        statement = parsed(legible(sentence).text, language)
        if len(statement.content) + len(statement.quantities) < _FEWEST_WORDS:
            return Verdict(None, reason=Reason.EMPTY)
        return (
            self._close(statement, numbers) or self._in_parts(statement, numbers) or self._refused(statement, numbers)
        )

    def _quoted(self, sentence: str, numbers: Sequence[int]) -> Iterator[EvidencePlace]:
        for number in numbers:
            found = quoted(sentence, self._evidence(number))
            if found is not None:
                yield EvidencePlace(number, *found)

    def _language(self, sentence: str, numbers: Sequence[int]) -> Language | None:
        """Returns the language of the cited passages, if it has rules and the sentence is not in another one."""
        languages = {self._evidence(number).language for number in numbers}
        known = [language for language in languages if language is not None]
        own = detected(sentence)
        if own is not None:
            return own if own in known else None
        return known[0] if len(known) == 1 else None

    def _close(self, statement: ParsedSentence, numbers: Sequence[int]) -> Verdict | None:
        """Returns the verdict of every cited passage that says the same by itself."""
        found = [
            (likeness, EvidencePlace(number, unit.start, unit.end))
            for number in numbers
            if (best := self._likest(statement, number)) is not None
            for likeness, unit in [best]
            if likeness >= self._threshold
        ]
        if not found:
            return None
        likeness = max(likeness for likeness, _ in found)
        return Verdict(Support.CLOSE, tuple(span for _, span in found), likeness=likeness)

    def _likest(self, statement: ParsedSentence, number: int) -> tuple[float, EvidenceUnit] | None:
        rated = [
            (self._likeness(alignment), position, alignment.unit)
            for position, alignment in enumerate(self.alignments(statement, number))
            if vetoes.broken(alignment) is None
        ]
        if not rated:
            return None
        likeness, _, unit = max(rated, key=lambda entry: (entry[0], -entry[1]))
        return likeness, unit

    def _in_parts(self, statement: ParsedSentence, numbers: Sequence[int]) -> Verdict | None:
        """Returns the verdict when each half of the statement stands alone and is supported alone."""
        for first, second in _halves(statement):
            halves = [self._close(half, numbers) for half in (first, second)]
            if all(half is not None for half in halves):
                spans = dict.fromkeys(span for half in halves if half for span in half.spans)
                likeness = min(half.likeness or 0.0 for half in halves if half)
                return Verdict(Support.CLOSE, tuple(sorted(spans, key=lambda span: span.passage)), likeness=likeness)
        return None

    def _refused(self, statement: ParsedSentence, numbers: Sequence[int]) -> Verdict:
        """Returns the reason of the evidence that is most like the statement."""
        alignments = [alignment for number in numbers for alignment in self.alignments(statement, number)]
        if not alignments:
            return Verdict(None, reason=Reason.NOT_FOUND)
        likest = max(alignments, key=lambda alignment: alignment.coverage)
        reason = vetoes.broken(likest)
        return Verdict(None, reason=reason or Reason.WORDING, likeness=None if reason else self._likeness(likest))

    def alignments(self, statement: ParsedSentence, number: int) -> list[Alignment]:
        """Returns the statement aligned with those sentences of a passage that share most words with it."""
        stems = {statement.tokens[position].stem for position in statement.content}
        values = {quantity.value for quantity in statement.quantities}
        units = []
        for unit in self._evidence(number).units:
            if unit.parsed is None or unit.language is not statement.language:
                continue
            if unit.text.endswith("?") and not statement.text.endswith("?"):
                continue  # who asks whether something is so does not say that it is
            shared = len(stems & unit.stems) + len(values & {quantity.value for quantity in unit.parsed.quantities})
            if shared >= _LEAST_SHARED * (len(stems) + len(values)):
                units.append((shared, unit))
        units.sort(key=lambda entry: -entry[0])
        return [aligned(statement, unit, unit.parsed) for _, unit in units[:_MOST_UNITS] if unit.parsed is not None]

    def _evidence(self, number: int) -> PassageEvidence:
        if number not in self._read:
            passage = self.passages[number]
            self._read[number] = PassageEvidence(passage.text, passage.title)
        return self._read[number]


def _halves(statement: ParsedSentence) -> Iterator[tuple[ParsedSentence, ParsedSentence]]:
    """Yields two parts that are joined by "and" or a semicolon, each a sentence of its own under no condition."""
    if any(clause.condition for clause in statement.clauses):
        return
    for clause in islice(filter(partial(_is_joined, statement), statement.clauses[1:]), _MOST_JOINTS):
        opening = statement.tokens[clause.first]
        joined = opening.form in _AND
        begins = statement.tokens[clause.first + joined] if clause.first + joined <= clause.last else opening
        if begins.has("refers"):
            continue
        parts = [
            parsed(statement.text[: opening.start].rstrip(" ,;") + ".", statement.language),
            parsed(statement.text[begins.start :], statement.language),
        ]
        if _says_who(begins) and all(_is_sentence(part) for part in parts):
            yield parts[0], parts[1]


def _is_joined(statement: ParsedSentence, clause: Clause) -> bool:
    """Whether "and" or a semicolon stands before a clause."""
    return statement.tokens[clause.first].form in _AND or statement.tokens[clause.first - 1].form == ";"


def _says_who(opening: Token) -> bool:
    """Whether a part does not begin with its predicate, of which the other part would be the subject."""
    return not opening.has("finite") and not any(tag.startswith("modal") for tag in opening.tags)


def _is_sentence(part: ParsedSentence) -> bool:
    """Whether a part says something: "and not a voluntary one" is none."""
    says = has_predicate(part.tokens) or any(is_verb(part, place) for place in part.content)
    imperative = any(clause.modality is Modality.ORDER for clause in part.clauses)
    return (says or imperative) and len(part.content) + len(part.quantities) >= _FEWEST_WORDS
