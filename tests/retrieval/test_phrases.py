"""A quoted phrase favours the chunks that have it word by word."""

from uuid import UUID

import pytest

from backend.retrieval.ranking.ordering import favoured
from backend.retrieval.ranking.phrases import MOST_PHRASES, phrases_in, quoted_phrases
from tests.retrieval.hits import hit
from tests.service import Service, Tenant

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("question", "phrases"),
    [
        ('When is a "late payment fee" charged?', ("late payment fee",)),
        ('What is a “deed-in-lieu of foreclosure?"', ("deed in lieu of foreclosure",)),
        ("«Cour des comptes» und „Due Diligence“", ("cour des comptes", "due diligence")),
        ('"Wire transfer" or "wire  Transfer" or "check hold"', ("wire transfer", "check hold")),
        ('A "fee" is one word', ()),
        ("A customer's fee, and the bank's fee", ()),
        ('An unclosed "late payment fee', ()),
        ('"" and " " and "!? ..."', ()),
        (" ".join(f'"phrase {number}"' for number in range(50)), tuple(f"phrase {n}" for n in range(MOST_PHRASES))),
    ],
)  # fmt: skip
def test_phrases_are_what_stands_in_double_quotes_of_any_kind(question: str, phrases: tuple[str, ...]) -> None:
    assert quoted_phrases(question) == phrases


@pytest.mark.parametrize(
    ("text", "has"),
    [
        ("A late payment fee of $29.", True),
        ("LATE PAYMENT\nFEE", True),
        ("late-payment fee", True),
        ("A fee for a late payment.", False),
        ("late payment of a fee", False),
        ("A late payment feedback.", False),
        ("translate payment fee", False),
        ("", False),
    ],
)
def test_a_text_has_a_phrase_when_its_words_stand_side_by_side(text: str, has: bool) -> None:  # noqa: FBT001
    assert phrases_in(text, ["late payment fee"]) == (("late payment fee",) if has else ())


def test_each_phrase_that_a_text_has_counts() -> None:
    hits = [hit(UUID(int=1), score=0.6), hit(UUID(int=2), text="a b"), hit(UUID(int=3), text="c d, a b")]
    order = favoured(hits, ["a b", "c d"])
    assert [(one.chunk_id.int, one.phrases) for one in order] == [(3, ("a b", "c d")), (2, ("a b",)), (1, ())]
    assert [one.score for one in order] == pytest.approx([0.9, 0.7, 0.6])


PASSAGES = {
    "fee": "When a minimum is missed, the late payment fee is $29.",
    "late": "A payment that is late: the fee and the payment are due, and a late fee follows each late payment.",
    "refund": "A refund of payment is late when no fee applies; the late refund has no fee.",
    "notice": "The customer gives notice in writing within ten business days.",
    "writing": "In writing, the customer gives business notice; notice within days is business.",
}


@pytest.fixture(scope="module")
async def filled(service: Service, tenant: Tenant) -> Tenant:
    chunks = [{"doc_id": doc_id, "chunk_text": text, "source_type": "policy"} for doc_id, text in PASSAGES.items()]
    assert (await service.post("/ingest/batch", tenant, "editor", {"chunks": chunks})).status_code == 201
    return tenant


@pytest.mark.parametrize("mode", ["hybrid", "lexical"])
@pytest.mark.parametrize(
    ("phrase", "first", "without"),
    [("late payment fee", "fee", "late"), ("notice in writing", "notice", "writing")],
)
async def test_the_chunk_that_has_the_phrase_overtakes_the_one_that_has_its_words(
    service: Service, filled: Tenant, mode: str, phrase: str, first: str, without: str
) -> None:
    words = {"query": f"{phrase} late writing business", "mode": mode, "k": 1}
    quoting = {**words, "query": f'"{phrase}" late writing business'}
    assert [c["doc_id"] for c in (await found(service, filled, words))["contexts"]] == [without]
    assert [c["doc_id"] for c in (await found(service, filled, quoting))["contexts"]] == [first]


async def test_why_and_the_explanation_count_phrases_and_the_record_says_that_there_were_some(
    service: Service, filled: Tenant
) -> None:
    asked = {"query": '"late payment fee" late writing business', "k": 1}
    answer = await found(service, filled, {**asked, "explain": True}, user="approver")
    assert answer["contexts"][0]["explanation"]["phrases"] == ["late payment fee"]
    event = await service.get(f"/audit/events/{answer['audit_event_id']}", filled, "compliance")
    assert event.json()["event"]["retrieval"]["quoted_phrases"] == 1
    for doc_id, reason, rank in (("fee", "returned", 1), ("late", "outranked", 2)):
        why = await service.post("/retrieve/why", filled, "analyst", {**asked, "doc_id": doc_id})
        (document,) = why.json()["documents"]
        assert (document["reason"], document["rank"]) == (reason, rank)


async def found(service: Service, tenant: Tenant, body: dict[str, object], user: str = "analyst") -> dict[str, list]:
    answer = await service.post("/retrieve", tenant, user, body)
    assert answer.status_code == 200, answer.text
    return answer.json()
