import asyncio
import logging
import multiprocessing
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from pydantic import SecretStr

from backend.retrieval.embedding.embedder import EmbedderUnavailable, LocalEmbedder, Vectors
from backend.retrieval.embedding.local_model import ModelWeightsError
from backend.retrieval.embedding.minilm import MINILM
from backend.retrieval.embedding.native_run import NativeRun
from backend.retrieval.embedding.remote import RemoteEmbedder
from tests.listening import served_by_a_thread

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="module")
def local(cache: Path) -> LocalEmbedder:
    return LocalEmbedder.load(cache)


def test_similarities_are_those_published_for_the_model(local: LocalEmbedder) -> None:
    vectors = local.encode(["The weather is lovely today.", "It's so sunny outside!", "He drove to the stadium."])

    published = [[1.0, 0.6660, 0.1046], [0.6660, 1.0, 0.1411], [0.1046, 0.1411, 1.0]]
    assert vectors @ vectors.T == pytest.approx(np.array(published), abs=0.03)


async def test_a_question_is_nearest_to_the_passage_that_answers_it(local: LocalEmbedder) -> None:
    passages = ["Report a lost card within two business days.", "A mortgage is a loan secured by a home."]
    question = await local.embed_query("How soon must I tell the bank that my debit card is gone?")

    assert np.argmax(await local.embed_passages(passages) @ question) == 0


async def test_vectors_have_unit_length_and_keep_the_order_of_the_texts(local: LocalEmbedder) -> None:
    texts = ["fee", "a rather longer passage about overdraft fees and limits", "", "loan"]
    vectors = await local.embed_passages(texts)

    assert vectors.shape == (4, local.dimensions)
    assert vectors.dtype == np.float32
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(np.ones(4), abs=1e-5)
    assert [vector.tobytes() for vector in vectors] == [(await local.embed_query(t)).tobytes() for t in texts]


async def test_a_vector_does_not_depend_on_the_texts_embedded_with_it(local: LocalEmbedder) -> None:
    alone = await local.embed_passages(["overdraft fee"])
    together = await local.embed_passages(["an outlier! " * 90, "overdraft fee", "x"])

    assert alone[0].tobytes() == together[1].tobytes()


async def test_no_texts_give_no_vectors(local: LocalEmbedder) -> None:
    assert (await local.embed_passages([])).shape == (0, local.dimensions)


def test_tokens_are_counted_with_the_markers_of_the_model(local: LocalEmbedder) -> None:
    assert local.count_tokens("fee " * 254) == local.max_tokens


def test_the_end_of_a_long_text_counts(local: LocalEmbedder) -> None:
    filler = "The bank opens at nine in the morning. " * 60
    question = local.encode_query("How much is the overdraft fee?")
    plain, telling = local.encode([filler, filler + "The overdraft fee is 30 dollars. " * 40])

    assert local.count_tokens(filler) > local.max_tokens
    assert telling @ question > plain @ question + 0.1


def test_a_text_is_embedded_up_to_sixteen_windows(local: LocalEmbedder) -> None:
    whole = "fee " * (16 * 254)
    vectors = local.encode([whole, whole + "mortgage " * 500])

    assert vectors[0].tobytes() == vectors[1].tobytes()


def test_the_beginning_of_a_text_counts_more_than_its_end(local: LocalEmbedder) -> None:
    fees, loans = "fee " * 254, "mortgage " * 254  # a window each, so that only their order differs
    fees_first, fees_last = local.encode([fees + loans, loans + fees])
    question = local.encode_query("overdraft fee")

    assert fees_first @ question > fees_last @ question + 0.05


async def test_a_title_says_what_a_passage_is_about(local: LocalEmbedder) -> None:
    text = "It must be reported within two business days."
    titled, untitled = await local.embed_passages([text, text], ["Lost or stolen debit cards", ""])
    question = await local.embed_query("lost debit card")

    assert titled @ question > untitled @ question + 0.1
    assert np.linalg.norm(titled) == pytest.approx(1)
    assert untitled.tobytes() == local.encode([text])[0].tobytes()


