"""Two embedding models live side by side while chunks are embedded anew, and nothing is lost meanwhile."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace

import asyncpg
import numpy as np
import pytest
from pgvector import HalfVector

from backend.operation import placement
from backend.operation.reembedding import reembed
from backend.personal_data.pseudonyms import PseudonymKeys
from backend.retrieval import search
from backend.retrieval.embedding.embedder import Vectors
from backend.retrieval.embedding.fingerprint import PROBES
from backend.retrieval.models import RetrievalRequest
from backend.retrieval.stages import SearchPlan
from tests.retrieval.large_tenant import LargeTenant
from tests.service import Service

pytestmark = pytest.mark.anyio


class HashingEmbedder:
    """Another model: a text's vector is drawn from its hash. `stop_after` texts it dies, as a process does."""

    model = "hashing-64"
    dimensions = 64
    in_process = True
    max_tokens = 512

    def __init__(self, stop_after: int = 10**9) -> None:
        self.embedded = 0
        self._stop_after = stop_after

    async def embed_query(self, text: str) -> Vectors:
        seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8])
        vector = np.random.default_rng(seed).standard_normal(self.dimensions).astype(np.float32)
        return vector / np.linalg.norm(vector)

    async def embed_passages(self, texts: Sequence[str], titles: Sequence[str | None] | None = None) -> Vectors:
        assert titles is None or len(titles) == len(texts)
        if self.embedded >= self._stop_after:
            raise KeyboardInterrupt
        self.embedded += len(texts)
        return np.stack([await self.embed_query(text) for text in texts])


async def models(large: LargeTenant) -> dict[str, int]:
    connection = await asyncpg.connect(large.service.database.superuser_url)
    try:
        rows = await connection.fetch(
            "select embedding_model, count(*) from documents.chunk where tenant_id = $1 group by 1", large.tenant.id
        )
        return {row[0]: row[1] for row in rows}
    finally:
        await connection.close()


KEYS = PseudonymKeys("a secret of these tests")


def quietly(step: str, done: int, total: int) -> None:
    """Takes progress and shows none."""


@pytest.mark.parametrize("private", [False, True])
async def test_embedding_anew_is_carried_on_after_it_was_stopped(service: Service, private: bool) -> None:  # noqa: FBT001
    large = await LargeTenant.create(service, {"default": 300})
    owner_url = service.database.owner_url
    if private:
        await placement.promote(owner_url, large.tenant.id, quietly)
    old = large.topics.model
    with pytest.raises(KeyboardInterrupt):
        await reembed(owner_url, large.tenant.id, HashingEmbedder(stop_after=128), KEYS, quietly)
    assert await models(large) == {old: 172, HashingEmbedder.model: 128}

    question = large.question(k=100, mode="semantic")
    assert len((await large.search(question, "default")).hits) == 100
    new = replace(
        question, model=HashingEmbedder.model, dimensions=64,
        dense=HalfVector(await HashingEmbedder().embed_query("x")),
    )  # fmt: skip
    by_new = await large.search(new, "default")
    assert len(by_new.hits) == 100
    assert not {hit.chunk_id for hit in by_new.hits} & {
        hit.chunk_id for hit in (await large.search(question, "default")).hits
    }

    everything = replace(question, request=RetrievalRequest(query=question.request.query, k=100))
    mixed = await large.search(everything, "default")
    assert len(mixed.hits) == 100
    assert {hit.cosine == 0.0 for hit in mixed.hits} == {True, False}  # found by words alone, and by both

    carrying_on = HashingEmbedder()
    await reembed(owner_url, large.tenant.id, carrying_on, KEYS, quietly)
    assert carrying_on.embedded == 172 + len(PROBES)
    assert await models(large) == {HashingEmbedder.model: 300}
    assert (await large.placed())["rows"] == 300


async def test_a_private_tenant_is_searched_by_the_new_models_index(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "CROSSOVER", 100)
    large = await LargeTenant.create(service, {"default": 400})
    await placement.promote(service.database.owner_url, large.tenant.id, quietly)
    embedder = HashingEmbedder()
    await reembed(service.database.owner_url, large.tenant.id, embedder, KEYS, quietly)
    question = replace(
        large.question(k=5, mode="semantic"), model=embedder.model, dimensions=64,
        dense=HalfVector(await embedder.embed_query("x")),
    )  # fmt: skip
    ranking = await large.search(question, "default")
    assert ranking.plan is SearchPlan.INDEXED
    assert [hit.chunk_id for hit in ranking.hits] == await large.exact(question, "default")
