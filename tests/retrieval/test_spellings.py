"""One way of writing a figure, a date or a number finds the others."""

import json
from typing import Any

import pytest

from backend.retrieval.lexicon import terms
from backend.retrieval.spellings import spellings
from tests.conftest import SHARED_DATA
from tests.service import Service, Tenant

CASES = SHARED_DATA.parent / "cases"


@pytest.mark.parametrize(
    "written",
    [
        ("25 bps", "25bps", "25 basis points", "0.25%", "0.25 percent", "1 basis point is little, 25 bp is more"),
        (
            "2026-04-13",
            "13 April 2026",
            "April 13, 2026",
            "13th of april 2026",
            "04/13/2026",
            "13/4/2026",
            "Apr. 13, 2026",
        ),
        ("Q2 2026", "the second quarter", "2nd quarter", "2026Q2", "second fiscal quarter"),
        ("FY2023", "FY23", "FY 2023", "2023", "fy '23"),
        ("+1 (800) 555-0142", "8005550142", "1-800-555-0142 (800) 555-0142", "call (800) 555-0142"),
        ("DE89 3704 0044 0532 0130 00", "DE89370400440532013000"),
        ("Article VI", "Article 6"),
        ("Basel III", "Basel 3"),
        ("section XIV", "section 14"),
    ],
)
def test_what_is_written_in_several_ways_shares_a_term(written: tuple[str, ...]) -> None:
    shared = set.intersection(*(set(terms(text)) for text in written))
    assert any(any(character.isdigit() for character in term) for term in shared), [terms(text) for text in written]


@pytest.mark.parametrize(
    ("one", "other"),
    [("25 bps", "45 bps"), ("0.25%", "2.5%"), ("2026-04-13", "2026-03-13"), ("Article IV", "Article VI"), ("Q1", "Q2"),
     ("(800) 555-0142", "(800) 555-0199")],
)  # fmt: skip
def test_what_differs_shares_no_spelling(one: str, other: str) -> None:
    assert not set(spellings(one.casefold())) & set(spellings(other.casefold()))


@pytest.mark.parametrize(
    "text", ["", "2026-13-45", "45/67/2026", "1" * 3000, "de89 " * 700, "article " * 500, "% " * 2000]
)
def test_no_text_costs_much_or_raises(text: str) -> None:
    assert len(list(spellings(text))) < 1000


@pytest.mark.skipif(not CASES.exists(), reason="needs the shared cases")
@pytest.mark.anyio
async def test_the_cases_of_others_are_found_first(service: Service, other_tenant: Tenant) -> None:
    lines = (CASES / "retrieval_chunks.jsonl").read_text().splitlines()
    chunks = [json.loads(line) for line in lines]
    assert (await service.post("/ingest/batch", other_tenant, "editor", {"chunks": chunks})).status_code == 201
    missed = {}
    for case in map(json.loads, (CASES / "cases.jsonl").read_text().splitlines()):
        asked: dict[str, Any] | None = case["request"].get("POST /retrieve") if case["group"] == "b" else None
        if asked is None or not case["expected"].endswith(" first"):
            continue
        body = {"query": asked["query"], "mode": asked["mode"], "collection": "default"}
        contexts = (await service.post("/retrieve", other_tenant, "analyst", body)).json()["contexts"]
        if [context["doc_id"] for context in contexts][:1] != [case["expected"].removesuffix(" first")]:
            missed[case["id"]] = [context["doc_id"] for context in contexts[:3]]
    assert not missed
