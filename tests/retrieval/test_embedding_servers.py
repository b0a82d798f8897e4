"""What embedding servers do, each a little differently, and what happens when one becomes another model without a word."""

import hashlib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import asyncpg
import numpy as np
import pytest
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

from backend.operation.reembedding import reembed
from backend.operation.retrieval_commands import embedder_finding
from backend.operation.service import OperatorError
from backend.personal_data.pseudonyms import PseudonymKeys
from backend.retrieval.embedding import fingerprint
from backend.retrieval.embedding.embedder import EmbedderUnavailable
from backend.retrieval.embedding.remote import RemoteEmbedder
from tests.listening import served_by_a_thread
from tests.service import Database, Secrets, Service, Tenant, running, settings_for

pytestmark = pytest.mark.anyio

DIMENSIONS = 32
KEYS = PseudonymKeys("a secret of these tests")
LETTERS = "abcdefghijklmnopqrstuvwxyz012345"


@dataclass
class EmbeddingServer:
    """A server whose vectors count letters. `seed` makes another model of it, and `most` and `length` are its limits."""

    url: str = ""
    seed: int = 0
    most: int = 10**9
    length: int = DIMENSIONS
    down: bool = False
    batches: list[int] = field(default_factory=list)

    def app(self) -> FastAPI:
        app = FastAPI()

        @app.post("/v1/embeddings")
        async def embeddings(request: Request) -> JSONResponse:
            body = await request.json()
            texts = body["input"]
            self.batches.append(len(texts))
            if self.down or len(texts) > self.most or any("too long" in text for text in texts):
                return JSONResponse({"error": {"message": "no"}}, 500 if self.down else 413)
            length = body.get("dimensions", self.length)
            items = [
                {"object": "embedding", "index": index, "embedding": self.vector(text)[:length]}
                for index, text in enumerate(texts)
            ]
            return JSONResponse({"object": "list", "model": body["model"], "data": items, "usage": {}})

        return app

    def vector(self, text: str) -> list[float]:
        if self.seed:
            digest = hashlib.sha256(f"{self.seed}{text}".encode()).digest()
            return list(np.random.default_rng(int.from_bytes(digest[:8])).standard_normal(4 * DIMENSIONS))
        return [float(text.casefold().count(letter)) + 0.01 for letter in LETTERS] * 4


@pytest.fixture
def server() -> Iterator[EmbeddingServer]:
    started = EmbeddingServer("")
    with served_by_a_thread(started.app()) as address:
        started.url = f"{address}/v1"
        yield started


@asynccontextmanager
async def remote(server: EmbeddingServer, **changed: Any) -> AsyncIterator[RemoteEmbedder]:
    embedder = RemoteEmbedder(server.url, "letters", None, DIMENSIONS, timeout=60.0, **changed)
    try:
        yield embedder
    finally:
        await embedder.aclose()


async def test_batches_become_as_small_as_the_server_takes_them(server: EmbeddingServer) -> None:
    server.most = 10
    async with remote(server) as embedder:
        vectors = await embedder.embed_passages(["a" * n for n in range(70)])
        assert vectors.shape == (70, DIMENSIONS)
        assert server.batches[:4] == [64, 32, 16, 8]
        server.batches.clear()
        await embedder.embed_passages(["b"] * 16)
    assert server.batches == [8, 8]


async def test_one_text_that_is_too_long_makes_no_small_batches_of_the_others(server: EmbeddingServer) -> None:
    async with remote(server) as embedder:
        with pytest.raises(EmbedderUnavailable):
            await embedder.embed_passages(["a", "too long", "b"])
        server.batches.clear()
        await embedder.embed_passages(["a"] * 20)
    assert server.batches == [20]


async def test_a_model_of_several_lengths_is_asked_for_the_one_that_is_set(server: EmbeddingServer) -> None:
    server.length = 4 * DIMENSIONS
    async with remote(server) as embedder:
        assert (await embedder.embed_query("a")).shape == (DIMENSIONS,)
        await embedder.embed_query("b")
    assert server.batches == [1, 1, 1]


