"""What a passage says of a question, read word by word in its context by the built-in model."""

import re
from collections import OrderedDict
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from backend.answers.generator import Passage
from backend.answers.units import units
from backend.language import terms

Vectors = NDArray[np.float32]
Offsets = list[tuple[int, int]]

_REMEMBERED = 40_000  # tokens of passages and titles, 768 bytes each
_WORD = re.compile(r"[^\W\d_]+(?:['\u2019][^\W\d_]+)*")


class WordModel(Protocol):
    """The built-in model."""

    @property
    def model(self) -> str:
        """The model's name."""

    def embed_passages(self, texts: Sequence[str], titles: Sequence[str] = (), /) -> Awaitable[Vectors]:
        """Returns n texts as unit vectors (n, dimensions); `titles` are what each belongs to, if any."""

    def embed_tokens(self, texts: Sequence[str], /) -> Awaitable[list[tuple[Offsets, Vectors]]]:
        """Returns where the tokens of each text stand in it, and the unit vectors that they have there."""

    def rarity(self, word: str, /) -> float:
        """Returns how rare a word is in what the model was trained on."""


@dataclass(frozen=True, slots=True)
class PassageReading:
    """A passage's likeness to a question.

    `sentences` are the cosines of its units, in order; 0 for what stands behind the model's reach. `said` is how well each
    content word of the question is met by the word of passage or title that is most like it, on average: nothing has to
    be said in the same words. `said_of_rare` is the same with what a rare word counts more: it tells what is asked.
    """

    passage: Passage
    sentences: tuple[float, ...]
    said: float
    said_of_rare: float

    @property
    def lead(self) -> float:
        """The cosine of the sentence with which it begins, which tends to say what it is about."""
        return self.sentences[0] if self.sentences else 0.0


class Reader:
    """Reads passages, and remembers the vectors of those that were read last."""

    def __init__(self, model: WordModel) -> None:
        self._model = model
        self._known: OrderedDict[str, tuple[Offsets, NDArray[np.float16]]] = OrderedDict()

    async def read(self, question: str, vector: Vectors, passages: Sequence[Passage]) -> list[PassageReading]:
        """Returns the readings of passages; `vector` is the question's."""
        vectors = await self._vectors([text for passage in passages for text in (passage.text, passage.title) if text])
        [asked] = await self._model.embed_tokens([question])
        words, met = _words(question, *asked)
        rarities = np.array([self._model.rarity(word) for word in words])
        return [_reading(passage, vectors, vector, met, rarities) for passage in passages]

    async def _vectors(self, texts: Sequence[str]) -> dict[str, tuple[Offsets, Vectors]]:
        found = {text: self._known[text] for text in texts if text in self._known}
        missing = list(dict.fromkeys(text for text in texts if text not in found))
        if missing:
            for text, (offsets, vectors) in zip(missing, await self._model.embed_tokens(missing), strict=True):
                found[text] = offsets, vectors.astype(np.float16)
        for text, kept in found.items():
            self._known[text] = kept
            self._known.move_to_end(text)
        self._forget()
        return {text: (offsets, halves.astype(np.float32)) for text, (offsets, halves) in found.items()}

    def _forget(self) -> None:
        kept = sum(len(offsets) for offsets, _ in self._known.values())
        while kept > _REMEMBERED:
            _, (offsets, _) = self._known.popitem(last=False)
            kept -= len(offsets)


def _reading(
    passage: Passage,
    vectors: dict[str, tuple[Offsets, Vectors]],
    question: Vectors,
    words: Vectors,
    rarities: NDArray[np.float64],
) -> PassageReading:
    offsets, tokens = vectors[passage.text]
    starts = [start for start, _ in offsets]
    found = units(passage.text)
    first = np.searchsorted(starts, [unit.start for unit in found])
    last = np.searchsorted(starts, [unit.end for unit in found])
    sentences = [float(_unit(tokens[begin:end].sum(axis=0)) @ question) for begin, end in zip(first, last, strict=True)]
    if passage.title:
        tokens = np.concatenate([tokens, vectors[passage.title][1]])
    met = (words @ tokens.T).max(axis=1) if len(words) and len(tokens) else np.zeros(1)
    of_rare = float(met @ rarities / rarities.sum()) if len(words) and len(tokens) else 0.0
    return PassageReading(passage, tuple(sentences), float(met.mean()), of_rare)


def _words(text: str, offsets: Offsets, vectors: Vectors) -> tuple[list[str], Vectors]:
    """Returns the content words, and a vector for each in its context."""
    words, found = [], []
    for match in _WORD.finditer(text):
        places = [place for place, (start, end) in enumerate(offsets) if start < match.end() and end > match.start()]
        if places and terms.stems(match[0]):
            words.append(match[0])
            found.append(_unit(vectors[places].sum(axis=0)))
    return words, np.stack(found) if found else np.empty((0, vectors.shape[1]), dtype=np.float32)


def _unit(vector: Vectors) -> Vectors:
    scaled: Vectors = vector / max(float(np.linalg.norm(vector)), 1e-9)
    return scaled
