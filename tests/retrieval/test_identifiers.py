"""What a question names exactly is found first, though its neighbours say nearly the same."""

import pytest

from tests.service import Service, Tenant

pytestmark = pytest.mark.anyio

PASSAGES = {
    "4.2": "Rule 4.2 Client money must be held in a segregated account.",
    "4.2.1": "Rule 4.2.1 A firm must reconcile client money every business day.",
    "4.2.1(a)": "Rule 4.2.1(a) A firm must reconcile client money that it holds at a bank.",
    "4.2.1(b)": "Rule 4.2.1(b) A firm must reconcile client money that it holds at a broker.",
    "4.2.2": "Rule 4.2.2 A firm must keep records of each reconciliation of client money.",
    "14.2.1": "Rule 14.2.1 A firm must report its reconciliation of client money.",
    "alert-1": "Advisory FIN-2021-A001 warns of ransomware payments through client accounts.",
    "alert-2": "Advisory FIN-2021-A002 warns of mule payments through client accounts.",
    "fee-1": "The charge for a returned wire is $1,500.00 for corporate clients.",
    "fee-2": "The charge for a returned wire is $15.00 for private clients.",
    "days-60": "Disputes are filed within sixty days of the statement date.",
    "days-10": "Disputes are acknowledged within ten days of the statement date.",
}


@pytest.fixture(scope="module", autouse=True)
async def ingested(service: Service, tenant: Tenant) -> None:
    chunks = [
        {"doc_id": doc_id, "chunk_text": text, "source_type": "policy", "metadata": {}}
        for doc_id, text in PASSAGES.items()
    ]
    assert (await service.post("/ingest/batch", tenant, "editor", {"chunks": chunks})).status_code == 201


@pytest.mark.parametrize(
    ("question", "doc_id"),
    [
        ("What does Rule 4.2.1(a) require?", "4.2.1(a)"),
        ("rule 4.2.1(b)", "4.2.1(b)"),
        ("What must firms do under Rule 4.2.2?", "4.2.2"),
        ("rule 14.2.1", "14.2.1"),
        ("What is FIN-2021-A002 about?", "alert-2"),
        ("fin-2021-a001", "alert-1"),
        ("Who pays $1,500 for a returned wire?", "fee-1"),
        ("Who pays USD 15 for a returned wire?", "fee-2"),
        ('"within ten days of the statement date"', "days-10"),
        ('Which disputes are "filed within sixty days"?', "days-60"),
    ],
)
async def test_what_is_named_exactly_is_found_first(
    service: Service, tenant: Tenant, question: str, doc_id: str
) -> None:
    found = await service.post("/retrieve", tenant, "analyst", {"query": question, "k": 3})
    assert found.json()["contexts"][0]["doc_id"] == doc_id
