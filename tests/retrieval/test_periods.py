"""A question that names a year prefers documents about it, whatever year stands in their texts."""

import pytest

from backend.documents.files import ingestion
from backend.retrieval.periods import asked_periods, document_periods
from tests.factories import ingested
from tests.service import Service, Tenant

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("names", "metadata", "beginning", "periods"),
    [
        (["BESTBUY_2017_10K.pdf", "0000764478-17-000008"], {}, "fiscal year ended January 28, 2017", ["2017"]),
        (
            ["report.pdf", "10-K - 02/07/2019"],
            {},
            "For the fiscal year ended December 31, 2018\nCommission file",
            ["2018"],
        ),
        (["report.pdf", "Annual report 2019"], {}, "We are a bank.", ["2019"]),
        (["x_2024Q2_10Q.pdf"], {}, "For the quarterly period ended July 29, 2023", ["2023", "2024"]),
        (["a"], {"fiscal_year": 2021}, "", ["2021"]),
        (["a", "A fee of 2023 dollars"], {"fiscal_year": 2021}, "", ["2021"]),
        (["FY23 plan"], {}, "", ["2023"]),
        (["terms-12023.pdf", "Terms"], {}, "Since 1999 we have served.", []),
    ],
)
def test_a_document_knows_its_years(
    names: list[str], metadata: dict[str, object], beginning: str, periods: list[str]
) -> None:
    assert document_periods(names, metadata, beginning) == tuple(f"period:{year}" for year in periods)


@pytest.mark.parametrize(
    ("question", "years"),
    [
        ("What was the revenue in FY2022?", ["2022"]),
        ("the change between FY2021 and FY 2022", ["2021", "2022"]),
        ("FY23 sales", ["2023"]),
        ("sales of 2Q23 and Q3\u201922, 1H21", ["2023", "2022", "2021"]),
        ("Q4 20 stores", []),
        ("as of December 31, 2020", ["2020"]),
        ("Form 10-K", []),
        ("rule 20231", []),
    ],
)
def test_a_question_names_years(question: str, years: list[str]) -> None:
    assert asked_periods(question) == tuple(f"period:{year}" for year in years)


async def test_the_report_of_the_year_that_is_asked_about_comes_first(service: Service, tenant: Tenant) -> None:
    texts = {
        "2021": "Revenue was 41 million in 2021 and 38 million in 2020; the outlook for 2022 is revenue growth.",
        "2022": "Net sales of the company came to 47 million.",
    }
    for year, text in texts.items():
        body = {
            "doc_id": f"annual-report-{year}", "source_type": "report", "title": f"Annual report {year}",
            "chunks": [{"text": text, "page_start": 1, "page_end": 1}],
        }  # fmt: skip
        assert (await service.post("/documents/versions", tenant, "editor", body)).status_code == 201
    asked = {"query": "What was the revenue in FY2022?", "k": 2}
    answer = (await service.post("/retrieve", tenant, "approver", {**asked, "explain": True})).json()
    assert [context["doc_id"] for context in answer["contexts"]] == ["annual-report-2022", "annual-report-2021"]
    matched = [[t["term"] for t in context["explanation"]["matched_terms"]] for context in answer["contexts"]]
    assert ["period:2022" in terms for terms in matched] == [True, False]
    other = (
        await service.post("/retrieve", tenant, "analyst", {"query": "What was the revenue in 2021?", "k": 1})
    ).json()
    assert other["contexts"][0]["doc_id"] == "annual-report-2021"


async def test_every_part_of_a_long_file_is_of_the_year_that_its_beginning_says(
    service: Service, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file is read part by part, and what comes late speaks of other years, or of none."""
    monkeypatch.setattr(ingestion, "_EMBEDDED_AT_ONCE", 1)
    parts = [f"# Part {n}\n\nThe zebra ledger {n} of 1987 was audited.\n" for n in range(12)]
    text = "# Report\n\nFor the fiscal year ended December 31, 2018.\n\n" + "\n".join(parts)
    job = await ingested(service, tenant, "zebras.md", text.encode(), source_type="report")
    assert job["status"] == "succeeded", job
    asked = {"query": "the zebra ledger in 2018", "k": 100, "explain": True}
    contexts = (await service.post("/retrieve", tenant, "approver", asked)).json()["contexts"]
    found = {
        context["chunk_text"]: [term["term"] for term in context["explanation"]["matched_terms"]]
        for context in contexts
        if context["doc_id"] == "zebras.md"
    }
    assert len(found) > 2
    assert all("period:2018" in terms for terms in found.values()), found
