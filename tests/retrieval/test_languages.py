"""Words are stemmed as the language of their collection does it, in passages and in questions."""

import pytest

from tests.factories import create_collection
from tests.service import Service, Tenant

pytestmark = pytest.mark.anyio

TEXTS = {
    "default": "Late fees are charged for missed payments.",
    "german": "Für verspätete Zahlungen werden Gebühren erhoben.",
    "french": "Des frais sont prélevés pour les paiements tardifs.",
}


@pytest.fixture(scope="module")
async def polyglot(service: Service, tenant: Tenant) -> Tenant:
    for language in ("german", "french"):
        await create_collection(service, tenant, language, language=language, approval_required=False)
    chunks = [
        {"doc_id": collection, "chunk_text": text, "source_type": "policy", "collection": collection}
        for collection, text in TEXTS.items()
    ]
    assert (await service.post("/ingest/batch", tenant, "editor", {"chunks": chunks})).status_code == 201
    return tenant


@pytest.mark.parametrize(
    ("question", "expected"),
    [("Wie hoch ist die Gebühr?", "german"), ("le paiement", "french"), ("charging a missed payment", "default")],
)
async def test_another_form_of_a_word_is_found_in_every_language(
    service: Service, polyglot: Tenant, question: str, expected: str
) -> None:
    everywhere = await service.post("/retrieve", polyglot, "analyst", {"query": question, "mode": "lexical", "k": 1})
    assert [context["doc_id"] for context in everywhere.json()["contexts"]] == [expected]
    there = await service.post(
        "/retrieve", polyglot, "analyst", {"query": question, "mode": "lexical", "collection": expected}
    )
    assert [context["doc_id"] for context in there.json()["contexts"]] == [expected]


async def test_a_question_can_be_put_to_one_language(service: Service, polyglot: Tenant) -> None:
    for language, expected in (("german", "german"), ("english", "default")):
        answer = await service.post(
            "/retrieve", polyglot, "analyst", {"query": "fees and Gebühren", "language": language, "k": 10}
        )
        assert [context["doc_id"] for context in answer.json()["contexts"]] == [expected]
