"""The client of a reranking server: what it sends, and that nothing but one score for each text is taken."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing

import pytest
from pydantic import SecretStr, ValidationError

from backend.retrieval.ranking.reranker import Reranker, RerankerUnavailable, from_settings
from backend.settings import Settings
from tests.retrieval import rerank_server
from tests.retrieval.rerank_server import RerankServer, after, scoring, sending

pytestmark = pytest.mark.anyio

TEXTS = ["of some length", "short", "the longest of all of them"]


@pytest.fixture(scope="module")
def server() -> Iterator[RerankServer]:
    with rerank_server.running() as started:
        yield started


@pytest.fixture
async def reranker(server: RerankServer) -> AsyncIterator[Reranker]:
    server.reply = scoring(len)
    async with aclosing(Reranker(server.url, "cross-encoder", SecretStr("key"), timeout=60)) as client:
        yield client


async def test_texts_are_scored_in_millionths_in_their_own_order(server: RerankServer, reranker: Reranker) -> None:
    server.reply = scoring(lambda text: len(text) / 7)
    assert await reranker.scores("How long?", TEXTS) == [2_000_000, 714_286, 3_714_286]
    assert server.requests[-1] == {
        "model": "cross-encoder", "query": "How long?", "documents": TEXTS, "top_n": 3, "return_documents": False,
    }  # fmt: skip
    assert server.authorizations[-1] == "Bearer key"


async def test_text_embeddings_inference_is_asked_in_its_own_words(server: RerankServer) -> None:
    server.reply = scoring(lambda text: -len(text))
    async with aclosing(Reranker(server.url, "cross-encoder", None, protocol="tei")) as client:
        assert await client.scores("How long?", TEXTS) == [-14_000_000, -5_000_000, -26_000_000]
    assert server.requests[-1] == {"query": "How long?", "texts": TEXTS, "truncate": True}
    assert server.authorizations[-1] is None


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"of some length",
        b"null",
        b"{}",
        b'{"results": null}',
        b'{"results": []}',
        b'{"results": [{"index": 0, "relevance_score": 1}, {"index": 1, "relevance_score": 1}]}',
        b'[{"index": 0, "score": 1}, {"index": 1, "score": 1}, {"index": 1, "score": 2}]',
        b'[{"index": 0, "score": 1}, {"index": 1, "score": 1}, {"index": 3, "score": 1}]',
        b'[{"index": 0, "score": 1}, {"index": 1, "score": 1}, {"index": -1, "score": 1}]',
        b'[{"index": 0, "score": NaN}, {"index": 1, "score": 1}, {"index": 2, "score": 1}]',
        b'[{"index": 0, "score": 1e300}, {"index": 1, "score": 1}, {"index": 2, "score": 1}]',
        b'[{"index": 0}, {"index": 1, "score": 1}, {"index": 2, "score": 1}]',
        b'[{"index": 0, "score": "of some length"}, {"index": 1, "score": 1}, {"index": 2, "score": 1}]',
        b"[" * 100_000,
        b" " * (17 * 1024 * 1024),
    ],
    ids=range(16),
)
async def test_an_answer_that_does_not_score_each_text_once_is_refused(
    server: RerankServer, reranker: Reranker, content: bytes
) -> None:
    server.reply = sending(content)
    with pytest.raises(RerankerUnavailable) as refused:
        await reranker.scores("How long?", TEXTS)
    assert "of some length" not in str(refused.value)


async def test_a_server_that_fails_hangs_or_is_gone_is_unavailable(
    server: RerankServer, reranker: Reranker, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    for reply in (sending(b"{}", 500), sending(b"{}", 307)):
        server.reply = reply
        with pytest.raises(RerankerUnavailable):
            await reranker.scores("How long?", TEXTS)
    server.reply = after(lambda: asyncio.sleep(600), scoring(len))
    async with aclosing(Reranker(server.url, "cross-encoder", None, timeout=0.2)) as impatient:
        with pytest.raises(RerankerUnavailable):
            await impatient.scores("How long?", TEXTS)
    async with aclosing(Reranker("http://127.0.0.1:9/rerank", "cross-encoder", None)) as gone:
        with pytest.raises(RerankerUnavailable):
            await gone.scores("How long?", TEXTS)
    assert "of some length" not in caplog.text


def test_there_is_none_unless_the_settings_name_one_and_its_model() -> None:
    assert from_settings(Settings()) is None
    with pytest.raises(ValidationError, match="AFFIDAVIT_RERANKER_MODEL"):
        Settings(reranker_url="https://rerank.example/v1/rerank")
    with pytest.raises(ValidationError, match="reranker_url"):
        Settings(reranker_url="file:///etc/passwd", reranker_model="m")
    named = from_settings(Settings(reranker_url="https://rerank.example/v1/rerank", reranker_model="m"))
    assert named is not None
    assert (named.model, named.candidates, named.required) == ("m", 32, False)
