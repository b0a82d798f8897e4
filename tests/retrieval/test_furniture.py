"""What only leads to a document's words ranks behind words that match as well, and is told from rows of fees."""

from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from backend.documents.tables import ChunkSpan
from backend.retrieval.ranking import ordering
from backend.retrieval.ranking.furniture import Furniture, furniture_of, set_back
from backend.retrieval.ranking.pages import by_page
from backend.retrieval.search import search
from backend.retrieval.stages import Found
from tests.retrieval.hits import ANY, hit
from tests.service import Service, Tenant

CONTENTS = (
    "ITEM 1 | Business | 4\nITEM 1A | Credit risk | 10\nITEM 2 | Properties | 12\nPART II\nITEM 5 | Dividends | 13"
)
DOTS = "Credit risk ........ 4\nMarket risk ........ 9\nLiquidity ....... 11\nOperational risk … 14"
INDEX = "Appeals, 12\nCredit risk, 4, 9\nDividends, 13–15\nLimits, 3, 8, 21\nProperties, 12"
HEAD = "From: desk@bank.example\nTo: a@bank.example, b@bank.example\nCc: c@bank.example\nDate: Tue, 30 Jun 2026"
RISK = "Credit risk is the risk that a borrower does not pay."


@pytest.mark.parametrize(
    ("text", "path", "wanted"),
    [
        (CONTENTS, (), Furniture.CONTENTS),
        (DOTS, (), Furniture.CONTENTS),
        (
            "Kreditrisiko | 4\nMarktrisiko | 9\nLiquidität | 11\nAnhang | iv",
            ("Inhaltsverzeichnis",),
            Furniture.CONTENTS,
        ),
        ("Scope . . . . . 4 Credit risk ........ 9 Liquidity ....... 11 Limits .......... 14", (), Furniture.CONTENTS),
        ("Contents\nCredit risk | 4\nMarket risk | 9\nLiquidity | 11\nNotes | 20", (), Furniture.CONTENTS),
        (INDEX, (), Furniture.INDEX),
        ("Appeals, 12\nCredit risk, 14\nDividends, 13\nLimits, 3", ("Index",), Furniture.INDEX),
        (HEAD, ("Rates",), Furniture.MAIL_HEAD),
        # What is none of these.
        ("Basic | 12\nPlus | 25\nGold | 40\nPlatinum | 90", ("Fees",), None),
        ("Basic | 12\nPlus | 25\nGold | 40\nPlatinum | 90", ("Home contents insurance",), None),
        ("Fee ..... 12 Fee ..... 9 Fee ..... 25 Fee ..... 40", ("Fees",), None),
        ("Item 1 | 90\nItem 2 | 40\nItem 3 | 25\nItem 4 | 12", ("Fees",), None),
        ("2019 | 45\n2020 | 48\n2021 | 50\n2022 | 61", ("Branches",), None),
        ("Amsterdam, 12\nBerlin, 4\nCologne, 9\nDublin, 11", ("Branches",), None),
        (f"{HEAD}\n{RISK} {RISK} {RISK} {RISK}", ("Rates",), None),
        ("From: 9 o'clock\nThe branch is open.", (), None),
        (RISK, ("Contents",), None),
        ("", (), None),
    ],
)
def test_what_a_chunk_is(text: str, path: tuple[str, ...], wanted: Furniture | None) -> None:
    assert furniture_of(text, path) == wanted


def test_a_hit_that_is_furniture_stands_behind_others_of_its_score() -> None:
    contents, body = hit(UUID(int=1), text=CONTENTS, score=0.6), hit(UUID(int=2), text=RISK, score=0.5)
    ranked = set_back([contents, body], 0.2)
    assert [(one.chunk_id.int, round(one.score, 3), one.furniture) for one in ranked] == [
        (2, 0.5, None), (1, 0.4, "contents"),
    ]  # fmt: skip
    assert set_back([contents, body], 0.0) == [contents, body]
    paged = [replace(one, span=ChunkSpan(page_start=one.chunk_id.int)) for one in ranked]
    scores = {(ANY, 1): 0.6, (ANY, 2): 0.5}
    assert [(one.chunk_id.int, round(one.score, 3)) for one in by_page(paged, scores, 0.5, 0.2)] == [(2, 0.5), (1, 0.4)]


