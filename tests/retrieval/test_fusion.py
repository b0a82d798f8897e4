"""Both rankings are added up in SQL; here they are added up again, outside of it, over every chunk."""

from dataclasses import dataclass
from uuid import UUID

import asyncpg
import numpy as np
import pytest

from backend.database import prepare_connection
from backend.retrieval.models import RetrievalRequest
from backend.retrieval.ranking import ordering
from backend.retrieval.stages import Question, embed
from tests.retrieval.hits import DISCRETION
from tests.retrieval.large_tenant import LargeTenant
from tests.service import Service

pytestmark = pytest.mark.anyio

DISTINCT_TEXTS = 40


@dataclass(frozen=True)
class Scored:
    """A chunk with its score."""

    chunk_id: UUID
    doc_id: str
    sha256: str
    score: float


@pytest.fixture(scope="module")
async def large(service: Service) -> LargeTenant:
    created = await LargeTenant.create(service, {"default": 600})
    await created.repeat_texts(DISTINCT_TEXTS)
    return created


async def scored(large: LargeTenant, question: Question) -> list[Scored]:
    """Every chunk, best first."""
    idf = (await large.covered(question, "default")).idf
    connection = await asyncpg.connect(large.service.database.superuser_url)
    try:
        await prepare_connection(connection)
        rows = await connection.fetch(
            "select c.id, d.doc_id, c.sha256, c.dense, c.sparse from documents.chunk c"
            " join documents.document d on d.id = c.document_id where c.tenant_id = $1", large.tenant.id,
        )  # fmt: skip
    finally:
        await connection.close()
    vector = None if question.dense is None else question.dense.to_numpy().astype(np.float64)
    found = []
    for row in rows:
        cosine = 0.0
        if vector is not None:
            dense = row["dense"].to_numpy().astype(np.float64)
            cosine = dense @ vector / (np.linalg.norm(dense) * np.linalg.norm(vector))
        sparse = row["sparse"]
        bm25 = sum(idf.get(term, 0.0) * weight for term, weight in zip(sparse.indices(), sparse.values(), strict=True))
        score = float(cosine + question.weights.lexical * bm25)
        found.append(Scored(row["id"], row["doc_id"], row["sha256"].hex(), score))
    return sorted(found, key=lambda one: -one.score)


@pytest.mark.parametrize("distinct", [False, True])
async def test_the_best_chunks_are_those_with_the_greatest_sum_of_both_scores(
    large: LargeTenant, distinct: bool  # noqa: FBT001
) -> None:  # fmt: skip
    question = large.question(k=10, distinct=distinct)
    expected = await scored(large, question)
    if distinct:
        expected = list({one.sha256: one for one in reversed(expected)}.values())
        expected.sort(key=lambda one: -one.score)
    found = await large.search(question, "default")
    assert [hit.score for hit in found.hits] == pytest.approx([one.score for one in expected[:10]], abs=1e-3)
    scores = {one.chunk_id: one.score for one in expected}
    assert all(hit.score == pytest.approx(scores[hit.chunk_id], abs=1e-3) for hit in found.hits)


async def test_why_ranks_what_was_not_found_by_the_same_sum(
    large: LargeTenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ordering, "CANDIDATES", 1)  # so that ranks come from comparing everything
    request = RetrievalRequest(query=large.question().request.query, k=1)
    retrieval = large.service.services.retrieval
    ranking = await scored(large, await embed(request, retrieval.embedder, retrieval.weights, DISCRETION))
    first = {one.doc_id: (rank, one.score) for rank, one in reversed([*enumerate(ranking, start=1)])}
    for doc_id, (rank, score) in first.items():
        body = {"query": request.query, "doc_id": doc_id, "k": 1}
        (reason,) = (await large.service.post("/retrieve/why", large.tenant, "analyst", body)).json()["documents"]
        assert ranking[reason["rank"] - 1].score == pytest.approx(score, abs=1e-3), (doc_id, rank)
    assert len(first) == 12
