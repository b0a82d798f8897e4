"""Small real filings of two companies: their pages are found and opened by their owner, and by nobody else."""

import json

import pytest

from tests.conftest import SHARED_DATA
from tests.factories import ingested
from tests.service import Service, Tenant

pytestmark = pytest.mark.anyio

FILINGS = SHARED_DATA / "financebench"
# The data count pages from 0.
GOLD = {
    "financebench_id_01935": ("AMCOR_2022_8K_dated-2022-07-01.pdf", 2),
    "financebench_id_00822": ("FOOTLOCKER_2022_8K_dated-2022-05-20.pdf", 2),
}

if not FILINGS.exists():
    pytest.skip("the filings are not here", allow_module_level=True)


def questions(name: str) -> dict[str, str]:
    return {q["query_id"]: q["question"] for q in map(json.loads, (FILINGS / name).read_text().splitlines())}


@pytest.fixture(scope="module")
async def owners(service: Service, tenant: Tenant, other_tenant: Tenant) -> dict[str, tuple[Tenant, Tenant, str]]:
    """By question: the owner, somebody else, and the document's id."""
    known = {}
    for query, owner, other in zip(GOLD, (tenant, other_tenant), (other_tenant, tenant), strict=True):
        filename, _ = GOLD[query]
        job = await ingested(service, owner, filename, (FILINGS / "pdfs" / filename).read_bytes())
        assert job["status"] == "succeeded", job
        known[query] = (owner, other, job["result"]["document_id"])
    return known


@pytest.mark.parametrize("query", GOLD)
async def test_the_page_that_answers_is_retrieved_and_opens(
    service: Service, owners: dict[str, tuple[Tenant, Tenant, str]], query: str
) -> None:
    owner, _, document = owners[query]
    filename, page = GOLD[query]
    asked = {"query": questions("queries.jsonl")[query], "k": 10}
    contexts = (await service.post("/retrieve", owner, "analyst", asked)).json()["contexts"]
    assert {context["doc_id"] for context in contexts} == {filename}
    cited = [context for context in contexts if context["page_start"] <= page <= context["page_end"]]
    assert cited
    shown = (await service.get(f"/documents/{document}/versions/1/pages/{page}", owner, "analyst")).json()
    assert all(context["chunk_text"] in shown["text"] for context in cited)
    for context in contexts:
        opened = (await service.get(context["link"], owner, "analyst")).json()
        assert context["chunk_id"] in {chunk["chunk_id"] for chunk in opened["chunks"]}


@pytest.mark.parametrize("query", GOLD)
async def test_asked_by_another_company_it_is_refused_and_shows_nothing(
    service: Service, owners: dict[str, tuple[Tenant, Tenant, str]], query: str
) -> None:
    _, other, document = owners[query]
    question = questions("isolation_probes.jsonl")[f"{query}-x"]
    contexts = (await service.post("/retrieve", other, "analyst", {"query": question, "k": 100})).json()["contexts"]
    assert GOLD[query][0] not in {context["doc_id"] for context in contexts}
    answer = (await service.post("/answer", other, "analyst", {"question": question})).json()
    assert answer["refused"]
    assert answer["citations"] == []
    for path in ("", "/versions/1", "/versions/1/file", "/versions/1/pages/1"):
        assert (await service.get(f"/documents/{document}{path}", other, "analyst")).status_code == 404
