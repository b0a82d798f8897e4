"""How a passage is read against a question: word by word, in its context."""

import numpy as np
import pytest

from backend.answers.passage_reading import Offsets, PassageReading, Reader, Vectors
from backend.retrieval.embedding.embedder import LocalEmbedder
from tests.answers.passages import passages

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Counted:
    """The built-in model, with the texts that it was given."""

    def __init__(self, embedder: LocalEmbedder) -> None:
        self._embedder = embedder
        self.read: list[str] = []

    async def embed_passages(self, texts: list[str], titles: list[str] | tuple[str, ...] = ()) -> Vectors:
        return await self._embedder.embed_passages(texts, titles)

    async def embed_tokens(self, texts: list[str]) -> list[tuple[Offsets, Vectors]]:
        self.read += texts
        return await self._embedder.embed_tokens(texts)

    def rarity(self, word: str) -> float:
        return self._embedder.rarity(word)


async def reading_of(embedder: LocalEmbedder, question: str, text: str, title: str | None = None) -> PassageReading:
    reader = Reader(embedder)
    [found] = await reader.read(question, embedder.encode_query(question), passages(text, title=title))
    return found


async def test_what_is_asked_may_be_said_in_other_words(embedder: LocalEmbedder) -> None:
    question = "How do I get my vehicle back?"
    other_words = await reading_of(embedder, question, "The car is returned once the debt is paid.")
    another_subject = await reading_of(embedder, question, "The fee is due once the wire is sent.")
    assert other_words.said > another_subject.said + 0.1


async def test_a_rare_word_counts_more_for_whether_it_is_said(embedder: LocalEmbedder) -> None:
    assert embedder.rarity("escrow") > embedder.rarity("account") + 1
    question = "Is a houseboat in my account?"
    found = await reading_of(embedder, question, "Your account is yours.")
    assert found.said_of_rare < found.said - 0.03


async def test_what_the_title_says_is_said(embedder: LocalEmbedder) -> None:
    question, text = "Can a passport be expired?", "It is not accepted."
    without = await reading_of(embedder, question, text)
    assert (await reading_of(embedder, question, text, "Expired passports")).said > without.said + 0.1


async def test_each_sentence_has_its_own_likeness(embedder: LocalEmbedder) -> None:
    text = "Cards are made of plastic. A wire can be sent until five. Cash is counted twice."
    found = await reading_of(embedder, "Until when can a wire be sent?", text)
    assert len(found.sentences) == 3
    assert int(np.argmax(found.sentences)) == 1
    assert found.lead == found.sentences[0]


async def test_a_question_without_words_is_met_by_nothing(embedder: LocalEmbedder) -> None:
    assert (await reading_of(embedder, "?", "A wire is sent until 5:00 p.m.")).said == 0.0


async def test_a_passage_is_read_once_and_alike_each_time(embedder: LocalEmbedder) -> None:
    model = Counted(embedder)
    reader, question = Reader(model), "Until when can a wire be sent?"
    vector, texts = embedder.encode_query(question), passages("A wire is sent until 5:00 p.m.", title="Wires")
    first = await reader.read(question, vector, texts)
    assert model.read == ["A wire is sent until 5:00 p.m.", "Wires", question]
    assert await reader.read(question, vector, texts) == first
    assert model.read[3:] == [question]


async def test_what_stands_behind_the_models_reach_is_like_nothing(embedder: LocalEmbedder) -> None:
    filler = "Cards are made of plastic and are sent by post within a few days. " * 30
    found = await reading_of(embedder, "Until when can a wire be sent?", f"{filler}A wire can be sent until 5:00 p.m.")
    assert found.sentences[-1] == 0.0
    assert found.sentences[0] > 0.0
