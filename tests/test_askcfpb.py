"""A thousand real support articles go in as one tenant's, and real questions find them."""

import asyncio
import json
from typing import Any

import pytest

from tests.conftest import SHARED_DATA
from tests.service import Service, Tenant

ARTICLES = SHARED_DATA / "askcfpb"

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.slow,
    pytest.mark.skipif(not ARTICLES.exists(), reason="the articles are not part of the project"),
]

BATCH = 400
RECALL_AT_10 = 0.90


def read(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (ARTICLES / name).read_text().splitlines()]


@pytest.fixture(scope="module", autouse=True)
async def ingested(service: Service, tenant: Tenant) -> None:
    chunks = [
        {
            "doc_id": article["doc_id"], "chunk_text": article["text"], "source_type": article["source_type"],
            "metadata": {**article["metadata"], "title": article["title"]},
        }
        for article in read("documents.jsonl")
    ]  # fmt: skip
    stored = 0
    for start in range(0, len(chunks), BATCH):
        answer = await service.post("/ingest/batch", tenant, "editor", {"chunks": chunks[start : start + BATCH]})
        assert answer.status_code == 201, answer.text
        stored += answer.json()["ingested"]
    assert stored == len(chunks) == 1057


async def test_nine_of_ten_questions_find_their_article_among_the_first_ten(service: Service, tenant: Tenant) -> None:
    questions = read("queries_dev.jsonl")
    assert len(questions) == 520
    at_once = asyncio.Semaphore(8)

    async def finds(question: dict[str, Any]) -> bool:
        async with at_once:
            answer = await service.post("/retrieve", tenant, "analyst", {"query": question["question"], "k": 10})
        found = {context["doc_id"] for context in answer.json()["contexts"]}
        return not found.isdisjoint(question["relevant_doc_ids"])

    hits = sum(await asyncio.gather(*map(finds, questions)))
    assert hits / len(questions) >= RECALL_AT_10