async def test_each_line_of_a_title_counts_as_much_as_a_title(local: LocalEmbedder) -> None:
    text, question = "Net sales were 12,345.", await local.embed_query("balance sheet of a furniture shop")
    under = ["Oak & Sons", "Balance sheet", "Oak & Sons\nBalance sheet"]
    company, statement, both = await local.embed_passages([text] * 3, under)
    assert both @ question > max(company @ question, statement @ question)
    assert both.tobytes() == local.encode([text], ["Oak & Sons\n\nBalance sheet"])[0].tobytes()


async def test_titles_are_one_for_each_text(local: LocalEmbedder) -> None:
    with pytest.raises(ValueError, match="1 titles for 2 texts"):
        await local.embed_passages(["a", "b"], ["c"])


async def test_a_question_overtakes_an_ingestion_and_the_event_loop_stays_free(
    local: LocalEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    passage, begun, gate = local._passage, threading.Event(), threading.Event()

    def held_up(text: str, title: list[Vectors]) -> Vectors:
        begun.set()
        assert gate.wait(60)
        return passage(text, title)

    monkeypatch.setattr(local, "_passage", held_up)
    ingestion = asyncio.create_task(local.embed_passages(["a passage of many words"] * 50))
    while not begun.is_set():
        await asyncio.sleep(0.01)
    await asyncio.wait_for(local.embed_query("what is a fee?"), 60)
    gate.set()
    assert (await ingestion).shape == (50, local.dimensions)


async def test_questions_have_the_same_vector_in_whichever_thread_they_are_embedded(local: LocalEmbedder) -> None:
    texts = [f"{'What does it cost to keep account ' * (n % 9 + 1)}{n}?" for n in range(40)]
    one_by_one = [(await local.embed_query(text)).tobytes() for text in texts]
    at_once = [vector.tobytes() for vector in await asyncio.gather(*map(local.embed_query, texts))]
    assert one_by_one == at_once == [local.encode_query(text).tobytes() for text in texts]


async def test_a_question_whose_asker_went_away_leaves_the_model_to_others(local: LocalEmbedder) -> None:
    for _ in range(5):
        leaving = asyncio.create_task(local.embed_query("What is a fee?"))
        await asyncio.sleep(0)
        leaving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leaving
        assert (await local.embed_query("lost card")).tobytes() == local.encode_query("lost card").tobytes()


async def test_what_the_model_cannot_read_is_an_error_of_its_question_alone(local: LocalEmbedder) -> None:
    native = NativeRun(local._native._session)
    with pytest.raises(RuntimeError, match=r"ids|indices"):
        await native.embedding(np.array([[10**9]], dtype=np.int64))
    assert native.is_free
    assert (await native.embedding(np.array([[101, 102]], dtype=np.int64))).shape == (local.dimensions,)


@pytest.mark.usefixtures("local")
def test_the_model_is_built_once_and_leaves_nothing_else_behind(cache: Path) -> None:
    (model,) = cache.iterdir()
    built = model.stat().st_mtime_ns

    assert MINILM.onnx_model(cache) == model
    assert model.stat().st_mtime_ns == built


def test_building_the_model_logs_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        MINILM.onnx_model(tmp_path)

    assert caplog.records == []


def test_two_processes_may_build_the_model_at_once(tmp_path: Path, local: LocalEmbedder) -> None:
    processes = multiprocessing.get_context("spawn")
    builders = [processes.Process(target=MINILM.onnx_model, args=(tmp_path,)) for _ in range(2)]
    for builder in builders:
        builder.start()
    for builder in builders:
        builder.join(timeout=60)

    assert [builder.exitcode for builder in builders] == [0, 0]
    assert len(list(tmp_path.iterdir())) == 1
    vector = LocalEmbedder.load(tmp_path).encode(["fee"])
    assert vector.tobytes() == local.encode(["fee"]).tobytes()


def test_other_weights_than_the_pinned_are_refused(tmp_path: Path) -> None:
    tampered = replace(MINILM, read=lambda name: MINILM.read(name)[:-1] + b"\x00")

    with pytest.raises(ModelWeightsError, match="not the pinned"):
        tampered.onnx_model(tmp_path / "cache")
    assert not (tmp_path / "cache").exists()


@dataclass
class FaultyEmbeddingServer:
    """A server of OpenAI's embeddings protocol whose vectors count letters; `fault` makes it misbehave."""

    url: str = ""
    fault: str = ""
    batches: list[int] = field(default_factory=list)

    def app(self) -> FastAPI:
        app = FastAPI()

        @app.post("/v1/embeddings")
        async def embeddings(request: Request) -> JSONResponse:
            if request.headers.get("authorization") != "Bearer right":
                return JSONResponse({"error": {"message": "no such key"}}, 401)
            if self.fault == "silent":
                await asyncio.sleep(600)
            if self.fault == "broken":
                return JSONResponse({"error": {"message": "out of memory"}}, 500)
            body = await request.json()
            self.batches.append(len(body["input"]))
            items = [
                {"object": "embedding", "index": index, "embedding": self.vector(text)}
                for index, text in enumerate(body["input"])
            ]
            if self.fault == "short":
                items.pop()
            answer = {"object": "list", "model": body["model"], "data": items[::-1]}
            return JSONResponse(answer | {"usage": {"prompt_tokens": 1, "total_tokens": 1}})

        return app

    def vector(self, text: str) -> list[float]:
        if self.fault == "narrow":
            return [1.0, 2.0]
        if self.fault == "zero":
            return [0.0, 0.0, 0.0]
        return [float(text.count(letter)) + 1.0 for letter in "abc"]


@pytest.fixture
def server() -> Iterator[FaultyEmbeddingServer]:
    embedding_server = FaultyEmbeddingServer("")
    with served_by_a_thread(embedding_server.app()) as address:
        embedding_server.url = f"{address}/v1"
        yield embedding_server


@asynccontextmanager
async def remote(url: str, key: str | None = "right", patience: float = 60.0) -> AsyncIterator[RemoteEmbedder]:
    secret = SecretStr(key) if key else None
    embedder = RemoteEmbedder(url, "letters", secret, dimensions=3, timeout=patience)
    try:
        yield embedder
    finally:
        await embedder.aclose()


async def test_a_server_embeds_passages_in_their_order_in_bounded_batches(server: FaultyEmbeddingServer) -> None:
    texts = ["a" * (number % 7) + "b" * (number % 3) for number in range(150)]

    async with remote(server.url) as embedder:
        vectors = await embedder.embed_passages(texts)

    expected = np.array([server.vector(text) for text in texts])
    assert vectors == pytest.approx(expected / np.linalg.norm(expected, axis=1, keepdims=True))
    assert server.batches == [64, 64, 22]


async def test_a_server_reads_the_title_before_the_text(server: FaultyEmbeddingServer) -> None:
    async with remote(server.url) as embedder:
        titled, whole = await embedder.embed_passages(["b", "aa\n\nb"], ["aa", ""])

    assert titled.tobytes() == whole.tobytes()


async def test_a_server_embeds_a_question_as_a_unit_vector(server: FaultyEmbeddingServer) -> None:
    async with remote(server.url) as embedder:
        vector = await embedder.embed_query("abba")

    assert vector == pytest.approx(np.array([3, 3, 1]) / 19**0.5)


@pytest.mark.parametrize("fault", ["broken", "silent", "short", "narrow", "zero"])
async def test_a_misbehaving_server_is_reported_as_unavailable(server: FaultyEmbeddingServer, fault: str) -> None:
    server.fault = fault

    async with remote(server.url, patience=0.3) as embedder:
        with pytest.raises(EmbedderUnavailable):
            await embedder.embed_passages(["a", "b"])


@pytest.mark.parametrize("key", ["wrong", None])
async def test_a_server_that_refuses_the_key_is_reported_as_unavailable(
    server: FaultyEmbeddingServer, key: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A key in the environment was not meant for this server and must not reach it.
    monkeypatch.setenv("OPENAI_API_KEY", "right")

    async with remote(server.url, key) as embedder:
        with pytest.raises(EmbedderUnavailable, match="AuthenticationError"):
            await embedder.embed_query("a")


async def test_an_absent_server_is_reported_as_unavailable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as reserved:
        url = f"http://127.0.0.1:{reserved.getsockname()[1]}/v1"

    async with remote(url) as embedder:
        with pytest.raises(EmbedderUnavailable):
            await embedder.embed_query("a")
