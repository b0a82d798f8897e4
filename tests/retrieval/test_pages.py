"""The pages of a file count in the ranking of its chunks, and one page does not take the places of others."""

from dataclasses import replace
from statistics import mean
from uuid import UUID

import pytest

from backend.documents.tables import ChunkSpan
from backend.retrieval.ranking.pages import by_page
from tests.retrieval.hits import ANY, hit
from tests.service import Service, Tenant

CREDIT = "Credit risk is the risk that a borrower defaults."
PAGES = {
    1: ["The dividend was raised.", "The board met nine times.", "A dividend of $2 was paid."],
    2: ["Capital stood at 12 percent.", "Buffers were raised.", CREDIT],
    3: [
        f"{CREDIT} It is measured monthly.",
        f"{CREDIT} Limits for credit risk are set.",
        "Loans that default are written off.",
    ],
}


def test_a_page_counts_and_its_second_chunk_stands_behind_other_pages() -> None:
    def on(page: int | None, number: int, score: float):  # type: ignore[no-untyped-def]  # noqa: ANN202
        return replace(hit(UUID(int=number), score=score), span=ChunkSpan(page_start=page))

    hits = [on(1, 1, 0.9), on(1, 2, 0.8), on(2, 3, 0.7), on(None, 4, 0.6), on(None, 5, 0.5)]
    ranked = by_page(hits, {(ANY, 1): 0.3, (ANY, 2): 0.9}, share=0.5)
    assert [(one.chunk_id.int, round(one.score, 3), one.page_score) for one in ranked] == [
        (3, 0.8, 0.9), (1, 0.6, 0.3), (4, 0.6, None), (5, 0.5, None), (2, 0.55, 0.3),
    ]  # fmt: skip
    assert [one.chunk_id.int for one in by_page(hits, {}, share=0.5)] == [1, 3, 4, 5, 2]


def test_a_page_that_scores_less_than_its_chunk_puts_nothing_of_no_page_before_it() -> None:
    def on(page: int | None, number: int, score: float):  # type: ignore[no-untyped-def]  # noqa: ANN202
        return replace(hit(UUID(int=number), score=score), span=ChunkSpan(page_start=page))

    hits = [on(1, 1, 0.9), on(None, 2, 0.8), on(2, 3, 0.7), on(None, 4, 0.6), on(2, 5, 0.5)]
    ranked = by_page(hits, {(ANY, 1): 0.4, (ANY, 2): 0.3}, share=0.5)
    assert [one.chunk_id.int for one in ranked] == [1, 2, 3, 4, 5]
    better = by_page(hits, {(ANY, 1): 0.1, (ANY, 2): 0.6}, share=0.5)
    assert [one.chunk_id.int for one in better] == [3, 2, 1, 4, 5], "pages change places with one another"


@pytest.mark.anyio
async def test_each_page_is_shown_before_any_is_shown_again(service: Service, tenant: Tenant) -> None:
    chunks = [{"text": text, "page_start": page, "page_end": page} for page, texts in PAGES.items() for text in texts]
    body = {"doc_id": "report.pdf", "source_type": "report", "chunks": chunks}
    assert (await service.post("/documents/versions", tenant, "editor", body)).status_code == 201
    asked = {"query": "What is credit risk?", "k": 9, "explain": True}
    contexts = (await service.post("/retrieve", tenant, "approver", asked)).json()["contexts"]
    assert [context["page_start"] for context in contexts[:3]] == [3, 2, 1]
    assert len({context["chunk_id"] for context in contexts}) == 9
    scores = {context["page_start"]: context["explanation"]["page_score"] for context in contexts}
    assert scores[3] > scores[2] > scores[1]
    for page, score in scores.items():
        on_page = [context["explanation"] for context in contexts if context["page_start"] == page]
        cosine, bm25 = mean(one["cosine"] for one in on_page), max(one["bm25"] for one in on_page)
        assert score == pytest.approx(cosine + service.services.retrieval.weights.lexical * bm25)
    event = (await service.events(tenant, action="retrieval:executed"))[0]["event"]
    assert event["retrieval"]["weights"] == {"lexical_micros": 15000, "page_micros": 670000, "furniture_micros": 200000}
