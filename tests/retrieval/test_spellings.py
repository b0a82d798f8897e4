"""One way of writing a figure, a date or a number finds the others."""

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from backend.retrieval.figures import dates as dating
from backend.retrieval.figures.dates import dates, periods
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
    ("shared", "written"),
    [
        ("25bp", "english: twenty-five basis points | german: 0,25 % | german: fünfundzwanzig Basispunkte | french: 25 points de base"
                 " | french: vingt-cinq points de base | spanish: 25 puntos básicos | italian: venticinque punti base | english: ¼ %"),
        ("150bp", "english: 1.5 percentage points | german: 1,5 Prozentpunkte | french: 1,5 pour cent | spanish: 1,5 por ciento"
                  " | italian: 1,5 per cento | english: 15 ‰ | english: 1½ per cent"),
        ("1250bp", "english: 1,250 bps | english: 12.5% | german: 1.250 Basispunkte"),
        ("20260413", "english: 13-Apr-2026 | german: 13. April 2026 | german: 13.4.2026 | french: 13 avril 2026"
                     " | spanish: 13 de abril de 2026 | italian: 13 aprile 2026 | english: 2026/04/13 | english: 13/04/26"
                     " | english: the 13th day of April, 2026 | english: 2026年4月13日 | english: 2026년 4월 13일"),
        ("20260101", "german: 1. Jänner 2026 | french: 1er janvier 2026 | spanish: 1.º de enero de 2026 | italian: 1° gennaio 2026"),
        ("202604", "english: April 2026 | english: 2026-04 | english: 04/2026 | english: 13 April 2026 | spanish: abril de 2026"),
        ("quarter2", "english: 2Q23 | english: Q2'23 | english: second-quarter | english: quarter two | german: zweites Quartal"
                     " | german: 2. Quartal 2023 | french: 2e trimestre | french: T2 2023 | spanish: segundo trimestre"
                     " | spanish: 2T23 | italian: II trimestre | english: 2023年第2四半期 | english: 第二季度"),
        ("half1", "english: first half of 2023 | english: 1H23 | english: H1 2023 | german: erstes Halbjahr | french: 1er semestre"
                  " | french: S1 2023 | spanish: primer semestre"),
        ("2023", "english: 2Q23 | english: 1H23 | english: Q2'23 | english: FY'23 | english: 2023年第2四半期"),
        ("2079460958", "english: +44 20 7946 0958 | english: +44 (0)20 7946 0958 | english: 020 7946 0958"
                       " | english: 02079460958 | english: 0044 20 7946 0958"),
        ("142928100", "french: 01 42 92 81 00 | french: 01.42.92.81.00 | french: +33 1 42 92 81 00 | french: 0142928100"),
        ("6913440", "german: +49 (0) 69 1344 0 | german: +49 (0)69/1344-0 | german: 069 13440"),
        ("1500000", "english: $1.5 million | english: $1.5m | english: 1,500,000 | german: 1,5 Mio. EUR | german: 1.500.000"
                    " | french: 1 500 000 | english: 1'500'000 | italian: 1,5 milioni"),
        ("2500000000", "spanish: 2,5 mil millones | german: 2,5 Mrd. | english: 2.5bn | french: 2,5 milliards"),
        ("1234.56", "german: 1.234,56 | french: 1 234,56 | english: 1,234.56"),
        ("2500", "german: 2.500 | english: 2,500 | french: 2 500"),
        ("30", "english: thirty days | german: dreißig Tage | french: trente jours | spanish: treinta días | italian: trenta giorni"),
        ("10", "english: ten business days | english: 10 business days"),
        ("4", "english: Annexes III and IV | german: Anhang IV | french: chapitre IV | spanish: título IV | italian: allegato IV"
              " | english: Part IV(b) | english: 第四条"),
        ("62", "english: Chapter LXII | english: Chapter 62"),
        ("2a", "english: Schedule IIA | english: Schedule 2A"),
        ("4111111111111111", "english: 4111-1111-1111-1111 | english: 4111 1111 1111 1111 | english: 4111111111111111"),
    ],
)  # fmt: skip
def test_figures_are_found_as_people_of_several_languages_write_them(shared: str, written: str) -> None:
    found = {one: terms(text, language) for one in written.split(" | ") for language, _, text in [one.partition(": ")]}
    assert not {one: has for one, has in found.items() if shared not in has}


@pytest.mark.parametrize(
    ("one", "other"),
    [("25 bps", "45 bps"), ("0.25%", "2.5%"), ("2026-04-13", "2026-03-13"), ("Article IV", "Article VI"), ("Q1", "Q2"),
     ("(800) 555-0142", "(800) 555-0199"), ("$1.5 million", "$1.5 billion"), ("first half", "first quarter"), ("2Q22", "3Q23"),
     ("thirty days", "thirteen days"), ("13.04.2026", "13.05.2025"), ("2.500,00", "2.50"), ("Part I", "Section C"),
     ("title vi", "titolo di"), ("+49 30 901820", "+49 31 901820"), ("2½%", "21/2%"), ("10-K", "10 million")],
)  # fmt: skip
def test_what_differs_shares_no_spelling(one: str, other: str) -> None:
    assert not set(spellings(one.casefold())) & set(spellings(other.casefold()))


@pytest.mark.parametrize(
    "text",
    ["", "2026-13-45", "45/67/2026", "1" * 3000, "de89 " * 700, "article " * 500, "% " * 2000, "1.000." * 900, "+1 " * 900,
     "twenty " * 900, "art i-i-i-i " * 100, "0 0 " * 900, "january " * 900],
)  # fmt: skip
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


WRITTEN_DATES = {
    "ymd": "2026-04-13", "ym": "2026-04", "either": "4/13/26", "dotted": "13.4.2026", "my": "04/2026", "dmy": "13 april 2026",
    "mdy": "april 13, 2026", "named": "april 2026", "signs": "2026年4月",
}  # fmt: skip
WRITTEN_PERIODS = {
    "short": "q2", "dated": "t2/2023", "behind": "2q23", "words": "second half", "after": "quarter three", "signs": "第二季度",
    "fiscal": "fy 23",
}  # fmt: skip


@pytest.mark.parametrize(
    ("pattern", "examples", "read"), [(dating._DATE, WRITTEN_DATES, dates), (dating._PERIOD, WRITTEN_PERIODS, periods)]
)
def test_every_way_of_writing_a_date_or_period_is_looked_at(
    pattern: re.Pattern[str], examples: dict[str, str], read: Callable[[str], Iterator[str]]
) -> None:
    """Texts that can hold none are left out first, which must leave out no way."""
    ways = {name for name in pattern.groupindex if name.isalpha() and name not in {"mark", "quarter", "half"}}
    assert ways == examples.keys()
    for way, text in examples.items():
        found = pattern.search(text)
        assert found is not None, way
        assert found[way], way
        assert list(read(text)), way


@pytest.mark.parametrize("half", ["first", "second", "1st", "ii", "zweites", "2ème", "primo", "segundo"])
@pytest.mark.parametrize("words", ["quarter", "half", "quartal", "halbjahr", "trimestre", "semestre"])
def test_ordinals_of_any_language_are_looked_at(half: str, words: str) -> None:
    text = f"{half} {words}"
    assert bool(list(periods(text))) == (dating._PERIOD.search(text) is not None)