async def test_a_revision_is_another_model_of_the_same_name(server: EmbeddingServer) -> None:
    async with remote(server, revision="2") as embedder:
        assert embedder.model == "letters@2"
        await embedder.embed_query("a")


@asynccontextmanager
async def serving(
    server: EmbeddingServer, database: Database, run_secrets: Secrets, home: Any, **changed: Any
) -> AsyncIterator[Service]:
    settings = settings_for(
        database, run_secrets, home, embeddings_url=server.url, embeddings_model="letters",
        embeddings_dimensions=DIMENSIONS, embeddings_timeout=30, **changed,
    )  # fmt: skip
    async with running(settings, database) as service:
        yield service


async def found(service: Service, tenant: Tenant) -> list[str]:
    answer = await service.post("/retrieve", tenant, "analyst", {"query": "wires abroad", "mode": "semantic"})
    assert answer.status_code == 200, answer.text
    return [context["doc_id"] for context in answer.json()["contexts"]]


async def ingest(service: Service, tenant: Tenant, doc_id: str, text: str) -> int:
    body = {"doc_id": doc_id, "chunk_text": text, "source_type": "policy"}
    return (await service.post("/ingest", tenant, "editor", body)).status_code


async def test_a_model_that_changed_is_noticed_refused_and_brought_over(
    server: EmbeddingServer, database: Database, run_secrets: Secrets, model_home: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fingerprint, "TRUSTED_SECONDS", 0.0)
    async with serving(server, database, run_secrets, model_home) as service:
        tenant = await service.create_tenant()
        assert await ingest(service, tenant, "wires", "Wires abroad cost 45 USD.") == 201
        assert await ingest(service, tenant, "cards", "Cards can be blocked by telephone.") == 201
        assert await found(service, tenant) == ["wires", "cards"]
        settings = service.services.settings
        assert (await embedder_finding(database.runtime_url, settings)).problem is None
        assert "embedding model" not in (await service.ready()).json()["warnings"]

        server.seed = 7  # the same name and length, and another model
        assert (await service.post("/retrieve", tenant, "analyst", {"query": "wires"})).status_code == 503
        assert await ingest(service, tenant, "fees", "There are no fees.") == 503
        assert (await service.post("/retrieve", tenant, "analyst", {"query": "wires", "mode": "lexical"})).json()[
            "contexts"
        ]
        ready = await service.ready()
        assert (ready.status_code, "embedding model" in ready.json()["warnings"]) == (200, True)
        problem = (await embedder_finding(database.runtime_url, settings)).problem
        assert problem is not None
        assert "another model" in problem
        assert "AFFIDAVIT_EMBEDDINGS_REVISION" in problem
        async with remote(server) as embedder:
            with pytest.raises(OperatorError, match="another model"):
                await reembed(database.owner_url, tenant.id, embedder, KEYS, lambda *_: None)

    async with serving(server, database, run_secrets, model_home, embeddings_revision="2") as service:
        assert set(await found(service, tenant)) != {"wires", "cards"}  # its vectors are not compared with the other's
        async with remote(server, revision="2") as embedder:
            await reembed(database.owner_url, tenant.id, embedder, KEYS, lambda *_: None)
        assert set(await found(service, tenant)) == {"wires", "cards"}
    connection = await asyncpg.connect(database.superuser_url)
    try:
        known = await connection.fetch(
            "select distinct embedding_model from documents.chunk where tenant_id = $1", tenant.id
        )
    finally:
        await connection.close()
    assert [row[0] for row in known] == ["letters@2"]


async def test_a_server_that_is_away_is_a_warning_and_no_answer(
    server: EmbeddingServer, database: Database, run_secrets: Secrets, model_home: Any
) -> None:
    server.down = True
    async with serving(server, database, run_secrets, model_home) as service:
        tenant = await service.create_tenant()
        assert await ingest(service, tenant, "wires", "Wires abroad cost 45 USD.") == 503
        assert "embedding model" in (await service.ready()).json()["warnings"]
        problem = (await embedder_finding(database.runtime_url, service.services.settings)).problem
        assert problem == "The embedding server failed: InternalServerError."
