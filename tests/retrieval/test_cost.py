"""What a question costs is bounded, whatever it holds: in tokens, in embeddings, and in what is read of its text."""

import time
from collections.abc import Callable

import pytest

from backend.answers.asked import ParsedQuestion
from backend.answers.followup import PastTurn, read_with
from backend.language import languages, legible, sentences
from backend.language import terms as language_terms
from backend.personal_data import detection
from backend.retrieval import lexicon
from backend.retrieval.embedding.embedder import LocalEmbedder
from backend.retrieval.ranking.phrases import quoted_phrases
from tests.factories import approved, create_collection
from tests.service import Service, Tenant

pytestmark = pytest.mark.anyio

LONGEST = 4_000  # characters of a question
MOST_WINDOWS = 4
MOST_GROWTH = 8  # of the work, where the text is four times as long
EARLIER = "What does a wire abroad cost?"

READERS: dict[str, Callable[[str], object]] = {
    "its terms": lexicon.terms,
    "its weights": lambda text: lexicon.query_vector(text, {}, 10),
    "what it quotes": quoted_phrases,
    "personal data": detection.find,
    "what is asked": ParsedQuestion.read,
    "what it goes on from": lambda text: read_with([PastTurn(EARLIER, EARLIER, "45 USD.")], text),
    "what an earlier one was": lambda text: read_with([PastTurn(text, text, "45 USD.")], "And at home?"),
    "its language": languages.detected,
    "its words": language_terms.stems,
    "its figures": language_terms.has_figure,
    "its sentences": sentences.split,
    "what is legible": legible.legible,
}
UNITS = (  # of which hostile questions are made
    "Smith ", "J. R. R. ", "O'Neil-", "van der ", "Dr. Anna Maria ", "A", "a.", "a-", "a'", "1.", "111,", "1 ", "(a)", '"a" ',
    '"', "@", "a.b@", "DE89 ", "DEUTDEFF ", "and ", "it is ", "? ", "ß", "İ", "\u0301", "1/", "twenty ", "a\n", "中",
)  # fmt: skip


def work(read: Callable[[str], object], text: str) -> float:
    """Returns the least processor time of four readings: how much of it there is, not how busy the machine is."""

    def once() -> float:
        started = time.thread_time()
        read(text)
        return time.thread_time() - started

    return min(once() for _ in range(4))


def growth(read: Callable[[str], object], unit: str) -> float:
    """Returns how many times the work is of a text that is four times as long: 4 where it is linear, 16 where quadratic.

    What looks like more than linear is looked at again: a machine may be slow twice, and a quadratic reader is so always.
    """
    short = unit * (LONGEST // 4 // len(unit))
    for _ in range(5):
        factor = work(read, short * 4) / work(read, short)
        if factor <= MOST_GROWTH:
            break
    return factor


@pytest.mark.parametrize("reader", READERS)
def test_four_times_the_text_is_about_four_times_the_work_whatever_stands_in_it(reader: str) -> None:
    grown = {unit: growth(READERS[reader], unit) for unit in UNITS}
    assert {unit: factor for unit, factor in grown.items() if factor > MOST_GROWTH} == {}


def test_the_measure_tells_a_quadratic_reader() -> None:
    assert growth(lambda text: [text[place:].count("name") for place in range(len(text))], "Smith ") > MOST_GROWTH


def local_of(service: Service) -> LocalEmbedder:
    assert isinstance(service.services.embedder, LocalEmbedder)
    return service.services.embedder


@pytest.mark.parametrize("unit", ["fee ", "中", "1 ", "~", "\U0001f600", "antidisestablishmentarianism "])
async def test_no_question_is_embedded_in_more_windows_than_four(
    service: Service, monkeypatch: pytest.MonkeyPatch, unit: str
) -> None:
    local, windows = local_of(service), list[int]()
    run = local._run
    monkeypatch.setattr(local, "_run", lambda ids: windows.append(len(ids)) or run(ids))  # type: ignore[func-returns-value]
    local.encode_query(unit * (LONGEST // len(unit)))
    assert len(windows) <= MOST_WINDOWS
    assert max(windows) <= local.max_tokens - 2


@pytest.mark.parametrize("question", ["How much does a telex confirmation cost?", "What does the moon weigh?"])
async def test_a_question_is_embedded_once_for_all_its_uses(
    service: Service, tenant: Tenant, monkeypatch: pytest.MonkeyPatch, question: str
) -> None:
    """Its search, the choice of sentences, and after a refusal the look for versions that used to answer."""
    await create_collection(service, tenant, slug := f"fees-{len(question)}")
    await approved(
        service, tenant, slug, "A telex confirmation costs $18.", collection=slug, effective_from="2025-01-01T00:00:00Z"
    )
    local, asked = local_of(service), list[str]()
    embed_query, passage = local.embed_query, local._passage
    monkeypatch.setattr(local, "embed_query", lambda text: asked.append(text) or embed_query(text))  # type: ignore[func-returns-value]
    monkeypatch.setattr(local, "_passage", lambda text, title: asked.append(text) or passage(text, title))  # type: ignore[func-returns-value]
    answer = await service.post("/answer", tenant, "analyst", {"question": question})
    assert answer.status_code == 200, answer.text
    assert asked.count(question) == 1
    assert not [text for text in asked if text != question and question in text]


async def test_the_words_of_a_question_are_read_once_in_each_language_of_a_search(
    service: Service, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    question, read = "What does a telex confirmation cost?", list[str]()
    terms = lexicon.terms
    monkeypatch.setattr(lexicon, "terms", lambda text, language: read.append(text) or terms(text, language))  # type: ignore[func-returns-value]
    answer = await service.post("/retrieve", tenant, "analyst", {"query": question})
    assert answer.status_code == 200, answer.text
    assert read.count(question) == 1
