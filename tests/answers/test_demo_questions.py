"""The questions that somebody who tries the demo asks, through the service: each is answered rightly, or rightly refused."""

from datetime import UTC, date, datetime, time

import pytest

from backend.demo import content
from tests.service import Service, Tenant

pytestmark = pytest.mark.anyio


async def filled(service: Service, demo: str) -> Tenant:
    """A tenant with the documents of one of the demo's that its analyst reads there."""
    tenant = await service.create_tenant()
    for document in content.load(demo):
        if document.collection == "legal-privileged":
            continue
        body = {
            "doc_id": document.doc_id, "source_type": document.source_type, "title": document.title,
            "metadata": document.metadata, "effective_from": midnight(document.effective_from),
            "effective_to": document.effective_to and midnight(document.effective_to),
            "chunks": [{"text": paragraph} for paragraph in document.paragraphs],
        }  # fmt: skip
        stored = await service.post("/documents/versions", tenant, "editor", body)
        assert stored.status_code == 201, stored.text
    return tenant


def midnight(day: date) -> str:
    return datetime.combine(day, time(tzinfo=UTC)).isoformat()


@pytest.fixture(scope="module")
async def bank(service: Service) -> Tenant:
    return await filled(service, "meridian-bank")


@pytest.fixture(scope="module")
async def insurer(service: Service) -> Tenant:
    return await filled(service, "harbor-insurance")


@pytest.mark.parametrize(
    ("question", "said", "unsaid"),
    [
        ("What does an outgoing wire cost?", ["$25", "$45"], "$30"),
        ("What is the monthly fee and how can I avoid it?", ["$10", "waived", "$1,000"], "$12"),
        ("What is the overdraft fee?", ["$20"], "$34"),
        ("How do I opt out of overdraft coverage?", ["opt out at any time in online banking, by telephone or at a branch"], "link"),
        ("How long do I have to dispute a debit card transaction?", ["two business days", "within 60 days"], "credit card"),
        ("When is provisional credit due?", ["by the tenth business day"], "billing"),
        ("Which documents do we need to open an account for a company?", ["certificate of formation", "bylaws"], "passport"),
        ("Can a customer use an expired passport?", ["expired document is not accepted"], "visa"),
        ("What is the cut-off time for international wires?", ["3:30 p.m."], "recall"),
        ("When is a check deposited on Friday available?", ["next business day", "second business day"], "Cash deposited"),
        ("Who approves a goodwill credit of $300?", ["A branch manager may approve up to $500"], "risk committee"),
        ("What happens when there is a possible sanctions hit?", ["escalated to the sanctions officer"], "10 years"),
        ("What is the most that can be wired online per day?", ["$25,000 per business day in online banking"], "$5,000"),
    ],
)  # fmt: skip
async def test_a_question_of_the_bank_is_answered(
    service: Service, bank: Tenant, question: str, said: list[str], unsaid: str
) -> None:
    answer = (await service.post("/answer", bank, "analyst", {"question": question})).json()
    assert all(words in answer["answer"] for words in said), answer["answer"]
    assert unsaid not in answer["answer"], answer["answer"]
    assert {citation["support"] for citation in answer["citations"]} == {"verbatim"}


async def test_what_no_document_says_is_refused(service: Service, bank: Tenant) -> None:
    answer = (await service.post("/answer", bank, "analyst", {"question": "Can a Zelle payment be disputed?"})).json()
    assert (answer["refused"], answer["reason"]) == (True, "not_supported")


async def test_what_held_before_is_named_with_its_dates(service: Service, bank: Tenant) -> None:
    question = "What was the monthly maintenance fee in 2025?"
    answer = (await service.post("/answer", bank, "analyst", {"question": question})).json()
    assert answer["refused"], answer["answer"]
    assert [old["doc_id"] for old in answer["superseded"]] == ["fee-schedule-personal"]
    earlier = {"question": question.replace("2025", "2023")}  # when no version applied
    assert (await service.post("/answer", bank, "analyst", earlier)).json()["superseded"] == []


@pytest.mark.parametrize(
    ("question", "said"),
    [
        ("What did we decide in case 2025-0342?", "Decision: denied under the seepage exclusion"),
        ("Who may approve a settlement of $50,000?", "$75,000 for a senior adjuster"),
        ("How old may an asphalt shingle roof be?", "15 years"),
    ],
)
async def test_a_question_of_the_insurer_is_answered(
    service: Service, insurer: Tenant, question: str, said: str
) -> None:
    answer = (await service.post("/answer", insurer, "analyst", {"question": question})).json()
    assert said in answer["answer"], answer
