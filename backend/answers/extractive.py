"""The built-in generator: it answers with sentences of the passages, word for word, or refuses.

A sentence supports an answer when its cosine with the question, plus a share of how many of the question's
terms its passage has, reaches a threshold. A question about a name or a year that no passage mentions is
refused whatever the similarity: that is what a question about another company looks like.
"""

import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from backend.answers.generator import NOT_SUPPORTED, Claim, Generation, Passage, Prompt, Quote
from backend.answers.grounding.evidence import addresses_a_model
from backend.answers.grounding.verdict import Support
from backend.language import sentences, terms

Embed = Callable[[Sequence[str]], Awaitable[NDArray[np.float32]]]
"""Turns n texts into n unit vectors, as the rows of one array."""

NAME = "extractive-v1"

# Calibrated on support articles, and on questions that their collection cannot answer.
THRESHOLD = 0.69
COVERAGE_WEIGHT = 0.3
PASSAGE_WEIGHT = 0.25  # of the passage's own cosine, for choosing among sentences
FIGURE_BONUS = 0.1  # for choosing among sentences, when the question asks for a figure
MARGIN = 0.12  # further sentences may be this much weaker than the best

_MOST_CLAIMS = 3
_MOST_CANDIDATES = 12  # sentences, 1 to 5 ms each to embed; 40 find no better answers
_LONGEST_SENTENCE = 600  # characters; beyond it is a table, which is no answer
_SHORTEST_SENTENCE = 3  # words; below it is a heading