@pytest.mark.anyio
async def test_a_table_of_contents_is_found_behind_what_it_leads_to(service: Service, tenant: Tenant) -> None:
    risks = "ITEM 1 | Credit risk | 4\nITEM 2 | Credit risk of borrowers | 10\nITEM 3 | The risk of credit | 12\nITEM 4 | Risk | 13"
    texts = [risks, "Losses on loans follow from the credit risk that the bank takes.", "The board met nine times."]
    chunks = [{"text": text, "page_start": page, "page_end": page} for page, text in enumerate(texts, start=1)]
    body = {"doc_id": "report.pdf", "source_type": "report", "chunks": chunks}
    assert (await service.post("/documents/versions", tenant, "editor", body)).status_code == 201
    asked = {"query": "What is credit risk?", "k": 3, "explain": True}
    contexts = (await service.post("/retrieve", tenant, "approver", asked)).json()["contexts"]
    assert [(context["page_start"], context["explanation"]["furniture"]) for context in contexts][:2] == [
        (2, None), (1, "contents"),
    ]  # fmt: skip
    by_words = sorted(contexts, key=lambda context: -context["explanation"]["bm25"])
    assert by_words[0]["page_start"] == 1, "by its words alone it would stand first"


@pytest.mark.anyio
@pytest.mark.parametrize("first", ["contents", "one page"])
async def test_what_is_left_out_of_a_search_would_change_nothing(
    service: Service, tenant: Tenant, monkeypatch: pytest.MonkeyPatch, first: str
) -> None:
    """An explanation compares all candidates. Tables of contents, or chunks of one page, fill the first places of a search."""
    monkeypatch.setattr(ordering, "SPARE", 2)
    items = "ITEM 2 | Risk | 10\nITEM 3 | Credit | 12\nITEM 4 | Credit risk | 13"
    near = [f"ITEM 1 | Credit risk {n} | 4\n{items}" if first == "contents" else f"Credit risk {n}." for n in range(9)]
    bodies = [f"Losses on loans of kind {n} follow from the credit risk that bank {n} takes." for n in range(30)]
    pages = [1] * len(near) + [2 + n for n in range(len(bodies))]
    chunks = [
        {"text": text} if first == "contents" else {"text": text, "page_start": page, "page_end": page}
        for text, page in zip([*near, *bodies], pages, strict=True)
    ]
    body = {"doc_id": first, "source_type": first, "chunks": chunks}
    assert (await service.post("/documents/versions", tenant, "editor", body)).status_code == 201
    asked = {"query": "Credit risk?", "k": 3, "source_type": first}
    shown = (await service.post("/retrieve", tenant, "approver", asked)).json()["contexts"]
    whole = (await service.post("/retrieve", tenant, "approver", {**asked, "explain": True})).json()["contexts"]
    assert [(one["chunk_id"], one["score"]) for one in shown] == [(one["chunk_id"], one["score"]) for one in whole]
    assert len({one["page_start"] for one in shown}) == (1 if first == "contents" else 3)
    assert all(one["explanation"]["furniture"] is None for one in whole)


@pytest.mark.anyio
async def test_a_search_of_body_text_alone_returns_little_more_than_is_shown(
    service: Service, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    searches: list[int] = []

    async def counted(*arguments: Any) -> Found:
        found = await search(*arguments)
        searches.append(len(found.hits))
        return found

    monkeypatch.setattr(ordering, "search", counted)
    chunks = [{"text": f"The fee of account {n} is due on day {n}."} for n in range(60)]
    body = {"doc_id": "fees", "source_type": "fees", "chunks": chunks}
    assert (await service.post("/documents/versions", tenant, "editor", body)).status_code == 201
    asked = {"query": "When is the fee due?", "k": 3, "source_type": "fees"}
    assert (await service.post("/retrieve", tenant, "analyst", asked)).status_code == 200
    assert searches == [3 + ordering.SPARE]