_NAME = re.compile(r"[^\W_][\w&'\u2019.]*")
_SENTENCE_START = re.compile(r"(?:^|[.?!:]\s+)$")
_NOT_A_NAME = re.compile(r"(?:i|ok|a|us|usd|eur|gbp|am|pm)(?:['\u2019]\w+)?|\w+n['\u2019]t", re.IGNORECASE)
_YEAR = re.compile(r"(?:FY)?((?:19|20)\d\d)", re.IGNORECASE)
_ASKS_FOR_FIGURE = re.compile(
    r"\bhow (?:much|many|long|soon|quickly|old|often|late|early|high|large)\b|\bwhen\b|\bdeadline\b"
    r"|^what (?:is|are|was|were|does|do)\b.*"
    r"\b(?:fees?|costs?|price|limits?|charge|rate|amount|percent\w*|time|temperature)\b",
    re.IGNORECASE,
)
_REFERS_BACK = re.compile(
    r"(?:(?:when|if|unless|until|once|after|in|for|without)\s)?"
    r"(?:it|they|this|these|those|that|such|he|she|otherwise|however|instead|then|also|yes|no)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A sentence of a passage, and the characters of the passage that make it readable alone."""

    passage: Passage
    sentence: str
    quote: str


class ExtractiveGenerator:
    """Quotes the sentences that answer; needs no model server."""

    def __init__(self, embed: Embed) -> None:
        """Uses `embed` for the question and the sentences alike."""
        self._embed = embed

    @property
    def name(self) -> str:
        """The generator's name and version, recorded as the model."""
        return NAME

    @property
    def parameters(self) -> Mapping[str, str | int]:
        """The threshold and weights of the decision."""
        return {
            "threshold": str(THRESHOLD),
            "coverage_weight": str(COVERAGE_WEIGHT),
            "passage_weight": str(PASSAGE_WEIGHT),
            "figure_bonus": str(FIGURE_BONUS),
            "margin": str(MARGIN),
        }

    async def generate(self, prompt: Prompt) -> Generation:
        """Returns up to three quoted sentences, the best first, or a refusal."""
        return _generation(await self._claims(prompt))

    async def stream(self, prompt: Prompt) -> AsyncGenerator[Claim | Generation]:
        """Yields the generation, which is there as a whole."""
        yield await self.generate(prompt)

    async def _claims(self, prompt: Prompt) -> list[Claim]:
        if unmentioned_names(prompt.question, prompt.passages):
            return []
        candidates = _candidates(prompt)
        if not candidates:
            return []
        question, *vectors = await self._embed([prompt.question, *(candidate.sentence for candidate in candidates)])
        return _select(prompt.question, candidates, np.stack(vectors) @ question)


def unmentioned_names(question: str, passages: Sequence[Passage]) -> list[str]:
    """Returns the names and years of the question that occur in no passage or title."""
    mentioned = {
        word.casefold() for passage in passages for word in re.findall(r"\w+", f"{passage.title or ''} {passage.text}")
    }
    return [name for name in _names(question) if not set(re.findall(r"\w+", name.casefold())) <= mentioned]


def _names(question: str) -> list[str]:
    """Returns years, words in capitals, capitalised words within a sentence, and such as "3M"."""
    names = []
    for match in _NAME.finditer(question):
        word = re.sub(r"['\u2019]s?$", "", match[0]).rstrip(".")
        if year := _YEAR.fullmatch(word):
            names.append(year[1])
        elif _is_name(word, starts_sentence=bool(_SENTENCE_START.search(question[: match.start()]))):
            names.append(word)
    return names


def _is_name(word: str, *, starts_sentence: bool) -> bool:
    if _NOT_A_NAME.fullmatch(word):
        return False
    if len(word) == 1:
        return False
    if word[0].isdigit():
        return any(map(str.isupper, word))
    return word[0].isupper() and (not starts_sentence or word.isupper())


def _candidates(prompt: Prompt) -> list[_Candidate]:
    """Returns the sentences that could answer; of too many, those that share most terms with the question."""
    found = [candidate for passage in prompt.passages for candidate in _candidates_in(passage)]
    if len(found) > _MOST_CANDIDATES:
        asked = set(terms.stems(prompt.question))
        found.sort(key=lambda candidate: -len(asked.intersection(terms.stems(candidate.sentence))))
    return found[:_MOST_CANDIDATES]


def _candidates_in(passage: Passage) -> Iterator[_Candidate]:
    text = passage.text
    spans = sentences.spans(text, longest=_LONGEST_SENTENCE)
    for position, (start, end) in enumerate(spans):
        sentence = text[start:end]
        if len(sentence) > _LONGEST_SENTENCE or len(sentence.split()) < _SHORTEST_SENTENCE:
            continue
        quote = _readable(text, spans, position)
        if not quote.endswith(("?", ":")) and not addresses_a_model(quote):
            yield _Candidate(passage, sentence, quote)


def _readable(text: str, spans: list[tuple[int, int]], position: int) -> str:
    """Returns the sentence with the one before it, when it refers back, and the one after it, when that does.

    "It is waived for students." is no answer alone, and "The fee is 10 USD." without it may mislead.
    """
    start, end = spans[position]
    if _REFERS_BACK.match(text, start) and position:
        start, _ = spans[position - 1]
    if position + 1 < len(spans):
        following, following_end = spans[position + 1]
        if text[start:end].endswith(("?", ":")) or _REFERS_BACK.match(text, following):
            end = following_end
    return text[start:end]


def _select(question: str, candidates: list[_Candidate], cosines: NDArray[np.float32]) -> list[Claim]:
    """Returns the claims of the supported candidates, the most fitting first."""
    asked = _subject(question)
    passages = {candidate.passage.number: candidate.passage for candidate in candidates}
    coverage = {number: _coverage(asked, passage) for number, passage in passages.items()}
    support = cosines + COVERAGE_WEIGHT * np.array([coverage[candidate.passage.number] for candidate in candidates])
    fitness = support + PASSAGE_WEIGHT * np.array([candidate.passage.cosine or 0.0 for candidate in candidates])
    if _ASKS_FOR_FIGURE.search(question):
        fitness += FIGURE_BONUS * np.array([bool(terms.figures(candidate.quote)) for candidate in candidates])
    supported = [index for index in np.argsort(-fitness, kind="stable") if support[index] >= THRESHOLD]
    close = [candidates[index] for index in supported if fitness[index] >= fitness[supported[0]] - MARGIN]
    return _claims(close)


def _claims(candidates: list[_Candidate]) -> list[Claim]:
    """Returns the first few candidates as claims, without those whose words another one already quotes."""
    chosen: list[Quote] = []
    for candidate in candidates:
        if not any(_overlap(candidate.quote, quote.text) for quote in chosen):
            chosen.append(Quote(candidate.passage, candidate.quote))
    return [Claim(" ".join(quote.text.split()), (quote,), Support.VERBATIM) for quote in chosen[:_MOST_CLAIMS]]


def _overlap(one: str, other: str) -> bool:
    return not set(sentences.split(one)).isdisjoint(sentences.split(other))


def _subject(question: str) -> set[str]:
    """Returns the stems that tell what is asked; a name only tells about whom, which is no evidence."""
    asked = set(terms.stems(question))
    return asked.difference(*map(terms.stems, _names(question))) or asked


def _coverage(asked: set[str], passage: Passage) -> float:
    found = asked.intersection(terms.stems(f"{passage.title or ''} {passage.text}"))
    return len(found) / max(len(asked), 1)


def _generation(claims: list[Claim]) -> Generation:
    return Generation(
        claims=tuple(claims),
        refusal=None if claims else NOT_SUPPORTED,
        completion=" ".join(claim.sentence for claim in claims),
        dropped=(),
        model_requested=NAME,
        model_served=NAME,
        finish_reason="stop",
    )
